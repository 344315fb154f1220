//! The pages in man/ say what the headers and the server say, and their examples work.

use example::{Room, answers, commands, shell};
use headers::HEADERS;
use installed::{is_installed, skip};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "common/child.rs"]
mod child;
#[path = "common/example.rs"]
mod example;
#[path = "common/headers.rs"]
mod headers;
#[path = "common/installed.rs"]
mod installed;
#[path = "common/make.rs"]
mod make;
#[path = "common/program.rs"]
#[expect(dead_code, reason = "the server's tests need more of a program")]
mod program;

/// The page about the whole library; every other one of section 3 is about functions.
const OVERVIEW: &str = "libchatserver.3";
const SERVER: &str = "chatserver.1";

/// The pages of other projects that ours lead to.
const OTHERS: &[&str] = &[
    "accept 2",
    "close 2",
    "free 3",
    "malloc 3",
    "nc 1",
    "read 2",
    "sd_listen_fds 3",
    "sd_notify 3",
    "select 2",
    "select_tut 2",
    "sendmsg 2",
    "stdio 3",
    "telnet 1",
    "writev 2",
];

/// A page of the manual, in mdoc(7).
struct Page {
    file: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn all_pages() -> Vec<Page> {
    let entries = fs::read_dir(root().join("man")).expect("man/ is there");
    let page = |path: PathBuf| Page {
        file: path.file_name().expect("a file").to_string_lossy().into_owned(),
        text: fs::read_to_string(&path).expect("a page is text"),
    };
    let mut pages: Vec<_> = entries.map(|entry| page(entry.expect("an entry").path())).collect();
    pages.sort_by(|one, other| one.file.cmp(&other.file));
    pages
}

/// The pages that are more than another name for one.
fn pages() -> Vec<Page> {
    all_pages().into_iter().filter(|page| page.other_name_for().is_none()).collect()
}

fn page(file: &str) -> Page {
    all_pages().into_iter().find(|page| page.file == file).expect("the page is there")
}

impl Page {
    /// The page that this one only leads to.
    fn other_name_for(&self) -> Option<&str> {
        self.text.strip_prefix(".so man3/").map(str::trim_end)
    }

    /// The lines of a section; none where the page does not have it.
    fn section(&self, title: &str) -> Vec<&str> {
        let mut lines = self.text.lines();
        lines.by_ref().find(|line| line.strip_prefix(".Sh ") == Some(title));
        lines.take_while(|line| !line.starts_with(".Sh ")).collect()
    }

    /// What is called by `macro_name` in a section.
    fn called<'a>(&'a self, section: &str, macro_name: &str) -> BTreeSet<&'a str> {
        let arguments = |line: &'a str| line.strip_prefix(macro_name)?.split(' ').nth(1);
        self.section(section).into_iter().filter_map(arguments).collect()
    }

    /// The functions that the page is about.
    fn functions(&self) -> BTreeSet<&str> {
        self.called("NAME", ".Nm")
    }

    /// The literal displays of a section.
    fn literals(&self, section: &str) -> Vec<String> {
        let mut literals = Vec::new();
        let mut lines = self.section(section).into_iter();
        while lines.by_ref().any(|line| line.starts_with(".Bd -literal")) {
            let inside = lines.by_ref().take_while(|line| *line != ".Ed");
            literals.push(inside.map(|line| line.replace(r"\e", r"\") + "\n").collect());
        }
        literals
    }

    /// The prototypes of the synopsis, each with the header that it stands under.
    fn prototypes(&self) -> BTreeSet<(String, String)> {
        let (mut header, mut returned) = ("", "");
        let mut prototypes = BTreeSet::new();
        for line in self.section("SYNOPSIS") {
            if let Some(name) = line.strip_prefix(".In ") {
                header = name;
            } else if let Some(name) = line.strip_prefix(".Ft ") {
                returned = name;
            } else if let Some(function) = line.strip_prefix(".Fn ") {
                let (name, arguments) = function.split_once(' ').expect("arguments");
                let arguments = arguments.replace("\" \"", ", ").replace('"', "");
                let space = if returned.ends_with('*') { "" } else { " " };
                let prototype = format!("{returned}{space}{name}({arguments});");
                prototypes.insert((header.to_owned(), prototype));
            }
        }
        prototypes
    }
}

/// What is written of errors in a comment.
fn errors(comment: &str) -> BTreeSet<&str> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.len() > 3 && word.starts_with('E') && is_capital(word)).collect()
}

