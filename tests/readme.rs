//! What README.md shows is so, and what the other documents say about the house. Every section that
//! has a block of code or commands has somebody here who runs it; a block that nobody runs is a
//! failure.

use child::{PATIENCE, free_port, lines_of};
use example::{Room, answers, commands, folder, shell};
use installed::{is_installed, skip};
use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::Receiver;

#[path = "common/child.rs"]
mod child;
#[path = "common/example.rs"]
mod example;
#[path = "common/installed.rs"]
mod installed;
#[path = "common/make.rs"]
mod make;
#[path = "common/program.rs"]
#[expect(dead_code, reason = "the server's tests need more of a program")]
mod program;

const README: &str = include_str!("../README.md");
const SONAME: &str = concat!("build/libchatserver.so.", env!("CARGO_PKG_VERSION_MAJOR"));
const BENCHES: &str = include_str!("../benches/README.md");
const CONTRIBUTING: &str = include_str!("../CONTRIBUTING.md");

fn main() -> ExitCode {
    make::all();
    let mut trials = Vec::new();
    for (name, document) in [("README.md", README), ("CONTRIBUTING.md", CONTRIBUTING)] {
        for section in sections(document).into_iter().filter(|section| !section.blocks.is_empty()) {
            trials.push(trial(format!("{name}: {}", section.title), move || section.run()));
        }
        trials.push(trial(format!("{name}: in passing"), || in_passing(document)));
    }
    trials.push(trial("benches/README.md".into(), || make_lines(BENCHES)));
    trials.push(trial("targets of make".into(), targets_are_told));
    // They share what make builds.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: String, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, || {
        run();
        Ok(())
    })
}

/// A section of a document: its blocks of code, commands or output, and the words between them.
struct Section {
    title: String,
    blocks: Vec<String>,
    words: String,
}

impl Section {
    /// Each section takes its blocks apart, so that one more is noticed.
    fn run(&self) {
        let blocks: Vec<_> = self.blocks.iter().map(String::as_str).collect();
        match (self.title.as_str(), &blocks[..]) {
            ("Two commands", [start, test]) => {
                Room::open(start, |line| shell(line, root())).relays();
                // That is who runs this.
                assert_eq!(*test, "make test\n");
            }
            ("A session", [start, clients, transcript]) => session(start, clients, transcript),
            ("Installing", [install, shared, fixed, cmake]) => {
                installs(install, &[shared, fixed], cmake, &example_program());
            }
            ("From existing C code", [links, program]) => {
                links.lines().for_each(|link| relays_when_built(link, program));
            }
            ("Signals and figures", [commands, line]) => {
                let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
                assert_eq!(shape(&script(commands, root())), shape(line));
            }
            ("Memory", [commands]) => memory(commands),
            ("The kernel's settings", [look]) => {
                assert_eq!(script(look, root()).lines().count(), 3)
            }
            ("Under systemd", [activate]) => {
                if is_installed("systemd-socket-activate") {
                    script(activate, root());
                } else {
                    skip("no systemd-socket-activate");
                }
            }
            ("Behind a TLS proxy", [certificate]) => {
                if is_installed("openssl") {
                    script(certificate, &folder("certificate"));
                } else {
                    skip("no openssl");
                }
            }
            ("The house", [picture]) => shows_the_house(picture),
            ("The checks", [all, some]) => {
                assert!(root().join(all.trim().strip_prefix("bash ").expect("a script")).exists());
                some.lines().for_each(has_test);
            }
            (title, blocks) => {
                panic!("nothing runs all blocks of \"{title}\":\n{}", blocks.join("\n"))
            }
        }
    }
}

