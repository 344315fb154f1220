//! The talker, with clients of the test's own and with those that people use.

use super::programs::built;
use super::room::Room;
use crate::common::child::{PATIENCE, lines_of};
use crate::common::client::Client;
use crate::common::installed::{is_installed, skip};
use libc::SIGTERM;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

/// A newcomer who has taken a name, and heard so.
fn enter(room: &Room, name: &str) -> Client {
    let client = room.visitor();
    client.say(format!("/nick {name}\n"));
    let heard = client.hear_until(format!(" is now {name}.\n").as_bytes());
    let heard = String::from_utf8(heard).expect("text");
    let (greeting, others) = heard.split_once('\n').expect("a greeting");
    let given = greeting.strip_prefix("* Welcome, ").expect("it is the first line");
    let given = given.strip_suffix(". There are /nick NAME and /who.").expect("it names both");
    assert!(others.ends_with(&format!("* {given} is now {name}.\n")), "{heard}");
    client
}

/// Three people who have heard each other enter.
fn crowd(room: &Room) -> [Client; 3] {
    let anna = enter(room, "anna");
    let bert = enter(room, "bert");
    anna.hear_until(b" is now bert.\n");
    let carl = enter(room, "carl");
    anna.hear_until(b" is now carl.\n");
    bert.hear_until(b" is now carl.\n");
    [anna, bert, carl]
}

/// Ends the talker, which must have nothing to complain of.
fn end<const COUNT: usize>(room: Room, clients: [Client; COUNT]) {
    let ended = room.end_by(SIGTERM);
    assert_eq!((ended.status.code(), ended.complaints.as_str()), (Some(0), ""));
    clients.iter().for_each(Client::expect_end);
}

#[test]
fn the_talker_chats_in_lines_with_names() {
    for command in built("talker") {
        let room = Room::open(command);
        let [anna, bert, carl] = crowd(&room);
        anna.say("hello\n");
        bert.expect("anna: hello\n");
        carl.expect("anna: hello\n");
        anna.say("half of ");
        bert.say("a whole line\r\n\nand one more\n");
        anna.expect("bert: a whole line\nbert: and one more\n");
        carl.expect("bert: a whole line\nbert: and one more\n");
        anna.say("a line\n");
        bert.expect("anna: half of a line\n");
        carl.expect("anna: half of a line\n");
        carl.say("last words");
        drop(carl);
        anna.expect("carl: last words\n* carl has left.\n");
        bert.expect("carl: last words\n* carl has left.\n");
        bert.reset();
        anna.expect("* bert has left.\n");
        end(room, [anna]);
    }
}

#[test]
fn the_talker_chats_with_a_reader_who_is_slow() {
    for command in built("talker") {
        let room = Room::open(command);
        let [anna, bert, carl] = crowd(&room);
        // More than the kernel holds for a reader, and less than the library queues.
        let burst = format!("{}\n", "a line for a queue ".repeat(10)).repeat(35_000);
        anna.say(&burst);
        let wanted: String = burst.lines().map(|line| format!("anna: {line}\n")).collect();
        bert.expect(&wanted);
        anna.say("still here\n");
        bert.expect("anna: still here\n");
        drop(carl);
        anna.expect("* carl has left.\n");
        bert.expect("* carl has left.\n");
        end(room, [anna, bert]);
    }
}

#[test]
fn the_talker_chats_safely_whatever_comes() {
    for command in built("talker") {
        let room = Room::open(command);
        let [anna, bert, carl] = crowd(&room);
        anna.say("clear\x1b[2J\x07\ta\0b\x7f\rüber\n");
        bert.expect("anna: clear?[2J?\ta?b??über\n");
        let long = "x".repeat(65_536);
        anna.say(format!("{long}yz\n"));
        bert.expect(format!("anna: {long}\nanna: yz\n"));
        carl.say([0xfe, 0x80, b'\n']);
        bert.expect(b"carl: \xfe\x80\n");
        end(room, [bert]);
    }
}

