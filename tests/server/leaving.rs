//! Clients that leave: what they have said last, and what they still get.

use crate::client::Client;
use crate::compiler;
use crate::folders::root;
use crate::harness::{Server, pass_on, scratch};
use crate::injected::has_strace;
use crate::stats::Stats;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{fs, thread};

/// More than the kernel holds for a client that does not read.
const BACKLOG: usize = 7 << 20;

/// A stream in which a gap shows.
fn numbered_lines(bytes: usize) -> Vec<u8> {
    (0..bytes / 64).flat_map(|number| format!("{number:063}\n").into_bytes()).collect()
}

/// A room in which `leaver` is behind, and has shut down sending.
fn room_with_a_leaver(options: &[&str], bytes: &[u8]) -> (Server, [Client; 3]) {
    let server = Server::start_with(options);
    let clients = server.joins();
    let [sender, recipient, leaver] = &clients;
    pass_on(sender, recipient, bytes);
    leaver.say("last words");
    leaver.fall_silent();
    sender.expect("last words\n");
    recipient.expect("last words\n");
    server.wait_for("Connection closed for sd 6");
    (server, clients)
}

#[test]
fn who_shuts_down_sending_gets_all_that_is_queued_and_then_the_end() {
    let bytes = numbered_lines(BACKLOG);
    let (server, [sender, recipient, leaver]) = room_with_a_leaver(&[], &bytes);
    let text = server.pass();
    assert!(!text.contains("removing"), "it is still in the room: {text}");
    assert_eq!(Stats::of(&server).clients, 3, "it keeps its seat");
    sender.say("later\n");
    recipient.expect("later\n");
    leaver.expect([&bytes[..], b"later\n"].concat());
    leaver.expect_end();
    let text = server.until(|line| line == "removing connection with sd 6 \n");
    assert!(!text.contains("Connection closed") && !text.contains("6 is readable"), "{text}");
    assert_eq!(server.join().sd, 6);
    assert_eq!(server.stop().complaints, "");
}

#[test]
fn who_has_all_of_it_is_removed_at_once() {
    let server = Server::start();
    let [leaver, watcher] = server.joins();
    watcher.say("hello\n");
    leaver.expect("hello\n");
    leaver.say("hi");
    leaver.fall_silent();
    watcher.expect("hi\n");
    let text = server.until(|line| line.starts_with("removing"));
    let end = "Connection closed for sd 4\nremoving connection with sd 4 \n";
    assert!(text.ends_with(end), "{text}");
    leaver.expect_end();
    assert_eq!(server.stop().complaints, "");
}

/// What is said in the pass in which a client shuts down sending is for it, too.
#[test]
fn what_comes_in_the_same_pass_is_still_heard() {
    let server = Server::start();
    let [leaver, sender] = server.joins();
    server.pause();
    leaver.fall_silent();
    sender.say("just in time\n");
    server.resume();
    leaver.expect("just in time\n");
    leaver.expect_end();
    server.stop();
}

#[test]
fn waiting_for_who_leaves_takes_no_time() {
    let bytes = numbered_lines(BACKLOG);
    let (server, [sender, recipient, leaver]) = room_with_a_leaver(&[], &bytes);
    server.passes_so_far();
    let before = server.cpu_time();
    for _ in 0..20 {
        sender.say("hello\n");
        recipient.expect("hello\n");
    }
    // A pass for each line, and a few more for what the reader's kernel takes.
    assert!(server.passes_so_far() < 60, "it spins");
    assert!((server.cpu_time() - before).as_millis() < 500, "it spins");
    drop(leaver);
    server.wait_for("removing connection with sd 6 ");
    server.stop();
}

#[test]
fn who_leaves_and_then_resets_is_removed() {
    let bytes = numbered_lines(BACKLOG);
    let (server, [sender, recipient, leaver]) = room_with_a_leaver(&[], &bytes);
    leaver.reset();
    server.wait_for("removing connection with sd 6 ");
    sender.say("still here\n");
    recipient.expect("still here\n");
    server.stop();
}

#[test]
fn who_leaves_and_is_cut_off_is_counted_as_cut_off() {
    let bytes = numbered_lines(BACKLOG);
    let (server, [sender, recipient, leaver]) = room_with_a_leaver(&[], &bytes);
    pass_on(&sender, &recipient, &bytes);
    server.wait_for("removing connection with sd 6 ");
    server.wait_for_complaint("cut off: too far behind the others");
    assert_eq!(Stats::of(&server).cut_off, 1);
    let heard = leaver.hear(2 * BACKLOG);
    let said = bytes.repeat(2);
    assert!(heard.len() < said.len() && heard == said[..heard.len()], "a prefix without a gap");
    server.stop();
}

