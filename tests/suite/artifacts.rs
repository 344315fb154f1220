//! The library as `make` builds it: what it exports, what it needs, how large it is.

use crate::common::compiler;
use crate::common::folders::root;
use crate::common::headers::{self, HEADERS};
use crate::common::make;
use crate::common::program::output;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that `make` has built.
fn built(name: &str) -> PathBuf {
    make::all();
    root().join("build").join(name)
}

fn readelf(option: &str, file: &Path) -> String {
    output(Command::new("readelf").args([option, "--wide"]).arg(file))
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
    let mut defined = defined(&readelf("--symbols", &built("libchatserver.a")));
    defined.retain(|name| !name.starts_with("chat_core_"));
    assert_eq!(defined, declared());
}

/// Has the linker look for what the first names, in one style, and define what the second names,
/// as functions of the program's own; returns whether it agrees.
fn links(called: &[&str], own: &[&str]) -> bool {
    let archive = built("libchatserver.a");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("own-{}-{}", called[0], own.join("-"));
    let source = folder.join(&name).with_extension("c");
    let declared: String = called.iter().map(|name| format!("void {name}(void);\n")).collect();
    let defined: String = own.iter().map(|name| format!("void {name}(void) {{}}\n")).collect();
    let calls: String = called.iter().chain(own).map(|name| format!("\t{name}();\n")).collect();
    let main = format!("int main(void)\n{{\n{calls}}}\n");
    fs::write(&source, [declared, defined, main].concat()).expect("the folder can be written to");
    compiler::build(&source, &[archive.display().to_string()], &folder.join(name)).is_ok()
}

const SNAKE_CASE: [&str; 5] = ["init_pool", "add_conn", "remove_conn", "add_msg", "write_msg"];
const CAMEL_CASE: [&str; 5] = ["initPool", "addConn", "removeConn", "addMsg", "writeToClient"];

#[test]
fn a_program_in_one_style_may_have_functions_with_the_names_of_the_other() {
    assert!(links(&SNAKE_CASE, &CAMEL_CASE));
    assert!(links(&CAMEL_CASE, &SNAKE_CASE));
    for own in [&CAMEL_CASE[1..2], &CAMEL_CASE[3..]] {
        assert!(links(&SNAKE_CASE, own), "{own:?}");
    }
    for own in [&SNAKE_CASE[1..2], &SNAKE_CASE[3..]] {
        assert!(links(&CAMEL_CASE, own), "{own:?}");
    }
}

#[test]
fn a_function_that_a_program_has_not_dropped_is_not_linked() {
    for at in 1..5 {
        assert!(!links(&SNAKE_CASE[..at], &SNAKE_CASE[at..]), "from {}", SNAKE_CASE[at]);
        assert!(!links(&CAMEL_CASE[..at], &CAMEL_CASE[at..]), "from {}", CAMEL_CASE[at]);
    }
}

/// GNU ld would add the version's own name; that linker is used only where rustc brings none.
#[test]
fn shared_object_exports_the_same_under_a_version() {
    let defined = defined(&readelf("--dyn-syms", &built("libchatserver.so")));
    let versioned = declared().iter().map(|name| format!("{name}@@CHATSERVER_1")).collect();
    let own_name = BTreeSet::from(["CHATSERVER_1".to_owned()]);
    assert_eq!(&defined - &own_name, versioned);
}

/// As in the archive, no call within the library is to lead to a function of the program's.
#[test]
fn shared_object_looks_up_none_of_its_own_functions() {
    let relocations = readelf("--relocs", &built("libchatserver.so"));
    assert!(relocations.contains("malloc@"), "{relocations}");
    for name in declared() {
        assert!(!relocations.contains(&format!(" {name}@")), "{relocations}");
    }
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
