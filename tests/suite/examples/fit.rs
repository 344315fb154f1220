//! Programs in the styles of examples/moving/fit.md chat before and after the change that it gives,
//! and examples/moving/check.sh finds each style before and none after.

use super::moving::{blocks, chat_in_lines};
use crate::common::example::folder;
use crate::common::folders::root;
use crate::common::installed::{is_installed, skip};
use crate::common::make;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const NOTHING: &str = "Nothing found that keeps this program from running on the library.\n";

/// How a program comes to have a style.
enum Style {
    /// It is a difference from examples/moving/before.
    Diff,
    /// The change that takes the style away also brings it in.
    Exchange,
}

/// The program of examples/moving/before in a style, and without it on the library.
struct Program {
    top: PathBuf,
    here: PathBuf,
}

impl Program {
    /// A copy of the program in a folder of its own, beside what fit.md and README.md refer to;
    /// `None` where a tool is missing.
    fn copy(name: &str) -> Option<Self> {
        for tool in ["cc", "patch"] {
            if !is_installed(tool) {
                skip(&format!("no {tool}"));
                return None;
            }
        }
        make::all();
        let top = folder(&format!("fit/{name}"));
        for name in ["build", "include"] {
            symlink(root().join(name), top.join(name)).expect("a link to what is used");
        }
        let here = top.join("examples/moving/moved");
        fs::create_dir_all(&here).expect("a folder");
        for name in ["chatServer.c", "chatServer.h"] {
            let original = root().join("examples/moving/before").join(name);
            fs::copy(original, here.join(name)).expect("it can be copied");
        }
        Some(Self { top, here })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.join(name)
    }

    fn run(&self, commands: &str) {
        let output = sh(commands, &self.here);
        assert!(output.status.success(), "{}\n{commands}", printed(&output));
    }

    fn patch(&self, diff: &str) {
        self.run(&format!("patch -F0 -s <<'END'\n{diff}END\n"));
    }

    /// Applies a block of a document.
    fn change(&self, (language, block): (&str, &str)) {
        match language {
            "diff" => self.patch(block),
            "sh" => self.run(block),
            other => panic!("a block of {other}"),
        }
    }

    fn build_alone(&self) -> PathBuf {
        self.run("cc -o ../../../before chatServer.c");
        self.path("before")
    }

    /// Takes the first step of README.md, but does not build yet.
    fn delete_functions(&self) {
        let text = read("examples/moving/README.md");
        let (_, step) = blocks(&text)[1];
        let deletes = |line: &&str| !line.starts_with("cc ");
        self.run(&step.lines().filter(deletes).collect::<Vec<_>>().join("\n"));
    }

    fn build_on_library(&self) -> PathBuf {
        self.run(
            "cc -I../../../include -o ../../../after chatServer.c \
            ../../../build/libchatserver.a",
        );
        self.path("after")
    }

    fn check(&self) -> (String, Option<i32>) {
        check("chatServer.c", &self.here)
    }
}

