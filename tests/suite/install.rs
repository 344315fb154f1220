//! `make install` installs all that a user of library and server needs, and `make uninstall`
//! removes it all.

use crate::common::child::{PATIENCE, lines_of};
use crate::common::folders::{root, scratch};
use crate::common::installed::{is_installed, skip};
use crate::common::make;
use crate::common::ports::free_port;
use crate::common::program::{output, succeeds};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const MAJOR: &str = env!("CARGO_PKG_VERSION_MAJOR");

/// What the user's program prints.
const GREETING: &str = concat!("hello with ", env!("CARGO_PKG_VERSION"), "\n");

/// A staging folder, and the folders below it to install to.
struct Stage {
    destdir: PathBuf,
    layout: &'static [&'static str],
    libdir: &'static str,
}

/// One prefix for all files.
const PREFIX_ALONE: &[&str] = &["PREFIX=/opt/chat"];

/// Every folder set, as by a distribution with a library folder for each architecture.
const EVERY_FOLDER: &[&str] = &[
    "PREFIX=/opt/chat",
    "BINDIR=/opt/chat/games",
    "LIBDIR=/opt/chat/lib/machine",
    "INCLUDEDIR=/opt/headers",
    "MANDIR=/opt/manual",
    "UNITDIR=/lib/units",
    "DOCDIR=/opt/papers",
];

impl Stage {
    /// The folder `name`, with what `make install` puts into it.
    fn new(name: &str, layout: &'static [&'static str]) -> Self {
        make::all();
        let destdir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install").join(name);
        let _ = fs::remove_dir_all(&destdir);
        let told = |name| layout.iter().find_map(|folder| folder.strip_prefix(name));
        let stage = Self { destdir, layout, libdir: told("LIBDIR=").unwrap_or("/opt/chat/lib") };
        stage.make("install");
        stage
    }

    /// Runs make without cargo and a compiler, since root may have neither, and with a strict
    /// umask.
    fn make(&self, goal: &str) {
        let mut command = make_apart(goal, &self.destdir);
        succeeds(command.args(self.layout));
    }

    /// The folders below the staging folder.
    fn folders(&self) -> Vec<PathBuf> {
        let files = self.files();
        let above = files.iter().flat_map(|file| Path::new(file).ancestors().skip(1));
        above.filter_map(|path| Some(self.destdir.join(path.strip_prefix("/").ok()?))).collect()
    }

    /// The staged file or folder that will be installed at `path`.
    fn staged(&self, path: &str) -> PathBuf {
        self.destdir.join(path.strip_prefix('/').expect("absolute"))
    }

    /// The paths at which all staged files and links will be installed.
    fn files(&self) -> BTreeSet<String> {
        fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { walk(&path, files) } else { files.push(path) }
            }
        }
        let mut files = vec![];
        walk(&self.destdir, &mut files);
        let relative = files.iter().map(|path| path.strip_prefix(&self.destdir).expect("below"));
        relative.map(|path| format!("/{}", path.display())).collect()
    }

    /// Makes pkg-config read the staged file, and prefix the folders in its answers with `root`.
    fn tell_pkg_config<'a>(&self, command: &'a mut Command, root: &Path) -> &'a mut Command {
        command
            .env("PKG_CONFIG_LIBDIR", self.staged(self.libdir).join("pkgconfig"))
            .env("PKG_CONFIG_SYSROOT_DIR", root)
    }

    /// Builds the user's program with pkg-config's answer to these options.
    fn build(&self, options: &str) -> Option<PathBuf> {
        if !is_installed("pkg-config") {
            skip("no pkg-config");
            return None;
        }
        let words = format!("{options} $(pkg-config {options} --cflags --libs libchatserver)");
        let mut shell = Command::new("sh");
        let script = format!("${{CC:-cc}} -Wall -Wextra -Wpedantic -Werror -o user \"$0\" {words}");
        shell.args(["-ec", &script]).arg(user_source()).current_dir(&self.destdir);
        succeeds(self.tell_pkg_config(&mut shell, &self.destdir));
        Some(self.destdir.join("user"))
    }

    /// Builds and runs the user's project with CMake, which looks for the package in `place`.
    fn build_and_run_with_cmake(&self, place: &str) {
        if !is_installed("cmake") {
            return skip("no cmake");
        }
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", self.staged(place).display());
        let source = user_source();
        let source = source.parent().expect("a folder");
        build_and_run_project(source, &self.destdir.join("project"), &prefix);
    }
}