/// Takes a document apart. A block stands between fences, or behind four spaces or more.
fn sections(document: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = document.lines().peekable();
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

/// The README's own program.
fn example_program() -> String {
    let blocks = sections(README).into_iter().flat_map(|section| section.blocks);
    blocks.into_iter().find(|block| block.contains("int main(")).expect("there is one")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program at a terminal; ended when dropped.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<String>,
}

impl Terminal {
    fn run(line: &str) -> Self {
        let mut command = shell(&format!("exec {line}"), root());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh can be run");
        let keyboard = child.stdin.take().expect("it is piped");
        let screen = lines_of(child.stdout.take().expect("it is piped"));
        Self { child, keyboard, screen }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server is started as in `start`, prints what is in `transcript`, and ends by Ctrl-C. There
/// are two terminals side by side in `clients`: what is typed in one, the other shows a line below.
fn session(start: &str, clients: &str, transcript: &str) {
    let (line, shown) = &commands(start)[0];
    let room = Room::open(line, |line| shell(line, root()));
    room.shows(shown);
    let mut transcript = transcript.lines();
    let mut rows = clients.lines();
    let heads = rows.next().expect("two commands").split("$ ").skip(1);
    let mut terminals = Vec::new();
    for head in heads {
        let program = head.split(' ').next().expect("a command");
        if !is_installed(program) {
            return skip(&format!("no {program}"));
        }
        terminals.push(Terminal::run(&head.replace(example::PORT, &room.port.to_string())));
        room.shows(&transcript.by_ref().take(3).collect::<Vec<_>>().join("\n"));
    }
    let mut said: Option<(usize, &str)> = None;
    for row in rows {
        let (side, words) = (usize::from(row.starts_with(' ')), row.trim());
        match said.take() {
            Some((speaker, before)) => {
                assert_eq!((speaker != side, words), (true, before), "not what was said");
                let heard = terminals[side].screen.recv_timeout(PATIENCE);
                assert_eq!(heard.as_deref().map(str::trim_end), Ok(words));
            }
            None => {
                // In one piece, as a terminal hands it on.
                let line = format!("{words}\n");
                terminals[side].keyboard.write_all(line.as_bytes()).expect("it reads");
                said = Some((side, words));
            }
        }
    }
    assert_eq!(said, None, "nobody hears it");
    room.interrupt();
    room.shows(&transcript.collect::<Vec<_>>().join("\n"));
}

/// Builds `chat.c` by a command line that works beside the library's `include` and `build`.
fn relays_when_built(line: &str, program: &str) {
    let folder = folder("readme");
    fs::create_dir(folder.join("build")).expect("a fresh folder");
    for name in ["include", "build/libchatserver.a", "build/libchatserver.so", SONAME] {
        symlink(root().join(name), folder.join(name)).expect("a link to what is used");
    }
    fs::write(folder.join("chat.c"), program).expect("a file can be written");
    answers(shell(line, &folder), "");
    Room::open("./chat 5555", |line| shell(line, &folder)).relays();
}

/// Runs commands to their end, and answers what they print.
fn script(commands: &str, folder: &Path) -> String {
    let commands = commands.replace(example::PORT, &free_port().to_string());
    let output = shell(&format!("exec 2>&1\n{commands}"), folder).output();
    let output = output.expect("sh can be run");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{commands}{}\n{printed}", output.status);
    printed
}

/// What the server takes of memory before 500 clients come, and after: well under a kilobyte each.
fn memory(commands: &str) {
    let printed = script(commands, root());
    let numbers = printed.lines().filter_map(|line| line.strip_prefix("VmRSS:"));
    let numbers: Vec<u32> = numbers
        .map(|text| text.trim().trim_end_matches(" kB").parse().expect("a number"))
        .collect();
    let [before, after] = numbers[..] else { panic!("not measured twice: {printed}") };
    assert!((before..before + 500).contains(&after), "{printed}");
}

/// Installs as root would, but in a place of the test's own, and builds a program on that.
fn installs(install: &str, builds: &[&str], cmake: &str, chat: &str) {
    let folder = folder("installing");
    let prefix = folder.join("usr");
    let mine = "sudo() { \"$@\"; }\nldconfig() { :; }\n";
    let mut command = shell(&format!("{mine}{install}"), root());
    succeeds(command.env("PREFIX", &prefix));

    fs::write(folder.join("chat.c"), chat).expect("a file can be written");
    for build in builds {
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

/// The commands between the words of a document: those of make have a target, servers are servers,
/// and the others that only look at what is built work.
fn in_passing(document: &str) {
    let words: String = sections(document).iter().map(|section| section.words.as_str()).collect();
    let mut count = 0;
    for span in words.split('`').skip(1).step_by(2) {
        let line = span.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.split_once(' ') {
            Some(("make", targets)) => has_rule(targets),
            Some((program, example::PORT)) => is_a_room(program),
            Some(("./server" | "nm" | "readelf", _)) => {
                let output = shell(&line, root()).output().expect("sh can be run");
                assert!(output.status.success() && !output.stdout.is_empty(), "{line}");
            }
            _ => continue,
        }
        count += 1;
    }
    assert!(count > 0, "no command");
}

/// A program that takes the port, and that make can build where it is built.
fn is_a_room(program: &str) {
    if program.ends_with(".py") && !is_installed("python3") {
        return skip("no python3");
    }
    if program.starts_with("build/") {
        succeeds(&mut shell(&format!("make {program}"), root()));
    }
    Room::open(&format!("{program} {}", example::PORT), |line| shell(line, root())).relays();
}

/// Everything in the blocks of a document calls make, for something that it knows.
fn make_lines(document: &str) {
    for block in sections(document).iter().flat_map(|section| &section.blocks) {
        for line in block.lines() {
            has_rule(line.strip_prefix("make ").expect("a call of make"));
        }
    }
}

/// Every file that the picture has is there, and every module of the library is in the picture.
fn shows_the_house(picture: &str) {
    let shown: BTreeSet<_> = picture
        .split([' ', ',', ';', '\n'])
        .filter(|word| word.contains('/'))
        .map(|word| word.trim_end_matches('/'))
        .collect();
    for name in &shown {
        assert!(root().join(name).exists(), "not there: {name}");
    }
    for entry in fs::read_dir(root().join("src")).expect("src/ is there") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        let is_shown = shown.contains(format!("src/{name}").as_str());
        assert!(is_shown || name == "lib.rs", "not in the picture: src/{name}");
    }
}

/// Cargo knows the test that a command line runs.
fn has_test(line: &str) {
    let test = line.strip_prefix("cargo test --test ").expect("a test");
    let name = test.split(' ').next().expect("a name");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    assert!(manifest.contains(&format!("[[test]]\nname = \"{name}\"\n")), "{line}");
}

/// What make can be asked for stands in one of the documents.
fn targets_are_told() {
    let database = shell("make --print-data-base --question clean", root()).output();
    let database = String::from_utf8_lossy(&database.expect("sh can be run").stdout).into_owned();
    let phony = database.lines().find_map(|line| line.strip_prefix(".PHONY: "));
    let documents = [README, BENCHES, CONTRIBUTING].concat();
    for target in phony.expect("make tells them").split(' ') {
        let is_told = [" ", "`", "\n"].map(|end| format!("make {target}{end}"));
        let is_inner = ["all", "lib", "fuzzers", "FORCE"].contains(&target);
        assert!(
            is_inner || is_told.iter().any(|words| documents.contains(words)),
            "no document says what `make {target}` does"
        );
    }
}

/// Whether make knows what to do for these arguments.
fn has_rule(arguments: &str) {
    succeeds(&mut shell(&format!("make --dry-run {arguments}"), root()));
}

/// Runs a command whose output is nobody's business unless it fails.
fn succeeds(command: &mut Command) {
    let output = command.output().expect("sh can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}
