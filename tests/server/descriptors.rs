//! The server's descriptors: none is lost, none is inherited, none blocks.

use crate::harness::{LISTENER, Server};
use libc::{O_CLOEXEC, O_NONBLOCK, c_int};
use std::fs;

/// The status flags of a descriptor of the server.
pub(crate) fn flags(server: &Server, sd: usize) -> c_int {
    let info = fs::read_to_string(server.proc(&format!("fdinfo/{sd}"))).expect("it is open");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    c_int::from_str_radix(flags.expect("there are flags").trim(), 8).expect("an octal number")
}

#[test]
fn sockets_neither_block_nor_are_inherited() {
    let server = Server::start();
    let clients = server.crowd(3);
    let wanted = O_NONBLOCK | O_CLOEXEC;
    for sd in clients.iter().map(|client| client.sd).chain([LISTENER]) {
        assert_eq!(flags(&server, sd) & wanted, wanted, "of descriptor {sd}");
    }
    server.stop();
}

#[test]
fn there_are_no_more_descriptors_than_clients() {
    let server = Server::start();
    assert_eq!(server.descriptors(), [0, 1, 2, LISTENER]);
    let clients = server.crowd(5);
    assert_eq!(server.descriptors(), (0..9).collect::<Vec<_>>());
    drop(clients);
    server.wait_for_removals(5);
    assert_eq!(server.descriptors(), [0, 1, 2, LISTENER]);
    server.stop();
}

#[test]
fn clients_who_have_come_and_gone_leave_no_descriptor_behind() {
    let server = Server::start();
    let [stays, listens] = server.joins();
    let before = server.descriptors();
    for round in 0..10 {
        let mut crowd = server.crowd(30);
        // Three ways to leave: in silence, in the middle of a line, and with a reset.
        for client in crowd.drain(..10) {
            client.say("bye");
        }
        for client in crowd.drain(..10) {
            client.reset();
        }
        drop(crowd);
        server.wait_for_removals(30);
        assert_eq!(server.descriptors(), before, "after round {round}");
        stays.expect("bye\n".repeat(10));
        listens.expect("bye\n".repeat(10));
    }
    stays.say("all gone\n");
    listens.expect("all gone\n");
    server.stop();
}