/// Builds a project of CMake's with this option, and runs its programs.
fn build_and_run_project(source: &Path, project: &Path, option: &str) {
    let mut cmake = Command::new("cmake");
    succeeds(cmake.arg("-S").arg(source).arg("-B").arg(project).arg(option));
    succeeds(Command::new("cmake").arg("--build").arg(project));
    for (library, needs) in [("shared", true), ("chatserver", true), ("static", false)] {
        let program = project.join(format!("user-{library}"));
        assert_eq!(needed(&program).contains(&soname()), needs, "{library}");
        assert_eq!(output(&mut Command::new(program)), GREETING, "{library}");
    }
}

/// A call of make without cargo and a compiler, since root may have neither, and with a strict
/// umask.
fn make_apart(goal: &str, destdir: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077 && exec make --silent \"$@\"", "make"]);
    command.args([goal, "CARGO=none", "CC=none"]);
    command.arg(format!("DESTDIR={}", destdir.display())).current_dir(root());
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    command
}

fn user_source() -> PathBuf {
    root().join("tests/install/user.c")
}

fn soname() -> String {
    format!("libchatserver.so.{MAJOR}")
}

/// The shared objects that a program needs.
fn needed(program: &Path) -> Vec<String> {
    let dynamic = output(Command::new("readelf").args(["--dynamic", "--wide"]).arg(program));
    let lines = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    lines.map(|line| line.split(['[', ']']).nth(1).expect("[name]").to_owned()).collect()
}

/// The names in a source folder that end like this, without the ending.
fn names(folder: &str, end: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return vec![] };
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    names.filter_map(|name| Some(name.expect("text").strip_suffix(end)?.to_owned())).collect()
}

/// The paths to be installed, given the folders.
fn expected([bin, lib, include, man, units, doc]: [&str; 6]) -> BTreeSet<String> {
    let mut files = BTreeSet::from([
        format!("{bin}/chatserver"),
        format!("{include}/chatServer.h"),
        format!("{include}/chatServerExt.h"),
        format!("{lib}/libchatserver.a"),
        format!("{lib}/libchatserver.so"),
        format!("{lib}/libchatserver.so.{MAJOR}"),
        format!("{lib}/libchatserver.so.{VERSION}"),
        format!("{lib}/pkgconfig/libchatserver.pc"),
        format!("{lib}/cmake/chatserver/chatserver-config.cmake"),
        format!("{lib}/cmake/chatserver/chatserver-config-version.cmake"),
    ]);
    // The relay is installed where it has been built.
    let has_relay = root().join("relay").exists();
    let programs = names("man", ".1").into_iter().filter(|page| has_relay || page == "chatserver");
    files.extend(programs.map(|page| format!("{man}/man1/{page}.1")));
    files.extend(has_relay.then(|| format!("{bin}/chatserver-relay")));
    let pages = [names("man", ".3"), names("build/man", ".3")].concat();
    files.extend(pages.iter().map(|page| format!("{man}/man3/{page}.3")));
    let own = |unit: &String| has_relay || !unit.starts_with("chatserver-relay");
    let own_units = names("packaging/systemd", ".in").into_iter().filter(own);
    files.extend(own_units.map(|unit| format!("{units}/{unit}")));
    let guides = ["browser.md", "embedding.md", "operations.md", "scale-out.md"];
    let papers = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];
    files.extend(papers.iter().chain(&guides).map(|paper| format!("{doc}/{paper}")));
    files
}

#[test]
fn a_prefix_says_where_everything_goes() {
    let stage = Stage::new("prefix", PREFIX_ALONE);
    let files = expected([
        "/opt/chat/bin",
        "/opt/chat/lib",
        "/opt/chat/include",
        "/opt/chat/share/man",
        "/opt/chat/lib/systemd/system",
        "/opt/chat/share/doc/libchatserver",
    ]);
    assert_eq!(stage.files(), files);
}

#[test]
fn each_folder_can_be_told_by_itself() {
    let stage = Stage::new("folders", EVERY_FOLDER);
    let files = expected([
        "/opt/chat/games",
        "/opt/chat/lib/machine",
        "/opt/headers",
        "/opt/manual",
        "/lib/units",
        "/opt/papers",
    ]);
    assert_eq!(stage.files(), files);
}

