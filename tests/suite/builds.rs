//! `make` in environments that differ from ours: it builds the same library and server, or says in
//! one line why not, and never answers with a wrong one.

use crate::common::example::Room;
use crate::common::folders::root;
use crate::common::installed::{is_installed, note, skip};
use crate::common::make;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, fs};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const TARGET: &str = env!("TARGET");

/// A clone in a folder with an odd name, for one test at a time. What one test has built there is
/// what the next finds, except that `fresh` leaves the crates alone.
struct Clone {
    folder: PathBuf,
    _lock: MutexGuard<'static, ()>,
}

impl Clone {
    fn new() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it's a clone & | # more");
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(root()).expect("the sources") {
            let name = entry.expect("an entry").file_name();
            let is_built =
                ["build", "target", "server", "relay", ".git"].iter().any(|built| name == *built);
            let link = folder.join(&name);
            if !is_built && !link.is_symlink() {
                symlink(root().join(&name), link).expect("a link");
            }
        }
        Self { folder, _lock: lock }
    }

    fn fresh() -> Self {
        let clone = Self::new();
        let _ = fs::remove_dir_all(clone.folder.join("build"));
        let _ = fs::remove_file(clone.folder.join("server"));
        clone
    }

    /// Runs make with these variables in its environment, as cross environments set them.
    fn make(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut make = Command::new("make");
        make.arg("--silent").args(arguments).current_dir(&self.folder);
        for (outer, _) in env::vars().filter(|(name, _)| name.starts_with("CARGO_")) {
            make.env_remove(outer);
        }
        let outer = ["MAKEFLAGS", "MAKELEVEL", "CC", "CFLAGS", "LDFLAGS", "RUSTFLAGS", "DESTDIR"];
        outer.iter().for_each(|name| _ = make.env_remove(name));
        make.env("CARGO_TARGET_DIR", "a target").envs(variables.iter().copied());
        make.output().expect("make can be run")
    }

    fn makes(&self, arguments: &[&str], variables: &[(&str, &str)]) {
        let output = self.make(arguments, variables);
        assert!(output.status.success(), "{variables:?}: {}", text(&output.stderr));
    }

    /// The last line of what make complains of.
    fn refuses(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.make(arguments, variables);
        assert!(!output.status.success(), "{variables:?}");
        assert!(!self.folder.join("build/libchatserver.a").exists(), "{variables:?}");
        text(&output.stderr)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).expect(name)
    }

    /// The server relays, and a program on the archive does what it should: both begin with
    /// `runner`, and the compiler has these options.
    fn works(&self, runner: &str, compiler: &str) {
        let shell = |line: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", line]).current_dir(&self.folder);
            command
        };
        Room::open(&format!("{runner} ./server 5555"), shell).relays();
        let user = format!(
            "{compiler} -Iinclude -o build/user tests/install/user.c build/libchatserver.a && \
             {runner} build/user"
        );
        let output = shell(&user).output().expect("sh can be run");
        assert_eq!(text(&output.stdout).trim(), format!("hello with {VERSION}"), "{output:?}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The archive of the working tree.
fn usual() -> Vec<u8> {
    make::all();
    fs::read(root().join("build/libchatserver.a")).expect("it is built")
}

/// What shells, cross environments and other builds leave in the environment.
#[test]
fn in_an_odd_place_and_with_odd_variables_it_is_built_and_installed() {
    let clone = Clone::fresh();
    let variables = [
        ("CARGO_BUILD_TARGET", TARGET),
        ("STRIP", "strip"),
        ("LD", "ld"),
        ("AR", "ar"),
        ("V", "0"),
        ("VERSION", "9"),
        ("BUILD", "nowhere"),
        ("CDPATH", "/"),
        ("BASH_ENV", "/nowhere"),
        ("POSIXLY_CORRECT", "1"),
    ];
    clone.makes(&["all"], &variables);
    clone.makes(&["install", "DESTDIR=staging", "PREFIX=/usr"], &variables);
    let server = clone.folder.join("staging/usr/bin/chatserver");
    let output = Command::new(server).arg("--version").output().expect("it can be run");
    assert!(text(&output.stdout).contains(VERSION), "{output:?}");
    clone.works("", "cc");
    let would_remove = clone.make(&["--dry-run", "clean"], &variables);
    assert!(text(&would_remove.stdout).contains(" 'a target/crate' "), "{would_remove:?}");
}

#[test]
fn settings_of_cargo_change_nothing() {
    let clone = Clone::fresh();
    let settings = ["LTO=thin", "PANIC=unwind", "CODEGEN_UNITS=16", "OPT_LEVEL=0"];
    let more = ["OVERFLOW_CHECKS=true", "DEBUG_ASSERTIONS=true", "INCREMENTAL=true"];
    let names: Vec<_> = settings
        .iter()
        .chain(&more)
        .map(|setting| {
            let (name, value) = setting.split_once('=').expect("a setting");
            (format!("CARGO_PROFILE_RELEASE_{name}"), value)
        })
        .collect();
    let variables: Vec<_> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    clone.makes(&["lib"], &[&variables[..], &[("CARGO_INCREMENTAL", "1")]].concat());
    assert!(clone.read("build/libchatserver.a") == usual(), "the archives differ");
}

#[test]
fn a_built_tree_follows_the_settings() {
    let clone = Clone::new();
    clone.makes(&["lib", "STRIPPED="], &[]);
    let described = clone.read("build/chatserver.o");
    clone.makes(&["lib"], &[]);
    assert!(clone.read("build/chatserver.o") != described, "the library is as it was");
    assert!(clone.read("build/libchatserver.a") == usual());
    clone.makes(&["server"], &[]);
    let server = clone.read("server");
    clone.makes(&["server", "CFLAGS=-O0"], &[]);
    assert!(clone.read("server") != server, "the server is as it was");
}

#[test]
fn what_no_program_can_be_linked_with_is_refused() {
    for flags in [("CFLAGS", "-nostdlib"), ("RUSTFLAGS", "-Clinker-plugin-lto")] {
        // With a target, the flags are not for build scripts.
        let complaint = Clone::fresh().refuses(&["lib"], &[flags, ("CARGO_BUILD_TARGET", TARGET)]);
        let says = ["no program can be linked with it", "cannot link what Cargo has built"];
        assert!(says.iter().any(|reason| complaint.contains(reason)), "{complaint}");
    }
}

/// A folder with a program of this name that prints the words.
fn tool_that_says(name: &str, words: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("old tools");
    fs::create_dir_all(&folder).expect("a folder");
    let tool = folder.join(name);
    fs::write(&tool, format!("#!/bin/sh\necho '{words}'\n")).expect("a file");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("a program");
    format!("{}:{}", folder.display(), env::var("PATH").expect("text"))
}

#[test]
fn without_cargo_or_with_an_old_one_it_says_where_to_get_it() {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let path = tool_that_says("rustc", "rustc 1.63.0");
    for (arguments, variable) in [
        (&["all"][..], ("CARGO", "no-cargo")),
        (&["install", "DESTDIR=staging"], ("CARGO", "no-cargo")),
        (&["all"], ("PATH", path.as_str())),
    ] {
        let complaint = Clone::fresh().refuses(arguments, &[variable]);
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        let says = [&format!("Rust {rust} or later"), "apt install cargo (Debian 13"];
        assert!(says.iter().all(|words| complaint.contains(*words)), "{complaint}");
    }
}

#[test]
fn with_musl_the_server_needs_nothing() {
    if !is_installed("musl-gcc") {
        return skip("no musl-gcc");
    }
    let clone = Clone::new();
    clone.makes(&["all", "CC=musl-gcc", "LDFLAGS=-static"], &[]);
    let mut readelf = Command::new("readelf");
    readelf.args(["--program-headers", "server"]).current_dir(&clone.folder);
    let headers = text(&readelf.output().expect("readelf can be run").stdout);
    assert!(headers.contains("LOAD") && !headers.contains("INTERP"), "{headers}");
    clone.works("", "musl-gcc -static");
}

/// The image's build stage runs this line, and the image is an empty root with the server in it.
#[test]
fn the_image_holds_a_server_that_runs_in_an_empty_root() {
    if !is_installed("musl-gcc") {
        return skip("no musl-gcc");
    }
    let image = fs::read_to_string(root().join("packaging/Containerfile")).expect("it");
    let line = image.lines().find_map(|line| line.strip_prefix("RUN make ")).expect("a build");
    let clone = Clone::new();
    clone.makes(&line.split(' ').collect::<Vec<_>>(), &[]);
    let root = clone.folder.join("build/image");
    fs::create_dir_all(&root).expect("a folder");
    fs::copy(clone.folder.join("server"), root.join("server")).expect("the server");
    let alone = |line: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "chroot"]).arg(&root);
        command.args(line.split(' ')).stdin(std::process::Stdio::null());
        command
    };
    if !alone("/server --version").output().is_ok_and(|output| output.status.success()) {
        return note("no namespace of one's own");
    }
    Room::open("/server --quiet 5555", alone).relays();
}

/// Builds for another machine, and runs what is built with qemu.
fn cross(target: &str, machine: &str, emulator: &str) {
    let compiler = format!("{machine}-gcc");
    for tool in [&compiler, emulator] {
        if !is_installed(tool) {
            return skip(&format!("no {tool}"));
        }
    }
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = text(&output.expect("rustc can be run").stdout);
    if !Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").exists() {
        return note(&format!("no Rust for {target}"));
    }
    let clone = Clone::new();
    clone.makes(&["all"], &[("CARGO_BUILD_TARGET", target), ("CC", &compiler)]);
    clone.works(&format!("{emulator} -L /usr/{machine}"), &compiler);
}

#[test]
fn for_arm_it_is_built_and_runs() {
    cross("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "qemu-aarch64-static");
}

#[test]
fn for_32_bits_it_is_built_and_runs() {
    cross("i686-unknown-linux-gnu", "i686-linux-gnu", "qemu-i386-static");
}
