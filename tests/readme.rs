//! What the documents show is so. Every section of README.md that has a block of code or commands
//! has somebody here who runs it; a block that nobody runs is a failure.

use child::{PATIENCE, lines_of};
use example::{Room, answers, commands, folder, shell};
use installed::{is_installed, skip};
use libtest_mimic::{Arguments, Trial};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitCode, Stdio};
use std::sync::mpsc::Receiver;

#[path = "common/child.rs"]
mod child;
#[path = "common/example.rs"]
mod example;
#[path = "common/installed.rs"]
mod installed;
#[path = "common/make.rs"]
mod make;

const README: &str = include_str!("../README.md");
const SONAME: &str = concat!("build/libchatserver.so.", env!("CARGO_PKG_VERSION_MAJOR"));
const BENCHES: &str = include_str!("../benches/README.md");

fn main() -> ExitCode {
    make::all();
    let sections = sections(README).into_iter().filter(|section| !section.blocks.is_empty());
    let mut trials: Vec<_> = sections
        .map(|section| {
            let name = format!("README.md: {}", section.title);
            Trial::test(name, move || {
                section.run();
                Ok(())
            })
        })
        .collect();
    trials.push(Trial::test("README.md: in passing", || {
        in_passing(README);
        Ok(())
    }));
    trials.push(Trial::test("benches/README.md: make", || {
        make_lines(BENCHES);
        Ok(())
    }));
    // They share what make builds.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
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
            ("From existing C code", [links, program]) => {
                links.lines().for_each(|link| relays_when_built(link, program));
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
                writeln!(terminals[side].keyboard, "{words}").expect("it reads");
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

/// The commands between the words of a document: those of make have a target, and the others that
/// only look at what is built work.
fn in_passing(document: &str) {
    let words: String = sections(document).iter().map(|section| section.words.as_str()).collect();
    let mut count = 0;
    for span in words.split('`').skip(1).step_by(2) {
        let line = span.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.split_once(' ') {
            Some(("make", targets)) => has_rule(targets),
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

/// Everything in the blocks of a document calls make, for something that it knows.
fn make_lines(document: &str) {
    for block in sections(document).iter().flat_map(|section| &section.blocks) {
        for line in block.lines() {
            has_rule(line.strip_prefix("make ").expect("a call of make"));
        }
    }
}

/// Whether make knows what to do for these arguments.
fn has_rule(arguments: &str) {
    let output = shell(&format!("make --dry-run {arguments}"), root()).output();
    let output = output.expect("sh can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
