//! The library used from C, from C++, from Python, and beside a program's own loop.

use super::moving::blocks;
use super::programs::{built, script};
use super::room::{Room, chat, chats, waits_for_a_descriptor};
use crate::common::compiler;
use crate::common::example::folder;
use crate::common::folders::root;
use crate::common::make;
use crate::common::program::{Program, output};
use libc::SIGTERM;
use std::collections::BTreeSet;
use std::fs;
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
    compiler::build(&root().join("tests/suite/layout.c"), &[], &program).expect("it can be built");
    let lines = |command: &mut Command| -> BTreeSet<String> {
        output(command).lines().map(str::to_owned).collect()
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

/// The functions of chat.c, with the loops of docs/embedding.md, of poll and epoll.
fn other_loops() -> Vec<Command> {
    const MAIN: &str = "
        int main(int argc, char *argv[])
        {
            int listener = listen_on(argc == 2 ? atoi(argv[1]) : 0);
            conn_pool_t pool;

            init_pool(&pool);
            if (add_conn(listener, &pool) == -1)
                give_up(\"add_conn\");
            serve(listener, &pool);
            return EXIT_FAILURE;
        }\n";
    make::all();
    let chat = fs::read_to_string(root().join("examples/chat.c")).expect("it is there");
    let (functions, _) = chat.split_once("int main(").expect("it is a program");
    let page = fs::read_to_string(root().join("docs/embedding.md")).expect("it is there");
    let loops = blocks(&page);
    assert_eq!(loops.len(), 2, "a loop of poll, and one of epoll");
    let build = |(number, (_, block)): (usize, &(_, &str))| {
        let folder = folder(&format!("loop-{number}"));
        let source = folder.join("chat.c");
        fs::write(&source, format!("{functions}{block}{MAIN}")).expect("a file can be written");
        let archive = root().join("build/libchatserver.a").display().to_string();
        compiler::build(&source, &[archive], &folder.join("chat")).expect("it can be built");
        Command::new(folder.join("chat"))
    };
    loops.iter().enumerate().map(build).collect()
}

#[test]
fn a_room_works_in_a_loop_of_poll_or_epoll() {
    for command in other_loops() {
        let room = Room::open(command);
        chat(&room);
        room.comes_to_rest();
        let ended = room.end_by(SIGTERM);
        assert_eq!((ended.status.signal(), ended.complaints.as_str()), (Some(SIGTERM), ""));
    }
    for (command, own) in other_loops().into_iter().zip([4, 5]) {
        waits_for_a_descriptor(command, own);
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
