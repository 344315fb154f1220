//! The project's folder, and folders of the tests' own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A new folder of a test's own; no other test of the project has the name.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_new = TAKEN.lock().expect("no other has failed with it").insert(name.to_owned());
    assert!(is_new, "{name} is another test's folder");
    emptied(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
}

/// Makes the folder anew.
pub(crate) fn emptied(folder: PathBuf) -> PathBuf {
    // It may not exist yet.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}
