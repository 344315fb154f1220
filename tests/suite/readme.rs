//! What the documents show is so. `sections!` has a test for each section with a block of code,
//! commands or output; a section that is missing there, or has a block more, is a failure.

use crate::common::child::{PATIENCE, lines_of};
use crate::common::example::{PORT, Room, answers, folder, shell};
use crate::common::folders::root;
use crate::common::installed::{is_installed, skip};
use crate::common::make;
use crate::common::ports::free_port;
use crate::common::program::succeeds;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const SONAME: &str = concat!("build/libchatserver.so.", env!("CARGO_PKG_VERSION_MAJOR"));
const README: &str = "README.md";
const CONTRIBUTING: &str = "CONTRIBUTING.md";
const OPERATIONS: &str = "docs/operations.md";
const PACKAGING: &str = "packaging/README.md";
const ALL_RUN: [&str; 4] = [README, CONTRIBUTING, OPERATIONS, PACKAGING];
const LINKS_ONLY: [&str; 4] =
    ["CHANGELOG.md", "docs/embedding.md", "examples/moving/README.md", "examples/moving/fit.md"];
const MAKE_ONLY: [&str; 2] = ["benches/README.md", "fuzz/README.md"];

macro_rules! sections {
    ($($document:ident, $title:literal => $test:ident;)*) => {
        const TESTED: &[(&str, &str)] = &[$(($document, $title)),*];

        mod section {
            $(#[test]
            fn $test() {
                let _built = super::built();
                super::$test(super::blocks(super::$document, $title));
            })*
        }
    };
}

sections! {
    README, "Quick start" => quick_start;
    README, "Use from C" => use_from_c;
    README, "The room in a browser" => in_a_browser;
    README, "One room over many servers" => over_many_servers;
    README, "Install" => install;
    CONTRIBUTING, "The layers" => layers;
    CONTRIBUTING, "One test" => one_test;
    CONTRIBUTING, "The checks" => checks;
    OPERATIONS, "Statistics" => statistics;
    OPERATIONS, "Memory" => memory;
    OPERATIONS, "Kernel settings" => kernel_settings;
    OPERATIONS, "Under systemd" => under_systemd;
    OPERATIONS, "Behind a TLS proxy" => behind_a_tls_proxy;
    PACKAGING, "Installing into a package" => installing_into_a_package;
}

/// Builds what the documents use. The tests share that, and so run one after the other.
fn built() -> impl Drop {
    static LOCK: Mutex<()> = Mutex::new(());
    let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    make::all();
    lock
}

/// The server starts, what is typed in one client appears in the other a line below, and Ctrl-C
/// ends it.
fn quick_start([start, clients]: [String; 2]) {
    let room = Room::open(start.trim(), |line| shell(line, root()));
    let mut sds = 4..;
    let mut rows = clients.lines();
    let mut terminals = Vec::new();
    room.shows("...\nMaxFd 3");
    for head in rows.next().expect("two commands").split("$ ").skip(1) {
        let program = head.split(' ').next().expect("a command");
        if !is_installed(program) {
            return skip(&format!("no {program}"));
        }
        terminals.push(terminal(&head.replace(PORT, &room.port.to_string())));
        let sd = sds.next().expect("there is no last one");
        room.shows(&format!("...\nNew incoming connection on sd {sd}"));
    }
    let mut typed: Option<(usize, &str)> = None;
    for row in rows {
        let (side, words) = (usize::from(row.starts_with(' ')), row.trim());
        let (client, screen) = &mut terminals[side];
        if let Some((sender, text)) = typed.take() {
            assert_eq!((sender != side, words), (true, text), "not what was typed");
            let shown = screen.recv_timeout(PATIENCE);
            assert_eq!(shown.as_deref().map(str::trim_end), Ok(words));
        } else {
            let keyboard = client.stdin.as_mut().expect("it is piped");
            keyboard.write_all(format!("{words}\n").as_bytes()).expect("it reads");
            typed = Some((side, words));
        }
    }
    assert_eq!(typed, None, "the other client does not show it");
    room.interrupt();
    room.shows("...\nremoving connection with sd 4\nremoving connection with sd 5");
    for (mut client, _) in terminals {
        client.wait().expect("it ends with its server");
    }
}

/// A client with a keyboard, and its screen.
fn terminal(line: &str) -> (Child, Receiver<String>) {
    let mut command = shell(&format!("exec {line}"), root());
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("sh can be run");
    let screen = lines_of(child.stdout.take().expect("it is piped"));
    (child, screen)
}

