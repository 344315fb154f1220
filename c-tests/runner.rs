//! Runs the test programs of this folder against the library that C programs get.
//!
//! Every `*.c` is compiled with the `cc` crate's compiler, through the public headers alone, and
//! linked three times: with the archive, with the shared object, and with the archive under
//! torture. Each test runs in a process of its own, so that a crash fails one test only.
//!
//! Under torture the allocations and system calls of every library call fail, one after the other;
//! what the tests expect must hold all the same (`torture/calls.c`).
//!
//! Lines ` * link: ARGUMENTS` in the first comment of a source are arguments for the linker. Such a
//! source is built with the archive alone, since `--wrap` does not reach into a shared object.
//!
//! `CC` and `CFLAGS` are honoured. `C_TEST_RUNNER` is put in front of every test program
//! (`C_TEST_RUNNER="valgrind -q --error-exitcode=99"`). `LIBRARY` names a folder with another
//! archive to test, such as one built with sanitizers.

use common::{compiler, make, valgrind};
use libtest_mimic::{Arguments, Failed, Trial};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, thread};

#[path = "../tests/common/mod.rs"]
mod common;

/// The start of a line with arguments for the linker.
const LINK_MARK: &str = " * link: ";

/// What a program under torture writes before the number of faults.
const FAULTS_MARK: &str = "faults injected: ";

/// The defects of `torture/planted/defects.c`, numbered from 1, and how the torture reports each.
const PLANTED: [(&str, &str); 4] = [
    ("a_failure_that_is_hidden_is_found", "CHECK failed: is_corked(trial->pool)"),
    ("a_block_that_is_lost_is_found", "have not been given back"),
    (
        "a_failure_with_an_effect_is_found",
        "CHECK failed: is_unchanged(&trial->before, trial->pool)",
    ),
    ("a_byte_that_is_lost_is_found", "bytes_queued(conn) is"),
];

/// The program and the test that run with them: one that queues and sends a message.
const FIELD: (&str, &str) = ("add_msg", "add_msg_takes_any_bytes");

/// How many faults were injected in all.
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// How a test program is linked with the library.
#[derive(Clone, Copy, PartialEq)]
enum Linkage {
    Archive,
    SharedObject,
    Torture,
}

