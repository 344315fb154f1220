//! Every place that states the version states the same one.

use crate::common::folders::root;
use crate::common::{make, program};
use std::fs;
use std::process::Command;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const MAJOR: &str = env!("CARGO_PKG_VERSION_MAJOR");
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

fn output(program: &str, arguments: &[&str]) -> String {
    program::output(Command::new(program).args(arguments).current_dir(root()))
}

/// The part of `text` between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} after {before:?}")).0
}

#[test]
fn everything_has_the_version_of_the_crate() {
    make::all();
    let said = output("./server", &["--version"]);
    assert_eq!(said.trim_end().rsplit(' ').next(), Some(VERSION), "--version");
    assert_eq!(between(&read("CHANGELOG.md"), "\n## ", " "), VERSION, "CHANGELOG.md");
    let packagers = read("packaging/README.md");
    assert_eq!(between(&packagers, "build/chatserver-", ".tar.gz"), VERSION, "packaging/README.md");
    let debian = read("packaging/debian/changelog");
    assert_eq!(between(&debian, "chatserver (", "-"), VERSION, "packaging/debian/changelog");

    let header = read("include/chatServerExt.h");
    let number = |name: &str| between(&header, &format!("#define {name} "), "\n").parse::<u32>();
    let parts = ["_MAJOR", "_MINOR", "_PATCH"]
        .map(|part| number(&format!("CHATSERVER_VERSION{part}")).expect("a number"));
    assert_eq!(parts.map(|part| part.to_string()).join("."), VERSION, "chatServerExt.h");
    let [major, minor, patch] = parts;
    let all = number("CHATSERVER_VERSION");
    assert_eq!(all, Ok(major * 1_000_000 + minor * 1000 + patch), "CHATSERVER_VERSION");

    let shared = format!("build/libchatserver.so.{VERSION}");
    let dynamic = output("readelf", &["--dynamic", "--wide", &shared]);
    assert_eq!(between(&dynamic, "soname: [libchatserver.so.", "]"), MAJOR, "SONAME");
    let node = read("build/libchatserver.map");
    assert_eq!(between(&node, "CHATSERVER_", " "), MAJOR, "the version of the symbols");

    let mut pages = 0;
    for entry in fs::read_dir(root().join("man")).expect("man/ is there") {
        let page = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        // The others only include a page that has it.
        if page.contains(".Os ") {
            assert_eq!(between(&page, ".Os libchatserver ", "\n"), VERSION, "{page}");
            pages += 1;
        }
    }
    assert!(pages > 0);
}

#[test]
fn readme_and_packages_name_the_rust_that_is_needed() {
    assert_eq!(between(&read("README.md"), "(Rust ", " or later"), RUST_VERSION, "README.md");
    for package in ["cargo", "rustc"] {
        let control = read("packaging/debian/control");
        assert_eq!(between(&control, &format!("{package} (>= "), ")"), RUST_VERSION, "{package}");
    }
}

/// Clippy checks the code itself (`make lint`).
#[test]
fn no_dependency_needs_a_later_rust() {
    let target = env!("TARGET");
    let arguments = ["--format-version", "1", "--offline", "--locked", "--filter-platform", target];
    let metadata = output(env!("CARGO"), &[&["metadata"], &arguments[..]].concat());
    let number = |version: &str| -> Vec<u32> {
        let parts = version.split('.').map(|part| part.parse().expect("a number"));
        parts.chain([0]).take(3).collect()
    };
    let needed: Vec<_> = metadata
        .split("\"rust_version\":\"")
        .skip(1)
        .map(|rest| rest.split_once('"').expect("a string").0)
        .collect();
    assert!(needed.contains(&RUST_VERSION), "{metadata}");
    for version in needed {
        assert!(number(version) <= number(RUST_VERSION), "a dependency needs Rust {version}");
    }
}
