//! Tools that a test needs, and how it is skipped without them.

use std::env;

pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Notes that a test is skipped because something is missing. With `CI` set, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("CI").is_none(), "cannot be skipped here: {why}");
    println!("skipped: {why}");
}