fn is_capital(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// What a header says right before a prototype.
fn comment_on(prototype: &str) -> &'static str {
    let header = HEADERS.iter().find(|(_, header)| header.contains(prototype));
    let (before, _) = header.expect("it is declared").1.split_once(prototype).expect("likewise");
    before.rsplit("/**").next().expect("a comment")
}

/// C without its comments, and with one space wherever there is any.
fn squeeze(source: &str) -> String {
    let parts = source.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, c)| c));
    parts.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn mandoc_has_nothing_to_say() {
    if !is_installed("mandoc") {
        return skip("no mandoc");
    }
    let mut mandoc = Command::new("mandoc");
    mandoc.args(["-T", "lint", "-W", "style"]).current_dir(root().join("man"));
    let output = mandoc.args(pages().iter().map(|page| &page.file)).output();
    let said = String::from_utf8(output.expect("it can be run").stdout).expect("text");
    // Which manuals this machine has is not the pages' business.
    let about_us: Vec<_> =
        said.lines().filter(|line| !line.contains("referenced manual not found")).collect();
    assert!(about_us.is_empty(), "{}", about_us.join("\n"));
}

/// Nothing that is shown as it is typed runs over the edge of a terminal.
#[test]
fn literals_fit_into_eighty_columns() {
    for page in pages() {
        for section in ["DESCRIPTION", "EXAMPLES", "DIAGNOSTICS"] {
            for literal in page.literals(section) {
                let indent = if section == "EXAMPLES" { 5 } else { 11 };
                for line in literal.lines().map(|line| line.replace('\t', "        ")) {
                    assert!(indent + line.len() <= 80, "{}: too long: {line}", page.file);
                }
            }
        }
    }
}

#[test]
fn every_function_has_a_page_and_every_page_a_function() {
    let prototypes = HEADERS.iter().flat_map(|(_, header)| headers::prototypes(header));
    let declared: BTreeSet<_> = prototypes.map(headers::name).collect();
    let pages = all_pages();
    let files = pages.iter().filter(|page| ![OVERVIEW, SERVER].contains(&page.file.as_str()));
    let names: BTreeSet<_> = files.map(|page| page.file.trim_end_matches(".3")).collect();
    assert_eq!(names, declared);
    let overview = page(OVERVIEW);
    for name in names {
        let own = page(&format!("{name}.3"));
        let leads_to = own.other_name_for().map(page);
        assert!(leads_to.unwrap_or(own).functions().contains(name), "{name} is not in its page");
        assert!(overview.text.contains(&format!("Xr {name} 3")), "{name} is not in {OVERVIEW}");
    }
}

#[test]
fn synopses_are_what_the_headers_declare() {
    let declared: BTreeSet<_> = HEADERS
        .iter()
        .flat_map(|(name, header)| {
            headers::prototypes(header).map(|prototype| (name.to_string(), prototype.to_owned()))
        })
        .collect();
    let shown: BTreeSet<_> = pages().iter().flat_map(Page::prototypes).collect();
    assert_eq!(shown, declared);
    for page in pages().iter().filter(|page| page.file.ends_with(".3") && page.file != OVERVIEW) {
        let prototypes = page.prototypes();
        let shown: BTreeSet<_> = prototypes.iter().map(|(_, text)| headers::name(text)).collect();
        assert_eq!(shown, page.functions(), "{}", page.file);
    }
}

#[test]
fn errors_are_those_of_the_headers() {
    let mut all = BTreeSet::new();
    for page in pages().iter().filter(|page| page.file.ends_with(".3") && page.file != OVERVIEW) {
        let prototypes = page.prototypes();
        let returns = prototypes.iter().filter_map(|(_, text)| comment_on(text).split_once("@ret"));
        let declared: BTreeSet<_> = returns.flat_map(|(_, text)| errors(text)).collect();
        assert_eq!(page.called("ERRORS", ".It Bq Er"), declared, "{}", page.file);
        all.extend(declared);
    }
    let overview = page(OVERVIEW);
    let listed = &overview.called("ERRORS", ".It Bq Er") | &overview.called("ERRORS", ".Er");
    assert_eq!(listed, all, "{OVERVIEW}");
}

