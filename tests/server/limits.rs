//! More clients than descriptors, and a server that has nothing to do.

use crate::client::Client;
use crate::harness::{LISTENER, READ_SIZE, Server, free_port, may_open, pass_on};
use crate::installed::skip;
use crate::log::warnings_in;
use crate::slow::peak_memory;
use crate::stats::Stats;
use std::collections::BTreeSet;
use std::time::Duration;

/// The number of descriptors that select can watch.
const FD_SETSIZE: usize = libc::FD_SETSIZE;

/// Has the first client send a line that all others get; then the server waits again.
fn everyone_hears_the_first(server: &Server, room: &[Client], line: &str) {
    let (first, others) = room.split_first().expect("somebody is there");
    first.say(line);
    for other in others {
        other.expect(line);
    }
    server.wait_for_bytes(first.sd, line.len());
    server.pass();
}

#[test]
fn a_room_with_nothing_to_say_costs_nothing() {
    let server = Server::start();
    let before = peak_memory(&server);
    let room = server.crowd(1000);
    everyone_hears_the_first(&server, &room, "hello\n");
    let cost = peak_memory(&server) - before;
    assert!(cost < 1000 * 1024, "{cost} bytes");
    room[1].say("half a line");
    server.wait_for_bytes(room[1].sd, 11);
    server.pass();
    let (cpu, passes) = server.idle_second();
    assert!(cpu < Duration::from_millis(100), "{cpu:?} of computing");
    assert_eq!(passes, 0);
    server.stop();
}

/// A client does not read, so its queue cannot be written.
#[test]
fn a_full_queue_costs_nothing_while_it_waits() {
    let server = Server::start();
    let [sender, recipient, _stalled] = server.joins();
    let burst = "a line for a queue\n".repeat(500_000);
    pass_on(&sender, &recipient, burst.as_bytes());
    let (cpu, _) = server.idle_second();
    assert!(cpu < Duration::from_millis(100), "{cpu:?} of computing");
    server.stop();
}

#[test]
fn without_descriptors_newcomers_wait_and_the_room_chats_on() {
    const LIMIT: usize = 24;
    const INSIDE: usize = LIMIT - LISTENER - 1;
    let server = Server::start_with_limit(24);
    let mut room = server.visitors(60);
    let mut waiting = room.split_off(INSIDE);
    server.let_in(&mut room);
    everyone_hears_the_first(&server, &room, "we are full\n");

    let (cpu, passes) = server.idle_second();
    assert!(cpu < Duration::from_millis(100), "{cpu:?} of computing");
    assert!(passes <= 60, "{passes} passes");
    everyone_hears_the_first(&server, &room, "and chat on\n");

    for _ in 0..5 {
        let mut newcomer = waiting.remove(0);
        drop(room.pop());
        server.let_in(std::slice::from_mut(&mut newcomer));
        assert_eq!(newcomer.sd, LIMIT - 1, "it takes the place that is free");
        room.push(newcomer);
        everyone_hears_the_first(&server, &room, "welcome\n");
    }
    // All of the first lot leave, and the next one comes in.
    drop(room);
    let mut room: Vec<_> = waiting.drain(..INSIDE).collect();
    server.let_in(&mut room);
    everyone_hears_the_first(&server, &room, "our turn\n");
    server.stop();
}

/// The server tells them so and closes; the clients do not notice.
#[test]
fn above_fd_setsize_newcomers_are_sent_away() {
    const INSIDE: usize = FD_SETSIZE - LISTENER - 1;
    if !may_open(2000) {
        return skip("too few descriptors for 1,100 clients");
    }
    let server = Server::start_with_limit(2000);
    let mut room = server.visitors(1100);
    let sent_away = room.split_off(INSIDE);
    server.let_in(&mut room);
    assert_eq!(room.last().map(|last| last.sd), Some(FD_SETSIZE - 1));
    for visitor in &sent_away {
        visitor.expect("The room is full. Please come back later.\r\n");
        visitor.expect_end();
    }
    let mut refused = 0;
    while refused < sent_away.len() {
        let complaint = server.next_complaint();
        assert!(complaint.contains(": refused: the room is full"), "{complaint}");
        refused += warnings_in(&complaint);
    }
    everyone_hears_the_first(&server, &room, "we are full\n");

    let (cpu, passes) = server.idle_second();
    assert!(cpu < Duration::from_millis(100), "{cpu:?} of computing");
    assert_eq!(passes, 0);

    drop(room.pop());
    server.wait_for_removals(1);
    room.push(server.join());
    everyone_hears_the_first(&server, &room, "welcome\n");
    let stats = Stats::of(&server);
    assert_eq!((stats.clients, stats.refused), (INSIDE as u64, sent_away.len() as u64));
    assert_eq!(server.stop().complaints, "");
    for client in &room {
        client.expect_end();
    }
}

/// Many senders to many recipients are more than one pass delivers. The next goes on where it has
/// stopped, so every line arrives once.
#[test]
fn a_pass_that_has_enough_to_do_leaves_the_rest_to_the_next() {
    const SENDERS: usize = 12;
    if !may_open(2000) {
        return skip("not enough descriptors for a thousand clients");
    }
    let server = Server::start();
    let room = server.crowd(1000);
    let (senders, recipients) = room.split_at(SENDERS);
    server.pause();
    for (number, sender) in senders.iter().enumerate() {
        sender.say(format!("{number:>1023}\n").repeat(READ_SIZE / 1024));
    }
    server.resume();
    server.until(|line| line.ends_with(" is readable\n"));
    let reads = 1 + server.pass().matches(" is readable\n").count();
    assert!(reads < SENDERS, "{reads} reads in a pass");
    let heard = recipients[0].hear(SENDERS * READ_SIZE);
    let lines = String::from_utf8(heard).expect("text");
    let numbers = lines.lines().map(|line| line.trim_start().parse().expect("a number"));
    assert_eq!(numbers.collect::<BTreeSet<usize>>(), (0..SENDERS).collect());
    server.stop();
}

/// The parent process may leave so many files open that select has no room for a listener.
#[test]
fn a_listener_that_select_has_no_room_for_is_said_to_be() {
    if !may_open(2000) {
        return skip("not enough descriptors for a thousand open files");
    }
    let script = "for fd in {3..1023}; do eval \"exec $fd</dev/null\"; done; exec \"$@\"";
    let bash = ["bash", "-c", script, "bash"];
    let port = free_port();
    let outcome = Server::try_start(&bash, &[], port, 2000);
    let complaint = format!("server: cannot listen on port {port}: Too many open files\n");
    assert_eq!(outcome.err(), Some(complaint));
}
