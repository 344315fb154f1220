//! The source tarball: it is reproducible, and holds all that `make` needs without a network.

use crate::common::folders::{root, scratch};
use crate::common::installed::{is_installed, note, skip};
use crate::common::program::succeeds;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const NAME: &str = concat!("chatserver-", env!("CARGO_PKG_VERSION"));

fn shell(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder);
    for outer in ["MAKEFLAGS", "MAKELEVEL", "CARGO_TARGET_DIR"] {
        command.env_remove(outer);
    }
    command
}

/// Packs the tarball into a folder of its own, after the shell command `before`; `None` where there
/// is no repository to pack.
fn tarball(folder: &str, before: &str) -> Option<PathBuf> {
    if !root().join(".git").exists() {
        note("what has been packed once is not packed again");
        return None;
    }
    if !is_installed("git") {
        skip("no git");
        return None;
    }
    let folder = scratch(folder);
    let make = format!("{before}; make --silent dist BUILD='{}'", folder.display());
    succeeds(&mut shell(&make, root()));
    Some(folder.join(format!("{NAME}.tar.gz")))
}

#[test]
fn same_sources_make_the_same_tarball() {
    let Some(one) = tarball("dist-one", "umask 022") else { return };
    // As another user in another time zone.
    let other = tarball("dist-other", "umask 077; export TZ=Asia/Tokyo");
    let bytes = |path| fs::read(path).expect("a tarball");
    assert!(bytes(one) == bytes(other.expect("the same machine")), "the tarballs differ");
}

#[test]
fn tarball_builds_without_a_network() {
    let Some(tarball) = tarball("dist-offline", "true") else { return };
    let folder = tarball.parent().expect("a file lies in a folder");
    succeeds(&mut shell(&format!("tar -xf {NAME}.tar.gz"), folder));
    let sources = folder.join(NAME);
    let crates = fs::read_dir(sources.join("vendor/crates")).expect("it has what it needs");
    let crates: Vec<_> = crates.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(crates, ["libc"]);
    assert_eq!(libc_entry(&sources.join("vendor")), libc_entry(root()));

    // An empty CARGO_HOME has no fetched crates.
    let home = scratch("cargo-home");
    let script = "make --silent && ./server --version && make --silent clean \
        && test ! -e server && test ! -e build && test -z \"$(find target -name '*chatserver*')\"";
    succeeds(shell(script, &sources).env("CARGO_HOME", &home).env("CARGO_NET_OFFLINE", "true"));
    assert!(!home.join("registry").exists(), "a crate has been fetched");
}

/// The entry for libc in a folder's lock file.
fn libc_entry(folder: &Path) -> String {
    let lock = fs::read_to_string(folder.join("Cargo.lock")).expect("a lock file");
    let entry = lock.split("\n\n").find(|entry| entry.contains("name = \"libc\""));
    entry.expect("libc is needed").trim_end().to_owned()
}
