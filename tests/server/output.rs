//! Standard output and error in unusual states.

use crate::client::Client;
use crate::harness::{PATIENCE, USUAL_LIMIT, command, free_port};
use libc::{SIGTERM, SIGUSR1};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Instant;

/// Waits until a server listens whose transcript cannot be read.
fn await_listening(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "nobody listens");
        thread::yield_now();
    }
}

fn end(child: &mut Child) {
    // SAFETY: it is our child, and has not been waited for.
    unsafe { libc::kill(i32::try_from(child.id()).expect("a process number"), SIGTERM) };
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().expect("a child can be asked for") {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::yield_now(),
            None => panic!("it does not end"),
        }
    };
    assert!(status.success(), "{status}");
}

fn chat(port: u16, lines: usize) {
    let [one, other] = [0; 2].map(|_| Client::connect(Ipv4Addr::LOCALHOST.into(), port));
    // When this arrives, the server has both.
    other.say("ready\n");
    one.expect("ready\n");
    for _ in 0..lines {
        one.say("hello\n");
        other.expect("hello\n");
    }
}

/// The pipe is full long before the last line.
#[test]
fn a_transcript_that_nobody_reads_stops_nobody() {
    let port = free_port();
    let mut command = command(&[], USUAL_LIMIT);
    command.arg(port.to_string()).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the server can be run");
    await_listening(port);
    chat(port, 3000);
    end(&mut child);
}

/// Where both lead to one pipe, the transcript leaves no room for what is logged.
#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    let port = free_port();
    let (_unread, pipe) = io::pipe().expect("a pipe");
    let mut command = command(&[], USUAL_LIMIT);
    command.arg(port.to_string()).stdin(Stdio::null());
    command.stdout(pipe.try_clone().expect("a descriptor")).stderr(pipe);
    let mut child = command.spawn().expect("the server can be run");
    await_listening(port);
    chat(port, 3000);
    // SAFETY: it is our child, and has not been waited for.
    unsafe { libc::kill(i32::try_from(child.id()).expect("a process number"), SIGUSR1) };
    chat(port, 10);
    end(&mut child);
}

/// A client could otherwise get the number of standard output, and with it the transcript.
#[test]
fn closed_standard_descriptors_are_nobody_elses() {
    let port = free_port();
    let mut command = command(&["sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"], USUAL_LIMIT);
    let mut child = command.arg(port.to_string()).spawn().expect("the server can be run");
    await_listening(port);
    chat(port, 20);
    end(&mut child);
}