#[test]
fn shared_object_is_found_by_each_of_its_names() {
    let stage = Stage::new("names", PREFIX_ALONE);
    let name = |name: &str| fs::read_link(stage.staged("/opt/chat/lib").join(name)).ok();
    assert_eq!(name("libchatserver.so"), Some(soname().into()));
    assert_eq!(name(&soname()), Some(format!("libchatserver.so.{VERSION}").into()));
}

#[test]
fn files_are_readable_and_filled_in_and_know_no_staging_folder() {
    let stage = Stage::new("traces", EVERY_FOLDER);
    let folder = stage.destdir.to_str().expect("text").as_bytes();
    for folder in stage.folders() {
        let mode = fs::metadata(&folder).expect("a folder").permissions().mode();
        assert_eq!(mode & 0o555, 0o555, "everybody may look into {}", folder.display());
    }
    for file in stage.files() {
        let path = stage.staged(&file);
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o444, 0o444, "everybody may read {file}");
        let bytes = fs::read(path).expect("a file");
        assert!(!bytes.is_empty(), "{file} is empty");
        assert!(!bytes.windows(folder.len()).any(|part| part == folder), "{file}");
        let text = String::from_utf8_lossy(&bytes);
        let between: Vec<_> = text.split('@').collect();
        let gap = between[1..].iter().find(|word| is_placeholder(word));
        assert_eq!(gap, None, "{file} has not been filled in");
    }
}

/// Whether the word looks like the name of a placeholder.
fn is_placeholder(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn pkg_config_knows_the_version_and_the_folders() {
    let stage = Stage::new("pkg-config", EVERY_FOLDER);
    if !is_installed("pkg-config") {
        return skip("no pkg-config");
    }
    let ask = |question: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.args(question).arg("libchatserver");
        output(stage.tell_pkg_config(&mut command, Path::new("/"))).trim().to_owned()
    };
    assert_eq!(ask(&["--modversion"]), VERSION);
    let moved = "--define-variable=prefix=/elsewhere";
    for (question, folder) in [
        (&["--variable=libdir"][..], stage.libdir),
        (&["--variable=includedir"], "/opt/headers"),
        (&[moved, "--variable=libdir"], "/elsewhere/lib/machine"),
    ] {
        assert_eq!(ask(question), folder);
    }
}

#[test]
fn pkg_config_links_a_program_with_the_shared_object() {
    let stage = Stage::new("shared", PREFIX_ALONE);
    let Some(program) = stage.build("") else { return };
    assert!(needed(&program).contains(&soname()));
    let mut command = Command::new(program);
    let output = command.env("LD_LIBRARY_PATH", stage.staged(stage.libdir)).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("it can be run").stdout), GREETING);
}

#[test]
fn pkg_config_links_a_program_that_needs_nothing_more() {
    let stage = Stage::new("static", PREFIX_ALONE);
    let Some(program) = stage.build("--static") else { return };
    assert!(needed(&program).is_empty());
    assert_eq!(output(&mut Command::new(program)), GREETING);
}

#[test]
fn cmake_finds_the_package_below_its_prefix() {
    Stage::new("cmake", PREFIX_ALONE).build_and_run_with_cmake("/opt/chat");
}

#[test]
fn cmake_takes_the_package_out_of_any_folder() {
    let stage = Stage::new("cmake-anywhere", EVERY_FOLDER);
    stage.build_and_run_with_cmake("/opt/chat/lib/machine/cmake/chatserver");
}

#[test]
fn cmake_builds_the_library_along_with_a_project() {
    if !is_installed("cmake") {
        return skip("no cmake");
    }
    let source = root().join("tests/install/along");
    // A new one each time: CMake refuses to go on in a folder that has been moved.
    let project = scratch("along");
    build_and_run_project(&source, &project, &format!("-DCHATSERVER_SOURCE={}", root().display()));
}

#[test]
fn python_finds_the_library_outside_the_tree() {
    let stage = Stage::new("python", PREFIX_ALONE);
    if !is_installed("python3") {
        return skip("no python3");
    }
    let script = stage.destdir.join("chat.py");
    fs::copy(root().join("examples/chat.py"), &script).expect("a copy");
    let layout = |script: &Path| {
        let mut python = Command::new("python3");
        python.arg(script).arg("--layout");
        python
    };
    let mut outside = layout(&script);
    outside.env("CPATH", stage.staged("/opt/chat/include"));
    outside.env("LD_LIBRARY_PATH", stage.staged(stage.libdir));
    let printed = outside.output().expect("python3 can be run");
    let inside = output(&mut layout(&root().join("examples/chat.py")));
    assert!(inside.contains("conn_pool.maxfd "), "{inside}");
    assert_eq!(String::from_utf8_lossy(&printed.stdout), inside, "{printed:?}");

    // Where it is not installed, which it may be on this machine.
    let bare = layout(&script).env("LD_LIBRARY_PATH", "/nowhere").env("CPATH", "/").output();
    let bare = bare.expect("python3 can be run");
    let complaint = String::from_utf8(bare.stderr).expect("text");
    assert!(bare.status.success() || complaint.lines().count() == 1, "{complaint}");
}