impl Linkage {
    fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::SharedObject => "shared",
            Self::Torture => "torture",
        }
    }

    /// The arguments for the linker; `torture` are those for the torture.
    fn arguments(self, build: &Path, torture: &[String]) -> Vec<String> {
        let folder = build.display();
        let archive = format!("{folder}/libchatserver.a");
        match self {
            Self::Archive => vec![archive],
            Self::SharedObject => {
                vec![format!("-L{folder}"), "-lchatserver".into(), format!("-Wl,-rpath,{folder}")]
            }
            Self::Torture => [torture, &[archive]].concat(),
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let other = env::var_os("LIBRARY");
    let library = root.join(other.as_deref().unwrap_or("build".as_ref()));
    let (mut trials, mut torture) = (Vec::new(), None);
    // `make` would build with the flags that are meant for the tests.
    if other.is_none() {
        make::all();
        torture = Some(compile_torture(root, "torture.o", &[])?);
        trials = plant(root)?;
    }
    let sources = sources(&root.join("c-tests"))?;
    let built = in_parallel(&sources, |source| compile(source, &library, torture.as_deref()));
    for (linkage, program) in built?.into_iter().flatten() {
        let stem = program.file_name().expect("a program has a name").to_string_lossy();
        for test in tests_of(&program)? {
            let name = format!("{}::{stem}::{test}", linkage.name());
            let program = program.clone();
            trials.push(Trial::test(name, move || run(linkage, &program, &test)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let faults @ 1.. = FAULTS.load(Ordering::Relaxed) {
        println!("{FAULTS_MARK}{faults}");
    }
    Ok(conclusion.exit_code())
}

/// Does the work for each item, on all processors.
fn in_parallel<Item: Sync, Made: Send>(
    items: &[Item],
    work: impl Fn(&Item) -> Result<Made, Box<dyn Error>> + Sync,
) -> Result<Vec<Made>, Box<dyn Error>> {
    let work = |item| work(item).map_err(|error| error.to_string());
    let share = items.len().div_ceil(thread::available_parallelism()?.get());
    let made: Result<Vec<_>, _> = thread::scope(|scope| {
        let shares = items.chunks(share);
        let workers: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    Ok(made?)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut sources: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    Ok(sources)
}

/// Builds the torture, and returns its arguments for the linker.
fn compile_torture(
    root: &Path,
    name: &str,
    plant: &[String],
) -> Result<Vec<String>, Box<dyn Error>> {
    let object = root.join("build/c-tests").join(name);
    let sources = sources(&root.join("c-tests/torture"))?;
    let (first, others) = sources.split_first().ok_or("there is no torture")?;
    let mut arguments = [&["-r".to_owned()], plant].concat();
    arguments.extend(others.iter().map(|source| source.display().to_string()));
    compiler::build(first, &arguments, &object)?;
    let mut torture = vec![object.display().to_string()];
    for source in &sources {
        torture.extend(link_arguments(source)?);
    }
    Ok(torture)
}

/// Builds a program for each planted defect, and returns tests that expect the torture to find it.
fn plant(root: &Path) -> Result<Vec<Trial>, Box<dyn Error>> {
    let (stem, test) = FIELD;
    let defects: Vec<_> = PLANTED.into_iter().enumerate().collect();
    in_parallel(&defects, |&(at, (name, complaint))| {
        let plant = [
            format!("-DPLANTED={}", at + 1),
            "-D__real_add_msg=planted_add_msg".into(),
            "-D__real_write_msg=planted_write_msg".into(),
            root.join("c-tests/torture/planted/defects.c").display().to_string(),
        ];
        let torture = compile_torture(root, &format!("planted-{at}.o"), &plant)?;
        let program = root.join("build/c-tests/planted").join(at.to_string());
        let arguments = Linkage::Torture.arguments(&root.join("build"), &torture);
        compiler::build(
            &root.join("c-tests").join(stem).with_extension("c"),
            &arguments,
            &program,
        )?;
        Ok(Trial::test(format!("torture::planted::{name}"), move || {
            let output = command(&program, true).arg(test).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.success() || !said.contains(complaint) {
                return Err(format!("{}: it has not been found\n{said}", output.status).into());
            }
            Ok(())
        }))
    })
}

/// Compiles one source, and links it in every way that it is meant for.
fn compile(
    source: &Path,
    library: &Path,
    torture: Option<&[String]>,
) -> Result<Vec<(Linkage, PathBuf)>, Box<dyn Error>> {
    let special = link_arguments(source)?;
    let linkages: &[Linkage] = if special.is_empty() && torture.is_some() {
        &[Linkage::Archive, Linkage::SharedObject, Linkage::Torture]
    } else {
        &[Linkage::Archive]
    };
    let stem = source.file_stem().expect("a *.c has a stem");
    let object = library.join("c-tests").join(stem).with_extension("o");
    compiler::build(source, &["-c".to_owned()], &object)?;
    let mut programs = Vec::new();
    for linkage in linkages {
        let program = library.join("c-tests").join(linkage.name()).join(stem);
        let mut arguments = linkage.arguments(library, torture.unwrap_or_default());
        arguments.extend_from_slice(&special);
        compiler::build(&object, &arguments, &program)?;
        programs.push((*linkage, program));
    }
    Ok(programs)
}

/// The arguments for the linker in a source.
fn link_arguments(source: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let text = fs::read_to_string(source)?;
    let lines = text.lines().filter_map(|line| line.strip_prefix(LINK_MARK));
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

/// The names of a program's tests.
fn tests_of(program: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let output = command(program, false).output()?;
    if !output.status.success() {
        return Err(format!("{} names no tests: {}", program.display(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn run(linkage: Linkage, program: &Path, test: &str) -> Result<(), Failed> {
    let output = command(program, true).arg(test).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !valgrind::open_descriptors(&said).is_empty() {
        return Err(format!("{}\n{said}", output.status).into());
    }
    if linkage == Linkage::Torture {
        let count = said.lines().find_map(|line| line.strip_prefix(FAULTS_MARK));
        FAULTS.fetch_add(count.ok_or("it was not under torture")?.parse()?, Ordering::Relaxed);
    }
    Ok(())
}

/// The program, behind `C_TEST_RUNNER` if wanted. Cargo points LD_LIBRARY_PATH at its own folders,
/// which may have another libchatserver.so.
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
