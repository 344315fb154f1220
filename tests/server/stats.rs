//! The statistics that the server logs on SIGUSR1; it ignores SIGHUP.

use crate::client::Client;
use crate::harness::Server;
use libc::{SIGHUP, SIGUSR1};
use std::thread;

/// The line's counters in their order, without the time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) clients: u64,
    pub(crate) messages_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) queued_bytes: u64,
    pub(crate) cut_off: u64,
    pub(crate) refused: u64,
}

impl Stats {
    /// Asks the server. Every earlier line of its log must have been read.
    pub(crate) fn of(server: &Server) -> Self {
        server.signal(SIGUSR1);
        Self::in_line(&server.next_complaint())
    }

    pub(crate) fn in_line(line: &str) -> Self {
        let (_, text) = line.trim_end().split_once("stats: ").unwrap_or_else(|| panic!("{line}"));
        let mut pairs = text.split(' ').map(|pair| pair.split_once('=').expect("NAME=NUMBER"));
        let mut next = |wanted: &str| {
            let (name, number) = pairs.next().expect("another counter");
            assert_eq!(name, wanted, "in {line}");
            number.parse::<u64>().expect("a number")
        };
        let stats = Self {
            clients: next("clients"),
            messages_in: next("messages_in"),
            bytes_in: next("bytes_in"),
            messages_out: next("messages_out"),
            bytes_out: next("bytes_out"),
            queued_bytes: next("queued_bytes"),
            cut_off: next("cut_off"),
            refused: next("refused"),
        };
        next("uptime_s");
        assert_eq!(pairs.next(), None, "in {line}");
        stats
    }
}

/// Sends a text, and waits until the server has read it and the others have what comes of it.
fn say(server: &Server, sender: &Client, text: &[u8], heard: &[u8], others: &[&Client]) {
    sender.say(text);
    server.wait_for_bytes(sender.sd, text.len());
    server.pass();
    for other in others {
        other.expect(heard);
    }
}

#[test]
fn statistics_are_exact() {
    let server = Server::start();
    let mut wanted = Stats::default();
    assert_eq!(Stats::of(&server), wanted, "of an empty room");

    let [one, two, three] = server.joins();
    say(&server, &one, b"hello\n", b"hello\n", &[&two, &three]);
    wanted.clients = 3;
    (wanted.messages_in, wanted.bytes_in) = (1, 6);
    (wanted.messages_out, wanted.bytes_out) = (2, 12);
    assert_eq!(Stats::of(&server), wanted, "after a line");

    say(&server, &two, b"half a", b"", &[]);
    wanted.bytes_in += 6;
    assert_eq!(Stats::of(&server), wanted, "while a line has not ended");

    say(&server, &two, b" line\n\nthree", b"half a line\n\n", &[&one, &three]);
    (wanted.messages_in, wanted.bytes_in) = (3, wanted.bytes_in + 12);
    (wanted.messages_out, wanted.bytes_out) = (6, wanted.bytes_out + 2 * 13);
    assert_eq!(Stats::of(&server), wanted, "after two more");

    drop(three);
    server.wait_for_removals(1);
    wanted.clients = 2;
    assert_eq!(Stats::of(&server), wanted, "what was sent to who has left stays counted");

    drop(two);
    server.wait_for_removals(1);
    one.expect("three");
    (wanted.clients, wanted.bytes_out) = (1, wanted.bytes_out + 5);
    assert_eq!(Stats::of(&server), wanted, "a last line without an end is sent, and is no line");

    say(&server, &one, &[b'\n'; 3001], b"", &[]);
    (wanted.messages_in, wanted.bytes_in) = (wanted.messages_in + 3001, wanted.bytes_in + 3001);
    assert_eq!(Stats::of(&server), wanted, "after words that nobody hears");

    say(&server, &one, b"\xff\xf4\xff\xfd\x06", b"\xff\xfc\x06", &[&one]);
    (wanted.bytes_in, wanted.bytes_out) = (wanted.bytes_in + 5, wanted.bytes_out + 3);
    assert_eq!(Stats::of(&server), wanted, "telnet's interrupt and its answer are bytes");

    let complaints = server.stop().complaints;
    assert_eq!(complaints, "", "each question has one answer");
}

/// At any moment, what has come in is sent, or queued, or the beginning of a line.
#[test]
fn statistics_add_up_under_load() {
    const LINE: &str = "as fast as it can be said\n";
    const FLOODERS: u64 = 4;
    // Nobody is cut off, so nothing is dropped.
    let server = Server::start_with(&["--quiet", "--max-queue", "0"]);
    let [_stalled, flooders @ ..] = server.quiet_joins::<{ FLOODERS as usize + 1 }>();
    let others = FLOODERS;
    // What quiet_joins has said: a line of the last one.
    let greeting = Stats::of(&server);
    assert_eq!((greeting.bytes_in, greeting.bytes_out), (9, 9 * others));

    let all = 1 + FLOODERS * 30 * 2000;
    let check = |stats: &Stats| {
        let due = stats.bytes_in * others;
        let unfinished = due.checked_sub(stats.bytes_out + stats.queued_bytes);
        let most = FLOODERS * others * (LINE.len() as u64 - 1);
        assert!(unfinished.is_some_and(|bytes| bytes <= most), "{stats:?}");
        assert_eq!(stats.messages_out, stats.messages_in * others, "{stats:?}");
    };
    thread::scope(|scope| {
        for flooder in &flooders {
            scope.spawn(|| (0..30).for_each(|_| flooder.say(LINE.repeat(2000))));
            scope.spawn(|| {
                flooder.hear((FLOODERS as usize - 1) * 30 * 2000 * LINE.len());
            });
        }
        let mut last = greeting.clone();
        let mut answers = 0;
        while last.messages_in < all {
            let stats = Stats::of(&server);
            check(&stats);
            assert!(stats.messages_in >= last.messages_in && stats.bytes_out >= last.bytes_out);
            last = stats;
            answers += 1;
        }
        assert!(answers > 3, "they were asked for while there was load");
    });
    let last = Stats::of(&server);
    check(&last);
    assert_eq!(last.messages_in, all);
    assert_eq!(last.bytes_in * others, last.bytes_out + last.queued_bytes);
    assert!(last.queued_bytes > 0, "somebody is behind");
    server.stop();
}

#[test]
fn hang_up_signals_mean_nothing() {
    let server = Server::start();
    let [one, two] = server.joins();
    for number in 0..50 {
        let line = format!("line {number}\n");
        server.signal(SIGHUP);
        one.say(&line);
        server.signal(SIGHUP);
        two.expect(&line);
    }
    let complaints = server.stop().complaints;
    assert_eq!(complaints, "");
}
