//! The library as `make` builds it: what it exports, what it needs, how large it is.

use crate::common::headers::{self, HEADERS};
use crate::common::make;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that `make` has built.
fn built(name: &str) -> PathBuf {
    make::all();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build").join(name)
}

fn readelf(option: &str, file: &Path) -> String {
    let output = Command::new("readelf").args([option, "--wide"]).arg(file).output();
    String::from_utf8(output.expect("readelf can be run").stdout).expect("readelf prints text")
}

/// The names of the functions that the headers declare.
fn declared() -> BTreeSet<String> {
    let prototypes = HEADERS.iter().flat_map(|(_, header)| headers::prototypes(header));
    prototypes.map(|prototype| headers::name(prototype).to_owned()).collect()
}

/// The names that a file defines for others. Of readelf's columns, the fifth is the binding and
/// the seventh the section.
fn defined(symbols: &str) -> BTreeSet<String> {
    let rows = symbols.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = rows.filter(|row| row.len() >= 8 && row[4] == "GLOBAL" && row[6] != "UND");
    own.map(|row| row[7].to_owned()).collect()
}

#[test]
fn archive_exports_what_the_headers_declare() {
    assert!(declared().contains("add_conn") && declared().contains("chat_version"));
    assert_eq!(defined(&readelf("--symbols", &built("libchatserver.a"))), declared());
}

/// GNU ld would add the version's own name; that linker is used only where rustc brings none.
#[test]
fn shared_object_exports_the_same_under_a_version() {
    let defined = defined(&readelf("--dyn-syms", &built("libchatserver.so")));
    let versioned = declared().iter().map(|name| format!("{name}@@CHATSERVER_1")).collect();
    let own_name = BTreeSet::from(["CHATSERVER_1".to_owned()]);
    assert_eq!(&defined - &own_name, versioned);
}

#[test]
fn shared_object_has_a_soname_and_needs_libc_alone() {
    let dynamic = readelf("--dynamic", &built("libchatserver.so"));
    let values = |tag: &str| -> Vec<String> {
        let lines = dynamic.lines().filter(|line| line.contains(tag));
        lines.map(|line| line.split(['[', ']']).nth(1).expect("[value]").to_owned()).collect()
    };
    assert_eq!(values("(NEEDED)"), ["libc.so.6"]);
    assert_eq!(values("(SONAME)"), [concat!("libchatserver.so.", env!("CARGO_PKG_VERSION_MAJOR"))]);
}

#[test]
fn shared_object_has_three_names() {
    let real = built(concat!("libchatserver.so.", env!("CARGO_PKG_VERSION")));
    for name in ["libchatserver.so", concat!("libchatserver.so.", env!("CARGO_PKG_VERSION_MAJOR"))]
    {
        let link = built(name);
        assert!(link.is_symlink(), "{name}");
        assert_eq!(link.canonicalize().ok(), real.canonicalize().ok(), "{name}");
    }
}

#[test]
fn both_are_small() {
    for name in ["libchatserver.a", "libchatserver.so"] {
        let size = fs::metadata(built(name)).expect("it is built").len();
        assert!(size < 32 * 1024, "{name} has {size} bytes");
    }
}
