//! Tools that a test needs, and how it is skipped without them.

use std::fs::OpenOptions;
use std::io::Write;
use std::{env, thread};

pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Says that a test is skipped because something is missing. With `CI` set, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("CI").is_none(), "cannot be skipped here: {why}");
    note(why);
}

/// The same for what cannot be had everywhere. `make test` reads the file that `SKIPPED` names.
pub(crate) fn note(why: &str) {
    println!("skipped: {why}");
    if let Some(list) = env::var_os("SKIPPED") {
        let thread = thread::current();
        let line = format!("{}: {why}\n", thread.name().unwrap_or("a test"));
        let list = OpenOptions::new().create(true).append(true).open(list);
        list.and_then(|mut list| list.write_all(line.as_bytes())).expect("a list of the skipped");
    }
}