/// The loop works with a listening socket of our own, and the command lines where the library is.
fn use_from_c([serve, links]: [String; 2]) {
    let folder = folder("use");
    fs::create_dir(folder.join("build")).expect("a fresh folder");
    for name in ["include", "examples", "build/libchatserver.a", "build/libchatserver.so", SONAME] {
        symlink(root().join(name), folder.join(name)).expect("a link to what is used");
    }
    let relays = |link: &str| {
        answers(shell(link, &folder), "");
        Room::open("build/chat 5555", |line| shell(line, &folder)).relays();
    };
    links.lines().for_each(relays);

    let program = fs::read_to_string(root().join("examples/chat.c")).expect("the example");
    let (includes, rest) = program.split_once("static void give_up").expect("it can fail");
    let (listen, _) = rest.split_once("static void accept_client").expect("it accepts");
    let main = "int main(int argc, char *argv[])\n\
        {\n\tserve(listen_on(argc == 2 ? atoi(argv[1]) : 0));\n}\n";
    let source = format!("{includes}static void give_up{listen}{serve}\n{main}");
    fs::write(folder.join("loop.c"), source).expect("a file can be written");
    relays("cc -Iinclude -o build/chat loop.c build/libchatserver.a");
}

/// Installs as root would, but in a place of the test's own, and builds a program on that.
fn install([install, builds, cmake]: [String; 3]) {
    let folder = folder("installing");
    let prefix = folder.join("usr");
    let mine = "sudo() { \"$@\"; }\nldconfig() { :; }\n";
    succeeds(shell(&format!("{mine}{install}"), root()).env("PREFIX", &prefix));

    if !is_installed("pkg-config") {
        return skip("no pkg-config");
    }
    fs::copy(root().join("examples/chat.c"), folder.join("chat.c")).expect("a copy");
    for build in builds.lines() {
        let mut command = shell(build, &folder);
        command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        succeeds(command.env("LD_RUN_PATH", prefix.join("lib")));
        Room::open("./chat 5555", |line| shell(line, &folder)).relays();
    }

    if !is_installed("cmake") {
        return skip("no cmake");
    }
    let project =
        "cmake_minimum_required(VERSION 3.13)\nproject(chat C)\nadd_executable(chat chat.c)\n";
    fs::write(folder.join("CMakeLists.txt"), format!("{project}{cmake}")).expect("a project");
    let mut command = shell("cmake -B cmake . && cmake --build cmake", &folder);
    succeeds(command.env("CMAKE_PREFIX_PATH", &prefix));
    Room::open("cmake/chat 5555", |line| shell(line, &folder)).relays();
}

/// Every file in the picture exists.
fn layers([picture]: [String; 1]) {
    for name in picture.split([' ', ',', '\n']).filter(|word| word.contains('/')) {
        assert!(root().join(name).exists(), "not there: {name}");
    }
}

/// `make web-check` tries what the last command starts.
fn in_a_browser([commands]: [String; 1]) {
    let last = commands.lines().last().expect("a command");
    has_rule(last.strip_prefix("make ").expect("a call of make"));
}

/// What is said at one server is heard at another. The first command is for who has nothing yet.
fn over_many_servers([commands]: [String; 1]) {
    if !is_installed("mosquitto") || !root().join("relay").exists() {
        return skip("no mosquitto, or no relay");
    }
    const SETTINGS: &str = "packaging/mosquitto/chatserver.conf";
    let folder = folder("many");
    let ports = [(); 4].map(|()| free_port().to_string());
    let [broker, one, other, third] = &ports;
    let own = folder.join("mosquitto.conf");
    fs::write(&own, read(SETTINGS).replace("1883", broker)).expect("a file can be written");
    let (_, commands) = commands.split_once('\n').expect("several commands");
    let commands = commands
        .replace(SETTINGS, own.to_str().expect("text"))
        .replace("localhost/", &format!("localhost:{broker}/"))
        .replace("5551 5552 5553", &format!("{one} {other} {third}"));
    let all = shell(&format!("{commands}wait"), root()).process_group(0).spawn();
    let _all = Group(all.expect("sh can be run"));
    let deadline = Instant::now() + PATIENCE;
    let connect = |port: &str| loop {
        assert!(Instant::now() < deadline, "nobody listens");
        let port: u16 = port.parse().expect("a number");
        if let Ok(client) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            break client;
        }
        thread::yield_now();
    };
    let (mut speaker, mut listener) = (connect(one), connect(other));
    listener.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
    let mut heard = [0; 6];
    while listener.read_exact(&mut heard).is_err() {
        assert!(Instant::now() < deadline, "nothing is heard at the other server");
        speaker.write_all(b"hello\n").expect("the server reads");
    }
    assert_eq!(&heard, b"hello\n");
}

