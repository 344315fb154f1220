//! Programs that a test needs and a machine may lack.

use std::env;
use std::process::Command;

/// How to run the program called `name`; `None`, and a note, where the machine does not have it.
/// Where `CI` is set, everything that is wanted has to be there.
pub(crate) fn command(name: &str) -> Option<Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join(name).is_file()) {
        return Some(Command::new(name));
    }
    assert!(env::var_os("CI").is_none(), "cannot be skipped here: no {name}");
    println!("skipped: no {name}");
    None
}
