//! A chat server that one of the examples runs, and what must hold for each.

use crate::common::child::PATIENCE;
use crate::common::client::{Client, quiet_crowd};
use crate::common::ports::free_port;
use crate::common::program::{Ended, Program, set_apart};
use libc::{SIGTERM, c_int};
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Instant;

/// The usual limit on descriptors.
const USUAL_LIMIT: u64 = 1024;

/// A chat server that one of the examples runs.
pub(crate) struct Room {
    pub(crate) port: u16,
    pub(crate) program: Program,
}

impl Room {
    pub(crate) fn open(command: Command) -> Self {
        Self::open_with_limit(command, USUAL_LIMIT)
    }

    /// For a program that reports by itself that it listens.
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with_limit(command, USUAL_LIMIT)
    }

    /// For a program that may have so many descriptors.
    pub(crate) fn open_with_limit(command: Command, limit: u64) -> Self {
        let mut room = Self::start_with_limit(command, limit);
        assert!(room.program.listens_on(room.port), "{}", room.program.ended().complaints);
        room
    }

    fn start_with_limit(mut command: Command, limit: u64) -> Self {
        let port = free_port();
        set_apart(&mut command, limit);
        let program = Program::start(command.arg(port.to_string()));
        Self { port, program }
    }

    pub(crate) fn joins<const COUNT: usize>(&self) -> [Client; COUNT] {
        let Ok(clients) = quiet_crowd(self.port, COUNT).try_into() else {
            panic!("as many as asked for")
        };
        clients
    }

    pub(crate) fn visitor(&self) -> Client {
        Client::connect(Ipv4Addr::LOCALHOST.into(), self.port)
    }

    pub(crate) fn end_by(self, signal: c_int) -> Ended {
        self.program.signal(signal);
        ended(self.program)
    }

    /// Waits until the program sleeps, and so does not spin.
    pub(crate) fn comes_to_rest(&self) {
        let stat = format!("/proc/{}/stat", self.program.pid());
        let is_asleep = || {
            let stat = fs::read_to_string(&stat).expect("the program runs");
            let (_, state) = stat.rsplit_once(") ").expect("the name is in parentheses");
            state.starts_with('S')
        };
        let deadline = Instant::now() + PATIENCE;
        while !(0..100).all(|_| is_asleep()) {
            assert!(Instant::now() < deadline, "the program goes round and round");
        }
    }
}

/// Waits for a program's end. Valgrind's notes are left out of its standard error; its errors are
/// in the status.
pub(crate) fn ended(program: Program) -> Ended {
    let mut ended = program.ended();
    let own = |line: &&str| !line.starts_with("==");
    ended.complaints = ended.complaints.split_inclusive('\n').filter(own).collect();
    ended
}

/// Everything that happens in a chat, checked to the byte.
pub(crate) fn chat(room: &Room) {
    let [one, two, three] = room.joins();
    one.say("hello\n");
    two.expect("hello\n");
    three.expect("hello\n");
    one.say("half of ");
    two.say("a whole line\n");
    one.expect("a whole line\n");
    three.expect("a whole line\n");
    one.say("a line\n");
    two.expect("half of a line\n");
    three.expect("half of a line\n");
    let burst = burst();
    one.say(&burst);
    two.expect(&burst);
    three.expect(&burst);
    three.say("last words");
    drop(three);
    one.expect("last words");
    two.expect("last words");
    two.reset();
    let four = room.visitor();
    four.say("a newcomer\n");
    one.expect("a newcomer\n");
    one.say("good bye\n");
    four.expect("good bye\n");
}

/// More than the kernel holds for a slow reader, and no more than the library queues.
pub(crate) fn burst() -> String {
    "a line for a queue\n".repeat(370_000)
}

/// Checks that a program chats, and ends cleanly when told to. It may report clients that reset.
pub(crate) fn chats(command: Command, about_resets: &str) {
    let room = Room::open(command);
    chat(&room);
    let [one, two] = room.joins();
    one.say("half a line that nobody is to hear");
    let ended = room.end_by(SIGTERM);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.complaints);
    assert!(ended.complaints.lines().all(|line| line == about_resets), "{}", ended.complaints);
    one.expect_end();
    two.expect_end();
}

/// Checks that without a free descriptor the chat goes on, and a newcomer waits until a client
/// leaves. Without clients the program has `own` descriptors.
pub(crate) fn waits_for_a_descriptor(command: Command, own: u64) {
    let room = Room::open_with_limit(command, own + 2);
    let [one, two] = room.joins();
    let three = room.visitor();
    one.say("is it full?\n");
    two.expect("is it full?\n");
    room.comes_to_rest();
    drop(two);
    three.say("not any more\n");
    one.expect("not any more\n");
    let _ = room.end_by(SIGTERM);
}
