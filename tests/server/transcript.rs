//! What ./server prints, byte for byte.

use crate::client::Client;
use crate::harness::Server;
use libc::{SIGINT, SIGTERM, c_int};
use std::net::Ipv4Addr;

/// Connects a client, and compares what the server prints about it.
fn newcomer(server: &Server, transcript: &str) -> Client {
    let client = Client::connect(Ipv4Addr::LOCALHOST.into(), server.port);
    assert_eq!(server.pass(), transcript);
    client
}

/// A session with everything that can happen to a well-behaved client, ended by `signal`.
fn session(signal: c_int) {
    let server = Server::start();
    let first = newcomer(
        &server,
        "New incoming connection on sd 4\n\
         Waiting on select()...\nMaxFd 4\n",
    );
    let second = newcomer(
        &server,
        "New incoming connection on sd 5\n\
         Waiting on select()...\nMaxFd 5\n",
    );

    first.say("hello\n");
    assert_eq!(
        server.pass(),
        "Descriptor 4 is readable\n6 bytes received from sd 4\n\
         Waiting on select()...\nMaxFd 5\n",
    );
    second.expect("hello\n");

    second.say("half of ");
    assert_eq!(
        server.pass(),
        "Descriptor 5 is readable\n8 bytes received from sd 5\n\
         Waiting on select()...\nMaxFd 5\n",
    );
    second.say("a line\n");
    assert_eq!(
        server.pass(),
        "Descriptor 5 is readable\n7 bytes received from sd 5\n\
         Waiting on select()...\nMaxFd 5\n",
    );
    first.expect("half of a line\n");

    let third = newcomer(
        &server,
        "New incoming connection on sd 6\n\
         Waiting on select()...\nMaxFd 6\n",
    );
    drop(second);
    assert_eq!(
        server.pass(),
        "Descriptor 5 is readable\nConnection closed for sd 5\nremoving connection with sd 5 \n\
         Waiting on select()...\nMaxFd 6\n",
    );
    third.say("last words");
    server.pass();
    drop(third);
    assert_eq!(
        server.pass(),
        "Descriptor 6 is readable\nConnection closed for sd 6\nremoving connection with sd 6 \n\
         Waiting on select()...\nMaxFd 4\n",
    );
    first.expect("last words");

    let _fourth = newcomer(
        &server,
        "New incoming connection on sd 5\n\
         Waiting on select()...\nMaxFd 5\n",
    );
    server.signal(signal);
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(
        ended.transcript,
        "removing connection with sd 4 \nremoving connection with sd 5 \n"
    );
    assert_eq!(ended.complaints, "");
    first.expect_end();
}

#[test]
fn a_session_that_sigint_ends() {
    session(SIGINT);
}

#[test]
fn a_session_that_sigterm_ends() {
    session(SIGTERM);
}

#[test]
fn an_empty_room_ends_without_a_word() {
    let ended = Server::start().stop();
    assert_eq!((ended.transcript.as_str(), ended.complaints.as_str()), ("", ""));
}

#[test]
fn several_who_are_ready_are_served_in_one_pass() {
    let server = Server::start();
    let [first, _second, third] = server.joins();
    server.pass();
    server.pause();
    first.say("one\n");
    third.say("three\n");
    server.resume();
    // Being stopped may wake select, once and for nothing.
    let transcript = server.until(|line| line.ends_with("received from sd 6\n"));
    assert_eq!(
        transcript.trim_start_matches("Waiting on select()...\nMaxFd 6\n"),
        "Descriptor 4 is readable\n4 bytes received from sd 4\n\
         Descriptor 6 is readable\n6 bytes received from sd 6\n",
    );
    first.expect("three\n");
    third.expect("one\n");
    server.stop();
}
