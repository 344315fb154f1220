//! Has `make` bring the library and the server up to date, so that no test looks at stale ones.

use std::process::Command;

pub(crate) fn all() {
    let status = Command::new("make")
        .args(["--silent", "all"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // An outer make's flags and job server are not for this one.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .stdout(std::process::Stdio::null())
        .status()
        .expect("make can be run");
    assert!(status.success(), "make failed: {status}");
}