/// A shell and what it has started; killed when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// Cargo, make and the programs in C know what they are asked for.
fn one_test([cargo, gdb, debug]: [String; 3]) {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    for line in [cargo, gdb, debug].concat().lines() {
        let line = line.trim_start_matches("LIBRARY=build/gdb ");
        if let Some(test) = line.strip_prefix("cargo test --test ") {
            let name = test.split(' ').next().expect("a name");
            assert!(manifest.contains(&format!("[[test]]\nname = \"{name}\"\n")), "{line}");
        } else if let Some(program) = line.strip_prefix("gdb --args ") {
            let (path, test) = program.split_once(' ').expect("a program and a test");
            let name = path.rsplit('/').next().expect("a name");
            let source = read(&format!("c-tests/{name}.c"));
            let mut heads = source.lines().filter(|line| line.starts_with("TEST"));
            assert!(
                heads.any(|head| head.split(['(', ',', ')']).any(|it| it.trim() == test)),
                "{line}"
            );
        } else {
            has_rule(line.strip_prefix("make ").expect("a call of make"));
        }
    }
}

fn checks([all]: [String; 1]) {
    assert!(root().join(all.trim().strip_prefix("bash ").expect("a script")).exists());
}

fn statistics([commands, line]: [String; 2]) {
    let shape = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        words.join(" ").replace(|c: char| c.is_ascii_digit(), "")
    };
    assert_eq!(shape(&script(&commands, root())), shape(&line));
}

/// What the server takes of memory before 500 clients come, and after: well under a kilobyte each.
fn memory([commands]: [String; 1]) {
    let printed = script(&commands, root());
    let numbers = printed.lines().filter_map(|line| line.strip_prefix("VmRSS:"));
    let numbers: Vec<u32> = numbers
        .map(|text| text.trim().trim_end_matches(" kB").parse().expect("a number"))
        .collect();
    let [before, after] = numbers[..] else { panic!("not measured twice: {printed}") };
    assert!((before..before + 500).contains(&after), "{printed}");
}

fn kernel_settings([look]: [String; 1]) {
    assert_eq!(script(&look, root()).lines().count(), 3);
}

fn under_systemd([activate]: [String; 1]) {
    if !is_installed("systemd-socket-activate") {
        return skip("no systemd-socket-activate");
    }
    script(&activate, root());
}

fn behind_a_tls_proxy([certificate]: [String; 1]) {
    if !is_installed("openssl") {
        return skip("no openssl");
    }
    script(&certificate, &folder("certificate"));
}

fn installing_into_a_package([commands]: [String; 1]) {
    let folder = folder("packaging");
    script(&commands.replace("$PWD", folder.to_str().expect("text")), root());
    assert!(folder.join("staging/usr/bin/chatserver").exists());
}

#[test]
fn every_block_is_run() {
    for document in ALL_RUN {
        for section in sections(document).iter().filter(|section| !section.blocks.is_empty()) {
            let title = section.title.as_str();
            assert!(TESTED.contains(&(document, title)), "nothing runs {document}, \"{title}\"");
        }
    }
    for document in MAKE_ONLY {
        for line in sections(document).iter().flat_map(|section| &section.blocks) {
            for line in line.lines() {
                has_rule(line.strip_prefix("make ").expect("a call of make"));
            }
        }
    }
}

/// The commands between the words of a document: those of make have a target, servers are servers,
/// and the others that only look at what is built work.
#[test]
fn commands_in_passing_work() {
    let _built = built();
    for document in ALL_RUN {
        let words: String = sections(document).into_iter().map(|section| section.words).collect();
        for span in words.split('`').skip(1).step_by(2) {
            let line = span.split_whitespace().collect::<Vec<_>>().join(" ");
            match line.split_once(' ') {
                Some(("make", targets)) => has_rule(targets),
                Some((program, PORT)) => is_a_room(program),
                Some(("./server" | "nm" | "readelf", _)) => {
                    let output = shell(&line, root()).output().expect("sh can be run");
                    assert!(output.status.success() && !output.stdout.is_empty(), "{line}");
                }
                _ => {}
            }
        }
    }
}