#[test]
fn structs_are_those_of_the_headers() {
    let declarations = HEADERS.map(|(_, header)| squeeze(header));
    let shown: BTreeSet<_> = pages()
        .iter()
        .flat_map(|page| page.literals("DESCRIPTION"))
        .filter(|literal| literal.starts_with("struct "))
        .collect();
    assert_eq!(shown.len(), 4);
    for literal in shown {
        let is_declared = declarations.iter().any(|text| text.contains(&squeeze(&literal)));
        assert!(is_declared, "not so in a header: {literal}");
    }
}

#[test]
fn references_lead_somewhere() {
    for page in pages() {
        for line in page.text.lines().filter(|line| line.contains("Xr ")) {
            let (_, reference) = line.split_once("Xr ").expect("just seen");
            let mut words = reference.split(' ');
            let (name, section) = (words.next().expect("name"), words.next().expect("section"));
            let is_ours = root().join(format!("man/{name}.{section}")).exists();
            let is_known = OTHERS.contains(&format!("{name} {section}").as_str());
            assert!(is_ours != is_known, "{}: {line}", page.file);
        }
    }
}

/// The options with their arguments, as `--help` lists them.
#[test]
fn options_are_those_of_help() {
    make::all();
    let help = Command::new(root().join("server")).arg("--help").output().expect("it can be run");
    let help = String::from_utf8(help.stdout).expect("text");
    let listed = help.lines().filter_map(|line| line.strip_prefix("  --"));
    let listed: BTreeSet<_> =
        listed.map(|line| line.split("  ").next().expect("an option").to_owned()).collect();
    assert!(listed.contains("bind ADDRESS"), "{help}");

    let page = page(SERVER);
    let options = |section: &str, mark: &str| -> BTreeSet<String> {
        let lines = page.section(section).into_iter();
        let options = lines.filter_map(|line| line.split_once(mark).map(|(_, option)| option));
        options.map(|option| option.replace("Ar ", "")).collect()
    };
    assert_eq!(options("DESCRIPTION", ".It Fl -"), listed);
    assert_eq!(options("SYNOPSIS", "Fl -"), listed);
}

/// All that the server is made of.
fn server_sources() -> String {
    let folder = root().join("src/server");
    let files = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("one").path());
    files.map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// What the server logs stands in the page, and nothing else does.
#[test]
fn diagnostics_are_those_of_the_server() {
    let sources = server_sources();
    // The first literal of a call is what has happened, the second why.
    let calls = ["log_about(", "log_line("].map(|name| sources.split(name).skip(1));
    let calls = calls.into_iter().flatten().filter_map(|call| call.split_once(';'));
    let logged: BTreeSet<_> = calls
        .filter_map(|(call, _)| call.split('"').nth(1))
        // The definition of one has this for an address that nobody knows.
        .filter(|literal| *literal != "?")
        .collect();
    assert!(logged.contains("cut off"), "{logged:?}");

    let page = page(SERVER);
    let section = page.section("DIAGNOSTICS");
    let list = section.iter().skip_while(|line| **line != ".Bl -diag");
    let items = list.take_while(|line| **line != ".El");
    let listed: BTreeSet<_> = items
        .filter_map(|line| line.strip_prefix(".It \"")?.split_once(':').map(|(what, _)| what))
        .collect();
    assert_eq!(listed, logged);
}

/// The server formats each of them as `name=%...`.
#[test]
fn figures_are_those_of_the_server() {
    let sources = server_sources();
    let mut pieces: Vec<_> = sources.split("=%").collect();
    pieces.pop();
    let told: BTreeSet<_> =
        pieces.iter().filter_map(|piece| piece.rsplit([' ', '"']).next()).collect();
    assert_eq!(page(SERVER).called("DESCRIPTION", ".It Cm"), told);
}

#[test]
fn variables_are_those_of_the_server() {
    let sources = server_sources();
    let calls = sources.split("getenv(\"").skip(1);
    let used: BTreeSet<_> = calls.filter_map(|call| call.split('"').next()).collect();
    let page = page(SERVER);
    let section = page.section("ENVIRONMENT");
    let lines = section.iter().filter_map(|line| line.strip_prefix(".It Ev "));
    let told: BTreeSet<_> = lines.flat_map(|names| names.split(" , ")).collect();
    // The C library looks at this one.
    assert_eq!(&told - &BTreeSet::from(["TZ"]), used);
}