#[test]
fn the_talker_chats_under_names_that_nobody_else_has() {
    for command in built("talker") {
        let room = Room::open(command);
        let [anna, bert, carl] = crowd(&room);
        bert.say("/who\n");
        bert.expect("* anna\n* bert (you)\n* carl\n");
        bert.say("/nick anna\n");
        bert.expect("* The name anna is taken.\n");
        let sixteen = "b".repeat(16);
        for name in ["", "two words", "user:4", "b\x1b[2J", "b\0", "bärt", " bert", &sixteen] {
            bert.say(format!("/nick {name}\n"));
            bert.expect("* A name has 1 to 15 letters, digits, - and _.\n");
        }
        for command in ["/", "/nick", "/who?", "/quit"] {
            bert.say(format!("{command}\n"));
            bert.expect("* There are /nick NAME and /who.\n");
        }
        bert.say("/nick B-ert_3456789abc\r\n");
        bert.expect("* A name has 1 to 15 letters, digits, - and _.\n");
        bert.say("/nick B-ert_3456789a\r\n");
        for client in [&anna, &bert, &carl] {
            client.expect("* bert is now B-ert_3456789a.\n");
        }
        end(room, [anna, bert, carl]);
    }
}

/// The commands of telnet, by their numbers.
const DO_TIMING_MARK: [u8; 3] = [255, 253, 6];
const WONT_TIMING_MARK: [u8; 3] = [255, 252, 6];
const WILL_BINARY: [u8; 3] = [255, 251, 0];
const DONT_BINARY: [u8; 3] = [255, 254, 0];
const DONT_ECHO: [u8; 3] = [255, 254, 1];
const INTERRUPT: [u8; 2] = [255, 244];

#[test]
fn the_talker_chats_around_commands_of_telnet() {
    for command in built("talker") {
        let room = Room::open(command);
        let [anna, bert, _carl] = crowd(&room);
        anna.say([&INTERRUPT[..], &DO_TIMING_MARK].concat());
        anna.expect(WONT_TIMING_MARK);
        anna.say([b"te", &WILL_BINARY[..], b"ln", &DONT_ECHO[..], &WILL_BINARY[..2]].concat());
        anna.expect(DONT_BINARY);
        anna.say(b"\0et\r\n");
        anna.expect(DONT_BINARY);
        bert.expect("anna: telnet\n");
        end(room, [bert]);
    }
}

/// A program for chatting, in a terminal.
struct Terminal {
    child: Child,
    screen: Receiver<String>,
}

impl Terminal {
    /// Runs a command line; `None` where a tool is missing.
    fn run(tools: &[&str], line: &str) -> Option<Self> {
        if let Some(missing) = tools.iter().find(|tool| !is_installed(tool)) {
            skip(&format!("no {missing}"));
            return None;
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {line}")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sh can be run");
        let screen = lines_of(child.stdout.take().expect("it is piped"));
        Some(Self { child, screen })
    }

    fn types(&mut self, text: &str) {
        let keyboard = self.child.stdin.as_mut().expect("it is piped");
        keyboard.write_all(text.as_bytes()).expect("it reads");
    }

    /// Reads on to a line that ends like this.
    fn shows(&self, end: &str) {
        loop {
            let line = self.screen.recv_timeout(PATIENCE).expect("it comes in time");
            if line.trim_end().ends_with(end) {
                return;
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_talker_chats_with_telnet_and_nc() {
    for command in built("talker") {
        let room = Room::open(command);
        let port = room.port;
        let telnet = format!("script -qec 'exec telnet 127.0.0.1 {port}' /dev/null");
        let Some(mut telnet) = Terminal::run(&["script", "telnet"], &telnet) else { return };
        let Some(mut nc) = Terminal::run(&["nc"], &format!("nc 127.0.0.1 {port}")) else { return };
        telnet.shows("There are /nick NAME and /who.");
        telnet.types("/nick tina\n");
        telnet.shows(" is now tina.");
        nc.types("/nick nick\n");
        nc.shows(" is now nick.");
        telnet.shows(" is now nick.");
        telnet.types("hello from telnet\n");
        nc.shows("tina: hello from telnet");
        nc.types("hello from nc\n");
        telnet.shows("nick: hello from nc");
        drop(nc);
        telnet.shows("* nick has left.");
        end(room, []);
    }
}

#[test]
fn the_talker_waits_for_a_descriptor() {
    for command in built("talker") {
        let room = Room::open_with_limit(command, 4 + 2);
        let anna = enter(&room, "anna");
        let bert = enter(&room, "bert");
        anna.hear_until(b" is now bert.\n");
        let carl = room.visitor();
        room.comes_to_rest();
        drop(bert);
        let heard = anna.hear_until(b" has joined.\n");
        assert!(heard.starts_with(b"* bert has left.\n"), "{}", heard.escape_ascii());
        carl.hear_until(b"There are /nick NAME and /who.\n");
        end(room, [anna, carl]);
    }
}
