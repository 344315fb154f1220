//! The ABI is as recorded in `tests/abi/`, or the version number allows the change: a new minor
//! version may add functions, and anything else takes a new major one.
//!
//! The record is of the latest release, and until there is one, of the first to come; `make abi`
//! renews it.

use crate::common::folders::root;
use crate::common::{installed, make};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The shared object with its description of types.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = concat!("build/abi/libchatserver.so.", env!("CARGO_PKG_VERSION"));
    make::make(&[library]);
    root().join(library)
});

/// The record, and the version it is of.
static RECORD: LazyLock<(PathBuf, Version)> = LazyLock::new(|| {
    let folder = root().join("tests/abi");
    let files: Vec<_> =
        fs::read_dir(folder).expect("records").map(|entry| entry.expect("a file").path()).collect();
    let [file] = &files[..] else { panic!("one record, and not: {files:?}") };
    let version = file.file_stem().and_then(|stem| stem.to_str()).expect("VERSION.abi");
    (file.clone(), Version::from(version))
});

/// The parts of a version number that matter for the ABI.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
struct Version {
    major: u32,
    minor: u32,
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        let numbers: Vec<u32> =
            text.split('.').map(|number| number.parse().expect("a number")).collect();
        let [major, minor, _patch] = numbers[..] else { panic!("no version: {text}") };
        Self { major, minor }
    }
}

#[derive(PartialEq, Debug)]
enum Change {
    None,
    Addition,
    Break,
}

/// How the library differs from a record, and abidiff's report; `None` without abidiff.
fn change(record: &Path) -> Option<(Change, String)> {
    if !installed::is_installed("abidiff") {
        installed::skip("no abidiff");
        return None;
    }
    let (is_other, said) = compare(record, &[]);
    let (is_other_for_old_programs, _) = compare(record, &["--no-added-syms"]);
    Some(match (is_other, is_other_for_old_programs) {
        (false, false) => (Change::None, said),
        (true, false) => (Change::Addition, said),
        (_, true) => (Change::Break, said),
    })
}

/// Whether abidiff finds a difference, a renamed field included, and its report.
fn compare(record: &Path, options: &[&str]) -> (bool, String) {
    let mut command = Command::new("abidiff");
    command.arg("--harmless").args(options).arg(record).arg(&*LIBRARY);
    let output = command.output().expect("abidiff can be run");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    // The lowest two bits say that it has failed, the others that there is a difference.
    match output.status.code() {
        Some(status) if status & 3 == 0 => (status != 0, said),
        _ => panic!("abidiff has failed: {}\n{said}", output.status),
    }
}

/// Whether a version may have this change since the version of the record.
fn may_have(version: Version, change: &Change, recorded: Version) -> bool {
    match change {
        Change::None => version >= recorded,
        Change::Addition => version > recorded,
        Change::Break => version.major > recorded.major,
    }
}

#[test]
fn the_abi_is_as_recorded_or_the_version_says_so() {
    let (record, recorded) = &*RECORD;
    let Some((change, said)) = change(record) else { return };
    let version = Version::from(env!("CARGO_PKG_VERSION"));
    assert!(
        may_have(version, &change, *recorded),
        "{change:?} since {recorded:?}, and this is {version:?}: raise the version, or renew the \
         record of what has never been released (make abi)\n{said}"
    );
}

#[test]
fn a_version_may_have_what_its_number_says() {
    let recorded = Version { major: 1, minor: 2 };
    for (change, versions) in [
        (Change::None, ["1.2.3", "1.3.0", "2.0.0"].as_slice()),
        (Change::Addition, &["1.3.0", "2.0.0"]),
        (Change::Break, &["2.0.0"]),
    ] {
        let may_have = |version: &&str| may_have(Version::from(*version), &change, recorded);
        let allowed: Vec<_> =
            ["1.1.9", "1.2.3", "1.3.0", "2.0.0"].into_iter().filter(may_have).collect();
        assert_eq!(allowed, versions, "{change:?}");
    }
}

/// Checks how the change from an edited record to the library is classified.
fn is_taken_for(expected: Change, name: &str, edit: impl Fn(&str) -> String) {
    let record = fs::read_to_string(&RECORD.0).expect("the record is text");
    let edited = record.lines().map(edit).collect::<Vec<_>>().join("\n");
    assert_ne!(edited, record.trim_end(), "{name} changes nothing");
    let file = LIBRARY.with_file_name(name);
    fs::write(&file, edited).expect("a record can be written");
    if let Some((change, said)) = change(&file) {
        assert_eq!(change, expected, "{said}");
    }
}

#[test]
fn a_new_function_is_an_addition() {
    is_taken_for(Change::Addition, "without-cork.abi", |line| {
        // Removes it from the symbols, and the symbol from the function.
        if line.contains("<elf-symbol name='chat_cork'") {
            return String::new();
        }
        line.replace(" elf-symbol-id='chat_cork@@CHATSERVER_1'", "")
    });
}

#[test]
fn a_function_that_is_gone_is_a_break() {
    is_taken_for(Change::Break, "other-cork.abi", |line| line.replace("chat_cork", "chat_gone"));
}

#[test]
fn a_parameter_of_another_type_is_a_break() {
    is_taken_for(Change::Break, "long-descriptor.abi", |line| {
        line.replace(
            "<parameter type-id='type-id-2' name='sd'",
            "<parameter type-id='type-id-8' name='sd'",
        )
    });
}

#[test]
fn another_order_of_fields_is_a_break() {
    is_taken_for(Change::Break, "other-order.abi", |line| {
        if line.contains("<var-decl name='maxfd'") {
            line.replace("maxfd", "nready")
        } else {
            line.replace("<var-decl name='nready'", "<var-decl name='maxfd'")
        }
    });
}

#[test]
fn another_field_is_a_break() {
    is_taken_for(Change::Break, "other-field.abi", |line| {
        line.replace("<var-decl name='cut_off'", "<var-decl name='gone'")
    });
}

#[test]
fn another_version_node_is_a_break() {
    is_taken_for(Change::Break, "other-node.abi", |line| {
        line.replace("CHATSERVER_1", "CHATSERVER_0")
    });
}