/// Runs the command lines of an example as its reader does, with the library and the server
/// installed: `library` is the one that is found by the linker.
struct Reader {
    folder: PathBuf,
    library: &'static str,
}

impl Reader {
    fn new(page: &Page, library: &'static str) -> Self {
        let folder = example::folder(&format!("{}/{library}", page.file));
        fs::create_dir(folder.join("lib")).expect("a fresh folder");
        fs::create_dir(folder.join("bin")).expect("a fresh folder");
        symlink(root().join("build").join(library), folder.join("lib").join(library))
            .expect("a link to the library");
        symlink(root().join("server"), folder.join("bin/chatserver"))
            .expect("a link to the server");
        Self { folder, library }
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = shell(line, &self.folder);
        let path = std::env::var("PATH").expect("there is one");
        command
            .env("C_INCLUDE_PATH", root().join("include"))
            .env("LIBRARY_PATH", self.folder.join("lib"))
            .env("LD_RUN_PATH", root().join("build"))
            .env("PATH", format!("{}/bin:{path}", self.folder.display()));
        command
    }

    /// Builds and runs a program by the commands that are shown after it.
    fn tries(&self, program: &str, session: &str) {
        assert!(program.starts_with("#include"), "no program: {program}");
        let commands = commands(session);
        let (build, _) = commands.first().expect("a command");
        let source = build.split(' ').find(|word| word.ends_with(".c")).expect("a source");
        fs::write(self.folder.join(source), program).expect("a file can be written");
        assert!(commands.len() > 1, "built and not run: {build}");
        for (line, shown) in &commands {
            if line.contains(example::PORT) {
                let room = Room::open(line, |line| self.shell(line));
                room.shows(shown);
                room.relays();
            } else {
                answers(self.shell(line), shown);
            }
        }
        println!("{} with {}", self.folder.display(), self.library);
    }
}

#[test]
fn programs_work_as_shown_linked_either_way() {
    make::all();
    for page in pages().iter().filter(|page| page.file.ends_with(".3")) {
        let examples = page.literals("EXAMPLES");
        assert!(!examples.is_empty(), "{} has no example", page.file);
        for library in ["libchatserver.a", "libchatserver.so"] {
            let reader = Reader::new(page, library);
            for pair in examples.chunks(2) {
                let [program, session] = pair else { panic!("never built: {pair:?}") };
                reader.tries(program, session);
            }
        }
    }
}

/// One program is enough to keep sound: that of the page is examples/chat.c, but for comments and
/// where lines end.
#[test]
fn the_overview_shows_the_smallest_server() {
    let source = fs::read_to_string(root().join("examples/chat.c")).expect("it is there");
    let source = source.replace("\"chatServerExt.h\"", "<chatServerExt.h>");
    assert_eq!(squeeze(&page(OVERVIEW).literals("EXAMPLES")[0]), squeeze(&source));
}

#[test]
fn the_server_works_as_shown() {
    make::all();
    let page = page(SERVER);
    let reader = Reader::new(&page, "libchatserver.a");
    let examples = page.literals("EXAMPLES");
    let [open, speak, private, version] = &examples[..] else {
        panic!("an example that nothing tries: {examples:?}")
    };

    let (line, shown) = &commands(open)[0];
    let room = Room::open(line, |line| reader.shell(line));
    room.shows(shown);
    let listener = room.enter();
    room.shows("New incoming connection on sd 4");
    if is_installed("nc") {
        let (line, shown) = &commands(speak)[0];
        let line = line.replace(example::PORT, &room.port.to_string());
        answers(reader.shell(&line), shown);
        let mut heard = String::new();
        BufReader::new(listener).read_line(&mut heard).expect("a line comes");
        assert_eq!(heard, "hello\n");
    } else {
        skip("no nc");
    }
    room.interrupt();
    room.shows("...\nremoving connection with sd 4");

    let (line, shown) = &commands(private)[0];
    assert_eq!(shown, "");
    Room::open(line, |line| reader.shell(line)).relays();

    let (line, shown) = &commands(version)[0];
    answers(reader.shell(line), shown);
}
