//! Has `make` bring things up to date, so that no test looks at stale ones.

use std::process::Command;
use std::sync::Once;

/// The library and the server. Once for all tests of a program: two runs of make at a time would get
/// into each other's way.
#[allow(dead_code, reason = "some tests want something else")]
pub(crate) fn all() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| make(&["all"]));
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
