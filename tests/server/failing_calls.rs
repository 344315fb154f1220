//! Every system call of the server's loop fails in every way: once, early or late, or repeatedly,
//! while clients send. strace makes the calls fail, and its log tells which, on which descriptors.
//!
//! A client that loses its connection to a fault has received everything up to some byte. All
//! others receive everything, to the byte: the transcript tells what the server has read.

use crate::client::Client;
use crate::harness::Server;
use crate::injected::has_strace;
use crate::random_chat::{Dice, seed};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

const CLIENTS: usize = 4;
/// How many lines each client sends.
const LINES: usize = 12;
/// The length of every line divides the server's buffer size, so that a read gets whole lines.
const LENGTH: usize = 64;

/// Which calls of the loop fail, counted from 1: the first of them, and the step to the next or 0.
const ONCE: [(usize, usize); 5] = [(1, 0), (2, 0), (5, 0), (11, 0), (23, 0)];
const AGAIN: [(usize, usize); 2] = [(1, 2), (3, 5)];

/// The log of strace; it ends when strace does.
pub(crate) struct Log {
    path: PathBuf,
    text: JoinHandle<String>,
}

impl Log {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("strace-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        // An earlier process with this number may have left it behind.
        let _ = fs::remove_file(&path);
        let name = CString::new(path.to_str().expect("text")).expect("no NUL");
        // SAFETY: the name is a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "{}", path.display());
        let fifo = path.clone();
        let text = thread::spawn(move || {
            let mut text = String::new();
            File::open(fifo).expect("it is there").read_to_string(&mut text).expect("text");
            text
        });
        Self { path, text }
    }

    pub(crate) fn read(self) -> String {
        let text = self.text.join().expect("it is read");
        fs::remove_file(&self.path).expect("it is there");
        text
    }
}

/// The command that traces these calls and has some of them fail as `inject` says, and its log.
/// With -D the server is still our own child.
pub(crate) fn tracer(trace: &str, inject: &[&str]) -> (Vec<String>, Log) {
    let log = Log::new();
    let trace = format!("trace={trace}");
    let path = log.path.to_str().expect("text").to_owned();
    let words = ["strace", "-D", "-qq", "-s", "0", "-o", &path, "-e", &trace];
    (words.iter().chain(inject).map(|word| (*word).to_owned()).collect(), log)
}

/// A server whose system calls are traced, with the words for strace that say what fails.
pub(crate) fn server_under_strace(trace: &str, inject: &[&str]) -> (Server, Log) {
    let (words, log) = tracer(trace, inject);
    (Server::start_under(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]), log)
}

/// How many such calls a server makes before it makes the other one for the first time.
pub(crate) fn calls_before(call: &str, other: &str) -> usize {
    let (server, log) = server_under_strace(&format!("{call},{other}"), &[]);
    server.stop();
    log.read().lines().take_while(|line| !line.starts_with(other)).count()
}

/// A numbered line that begins with the number of its sender.
fn line(sender: usize, number: usize) -> Vec<u8> {
    format!("{sender} {number:0>width$}\n", width = LENGTH - 3).into_bytes()
}

/// What the transcript tells of the clients.
#[derive(Default)]
struct Told {
    /// How many bytes have come in from each descriptor.
    received: BTreeMap<usize, usize>,
    gone: BTreeSet<usize>,
}

impl Told {
    fn count(&self, sd: usize) -> usize {
        self.received.get(&sd).copied().unwrap_or(0)
    }

    fn is_done_with(&self, sd: usize, count: usize) -> bool {
        self.gone.contains(&sd) || self.count(sd) == count
    }

    /// Follows the transcript until the server has read so many bytes from each remaining client.
    fn follow(&mut self, server: &Server, room: &[Client], count: usize) {
        while !room.iter().all(|client| self.is_done_with(client.sd, count)) {
            let line = server.next_line().expect("the server goes on");
            let Some((_, sd)) = line.trim_end().rsplit_once("sd ") else { continue };
            let sd = sd.parse().expect("a descriptor");
            if line.starts_with("removing") {
                self.gone.insert(sd);
            } else if let Some((count, _)) = line.split_once(" bytes received from") {
                *self.received.entry(sd).or_default() += count.parse::<usize>().expect("a count");
            }
        }
    }
}

/// Every client sends all its lines, sometimes in turn and sometimes all at once.
fn talk(server: &Server, room: &[Client]) -> Told {
    let mut told = Told::default();
    for number in 0..LINES {
        for (sender, client) in room.iter().enumerate() {
            // This fails for a client that has been removed.
            let _ = client.try_say(&line(sender, number));
            if number % 3 == 0 {
                told.follow(server, &room[sender..=sender], (number + 1) * LENGTH);
            }
        }
        if number % 3 == 0 {
            told.follow(server, room, (number + 1) * LENGTH);
        }
    }
    told.follow(server, room, LINES * LENGTH);
    told
}

