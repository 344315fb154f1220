//! Runs the test programs of this folder against the library that C programs get.
//!
//! Every `*.c` is built twice with the `cc` crate's compiler, against the archive and against the
//! shared object that `make` builds, through the public headers alone. Each of its tests runs in
//! a process of its own, so one crash fails one test, and signals are as a C program finds them.
//!
//! A source whose first comment has a line ` * link: ARGUMENTS` gets these for the linker, and is
//! built against the archive alone: `--wrap` reaches the library's calls only where the library
//! becomes a part of the program.
//!
//! `CC` and `CFLAGS` are honoured. `C_TEST_RUNNER` is put in front of every test program
//! (`C_TEST_RUNNER="valgrind -q --error-exitcode=99"`).

use libtest_mimic::{Arguments, Failed, Trial};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

#[path = "../tests/common/compiler.rs"]
mod compiler;
#[path = "../tests/common/make.rs"]
mod make;

/// What the line of a source begins with that has arguments for the linker.
const LINK_MARK: &str = " * link: ";

/// How a test program is linked with the library.
#[derive(Clone, Copy)]
enum Linkage {
    Archive,
    SharedObject,
}

impl Linkage {
    fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::SharedObject => "shared",
        }
    }

    fn arguments(self, build: &Path) -> Vec<String> {
        let folder = build.display();
        match self {
            Self::Archive => vec![format!("{folder}/libchatserver.a")],
            Self::SharedObject => {
                vec![format!("-L{folder}"), "-lchatserver".into(), format!("-Wl,-rpath,{folder}")]
            }
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    make::all();
    let mut trials = Vec::new();
    for source in sources(&root.join("c-tests"))? {
        for (linkage, program) in compile(root, &source)? {
            let stem = source.file_stem().expect("a *.c has a stem").to_string_lossy();
            for test in tests_of(&program)? {
                let name = format!("{}::{stem}::{test}", linkage.name());
                let program = program.clone();
                trials.push(Trial::test(name, move || run(&program, &test)));
            }
        }
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut sources: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    Ok(sources)
}

/// Builds one source every way it is meant to be linked, and answers where the programs are.
fn compile(root: &Path, source: &Path) -> Result<Vec<(Linkage, PathBuf)>, Box<dyn Error>> {
    let build = root.join("build");
    let text = fs::read_to_string(source)?;
    let special = text.lines().find_map(|line| line.strip_prefix(LINK_MARK));
    let linkages: &[Linkage] = match special {
        Some(_) => &[Linkage::Archive],
        None => &[Linkage::Archive, Linkage::SharedObject],
    };
    let mut programs = Vec::new();
    for linkage in linkages {
        let stem = source.file_stem().expect("a *.c has a stem");
        let program = build.join("c-tests").join(linkage.name()).join(stem);
        let mut arguments = linkage.arguments(&build);
        arguments.extend(special.unwrap_or_default().split_whitespace().map(str::to_owned));
        compiler::build(source, &arguments, &program)?;
        programs.push((*linkage, program));
    }
    Ok(programs)
}

/// The names of a program's tests, as it tells them.
fn tests_of(program: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let output = command(program, false).output()?;
    if !output.status.success() {
        return Err(format!("{} names no tests: {}", program.display(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn run(program: &Path, test: &str) -> Result<(), Failed> {
    let output = command(program, true).arg(test).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{said}", output.status).into())
}

/// The program, behind `C_TEST_RUNNER` where that is wanted. Cargo points LD_LIBRARY_PATH at
/// folders of its own, where another libchatserver.so may lie.
fn command(program: &Path, instrumented: bool) -> Command {
    let runner = env::var("C_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let mut command = match words.next().filter(|_| instrumented) {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.env_remove("LD_LIBRARY_PATH");
    command
}
