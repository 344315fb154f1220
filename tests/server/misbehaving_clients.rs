//! Clients that reset, vanish, pause or speak another protocol: the others must not notice.

use crate::client::Client;
use crate::harness::{Server, pass_on};
use std::net::Ipv4Addr;
use std::thread;

/// More lines than the kernel holds for a client that does not read, so the server queues some.
const BACKLOG: usize = 8000;

/// So many lines of 1,000 bytes, numbered from `first`.
pub(crate) fn flood(first: usize, count: usize) -> Vec<u8> {
    let lines = (first..first + count).map(|number| format!("{number:0>999}\n"));
    lines.collect::<String>().into_bytes()
}

/// Checks that two clients still chat, in both directions.
fn chat_on(server: Server, one: &Client, other: &Client) {
    one.say("are you there?\n");
    other.expect("are you there?\n");
    other.say("I am\n");
    one.expect("I am\n");
    server.stop();
    one.expect_end();
    other.expect_end();
}

#[test]
fn a_reset_in_the_middle_of_a_flood_takes_one_client_only() {
    let server = Server::start();
    let [sender, recipient, victim] = server.joins();
    let (before, after) = (flood(0, 2000), flood(2000, 6000));
    pass_on(&sender, &recipient, &before);
    let gone = format!("removing connection with sd {} ", victim.sd);
    thread::scope(|scope| {
        scope.spawn(|| sender.say(&after));
        // A part of it is through, so the rest is under way.
        recipient.expect(&after[..1_000_000]);
        victim.reset();
        recipient.expect(&after[1_000_000..]);
    });
    server.wait_for(&gone);
    chat_on(server, &sender, &recipient);
}

/// The flood is of empty lines, since a reset may cut any other in two.
#[test]
fn a_sender_who_resets_in_the_middle_of_a_flood_leaves_alone() {
    let server = Server::start();
    let [sender, recipient, victim] = server.joins();
    let (empty_lines, lines) = (vec![b'\n'; 3_000_000], flood(0, 1000));
    let heard = thread::scope(|scope| {
        let heard = scope.spawn(|| recipient.hear_until(b"over\n"));
        scope.spawn(|| sender.hear_until(b"go on\n"));
        let talking = scope.spawn(|| sender.say(&lines));
        victim.say(&empty_lines);
        victim.reset();
        server.wait_for("removing connection with sd 6 ");
        talking.join().expect("all is said");
        recipient.say("go on\n");
        sender.say("over\n");
        heard.join().expect("it is heard")
    });
    let heard = heard.split_inclusive(|byte| *byte == b'\n').filter(|line| *line != b"\n");
    let heard: Vec<u8> = heard.flatten().copied().collect();
    assert!(heard == [lines, b"over\n".to_vec()].concat(), "other than what was said");
    chat_on(server, &sender, &recipient);
}

#[test]
fn two_hundred_resets_at_once_take_nobody_along() {
    let server = Server::start();
    let [sender, recipient] = server.joins();
    let victims = server.crowd(200);
    server.pause();
    for victim in victims {
        victim.reset();
    }
    // This is queued for clients that are already gone.
    sender.say("in between\n");
    server.resume();
    server.wait_for_removals(200);
    recipient.expect("in between\n");
    assert_eq!(server.join().sd, 6, "the lowest descriptor is free again");
    chat_on(server, &sender, &recipient);
}

#[test]
fn a_reader_who_has_vanished_with_a_full_queue_is_not_missed() {
    let server = Server::start();
    let [sender, recipient, vanished] = server.joins();
    pass_on(&sender, &recipient, &flood(0, BACKLOG));
    drop(vanished);
    server.wait_for_removals(1);
    pass_on(&sender, &recipient, &flood(BACKLOG, 1000));
    chat_on(server, &sender, &recipient);
}

#[test]
fn a_reader_who_pauses_gets_everything() {
    let server = Server::start();
    let [sender, recipient, paused] = server.joins();
    let burst = flood(0, BACKLOG);
    pass_on(&sender, &recipient, &burst);
    // A client with a backlog may send, and does not lose its backlog by that.
    paused.say("one moment\n");
    sender.expect("one moment\n");
    recipient.expect("one moment\n");
    sender.say("take your time\n");
    recipient.expect("take your time\n");
    paused.expect(&burst);
    paused.expect("take your time\n");
    chat_on(server, &sender, &paused);
}

/// The queue and the half line of a client that leaves do not reach the next with its descriptor.
#[test]
fn a_descriptor_that_is_used_again_starts_afresh() {
    let server = Server::start();
    let [sender, recipient, leaver] = server.joins();
    pass_on(&sender, &recipient, &flood(0, BACKLOG));
    let number = leaver.sd;
    server.passes_so_far();

    server.pause();
    drop(leaver);
    let mut newcomers = server.visitors(1);
    server.resume();
    // The server may see either first.
    let (mut gone, mut come) = (false, false);
    while !(gone && come) {
        let line = server.until(|_| true);
        gone |= line == format!("removing connection with sd {number} \n");
        come |= line.starts_with("New incoming connection on sd ");
    }
    newcomers.extend(server.visitors(1));
    server.let_in(&mut newcomers[1..]);
    sender.say("welcome\n");
    for newcomer in &newcomers {
        newcomer.expect("welcome\n");
    }
    recipient.expect("welcome\n");
    newcomers[1].say("thanks\n");
    for other in [&sender, &recipient, &newcomers[0]] {
        other.expect("thanks\n");
    }
    chat_on(server, &sender, &recipient);
}

#[test]
fn visitors_who_are_gone_before_they_are_let_in_do_no_harm() {
    let server = Server::start();
    let [one, other] = server.joins();
    server.pause();
    for visitor in server.visitors(50) {
        visitor.reset();
    }
    drop(server.visitors(50));
    server.resume();
    chat_on(server, &one, &other);
}

/// As in `./server 8080 | head`. The first to speak was let in after the first to listen.
#[test]
fn the_room_goes_on_when_nobody_reads_the_transcript() {
    let mut server = Server::start();
    server.close_transcript();
    for _ in 0..10 {
        let [one, other] = server.visitors(2).try_into().unwrap_or_else(|_| panic!("two"));
        other.say("are you there?\n");
        one.expect("are you there?\n");
        one.say("I am\n");
        other.expect("I am\n");
    }
    server.stop();
}

/// A client of another protocol gets no answer, and harms nobody.
#[test]
fn a_browser_by_mistake_is_harmless() {
    let server = Server::start();
    let [one, other] = server.joins();
    let browser = Client::connect(Ipv4Addr::LOCALHOST.into(), server.port);
    browser.say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    one.expect("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    other.expect("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    drop(browser);
    let hello = server.join();
    hello.say(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03");
    drop(hello);
    one.expect(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n");
    other.expect(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n");
    chat_on(server, &one, &other);
}
