//! Slow readers: what they cost is bounded, and the other clients do not notice.

use crate::client::Client;
use crate::harness::Server;
use crate::log::warnings_in;
use crate::stats::Stats;
use std::fs;
use std::sync::mpsc;
use std::thread;

const LINE: usize = 64;

/// The stream that a sender sends: numbered lines, so that a gap shows.
fn numbered_lines(first: usize, count: usize) -> Vec<u8> {
    let mut lines = vec![b'.'; count * LINE];
    for (line, number) in lines.chunks_exact_mut(LINE).zip(first..) {
        line[..10].copy_from_slice(format!("{number:010}").as_bytes());
        line[LINE - 1] = b'\n';
    }
    lines
}

/// Has the sender send so many bytes in all while the recipient reads them, in order. The sender is
/// a little ahead and no more: how fast this recipient reads is not what is tested.
pub(crate) fn relay(sender: &Client, recipient: &Client, bytes: usize) {
    const AT_A_TIME: usize = 4096;
    let (sent, to_read) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            for first in (0..bytes / LINE).step_by(AT_A_TIME) {
                sender.say(numbered_lines(first, AT_A_TIME));
                sent.send(first).expect("somebody reads");
            }
        });
        for first in to_read {
            recipient.expect(numbered_lines(first, AT_A_TIME));
        }
    });
}

/// The server's peak of resident memory, in bytes.
pub(crate) fn peak_memory(server: &Server) -> usize {
    let status = fs::read_to_string(server.proc("status")).expect("the server runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells it");
    let kilobytes = line.split_whitespace().nth(1).expect("a number follows");
    kilobytes.parse::<usize>().expect("a number") * 1024
}

/// Checks that the client got a part of the stream without a gap, then the end. Returns the length.
fn has_heard_a_prefix(client: &Client, bytes: usize) -> usize {
    let heard = client.hear(bytes);
    assert!(!heard.is_empty() && heard.len() < bytes);
    let whole = numbered_lines(0, heard.len() / LINE + 1);
    assert_eq!(heard, whole[..heard.len()]);
    client.expect_end();
    heard.len()
}

#[test]
fn one_stopped_reader_and_a_gigabyte() {
    const GIGABYTE: usize = 1 << 30;
    let server = Server::start_with(&["--quiet"]);
    let [sender, recipient, stopped] = server.quiet_joins();
    relay(&sender, &recipient, GIGABYTE);
    server.wait_for_complaint("cut off: too far behind");
    let peak = peak_memory(&server);
    assert!(peak < 64 << 20, "{peak} bytes");
    has_heard_a_prefix(&stopped, GIGABYTE);
    assert_eq!(server.stop().complaints, "");
}

/// A reader costs at most twice the limit, as the documentation says.
#[test]
fn two_hundred_stopped_readers() {
    const STOPPED: usize = 200;
    const LIMIT: usize = 256 << 10;
    const SAID: usize = 64 << 20;
    let server = Server::start_with(&["--quiet", "--max-queue", &LIMIT.to_string()]);
    let room = server.quiet_crowd(STOPPED + 2);
    let [sender, stopped @ .., recipient] = &room[..] else { panic!("a crowd") };
    let before = peak_memory(&server);
    relay(sender, recipient, SAID);
    let mut cut_off = 0;
    while cut_off < STOPPED {
        cut_off += warnings_in(&server.next_complaint());
    }
    let cost = peak_memory(&server) - before;
    assert!(cost < STOPPED * LIMIT * 2, "{cost} bytes");
    for client in stopped {
        has_heard_a_prefix(client, SAID);
    }
    assert_eq!(server.stop().complaints, "");
}

#[test]
fn a_reader_who_pauses_loses_nothing() {
    const BURST: usize = 4 << 20;
    let server = Server::start();
    let [sender, recipient, pausing] = server.joins();
    relay(&sender, &recipient, BURST);
    pausing.expect(numbered_lines(0, BURST / LINE));
    assert_eq!(server.stop().complaints, "");
}

/// To the others a stopped reader is as if it were not there.
#[test]
fn who_is_cut_off_is_removed_and_its_number_used_again() {
    const SAID: usize = 16 << 20;
    let server = Server::start_with(&["--max-queue", "100000"]);
    let [sender, recipient, stopped] = server.joins();
    relay(&sender, &recipient, SAID);
    let text = server.until(|line| line == "removing connection with sd 6 \n");
    assert!(!text.contains("Connection closed for sd 6"), "it was not the client who closed it");
    let heard = has_heard_a_prefix(&stopped, SAID);
    assert!(server.next_complaint().ends_with(": cut off: too far behind the others\n"));
    let stats = Stats::of(&server);
    assert_eq!((stats.clients, stats.cut_off, stats.queued_bytes), (2, 1, 0));
    assert_eq!(stats.bytes_out, (SAID + heard) as u64);
    let newcomer = server.join();
    assert_eq!(newcomer.sd, stopped.sd);
    sender.say("welcome\n");
    newcomer.expect("welcome\n");
    server.stop();
}

/// Each line is a message of its own, which costs more than its bytes.
#[test]
fn one_byte_at_a_time_is_bounded_as_well() {
    const LIMIT: usize = 1 << 20;
    let server = Server::start_with(&["--quiet", "--max-queue", &LIMIT.to_string()]);
    let [sender, recipient, _stopped] = server.quiet_joins();
    let before = peak_memory(&server);
    for _ in 0..100_000 {
        sender.say("\n");
        recipient.expect("\n");
    }
    let cost = peak_memory(&server) - before;
    assert!(cost < LIMIT * 4, "{cost} bytes");
    server.stop();
}

/// The memory for it is bounded, and the others get it in pieces.
#[test]
fn a_line_without_an_end_is_bounded() {
    const SAID: usize = 100 << 20;
    let server = Server::start_with(&["--quiet"]);
    let [sender, recipient] = server.quiet_joins();
    let piece = vec![b'x'; 1 << 20];
    thread::scope(|scope| {
        scope.spawn(|| (0..SAID / piece.len()).for_each(|_| sender.say(&piece)));
        (0..SAID / piece.len()).for_each(|_| recipient.expect(&piece));
    });
    let peak = peak_memory(&server);
    assert!(peak < 16 << 20, "{peak} bytes");
    server.stop();
}

/// One sends as much as it can, and the lines of twenty others get through.
#[test]
fn one_who_floods_does_not_silence_the_others() {
    const CHATTERS: usize = 20;
    let server = Server::start_with(&["--quiet"]);
    let room = server.quiet_crowd(CHATTERS + 1);
    let [chatters @ .., flooder] = &room[..] else { panic!("a crowd") };
    let flood = "x\n".repeat(1 << 15);
    thread::scope(|scope| {
        let heard: Vec<_> = chatters
            .iter()
            .map(|chatter| scope.spawn(move || chatter.hear_lines(CHATTERS - 1, "hello")))
            .collect();
        scope.spawn(|| while flooder.try_say(flood.as_bytes()).is_ok() {});
        scope.spawn(|| flooder.ignore_all());
        for chatter in chatters {
            chatter.say("hello\n");
        }
        for recipient in heard {
            recipient.join().expect("everyone has heard the nineteen others");
        }
        flooder.hang_up();
        chatters.iter().for_each(Client::hang_up);
    });
    server.stop();
}
