//! What a test needs of the machine, and what it does where that is missing.

use std::env;

pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Notes that a test cannot be run for want of something. Where `CI` is set, everything that is
/// wanted has to be there.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("CI").is_none(), "cannot be skipped here: {why}");
    println!("skipped: {why}");
}