/// The installed server; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("the server can be ended");
    }
}

#[test]
fn installed_server_relays() {
    let stage = Stage::new("server", PREFIX_ALONE);
    let server = stage.staged("/opt/chat/bin/chatserver");
    assert!(output(Command::new(&server).arg("--version")).contains(VERSION));
    let port = free_port();
    let child = Command::new(server).arg(port.to_string()).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.expect("the server can be run"));
    let transcript = lines_of(running.0.stdout.take().expect("it is piped"));
    let wait_for = |wanted: &str| {
        while !transcript.recv_timeout(PATIENCE).expect("the server goes on").starts_with(wanted) {}
    };
    wait_for("MaxFd ");
    let join = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    let (mut speaker, hearer) = (join(), join());
    wait_for("New incoming connection");
    wait_for("New incoming connection");
    speaker.write_all(b"hello\n").expect("the server reads");
    hearer.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    let mut heard = String::new();
    BufReader::new(hearer).read_line(&mut heard).expect("the server relays");
    assert_eq!(heard, "hello\n");
}

#[test]
fn uninstall_leaves_nothing_but_what_is_others() {
    for layout in [PREFIX_ALONE, EVERY_FOLDER] {
        let stage = Stage::new("it's a folder & | # more", layout);
        let ours = stage.files();
        assert!(!ours.is_empty());
        // A file of another package lies beside each of ours.
        let neighbour = |file: &String| format!("{}/another's", file.rsplit_once('/').unwrap().0);
        let others: BTreeSet<_> = ours.iter().map(neighbour).collect();
        for file in &others {
            fs::write(stage.staged(file), "").expect("a file");
        }
        stage.make("uninstall");
        assert_eq!(stage.files(), others);
        // Without such files the package's own folder is removed as well. A second time does
        // nothing.
        let stage = Stage::new("it's a folder & | # more", layout);
        stage.make("uninstall");
        stage.make("uninstall");
        assert!(stage.files().is_empty());
        for folder in ["cmake/chatserver", "../share/doc/libchatserver"] {
            assert!(!stage.staged(stage.libdir).join(folder).exists(), "{folder}");
        }
    }
}

#[test]
fn what_was_never_installed_is_not_removed() {
    let stage = Stage::new("never", PREFIX_ALONE);
    let ours = stage.files();
    stage.make("uninstall");
    for file in ours.iter().filter(|file| !file.ends_with(".pc")) {
        let path = stage.staged(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "another program's").expect("a file");
    }
    let others = stage.files();
    stage.make("uninstall");
    assert_eq!(stage.files(), others);
}

/// pkg-config, CMake and systemd would take them for other names, and make for several.
#[test]
fn folders_that_cannot_be_written_down_are_refused() {
    make::all();
    let destdir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install/refused");
    let _ = fs::remove_dir_all(&destdir);
    let special = "&'\"`|\\;*?<>()[]%#".chars().map(|character| format!("/opt/a{character}b"));
    let odd = ["opt", "./opt", "../opt", "/opt/a b", "/opt ", "/opt/$b", "/opt/$$b"];
    let prefixes: Vec<_> = special.chain(odd.map(str::to_owned)).collect();
    let prefixes = prefixes.iter().map(|folder| ("PREFIX", folder.as_str()));
    for (variable, folder) in prefixes.chain([("LIBDIR", "lib"), ("DOCDIR", "/opt/a b")]) {
        for goal in ["install", "uninstall"] {
            let setting = format!("{variable}={folder}");
            let output = make_apart(goal, &destdir).arg(&setting).output();
            let output = output.expect("make can be run");
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "make {goal} {setting}");
            assert!(complaint.contains(&format!("*** {variable} ")), "{setting}: {complaint}");
            assert_eq!(complaint.lines().count(), 1, "{complaint}");
        }
    }
    assert!(!destdir.exists(), "something is written first");
}
