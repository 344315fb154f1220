//! SIGINT and SIGTERM end the server in order, whatever it is doing.

use crate::client::Client;
use crate::harness::{Ended, Server, free_port, pass_on};
use libc::{SIGINT, SIGTERM};
use std::os::unix::process::ExitStatusExt;
use std::thread;

/// Checks that the server ended well, and has removed each of `clients` once.
fn check(ended: &Ended, clients: &[usize]) {
    assert_eq!(ended.status.code(), Some(0), "{}", ended.complaints);
    for sd in clients {
        let line = format!("removing connection with sd {sd} \n");
        assert_eq!(ended.transcript.matches(&line).count(), 1, "of {line}");
    }
    assert_eq!(ended.transcript.matches("removing").count(), clients.len());
}

#[test]
fn right_after_the_start() {
    for _ in 0..20 {
        let server = Server::start();
        check(&server.stop(), &[]);
    }
}

/// A signal that comes before the handlers kills the server. It must not be lost.
#[test]
fn even_before_it_has_started() {
    for _ in 0..20 {
        let server = Server::spawn(&[&free_port().to_string()]);
        server.signal(SIGINT);
        let Ended { status, complaints, .. } = server.ended();
        let died = status.signal() == Some(SIGINT);
        assert!(status.success() || died, "{status}\n{complaints}");
    }
}

/// The moment between a pass and the next wait is hit sooner or later.
#[test]
fn at_any_moment() {
    for round in 0..50 {
        let server = Server::start();
        let [sender, recipient] = server.joins();
        for _ in 0..round % 5 {
            sender.say("hello\n");
            recipient.expect("hello\n");
        }
        sender.say("hello\n");
        server.signal(if round % 2 == 0 { SIGINT } else { SIGTERM });
        check(&server.ended(), &[4, 5]);
    }
}

#[test]
fn two_signals_are_no_worse_than_one() {
    for signals in [[SIGINT, SIGINT], [SIGINT, SIGTERM], [SIGTERM, SIGINT]] {
        let server = Server::start();
        let _clients = server.crowd(100);
        for signal in signals {
            server.signal(signal);
        }
        check(&server.ended(), &(4..104).collect::<Vec<_>>());
    }
}

#[test]
fn two_signals_that_come_together_are_no_worse_than_one() {
    let server = Server::start();
    let _clients = server.crowd(10);
    server.pause();
    server.signal(SIGTERM);
    server.signal(SIGINT);
    server.resume();
    check(&server.ended(), &(4..14).collect::<Vec<_>>());
}

/// Clients that have not read everything are disconnected like the others.
#[test]
fn with_unsaid_and_unheard_things() {
    let server = Server::start();
    let [sender, recipient, stalled] = server.joins();
    let burst = "a line for a queue\n".repeat(500_000);
    pass_on(&sender, &recipient, burst.as_bytes());
    recipient.say("half a line");
    server.wait_for_bytes(recipient.sd, 11);
    let ended = server.stop();
    check(&ended, &[4, 5, 6]);
    recipient.expect_end();
    // What the kernel had taken for it still comes, without a gap, and then the end.
    let heard = stalled.hear(burst.len());
    assert!(heard.len() < burst.len() && burst.as_bytes().starts_with(&heard));
}

/// Sends until the server is gone.
fn flood(client: &Client) {
    let lines = "as fast as it can be said\n".repeat(2000);
    while client.try_say(lines.as_bytes()).is_ok() {}
}

/// With so many senders select never waits. A server that takes signals only while it waits would
/// go on for ever.
fn under_load(signal: libc::c_int) {
    // Nobody is cut off, so there is a full queue to the end.
    let server = Server::start_with(&["--max-queue", "0"]);
    let _stalled = server.join();
    let flooders = server.crowd(6);
    thread::scope(|scope| {
        // It is dropped here when something is wrong, and the flooders then end.
        let server = server;
        for flooder in &flooders {
            scope.spawn(|| flood(flooder));
            scope.spawn(|| flooder.ignore_all());
        }
        // More than the kernel holds for the client that does not read.
        for flooder in &flooders {
            server.wait_for_bytes(flooder.sd, 2_000_000);
        }
        server.signal(signal);
        check(&server.ended(), &(4..11).collect::<Vec<_>>());
    });
}

#[test]
fn sigint_under_load() {
    under_load(SIGINT);
}

#[test]
fn sigterm_under_load() {
    under_load(SIGTERM);
}
