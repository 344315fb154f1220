//! Valgrind and the sanitizers work: each finds the faults of `instruments.c` that it should find,
//! in C and in the library. `make` and `memcheck.sh` build and run that program as they do the
//! tests.

use crate::common::folders::root;
use crate::common::{installed, make, valgrind};
use std::process::Command;
use std::sync::LazyLock;

static BUILT: LazyLock<()> =
    LazyLock::new(|| make::make(&["build/instruments", "build/sanitized/instruments"]));

/// The exit status by which valgrind reports errors.
const VALGRINDS: Option<i32> = Some(99);

struct Run {
    status: Option<i32>,
    said: String,
}

impl Run {
    /// Runs a program with the default settings of the instruments.
    fn of(words: &[&str]) -> Self {
        LazyLock::force(&BUILT);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(root());
        command.env_remove("ASAN_OPTIONS").env_remove("LSAN_OPTIONS").env_remove("VALGRIND_OPTS");
        let output = command.output().expect("the program can be run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { status: output.status.code(), said }
    }

    /// Checks that there is this complaint, with this text in its stack.
    fn complains(&self, complaint: &str, place: &str) {
        let Some(at) = self.said.find(complaint) else {
            panic!("no {complaint}, but {:?} and:\n{}", self.status, self.said)
        };
        let stack = self.said[at..].lines().take_while(|line| {
            let text = line.trim_start_matches(|c: char| c == '=' || c.is_ascii_digit()).trim();
            !text.is_empty() && !text.starts_with("Address ")
        });
        let stack = stack.collect::<Vec<_>>().join("\n");
        assert!(stack.contains(place), "no {place} in:\n{stack}");
    }
}

/// Runs a fault under valgrind with the ordinary library; `None` without valgrind.
fn under_valgrind(fault: &[&str]) -> Option<Run> {
    if !installed::is_installed("valgrind") {
        installed::skip("no valgrind");
        return None;
    }
    Some(Run::of(&[&["tests/memcheck.sh", "build/instruments"], fault].concat()))
}

/// Runs a fault with sanitizers in the program and the library.
fn sanitized(fault: &[&str]) -> Run {
    let run = Run::of(&[&["build/sanitized/instruments"], fault].concat());
    assert_eq!(run.status == Some(0), fault.is_empty(), "{}", run.said);
    run
}

fn valgrind_finds(fault: &str, complaint: &str, place: &str) {
    if let Some(run) = under_valgrind(&[fault]) {
        run.complains(complaint, place);
        assert_eq!(run.status, VALGRINDS, "{}", run.said);
    }
}

fn sanitizer_finds(fault: &str, complaint: &str, place: &str) {
    sanitized(&[fault]).complains(complaint, place);
}

#[test]
fn nobody_complains_of_what_is_right() {
    assert_eq!(sanitized(&[]).said, "");
    if let Some(run) = under_valgrind(&[]) {
        assert_eq!(run.status, Some(0), "{}", run.said);
        assert_eq!(valgrind::open_descriptors(&run.said), [""; 0], "{}", run.said);
    }
}

#[test]
fn valgrind_looks_at_c() {
    valgrind_finds("read_after_free", "Invalid read", "read_after_free");
}

#[test]
fn valgrind_looks_at_the_library() {
    valgrind_finds("library_reads_after_free", "Invalid read", "write_msg");
    valgrind_finds("library_reads_past_the_end", "Invalid read", "add_msg");
    valgrind_finds("library_writes_past_the_end", "Invalid write", "chat_get_info");
    valgrind_finds("library_frees_twice", "Invalid free", "remove_conn");
}

#[test]
fn valgrind_looks_for_leaks() {
    valgrind_finds("forget_memory", "8 bytes in 1 blocks are definitely lost", "forget_memory");
    valgrind_finds(
        "library_memory_is_forgotten",
        "64 bytes in 1 blocks are definitely",
        "chat_feed",
    );
}

#[test]
fn valgrind_tracks_descriptors() {
    if let Some(run) = under_valgrind(&["forget_a_descriptor"]) {
        let open = valgrind::open_descriptors(&run.said);
        assert!(matches!(open[..], [line] if line.contains("/dev/null")), "{}", run.said);
    }
}

#[test]
fn address_sanitizer_looks_at_c() {
    sanitizer_finds("read_after_free", "heap-use-after-free", "tests/suite/instruments.c");
}

/// A stack names a place in `src/` only if the library's own code is instrumented.
#[test]
fn address_sanitizer_looks_at_the_library() {
    sanitizer_finds("library_reads_after_free", "heap-use-after-free", "src/pool.rs");
    sanitizer_finds("library_reads_past_the_end", "heap-buffer-overflow", "src/message.rs");
    sanitizer_finds("library_writes_past_the_end", "heap-buffer-overflow", "src/ffi_ext.rs");
    sanitizer_finds("library_frees_twice", "attempting double-free", "src/message.rs");
}

#[test]
fn undefined_behavior_sanitizer_looks_at_c() {
    sanitizer_finds("overflow_an_int", "tests/suite/instruments.c", "signed integer overflow");
}

#[test]
fn rust_looks_for_undefined_behavior_in_the_library() {
    let misaligned = "misaligned pointer dereference";
    sanitizer_finds("library_reads_a_crooked_message", "panicked at src/queue.rs", misaligned);
}

#[test]
fn leak_sanitizer_looks_for_leaks() {
    sanitizer_finds("forget_memory", "Direct leak of 8 byte(s)", "tests/suite/instruments.c");
    sanitizer_finds("library_memory_is_forgotten", "Direct leak of 64 byte(s)", "src/buffer.rs");
}