/// Checks that `recipient` got the lines of all others, whole and in order: all of them, unless it
/// was hit.
fn check(recipient: usize, heard: &[u8], said: &[usize], is_hit: bool) {
    let mut next = vec![0; said.len()];
    for piece in heard.chunks(LENGTH) {
        let sender = usize::from(piece[0].wrapping_sub(b'0'));
        assert!(sender < said.len() && sender != recipient, "{recipient} got a line of {sender}");
        let wanted = line(sender, next[sender]);
        assert!(
            wanted.starts_with(piece),
            "{recipient} got another line of {sender} than was sent"
        );
        assert!(is_hit || piece.len() == LENGTH, "{recipient} got half a line");
        next[sender] += 1;
    }
    for sender in (0..said.len()).filter(|sender| *sender != recipient) {
        let (heard, said) = (next[sender], said[sender]);
        assert!(heard == said || is_hit && heard < said, "{recipient}: {heard} of {said} lines");
    }
}

/// A call that fails: which, how, and which time, counted from the server's start.
struct Fault<'a> {
    call: &'a str,
    error: &'a str,
    first: usize,
    /// It fails again every so many times; 0 for never.
    step: usize,
}

impl Fault<'_> {
    /// The same in strace's words.
    fn injection(&self) -> String {
        let Self { call, error, first, step } = self;
        let again = if *step == 0 { String::new() } else { format!("+{step}") };
        format!("inject={call}:error={error}:when={first}{again}")
    }

    /// Whether the connection that the call fails on is lost.
    fn takes_the_connection(&self) -> bool {
        self.call != "accept4"
            && matches!(self.error, "EPIPE" | "ECONNRESET" | "ETIMEDOUT" | "EHOSTUNREACH")
    }
}

/// Has clients chat while calls fail. Returns how many calls did.
fn play(faults: &[Fault]) -> usize {
    let injections: Vec<_> = faults.iter().map(Fault::injection).collect();
    println!("{}", injections.join(" "));
    let calls: Vec<_> = faults.iter().map(|fault| fault.call).collect();
    let inject: Vec<_> = injections.iter().flat_map(|inject| ["-e", inject]).collect();
    let (server, log) = server_under_strace(&calls.join(","), &inject);
    let room = server.crowd(CLIENTS);
    let told = talk(&server, &room);
    let said: Vec<_> = room.iter().map(|client| told.count(client.sd) / LENGTH).collect();
    let total: usize = said.iter().sum();
    let to_hear = room.iter().zip(&said).map(|(client, said)| (client, (total - said) * LENGTH));
    let heard: Vec<_> = to_hear.map(|(client, count)| client.hear(count)).collect();
    server.stop();
    room.iter().for_each(Client::expect_end);

    let log = log.read();
    let failed: Vec<_> = log.lines().filter(|line| line.ends_with("(INJECTED)")).collect();
    let (mut hit, mut thrown_out) = (BTreeSet::new(), BTreeSet::new());
    for fault in faults.iter().filter(|fault| fault.takes_the_connection()) {
        let sds = failed.iter().filter_map(|line| line.strip_prefix(fault.call)?.strip_prefix('('));
        for sd in sds.map(|rest| rest.split(',').next().expect("the descriptor comes first")) {
            hit.insert(sd.parse().expect("a number"));
        }
        if fault.call == "read" {
            thrown_out.clone_from(&hit);
        }
    }
    for (at, client) in room.iter().enumerate() {
        check(at, &heard[at], &said, hit.contains(&client.sd));
    }
    assert_eq!(told.gone, thrown_out, "of these the connection is lost");
    failed.len()
}

/// Has each of the calls fail with each of the errors at each of the times.
fn fail_each(calls: &[&str], errors: &[&str], times: &[(usize, usize)]) {
    if !has_strace() {
        return;
    }
    let mut faults = 0;
    for call in calls {
        let before = calls_before(call, "pselect6");
        for error in errors {
            let fault = |(first, step)| Fault { call, error, first: before + first, step };
            let of_this_kind: usize = times.iter().map(|time| play(&[fault(*time)])).sum();
            assert!(of_this_kind > 0, "{call} has never failed by {error}");
            faults += of_this_kind;
        }
    }
    println!("faults injected: {faults}");
}

