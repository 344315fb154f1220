//! The library used from C, from C++, from Python, and beside a program's own loop.

use super::programs::{built, script};
use super::room::{Room, chat, chats, waits_for_a_descriptor};
use super::root;
use crate::common::compiler;
use crate::common::program::Program;
use libc::SIGTERM;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[test]
fn the_smallest_server_chats() {
    for command in built("chat") {
        let room = Room::open(command);
        chat(&room);
        let ended = room.end_by(SIGTERM);
        assert_eq!(ended.status.signal(), Some(SIGTERM), "it has nothing to set in order");
        assert_eq!(ended.complaints, "");
    }
}

#[test]
fn the_smallest_server_waits_for_a_descriptor() {
    for command in built("chat") {
        waits_for_a_descriptor(command, 4);
    }
}

#[test]
fn the_room_in_cpp_chats() {
    for command in built("room") {
        chats(command, "read: Connection reset by peer");
    }
}

#[test]
fn the_room_in_cpp_waits_for_a_descriptor() {
    for command in built("room") {
        waits_for_a_descriptor(command, 4);
    }
}

#[test]
fn the_script_chats() {
    if let Some(command) = script() {
        chats(command, "[Errno 104] Connection reset by peer");
    }
}

#[test]
fn the_script_waits_for_a_descriptor() {
    if let Some(command) = script() {
        waits_for_a_descriptor(command, 6);
    }
}

#[test]
fn the_script_has_the_layout_of_the_compiler() {
    let Some(mut command) = script() else { return };
    let program = root().join("build/examples/layout");
    compiler::build(&root().join("tests/layout.c"), &[], &program).expect("it can be built");
    let lines = |command: &mut Command| -> BTreeSet<String> {
        let output = command.output().expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines(command.arg("--layout")), lines(&mut Command::new(program)));
}

#[test]
fn a_room_beside_a_loop_of_its_own_chats() {
    for command in built("own_loop") {
        chats(command, "");
    }
}

#[test]
fn a_room_beside_a_loop_of_its_own_waits_for_a_descriptor() {
    for command in built("own_loop") {
        waits_for_a_descriptor(command, 5);
    }
}

#[test]
fn the_loop_goes_on_with_its_own_work_and_the_room_hears_of_it() {
    for command in built("own_loop") {
        let room = Room::open(command);
        let thermometer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let measures = |reading: &[u8]| {
            let sent = thermometer.send_to(reading, (Ipv4Addr::LOCALHOST, room.port));
            assert_eq!(sent.expect("it is sent"), reading.len());
        };
        measures(b"19.5");
        room.program.until(|line| line == "It is 19.5 degrees.\n");
        let [one, two] = room.joins();
        measures(b"21");
        room.program.until(|line| line == "It is 21.0 degrees.\n");
        one.expect("It is 21.0 degrees.\n");
        two.expect("It is 21.0 degrees.\n");
        one.say("rather warm\n");
        two.expect("rather warm\n");
        let ended = room.end_by(SIGTERM);
        assert_eq!((ended.status.code(), ended.complaints.as_str()), (Some(0), ""));
    }
}

/// All example programs, by each compiler.
fn everything() -> impl Iterator<Item = Command> {
    ["chat", "room", "own_loop", "talker"].into_iter().flat_map(built).chain(script())
}

/// Runs a program that must fail at once, and returns its standard error.
fn complaints(mut command: Command, arguments: &[&str]) -> String {
    let ended = Program::start(command.args(arguments)).ended();
    assert_eq!(ended.status.code(), Some(1), "{command:?}");
    ended.complaints
}

#[test]
fn what_is_no_port_is_refused() {
    for arguments in [&[][..], &["0"], &["65536"], &["port"], &["5555", "5556"]] {
        for command in everything() {
            let said = complaints(command, arguments);
            assert!(said.contains(" PORT"), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    for command in everything() {
        let said = complaints(command, &[&port]);
        assert!(said.contains("already in use"), "{said}");
    }
}
