//! The manual has a page for every function, the pages are sound, and what they show works.

use crate::common::example::{answers, folder, shell};
use crate::common::folders::root;
use crate::common::headers::{self, HEADERS};
use crate::common::installed::{is_installed, skip};
use crate::common::make;
use crate::common::program::output;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect(folder);
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).expect("text")
}

/// The lines of a page from a heading to the next one of its kind.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, after) = page.split_once(&format!("{heading}\n")).expect(heading);
    after.split(&heading[..4]).next().expect("a section")
}

#[test]
fn every_function_has_a_page_and_stands_in_the_overview() {
    make::all();
    let overview = read("man/libchatserver.3");
    for (header, text) in HEADERS {
        for prototype in headers::prototypes(text) {
            let name = headers::name(prototype);
            let mut page = read(format!("build/man/{name}.3"));
            if let Some(other) = page.strip_prefix(".so man3/") {
                page = read(format!("build/man/{}", other.trim_end()));
            }
            let synopsis = section(&page, ".Sh SYNOPSIS");
            assert!(synopsis.contains(&format!(".In {header}\n")), "{name}: {synopsis}");
            assert!(synopsis.contains(&format!(".Fn {name} ")), "{name}: {synopsis}");
            assert!(section(&page, ".Sh NAME").contains(&format!(".Nm {name}")), "{name}");
            assert!(
                overview.contains(&format!("Xr {name} 3\n"))
                    || overview.contains(&format!("Xr {name} 3 ")),
                "{name}"
            );
        }
    }
}

#[test]
fn mandoc_finds_no_fault() {
    make::all();
    if !is_installed("mandoc") {
        return skip("no mandoc");
    }
    let pages = [files("man", ".1"), files("man", ".3"), files("build/man", ".3")].concat();
    let pages = pages.iter().filter(|page| !read(page).starts_with(".so "));
    let output = Command::new("mandoc").args(["-T", "lint", "-W", "style"]).args(pages).output();
    let output = String::from_utf8(output.expect("it can be run").stdout).expect("text");
    // Which manuals this machine has does not matter.
    let faults = output.lines().filter(|line| !line.contains("referenced manual not found"));
    assert_eq!(faults.collect::<Vec<_>>().join("\n"), "");
}

/// Each says in its first comment what it prints, and fits into 80 columns where a page shows it.
#[test]
fn examples_print_what_they_say_linked_either_way() {
    make::all();
    let root = root().display();
    for source in files("examples/functions", ".c") {
        let text = read(&source);
        let name = source.file_stem().expect("a name").to_str().expect("text");
        for line in text.lines().map(|line| line.replace('\t', "        ")) {
            assert!(line.len() <= 75, "{name}: {line}");
        }
        let comment = text.split(" */").next().expect("a comment");
        let printed = comment.lines().filter_map(|line| line.strip_prefix(" *   "));
        let printed: String = printed.map(|line| format!("{line}\n")).collect();
        assert!(!printed.is_empty(), "{name} does not say what it prints");
        for library in ["a", "so"] {
            let cc = format!("cc -I{root}/include {root}/examples/functions/{name}.c");
            let line = format!("{cc} {root}/build/libchatserver.{library} && ./a.out");
            let mut command = shell(&line, &folder(&format!("functions/{name}/{library}")));
            command.env("LD_RUN_PATH", format!("{root}/build"));
            answers(command, &printed);
        }
    }
}

#[test]
fn loop_of_the_overview_compiles() {
    let page = read("man/libchatserver.3");
    let display = section(&page, ".Sh EXAMPLES").split(".Bd -literal\n").nth(1).expect("a program");
    let folder = folder("overview");
    let program = display.split(".Ed").next().expect("its end");
    fs::write(folder.join("loop.c"), program).expect("a file can be written");
    answers(shell(&format!("cc -I{}/include -c loop.c", root().display()), &folder), "");
}

/// The programs, each with its page and its sources. The relay is there if it could be built.
fn programs() -> Vec<(&'static str, String, String)> {
    make::all();
    let programs = [("server", "chatserver"), ("relay", "chatserver-relay")];
    let built = programs.into_iter().filter(|(program, _)| root().join(program).exists());
    let texts = built.map(|(program, page)| {
        let sources = [files(&format!("src/{program}"), ".c"), files("src/common", ".c")].concat();
        (program, read(format!("man/{page}.1")), sources.into_iter().map(read).collect())
    });
    texts.collect()
}

/// The options with their arguments, as `--help` lists them.
#[test]
fn page_of_each_program_has_every_option() {
    for (program, page, _) in programs() {
        let help = output(Command::new(root().join(program)).arg("--help"));
        let listed = help.lines().filter_map(|line| line.strip_prefix("  -"));
        let listed: BTreeSet<_> =
            listed.map(|line| line.split("  ").next().expect("an option").to_owned()).collect();
        assert!(listed.contains("V, --version"), "{help}");
        let items = section(&page, ".Sh DESCRIPTION").lines();
        let items = items.filter_map(|line| line.strip_prefix(".It Fl "));
        let items = items.map(|item| item.replace(" , Fl -", ", --").replace("Ar ", ""));
        assert_eq!(items.collect::<BTreeSet<_>>(), listed);

        let letters: BTreeSet<_> =
            listed.iter().filter_map(|option| option.chars().next()).collect();
        let synopsis = section(&page, ".Sh SYNOPSIS").lines();
        let flags = synopsis.filter_map(|line| line.split_once("Fl "));
        let flags =
            flags.flat_map(|(_, flags)| flags.split(" Ar ").next().unwrap_or(flags).chars());
        assert_eq!(flags.filter(char::is_ascii_alphabetic).collect::<BTreeSet<_>>(), letters);
    }
}

/// A program formats each value of its statistics as `name=%...`, and logs by calls whose first
/// literal says what has happened.
#[test]
fn page_of_each_program_has_every_statistic_and_every_log_line() {
    for (_, page, sources) in programs() {
        let mut pieces: Vec<_> = sources.split("=%").collect();
        pieces.pop();
        let values = pieces.iter().filter_map(|piece| piece.rsplit([' ', '"']).next());
        let items = section(&page, ".Ss Statistics").lines();
        let items = items.filter_map(|line| line.strip_prefix(".It Cm "));
        assert_eq!(items.collect::<BTreeSet<_>>(), values.collect());

        let calls = ["log_warning(", "log_text("];
        let calls = calls.into_iter().flat_map(|name| sources.split(name).skip(1));
        let calls = calls.filter_map(|call| call.split_once(';'));
        let literals = calls.filter_map(|(call, _)| call.split('"').nth(1));
        // The client's address may come first.
        let events = literals.map(|literal| literal.trim_start_matches("%s: "));
        let events = events.filter_map(|literal| literal.split([':', '%']).next());
        let diagnostics = section(&page, ".Sh DIAGNOSTICS");
        let items: String = diagnostics.lines().filter(|line| line.starts_with(".It ")).collect();
        // A call within log.c has a format alone.
        for event in events.filter(|event| !event.is_empty()) {
            let item = event.trim_end();
            let is_there =
                items.contains(&format!("\"{item}")) || items.contains(&format!(": {item}"));
            assert!(is_there, "{event:?} is not in the page");
        }
    }
}
