//! The steps of examples/moving/README.md turn an existing chatServer.c into one with the library.

use super::programs::under_runner;
use super::room::{Room, burst, ended};
use crate::common::client::Client;
use crate::common::folders::root;
use crate::common::installed::{is_installed, skip};
use crate::common::make;
use libc::SIGINT;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The blocks of code in a text, each with its language.
pub(crate) fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.map(|part| part.split_once('\n').expect("a block has a language")).collect()
}

/// The steps of examples/moving/README.md as one script, and their number. The program built by
/// each step is kept as chat-0, chat-1 and so on.
fn moving_script(text: &str) -> (String, usize) {
    let mut script = String::from("set -e\ncc() { command cc -Wall -Wextra -Werror \"$@\"; }\n");
    let mut build = "";
    let blocks = blocks(text);
    for (step, (language, block)) in blocks.iter().enumerate() {
        match *language {
            "sh" => script += block,
            "diff" => {
                script += &format!("patch -F0 -s chatServer.c <<'END'\n{block}END\n{build}\n")
            }
            other => panic!("a block of {other}"),
        }
        build = block.lines().find(|line| line.starts_with("cc ")).unwrap_or(build);
        script += &format!("mv chat ../chat-{step}\n");
    }
    (script, blocks.len())
}

/// The original program, and the one after each step.
fn moved() -> Option<&'static [PathBuf]> {
    static MOVED: LazyLock<Option<Vec<PathBuf>>> = LazyLock::new(follow_the_steps);
    MOVED.as_deref()
}

/// Follows examples/moving/README.md in a folder of its own.
fn follow_the_steps() -> Option<Vec<PathBuf>> {
    for tool in ["cc", "patch"] {
        if !is_installed(tool) {
            skip(&format!("no {tool}"));
            return None;
        }
    }
    make::all();
    let top = root().join("build/examples/top");
    let here = top.join("examples/moving");
    // An earlier run may have left it.
    let _ = fs::remove_dir_all(&top);
    fs::create_dir_all(&here).expect("a folder");
    for name in ["build", "include"] {
        symlink(root().join(name), top.join(name)).expect("a link to what is used");
    }
    let original = root().join("examples/moving");
    fs::create_dir(here.join("before")).expect("a folder");
    for name in ["chatServer.c", "chatServer.h"] {
        let name = Path::new("before").join(name);
        fs::copy(original.join(&name), here.join(&name)).expect("it can be copied");
    }
    let text = fs::read_to_string(original.join("README.md")).expect("it is there");
    let (script, programs) = moving_script(&text);
    let output = Command::new("sh").args(["-c", &script]).current_dir(&here).output();
    let output = output.expect("sh can be run");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{script}");
    let result = fs::read_to_string(here.join("moved/chatServer.c")).expect("it is there");
    let after = fs::read_to_string(original.join("after/chatServer.c")).expect("it is there");
    assert_eq!(result, after, "the steps do not lead to after/");
    Some((0..programs).map(|step| here.join(format!("chat-{step}"))).collect())
}

/// A chat server that prints a transcript, and the part of it about its clients.
struct Transcribed {
    room: Room,
    text: String,
}

impl Transcribed {
    fn open(program: &Path) -> Self {
        let room = Room::start(under_runner(program));
        room.program.until(|line| line.starts_with("MaxFd "));
        Self { room, text: String::new() }
    }

    /// Reads on to a line that begins like this.
    fn until(&mut self, start: &str) {
        let printed = self.room.program.until(|line| line.contains(start));
        self.keep(&printed);
    }

    /// Drops the lines about select(), whose number depends on timing.
    fn keep(&mut self, printed: &str) {
        let is_kept = |line: &&str| !line.starts_with("Waiting") && !line.starts_with("MaxFd");
        self.text.extend(printed.split_inclusive('\n').filter(is_kept));
    }

    fn join(&mut self) -> Client {
        let client = self.room.visitor();
        self.until("New incoming");
        client
    }

    fn says(&mut self, client: &Client, text: &str) {
        client.say(text);
        self.until("bytes received");
    }

    /// Ends it, and returns its transcript. Such a program misses a signal that comes between its
    /// check of the flag and select(), so it may take more than one.
    fn end(mut self) -> String {
        loop {
            self.room.program.signal(SIGINT);
            match self.room.program.transcript.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => self.keep(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let ended = ended(self.room.program);
        assert_eq!((ended.status.code(), ended.complaints.as_str()), (Some(0), ""));
        self.text
    }
}

/// Checks a chat in whole lines to the byte, and returns the transcript.
pub(crate) fn chat_in_lines(program: &Path) -> String {
    let mut server = Transcribed::open(program);
    let [one, two, three] = [server.join(), server.join(), server.join()];
    server.says(&one, "hello\n");
    two.expect("hello\n");
    three.expect("hello\n");
    server.says(&three, "two lines\nat a time\n");
    one.expect("two lines\nat a time\n");
    two.expect("two lines\nat a time\n");
    drop(two);
    server.until("removing connection");
    let four = server.join();
    server.says(&one, "welcome\n");
    three.expect("welcome\n");
    four.expect("welcome\n");
    server.says(&four, "thank you\n");
    one.expect("thank you\n");
    three.expect("thank you\n");
    let text = server.end();
    for client in [one, three, four] {
        client.expect_end();
    }
    text
}

/// What a client receives when two others send, one in the middle of the other's line.
fn heard_of_two(program: &Path) -> Vec<u8> {
    let mut server = Transcribed::open(program);
    let [one, two, listener] = [server.join(), server.join(), server.join()];
    server.says(&one, "half of ");
    server.says(&two, "a whole line\n");
    server.says(&one, "a line\n");
    let heard = listener.hear("half of a whole line\na line\n".len());
    server.end();
    heard
}

#[test]
fn the_same_chat_goes_through_before_and_after_and_every_step_between() {
    let Some(programs) = moved() else { return };
    assert_eq!(programs.len(), 5, "before, and four steps");
    let before = chat_in_lines(&programs[0]);
    assert_eq!(
        before,
        "New incoming connection on sd 4\nNew incoming connection on sd 5\n\
         New incoming connection on sd 6\n\
         Descriptor 4 is readable\n6 bytes received from sd 4\n\
         Descriptor 6 is readable\n20 bytes received from sd 6\n\
         Descriptor 5 is readable\nConnection closed for sd 5\nremoving connection with sd 5 \n\
         New incoming connection on sd 5\n\
         Descriptor 4 is readable\n8 bytes received from sd 4\n\
         Descriptor 5 is readable\n10 bytes received from sd 5\n\
         removing connection with sd 4 \nremoving connection with sd 6 \n\
         removing connection with sd 5 \n"
    );
    for (step, program) in programs.iter().enumerate().skip(1) {
        assert_eq!(chat_in_lines(program), before, "after step {step}");
    }
    for (step, program) in programs.iter().enumerate() {
        let wanted: &[u8] = match step {
            0..=2 => b"half of a whole line\na line\n",
            _ => b"a whole line\nhalf of a line\n",
        };
        assert_eq!(heard_of_two(program), wanted, "after step {step}");
    }
}

#[test]
fn after_the_first_step_nobody_keeps_the_others_from_chatting() {
    let Some(programs) = moved() else { return };
    for program in &programs[1..] {
        let mut server = Transcribed::open(program);
        let [talker, listener, stalled, leaves] =
            [server.join(), server.join(), server.join(), server.join()];
        let burst = burst();
        talker.say(&burst);
        leaves.reset();
        listener.expect(&burst);
        talker.say("still here\n");
        listener.expect("still here\n");
        drop(stalled);
        server.end();
    }
}
