//! Random sequences of calls, and of what programs and peers do in between, checked against the
//! model (`tests/model/mod.rs`). They run on the shared object that `make` builds.
//!
//! `PROPTEST_CASES` is the number of sequences for each test (1000 by default). Every run prints
//! its seeds; `PROPTEST_RNG_SEED=SEED cargo test --test suite properties::` repeats a run. A
//! sequence that fails is shrunk and printed step by step, with the command that writes its bytes.
//! Saved as a file in `fuzz/corpus/`, it is replayed in every run, and the fuzzers start from it.

mod library;
#[path = "../../model/mod.rs"]
mod model;

use crate::common::folders::root;
use crate::common::make;
use model::{line, room, step};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::env;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// A kind of sequences, which are encoded in bytes.
struct Kind {
    /// The folder in `fuzz/corpus`.
    folder: &'static str,
    play: fn(&[u8]),
    /// The steps, a line each.
    steps: fn(&[u8]) -> String,
}

const CALLS: &Kind = &Kind {
    folder: "calls",
    play: |bytes| room::play(&step::decode(bytes)),
    steps: |bytes| step::decode(bytes).iter().map(|step| format!("{step:?}\n")).collect(),
};

const LINES: &Kind = &Kind {
    folder: "lines",
    play: |bytes| line::play(&line::decode(bytes)),
    steps: |_| String::new(),
};

struct Sequence(&'static Kind, Vec<u8>);

/// Ends with the command that outputs the bytes.
impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self(kind, bytes) = self;
        let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        write!(f, "{}printf '{escaped}'", (kind.steps)(bytes))
    }
}

/// Plays many random sequences, with the given seed or a new one.
fn check(kind: &'static Kind, bytes: impl Strategy<Value = Vec<u8>>) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 1000;
    }
    if let RngSeed::Random = config.rng_seed {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        config.rng_seed = RngSeed::Fixed(u64::from(now.subsec_nanos()));
    }
    // Not captured by the harness, since a crash would lose it.
    let note = format!("{} with PROPTEST_RNG_SEED={}\n", kind.folder, config.rng_seed);
    std::io::stderr().write_all(note.as_bytes()).expect("it can be printed");
    let sequences = bytes.prop_map(|bytes| Sequence(kind, bytes));
    let outcome = TestRunner::new(config).run(&sequences, |Sequence(_, bytes)| {
        (kind.play)(&bytes);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Plays the sequences of the corpus.
fn replay(kind: &'static Kind) {
    let folder = root().join("fuzz/corpus").join(kind.folder);
    let files = std::fs::read_dir(&folder).expect("the corpus is there");
    let paths: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    assert!(!paths.is_empty(), "nothing in {}", folder.display());
    for path in paths {
        let bytes = std::fs::read(&path).expect("it can be read");
        catch_unwind(AssertUnwindSafe(|| (kind.play)(&bytes))).unwrap_or_else(|panic| {
            eprintln!("{}: {:?}", path.display(), Sequence(kind, bytes));
            resume_unwind(panic)
        });
    }
}

/// Defines tests that each run in a process of their own: the model uses fixed descriptor numbers
/// and process-wide settings, and a child process of another test could inherit its descriptors.
macro_rules! tests_in_own_processes {
    ($(fn $name:ident() $body:block)+) => {
        $(
            #[test]
            fn $name() {
                if env::var_os(OWN_PROCESS).is_some() {
                    $body
                } else {
                    run_in_own_process(stringify!($name));
                }
            }
        )+
    };
}

/// The environment variable that marks such a process.
const OWN_PROCESS: &str = "OWN_PROCESS";

fn run_in_own_process(name: &str) {
    // Each of them runs make, too. It must find nothing left to do: two would write the same files.
    make::all();
    let mut command = Command::new(env::current_exe().expect("the tests are a program"));
    command.args(["--exact", &format!("properties::{name}"), "--nocapture"]);
    let status = command.env(OWN_PROCESS, "1").stdout(Stdio::null()).status();
    let status = status.expect("it can be run");
    assert!(status.success(), "{name}: {status}");
}

tests_in_own_processes! {
    fn pools_are_as_the_model_says_after_any_calls() {
        // Enough steps for queues, cork and limit to meet, few enough for hundreds of sequences.
        check(CALLS, vec(any::<[u8; 4]>(), 0..200).prop_map(|records| records.concat()));
    }

    fn lines_are_as_the_model_says_in_any_chunks() {
        check(LINES, vec(any::<u8>(), 0..600));
    }

    fn calls_that_the_fuzzer_found_are_as_the_model_says() {
        replay(CALLS);
    }

    fn lines_that_the_fuzzer_found_are_as_the_model_says() {
        replay(LINES);
    }
}