/// Runs commands, with warnings as errors.
fn sh(commands: &str, folder: &Path) -> Output {
    let script = format!("set -e\ncc() {{ command cc -Wall -Wextra -Werror \"$@\"; }}\n{commands}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder).output().expect("sh can be run")
}

fn printed(output: &Output) -> String {
    (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
}

/// What check.sh prints, and its status.
fn check(files: &str, folder: &Path) -> (String, Option<i32>) {
    let script = root().join("examples/moving/check.sh");
    let output = sh(&format!("sh {} {files}", script.display()), folder);
    (printed(&output), output.status.code())
}

fn read(name: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(name)).expect("it is there")
}

/// The block below a heading of fit.md.
fn change_for(title: &str) -> (String, String) {
    let text = read("examples/moving/fit.md");
    let (_, section) = text.split_once(&format!("\n## {title}\n")).expect("it has a section");
    let section = section.split("\n## ").next().expect("at least nothing");
    let [(language, block)] = blocks(section)[..] else { panic!("{title}: no single block") };
    (language.to_owned(), block.to_owned())
}

/// The lines of a transcript in any order: a list in another order is taken down in another one.
fn in_any_order(transcript: &str) -> Vec<&str> {
    let mut lines: Vec<_> = transcript.lines().collect();
    lines.sort_unstable();
    lines
}

/// Checks a style, of which check.sh says this. Valgrind complains of the program as it was, where
/// that is not sound.
fn fits(title: &str, style: Style, said: &str, sound: bool) {
    let name = title.to_lowercase().replace(' ', "-");
    let Some(program) = Program::copy(&name) else { return };
    let (language, block) = change_for(title);
    let change = (language.as_str(), block.as_str());
    match style {
        Style::Diff => program.patch(&read(format!("tests/suite/examples/styles/{name}.diff"))),
        Style::Exchange => program.change(change),
    }
    let (found, status) = program.check();
    assert!(found.contains(said) && status == Some(1), "{found}");
    let before = program.build_alone();
    program.delete_functions();
    program.change(change);
    assert_eq!(program.check(), (NOTHING.to_owned(), Some(0)));
    let transcript = chat_in_lines(&program.build_on_library());
    if sound || env::var_os("EXAMPLE_RUNNER").is_none() {
        assert_eq!(in_any_order(&chat_in_lines(&before)), in_any_order(&transcript));
    }
}

#[test]
fn a_program_with_its_sets_exchanged_chats() {
    fits("The sets exchanged", Style::Exchange, "c:194: select writes into read_set", true);
}

#[test]
fn a_program_with_maxfd_plus_one_chats() {
    let said = "c:194: maxfd is taken for the highest descriptor plus one";
    fits("maxfd plus one", Style::Diff, said, true);
}

#[test]
fn a_program_that_adds_messages_for_one_recipient_chats() {
    let said = "c:215: The descriptor that add_msg gets is the recipient";
    fits("One recipient", Style::Diff, said, true);
}

#[test]
fn a_program_with_the_newest_first_chats() {
    let said = "c:204: The newest connection is expected at conn_head";
    fits("Newest first", Style::Diff, said, true);
}

#[test]
fn a_program_with_a_header_of_its_own_chats() {
    let said = "h:15: Who includes this header gets this as well.\n\t#define BACKLOG 5\n";
    fits("A header of its own", Style::Diff, said, true);
}

#[test]
fn a_program_with_a_removal_line_of_its_own_chats() {
    let said = "c:214: remove_conn prints such a line, too";
    fits("A removal line of its own", Style::Diff, said, true);
}

#[test]
fn a_program_with_its_list_in_a_ring_chats() {
    let said = "c:225: The list is a ring, or has a head that is no connection";
    fits("A ring", Style::Diff, said, true);
}

#[test]
fn a_program_that_uses_what_it_has_removed_chats() {
    let said = "c:230: What remove_conn has freed is used afterwards";
    fits("Use after removal", Style::Diff, said, false);
}

/// The tests above are all that fit.md has a change for.
#[test]
fn no_style_is_forgotten() {
    let differences = fs::read_dir(root().join("tests/suite/examples/styles"));
    let differences = differences.expect("it is there").count();
    assert_eq!(blocks(&read("examples/moving/fit.md")).len(), differences + 1);
    let tests = read("tests/suite/examples/fit.rs").matches("\n    fits(").count();
    assert_eq!(tests, differences + 1);
}

#[test]
fn a_function_left_behind_is_found_by_the_archive_alone() {
    let Some(program) = Program::copy("its-own-functions") else { return };
    program.delete_functions();
    let left = "int add_conn(int sd, conn_pool_t *pool)\n{\n\treturn pool == NULL ? -1 : sd;\n}\n";
    program.run(&format!("cat >>chatServer.c <<'END'\n{left}END"));
    let (found, status) = program.check();
    assert!(
        found.contains("c:107: The program has its own add_conn.\n") && status == Some(1),
        "{found}"
    );
    let link = "cc -I../../../include chatServer.c ../../../build/libchatserver";
    let output = sh(&format!("{link}.a"), &program.here);
    let said = printed(&output);
    assert!(said.contains("add_conn") && !output.status.success(), "{said}");
    program.run(&format!("{link}.so"));
}

#[test]
fn the_check_finds_nothing_in_the_examples() {
    let files = "*.c *.cpp functions/*.c moving/after/*.c";
    assert_eq!(check(files, &root().join("examples")), (NOTHING.to_owned(), Some(0)));
}

#[test]
fn the_check_reads_code_and_neither_comments_nor_strings() {
    let code = r#"#include <stdio.h> /* a comment
of more than one line: select(pool->maxfd, { */
#define FD_SETSIZE 4096
#define MACRO \
	select(pool->maxfd, {
static void serve(conn_pool_t *pool) // don't: {
{
	char *text = "\"select(pool->maxfd, {", brace = '{', quote = '\'', quotes = '"';
	select( pool -> maxfd
		, &pool->ready_read_set, &pool->ready_write_set, NULL, NULL);
	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		if (conn->fd == sd) {
			remove_conn(conn->fd, pool);
			break;
		}
	}
	for (conn = pool->conn_head; conn != NULL; conn = next) {
		next = conn->next;
		if (FD_ISSET(conn->fd, &pool->ready_read_set))
			add_msg(conn->fd, buffer, (int)read(conn->fd, buffer, 1), pool);
		else
			remove_conn(conn->fd, pool);
	}
	for (conn = pool->conn_head; conn != NULL; conn = conn->next)
		remove_conn(conn->fd, pool);
	conn = (conn_t *) malloc (sizeof (conn_t));
}
"#;
    let folder = folder("fit/code");
    fs::write(folder.join("code.c"), code).expect("a file can be written");
    let (found, _) = check("code.c", &folder);
    let places: Vec<_> = found.lines().filter(|line| line.starts_with("code.c")).collect();
    assert_eq!(
        places,
        [
            "code.c:3: The program has an FD_SETSIZE of its own.",
            "code.c:9: maxfd is taken for the highest descriptor plus one.",
            "code.c:24: What remove_conn has freed is used afterwards.",
            "code.c:26: The program makes a connection or a message itself.",
        ]
    );
}

#[test]
fn the_check_names_a_file_that_it_cannot_read() {
    for (files, said) in [("", "usage: "), ("chat.c missing.c", "cannot read missing.c")] {
        let (printed, status) = check(files, &root().join("examples"));
        assert!(printed.contains(said) && status == Some(2), "{printed}");
    }
}