/// A program that takes the port, and that make can build where it is built.
fn is_a_room(program: &str) {
    if program.ends_with(".py") && !is_installed("python3") {
        return skip("no python3");
    }
    if program == "build/examples/room" && !is_installed("g++") {
        return skip("no g++");
    }
    if program.starts_with("build/") {
        succeeds(&mut shell(&format!("make {program}"), root()));
    }
    Room::open(&format!("{program} {PORT}"), |line| shell(line, root())).relays();
}

#[test]
fn links_lead_somewhere() {
    for document in ALL_RUN.iter().chain(&MAKE_ONLY).chain(&LINKS_ONLY) {
        let folder = Path::new(document).parent().expect("a file is in a folder");
        for link in read(document).split("](").skip(1) {
            let link = link.split(')').next().expect("at least nothing");
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.starts_with("https:") {
                continue;
            }
            let path = if path.is_empty() { Path::new(document) } else { &folder.join(path) };
            assert!(root().join(path).exists(), "{document}: no {}", path.display());
            if !anchor.is_empty() {
                let sections = sections(path.to_str().expect("text"));
                let mut anchors = sections.iter().map(|section| section.anchor());
                assert!(anchors.any(|other| other == anchor), "{document}: no {link}");
            }
        }
    }
}

#[test]
fn the_readme_is_short() {
    assert!(read(README).lines().count() <= 220);
}

#[test]
fn make_help_lists_every_target() {
    let output = |line| {
        let output = shell(line, root()).output().expect("sh can be run");
        String::from_utf8(output.stdout).expect("text")
    };
    let help = output("make help");
    let database = output("make --print-data-base --question clean");
    let phony = database.lines().find_map(|line| line.strip_prefix(".PHONY: "));
    for target in phony.expect("make tells them").split(' ') {
        let is_inner = ["fuzzers", "FORCE", "install-pkgconfig"].contains(&target)
            || target.ends_with("-relay");
        assert!(is_inner || help.contains(&format!("make {target} ")), "not in: make {target}");
    }
}

/// A section of a document: its blocks of code, commands or output, and the words between them.
struct Section {
    title: String,
    blocks: Vec<String>,
    words: String,
}

impl Section {
    /// What a link to it ends in.
    fn anchor(&self) -> String {
        let letters = self.title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        letters.collect::<String>().to_lowercase().replace(' ', "-")
    }
}

/// Takes a document apart. A block stands between fences, or behind four spaces or more.
fn sections(document: &str) -> Vec<Section> {
    let text = read(document);
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = text.lines().peekable();
    let mut after_blank = false;
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_owned();
            sections.push(Section { title, blocks: Vec::new(), words: String::new() });
        }
        let section = sections.last_mut().expect("a document begins with its title");
        if line.starts_with("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            section.blocks.push(inside.map(|line| format!("{line}\n")).collect());
        } else if after_blank && line.starts_with("    ") {
            let margin = line.len() - line.trim_start().len();
            let mut block = format!("{}\n", &line[margin..]);
            while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
                block += line.get(margin..).expect("no line of a block is further out");
                block.push('\n');
            }
            section.blocks.push(block);
        } else {
            section.words += &format!("{line}\n");
        }
        after_blank = line.is_empty();
    }
    sections
}

/// The blocks of a section; there must be as many as its test runs.
fn blocks<const N: usize>(document: &str, title: &str) -> [String; N] {
    let section = sections(document).into_iter().find(|section| section.title == title);
    let blocks = section.unwrap_or_else(|| panic!("no \"{title}\" in {document}")).blocks;
    let fail = |blocks: Vec<_>| panic!("{N} blocks are run, and these are there: {blocks:#?}");
    blocks.try_into().unwrap_or_else(fail)
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|why| panic!("{document}: {why}"))
}

/// Runs commands to their end or the first that fails, and answers what they print. What still runs
/// in the background then is ended, since it could print more.
fn script(commands: &str, folder: &Path) -> String {
    let commands = commands.replace(PORT, &free_port().to_string());
    let before = "exec 2>&1\nset -e\ntrap 'trap \"\" TERM; kill -- -$$' EXIT";
    let mut command = shell(&format!("{before}\n{commands}"), folder);
    let output = command.process_group(0).output().expect("sh can be run");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{commands}{}\n{printed}", output.status);
    printed
}

/// Whether make knows what to do for these arguments.
fn has_rule(arguments: &str) {
    succeeds(&mut shell(&format!("make --dry-run {arguments}"), root()));
}
