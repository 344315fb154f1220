//! Has `make` bring things up to date, so that no test looks at stale ones.

use std::process::Command;

/// The library and the server.
pub(crate) fn all() {
    make(&["all"]);
}

pub(crate) fn make(arguments: &[&str]) {
    let status = Command::new("make")
        .arg("--silent")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // An outer make's flags and job server are not for this one.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .stdout(std::process::Stdio::null())
        .status()
        .expect("make can be run");
    assert!(status.success(), "make failed: {status}");
}