/// ./server, built to wait for two seconds only.
fn impatient_server() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let program = scratch("impatient").join("server");
        let folders = ["src/common", "src/server"].map(|folder| root().join(folder));
        let sources = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("it is there"));
        let mut sources = sources
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|name| name == "c"));
        let first = sources.next().expect("there are sources");
        let others = sources.chain([root().join("build/libchatserver.a")]);
        let others = others.map(|path| path.display().to_string());
        let arguments: Vec<_> = others.chain(["-DSTALLED_S=2".to_owned()]).collect();
        compiler::build(&first, &arguments, &program).expect("it can be built");
        program
    });
    &PROGRAM
}

/// The kernel would end it after the same time, where it has TCP_USER_TIMEOUT.
#[test]
fn who_takes_nothing_is_removed_in_the_end() {
    one_who_takes_nothing_is_removed(&[]);
}

/// The kernel does not tell how much has been acknowledged.
#[test]
fn a_reader_who_takes_nothing_is_removed_where_ioctl_fails() {
    if has_strace() {
        let trace = ["-D", "-qq", "-o", "/dev/null", "-e", "trace=ioctl"];
        let inject = ["-e", "inject=ioctl:error=EINVAL"];
        one_who_takes_nothing_is_removed(&[&["strace"], &trace[..], &inject].concat());
    }
}

fn one_who_takes_nothing_is_removed(runner: &[&str]) {
    drop(Server::start()); // so that the library is built
    let program = impatient_server();
    let script = format!("shift; exec '{}' \"$@\"", program.display());
    let shell = ["sh", "-c", &script, "sh"];
    let server = Server::start_under(&[runner, &shell].concat(), &[]);
    let [sender, recipient, leaver] = server.joins();
    pass_on(&sender, &recipient, &numbered_lines(BACKLOG));
    leaver.fall_silent();
    server.wait_for("removing connection with sd 6 ");
    assert!(server.next_complaint().ends_with(": closed: Connection timed out\n"));
    server.stop();
}

#[test]
fn last_words_get_an_end_however_their_client_leaves() {
    let server = Server::start();
    let [watcher, reset, closed, silent] = server.joins();
    for client in [&reset, &closed, &silent] {
        client.say("bye");
        server.wait_for_bytes(client.sd, 3);
    }
    reset.reset();
    watcher.expect("bye\n");
    drop(closed);
    watcher.expect("bye\n");
    silent.fall_silent();
    watcher.expect("bye\n");
    server.stop();
    watcher.expect_end();
}

#[test]
fn whole_lines_get_no_other_end() {
    let server = Server::start();
    let watcher = server.join();
    for line in ["\n", "a line\n", "a line\r\n", ""] {
        let client = server.join();
        client.say(line);
        drop(client);
        server.wait_for_removals(1);
        watcher.expect(line);
    }
    server.stop();
    watcher.expect_end();
}

/// Also where all of a long line has gone out in pieces.
#[test]
fn a_long_line_whose_client_leaves_gets_an_end() {
    for length in [65_535, 65_536, 65_537, 131_072] {
        let server = Server::start();
        let [client, watcher] = server.joins();
        let line = "x".repeat(length);
        client.say(&line);
        drop(client);
        watcher.expect(line + "\n");
        watcher.say("mine\n");
        server.stop();
        watcher.expect_end();
    }
}

#[test]
fn who_is_cut_off_in_a_line_has_it_ended() {
    let server = Server::start_with(&["--max-queue", "100000"]);
    let [sender, recipient, stopped] = server.joins();
    stopped.say("I was about to");
    server.wait_for_bytes(stopped.sd, 14);
    let bytes = numbered_lines(16 << 20);
    thread::scope(|scope| {
        scope.spawn(|| sender.say(&bytes));
        let heard = recipient.hear(bytes.len() + 15);
        let at = heard.windows(15).position(|window| window == b"I was about to\n");
        let at = at.expect("its last words are relayed");
        assert!([&heard[..at], &heard[at + 15..]].concat() == bytes);
    });
    server.stop();
}

#[test]
fn raw_adds_no_end() {
    let server = Server::start_with(&["--raw"]);
    let [client, watcher] = server.joins();
    client.say("bye");
    client.fall_silent();
    watcher.expect("bye");
    client.expect_end();
    server.stop();
    watcher.expect_end();
}

/// Load balancers look whether the server is there: they connect, and reset.
#[test]
fn a_reset_by_who_has_said_nothing_is_no_warning() {
    let server = Server::start();
    for client in server.crowd(20) {
        client.reset();
    }
    server.wait_for_removals(20);
    let client = server.join();
    client.say("hello\n");
    server.wait_for_bytes(client.sd, 6);
    client.reset();
    server.wait_for_removals(1);
    let complaints = server.stop().complaints;
    assert_eq!(complaints.lines().count(), 1, "of the one who has spoken: {complaints}");
    assert!(complaints.ends_with(": read: Connection reset by peer\n"), "{complaints}");
}