#[test]
fn accept_fails() {
    let errors = [
        "ECONNABORTED",
        "EPROTO",
        "EPERM",
        "EAGAIN",
        "EINTR",
        "EMFILE",
        "ENFILE",
        "ENOBUFS",
        "ENOMEM",
        "ENETDOWN",
        "EHOSTUNREACH",
    ];
    fail_each(&["accept4"], &errors, &[(1, 0), (4, 0), (1, 2), (2, 3)]);
}

#[test]
fn select_is_interrupted() {
    fail_each(&["pselect6"], &["EINTR"], &[&ONCE[..], &AGAIN[..]].concat());
}

#[test]
fn read_fails_for_a_moment() {
    fail_each(&["read"], &["EINTR", "EAGAIN"], &[&ONCE[..], &AGAIN[..]].concat());
}

#[test]
fn read_finds_the_connection_lost() {
    let times = [&ONCE[..], &[(2, 9)]].concat();
    fail_each(&["read"], &["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"], &times);
}

#[test]
fn send_fails_for_a_moment() {
    let times = [&ONCE[..], &AGAIN[..]].concat();
    fail_each(&["sendto", "sendmsg"], &["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM"], &times);
}

#[test]
fn send_finds_the_connection_lost() {
    let times = [&ONCE[..], &[(2, 9)]].concat();
    fail_each(&["sendto", "sendmsg"], &["EPIPE", "ECONNRESET", "ETIMEDOUT"], &times);
}

/// getsockopt() asks whether a socket listens, sigpending() whether a signal is pending.
#[test]
fn questions_go_without_an_answer() {
    let times = [&ONCE[..], &AGAIN[..]].concat();
    fail_each(&["getsockopt"], &["ENOBUFS", "ENOTSOCK"], &times);
    fail_each(&["rt_sigpending"], &["EFAULT"], &times);
}

/// None of these loses a connection, so every byte arrives.
#[test]
fn all_calls_fail_for_a_moment_at_a_time() {
    let calls: [(&str, &[&str]); 5] = [
        ("accept4", &["ECONNABORTED", "EPERM", "EAGAIN", "EINTR", "EMFILE", "ENOBUFS"]),
        ("pselect6", &["EINTR"]),
        ("read", &["EINTR", "EAGAIN"]),
        ("sendto", &["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM"]),
        ("sendmsg", &["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM"]),
    ];
    if !has_strace() {
        return;
    }
    let calls = calls.map(|(call, errors)| (call, errors, calls_before(call, "pselect6")));
    let mut dice = Dice::new(seed());
    let mut faults = 0;
    for _ in 0..10 {
        faults += play(&calls.map(|(call, errors, before)| Fault {
            call,
            error: errors[dice.below(errors.len())],
            first: before + 1 + dice.below(5),
            step: 2 + dice.below(5),
        }));
    }
    println!("faults injected: {faults}");
    assert!(faults > 0, "none has failed");
}

/// The clients do not notice.
#[test]
fn writing_the_transcript_fails() {
    if !has_strace() {
        return;
    }
    for error in ["EAGAIN", "EINTR", "EIO", "ENOSPC", "EPIPE"] {
        // The first two must succeed: they show that the server listens.
        let inject = format!("inject=write:error={error}:when=3+2");
        let (server, log) = server_under_strace("write", &["-e", &inject]);
        let [one, other] = server.quiet_joins();
        for number in 0..LINES {
            one.say(line(0, number));
            other.expect(line(0, number));
            other.say(line(1, number));
            one.expect(line(1, number));
        }
        server.stop();
        one.expect_end();
        other.expect_end();
        assert!(log.read().contains("(INJECTED)"), "write has never failed by {error}");
    }
}

/// The server cannot go on: it logs why, closes all connections and exits with a failure.
#[test]
fn select_fails_for_good() {
    if !has_strace() {
        return;
    }
    for error in ["EBADF", "EINVAL", "ENOMEM"] {
        let inject = format!("inject=pselect6:error={error}:when=12");
        let (server, log) = server_under_strace("pselect6", &["-e", &inject]);
        let [one, other] = server.joins();
        let said: Vec<_> = (0..)
            .map(|number| line(0, number))
            .take_while(|line| one.try_say(line).is_ok() && other.hear(LENGTH) == *line)
            .collect();
        assert!(!said.is_empty(), "{error}: it has not come to that");
        let ended = server.ended();
        assert_eq!(ended.status.code(), Some(1), "{error}");
        assert!(ended.complaints.contains(" select: "), "{}", ended.complaints);
        one.expect_end();
        other.expect_end();
        log.read();
    }
}
