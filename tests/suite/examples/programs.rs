//! The programs of examples/, built without warnings.

use crate::common::folders::root;
use crate::common::installed::{is_installed, skip};
use crate::common::make;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The program `name` as built by each compiler.
pub(crate) fn built(name: &str) -> Vec<Command> {
    static FOLDERS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
        make::all();
        [("gcc", "g++"), ("clang", "clang++")].into_iter().filter_map(build_with).collect()
    });
    FOLDERS.iter().map(|folder| under_runner(&folder.join(name))).collect()
}

/// Builds all programs, with warnings as errors, and returns their folder. The library is built
/// with the same compiler, apart from the usual one, which others may be using.
fn build_with((cc, cxx): (&str, &str)) -> Option<PathBuf> {
    for compiler in [cc, cxx] {
        if !is_installed(compiler) {
            skip(&format!("no {compiler}"));
            return None;
        }
    }
    let folder = format!("build/{cc}");
    make::make(&[
        "examples",
        &format!("BUILD={folder}"),
        &format!("CC={cc}"),
        &format!("CXX={cxx}"),
        "CFLAGS=-O2 -Werror",
        "CXXFLAGS=-O2 -Werror",
    ]);
    Some(root().join(folder).join("examples"))
}

/// The program, behind `EXAMPLE_RUNNER` if that is set.
pub(crate) fn under_runner(program: &Path) -> Command {
    let runner = env::var("EXAMPLE_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let mut command = Command::new(words.next().map_or(program, Path::new));
    command.args(words);
    if !runner.is_empty() {
        command.arg(program);
    }
    command
}

/// The script, if Python is installed.
pub(crate) fn script() -> Option<Command> {
    if !is_installed("python3") {
        skip("no python3");
        return None;
    }
    make::all();
    let mut command = Command::new("python3");
    command.arg(root().join("examples/chat.py"));
    Some(command)
}
