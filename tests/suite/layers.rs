//! The modules of the library are layers: each uses only modules further down in the table of
//! src/lib.rs. So no import goes upward, and none is part of a circle.

use crate::common::folders::root;
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;

/// The modules in the table of the crate's documentation, topmost first.
fn layers(lib: &str) -> Vec<&str> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | "));
    rows.filter_map(|row| Some(row.split_once('`')?.1.split_once('`')?.0)).collect()
}

/// The code of a file: no comments, and no spaces or line ends either.
fn code(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::chars).filter(|it| !it.is_whitespace()).collect()
}

/// The modules in what follows `crate::`, such as `a::b;` or `{a,b::{c,d}};`.
fn modules_in(paths: &str) -> Vec<String> {
    let (mut depth, mut outer) = (0, String::new());
    for it in paths.chars() {
        depth += i32::from(it == '{') - i32::from(it == '}');
        if depth == 0 && !it.is_alphanumeric() && it != '_' {
            break;
        }
        if depth <= 1 {
            outer.push(it);
        }
    }
    let names = outer.split(['{', ',']).filter_map(|path| path.split(':').next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The modules that a file names, in a `use` or in place.
fn imports(code: &str) -> BTreeSet<String> {
    code.split("crate::").skip(1).flat_map(modules_in).collect()
}

/// What is wrong with the files, which are the names and the sources of modules.
fn faults<'a>(layers: &[&str], files: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let position = |module: &str| layers.iter().position(|layer| *layer == module);
    let mut faults = Vec::new();
    for (module, source) in files {
        let code = code(source);
        if position(module).is_none() {
            faults.push(format!("{module} is in no layer"));
        } else if code.contains("super::") {
            faults.push(format!("{module} has a path with super::"));
        }
        for import in imports(&code) {
            if position(&import) <= position(module) {
                faults.push(format!("{module} uses {import}, which is not below it"));
            }
        }
    }
    faults
}

#[test]
fn modules_use_only_those_below_them() -> Result<(), Box<dyn Error>> {
    let folder = root().join("src");
    let lib = fs::read_to_string(folder.join("lib.rs"))?;
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let module = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a name")?.to_owned();
        if path.extension().is_some_and(|it| it == "rs") && module != "lib" {
            files.push((module, fs::read_to_string(&path)?));
        }
    }
    let layers = layers(&lib);
    let count = files.len();
    let files = files.iter().map(|(module, source)| (module.as_str(), source.as_str()));
    assert_eq!(faults(&layers, files), [""; 0]);
    assert_eq!(layers.len(), count, "every module of the table has a file");
    Ok(())
}

#[test]
fn an_import_is_found_wherever_it_stands() {
    let below = ["top", "a", "b", "c", "d"];
    let fault = |source| faults(&below, [("d", source)].into_iter()).len();
    assert_eq!(fault("use core::ptr;\n// use crate::a;\nuse libc::{c, d};"), 0);
    assert_eq!(fault("use crate::a;"), 1);
    assert_eq!(fault("pub use crate::a::*;"), 1);
    assert_eq!(fault("use crate::{\n    a,\n    b::{self, c, top},\n    c::T,\n};"), 3);
    assert_eq!(fault("fn f() { crate::a::f(crate::b::C) }"), 2);
    assert_eq!(fault("fn f() { super::a::f() }"), 1);
    assert_eq!(fault("use crate::unknown;"), 1);
}

#[test]
fn a_file_in_no_layer_and_a_circle_are_found() {
    let found = |files: &[(&'static str, &'static str)]| faults(&["a", "b"], files.iter().copied());
    assert_eq!(found(&[("a", "use crate::b;"), ("b", "")]), [""; 0]);
    assert_eq!(found(&[("a", "use crate::b;"), ("b", "use crate::a;")]).len(), 1);
    assert_eq!(found(&[("a", ""), ("other", "")]), ["other is in no layer"]);
}
