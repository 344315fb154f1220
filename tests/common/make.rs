//! Runs `make`, so that no test uses stale files.

use super::folders::root;
use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};

/// The library and the server, once for all tests of a program.
pub(crate) fn all() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| make(&["all"]));
}

/// One run of make at a time: two would write the same files.
pub(crate) fn make(arguments: &[&str]) {
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let status = Command::new("make")
        .arg("--silent")
        .args(arguments)
        .current_dir(root())
        // This make must not use an outer one's flags and job server.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .stdout(std::process::Stdio::null())
        .status()
        .expect("make can be run");
    assert!(status.success(), "make failed: {status}");
}
