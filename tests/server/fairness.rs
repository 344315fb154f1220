//! A pass of the server is bounded, goes on where the last one stopped, and serves those first who
//! send little. strace makes calls slow, so that a pass has time for few of them.

use crate::activation::duplicate;
use crate::client::Client;
use crate::failing_calls::{Log, server_under_strace};
use crate::harness::{READ_SIZE, Server, pass_on};
use crate::injected::has_strace;
use crate::misbehaving_clients::flood;
use crate::slow::peak_memory;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a pass may read or write.
const SLOW: &str = "delay_enter=30000";

/// A server whose calls are traced and, from the `when`-th on, slow.
fn slow_server(call: &str) -> Option<(Server, Log)> {
    let inject = format!("inject={call}:{SLOW}");
    has_strace().then(|| server_under_strace(&format!("{call},pselect6"), &["-e", &inject]))
}

/// The descriptors that the transcript calls readable, pass by pass.
fn reads_by_pass(transcript: &str) -> Vec<Vec<usize>> {
    let pass = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("Descriptor "));
        let numbers = lines.filter_map(|line| line.strip_suffix(" is readable"));
        numbers.map(|number| number.parse().expect("a descriptor")).collect()
    };
    transcript.split("Waiting on select()...\n").map(pass).collect()
}

/// The transcript until the server has read so many bytes from each of these clients.
fn transcript_of_reading(server: &Server, clients: &[&Client], bytes: usize) -> String {
    let mut left: Vec<_> = clients.iter().map(|client| (client.sd, bytes)).collect();
    let mut transcript = String::new();
    while left.iter().any(|(_, left)| *left > 0) {
        let line = server.next_line().expect("the server goes on");
        if let Some((count, sd)) = line.trim_end().split_once(" bytes received from sd ") {
            let (count, sd): (usize, usize) = (count.parse().unwrap(), sd.parse().unwrap());
            let of_these = left.iter_mut().find(|(of, _)| *of == sd);
            of_these.into_iter().for_each(|(_, left)| *left -= count);
        }
        transcript += &line;
    }
    transcript
}

/// Every read takes longer than a pass may read. In the beginning all have sent little: one of
/// these is read, and one of those that are left. Later all have sent much.
#[test]
fn a_pass_ends_when_its_time_is_over_and_the_next_goes_on_behind() {
    const BYTES: usize = 8 * READ_SIZE;
    let Some((server, _log)) = slow_server("read") else { return };
    let room = server.crowd(6);
    let senders: Vec<_> = room.iter().take(5).collect();
    server.pause();
    for sender in &senders {
        sender.say([vec![b'x'; BYTES - 1], vec![b'\n']].concat());
    }
    server.resume();
    let transcript = transcript_of_reading(&server, &senders, BYTES);
    let passes = reads_by_pass(&transcript);
    assert!(passes.iter().all(|pass| pass.len() <= 2), "{passes:?}");
    let order = passes.concat();
    for turn in order[4 * senders.len()..7 * senders.len()].windows(senders.len()) {
        assert!(senders.iter().all(|sender| turn.contains(&sender.sd)), "{passes:?}");
    }
    room[5].expect(vec![b'x'; BYTES - 1]);
    server.stop();
}

#[test]
fn who_sends_little_is_read_before_those_who_send_much() {
    let server = Server::start();
    let [heavy, other, light] = server.joins();
    heavy.say(vec![b'x'; 2 * READ_SIZE - 1]);
    server.wait_for_bytes(heavy.sd, 2 * READ_SIZE - 1);
    server.passes_so_far();
    server.pause();
    heavy.say("\n");
    light.say("hello\n");
    server.resume();
    let transcript = transcript_of_reading(&server, &[&heavy], 1);
    let order = reads_by_pass(&transcript).concat();
    assert_eq!(order, [light.sd, heavy.sd]);
    other.expect("hello\n");
    server.stop();
}

/// More visitors at once than a pass accepts.
#[test]
fn a_pass_accepts_so_many_and_no_more() {
    let server = Server::start();
    server.pause();
    let mut visitors = server.visitors(40);
    server.resume();
    let mut most = 0;
    let mut count = 0;
    while count < visitors.len() {
        let news = server.pass().matches("New incoming connection").count();
        most = news.max(most);
        count += news;
    }
    assert_eq!(most, 16);
    visitors.drain(..);
    server.stop();
}

/// Bytes that the kernel has for a client, and the client has not taken.
fn on_the_way(server: &Server, client: &Client) -> libc::c_int {
    let socket = duplicate(server, client.sd);
    let mut count = 0;
    // SAFETY: the kernel writes an int.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
    count
}

/// Those who are behind come back together. Each write takes longer than a pass may write.
#[test]
fn a_pass_writes_so_long_and_the_next_goes_on_behind() {
    let Some((server, log)) = slow_server("sendto,sendmsg") else { return };
    let [sender, recipient] = server.joins();
    let mut readers: Vec<_> = (0..5).map(|_| Client::connect_narrow(server.port)).collect();
    server.let_in(&mut readers);
    let burst = flood(0, 1000);
    pass_on(&sender, &recipient, &burst);
    server.pause();
    thread::scope(|scope| {
        for reader in &readers {
            scope.spawn(|| reader.expect(&burst));
        }
        while readers.iter().any(|reader| on_the_way(&server, reader) > 0) {
            thread::yield_now();
        }
        server.resume();
    });
    server.stop();
    let text = log.read();
    let from = text.rfind(&format!("({},", recipient.sd)).expect("it was sent something");
    let passes: Vec<_> = text[from..].split("pselect6(").skip(1).collect();
    let sends = passes.iter().map(|pass| pass.matches("send").count());
    assert_eq!(sends.clone().max(), Some(1), "{:?}", sends.collect::<Vec<_>>());
    for reader in readers {
        assert!(text[from..].contains(&format!("({},", reader.sd)), "to {}", reader.sd);
    }
}

/// A try to write to somebody for whom the kernel has no room is a system call for nothing.
#[test]
fn who_has_no_room_is_not_tried_before_select_says_so() {
    if !has_strace() {
        return;
    }
    let (server, log) = server_under_strace("sendto,sendmsg", &[]);
    let [sender, recipient] = server.joins();
    let mut stopped = [Client::connect_narrow(server.port)];
    server.let_in(&mut stopped);
    pass_on(&sender, &recipient, &flood(0, 1000));
    for _ in 0..50 {
        sender.say("hello\n");
        recipient.expect("hello\n");
    }
    server.stop();
    let text = log.read();
    let to_it = format!("({},", stopped[0].sd);
    let tries = text.lines().filter(|line| line.contains(&to_it) && line.contains("EAGAIN"));
    assert!(tries.clone().count() <= 3, "{} tries", tries.count());
}

/// Each try to write takes a while, and many have something queued.
#[test]
fn the_end_does_not_wait_for_all_that_is_queued() {
    const READERS: usize = 20;
    let Some((server, log)) = slow_server("sendto,sendmsg") else { return };
    let [sender, recipient] = server.joins();
    let mut readers: Vec<_> = (0..READERS).map(|_| Client::connect_narrow(server.port)).collect();
    server.let_in(&mut readers);
    pass_on(&sender, &recipient, &flood(0, 300));
    server.stop();
    let text = log.read();
    let (before, after) = text.rsplit_once("pselect6(").expect("it has waited");
    let tries = after.matches("EAGAIN").count();
    assert!(before.contains("EAGAIN") && tries < READERS / 2, "{tries} tries");
}

/// Many who are too far behind are disconnected by one text. Each removal takes longer than a pass
/// may read.
#[test]
fn a_pass_removes_so_many_and_the_next_goes_on_behind() {
    const READERS: usize = 8;
    let Some((server, _log)) = slow_server("close") else { return };
    let [sender, recipient] = server.joins();
    let mut readers: Vec<_> = (0..READERS).map(|_| Client::connect_narrow(server.port)).collect();
    server.let_in(&mut readers);
    pass_on(&sender, &recipient, &flood(0, 12_000));
    let (mut removals, mut most) = (0, 0);
    while removals < READERS {
        let count = server.pass().matches("removing").count();
        most = count.max(most);
        removals += count;
    }
    assert!(most <= 2, "{most} in one pass");
    server.stop();
}

/// Each line comes in a pass of its own.
#[test]
fn many_queues_of_short_lines_cost_little_and_do_not_hold_up_the_end() {
    const READERS: usize = 100;
    const LINES: usize = 5000;
    let server = Server::start();
    let [sender, recipient] = server.joins();
    let mut readers: Vec<_> = (0..READERS).map(|_| Client::connect_narrow(server.port)).collect();
    server.let_in(&mut readers);
    pass_on(&sender, &recipient, &flood(0, 250));
    let before = peak_memory(&server);
    for _ in 0..LINES {
        sender.say("\n");
        recipient.expect("\n");
    }
    let cost = peak_memory(&server) - before;
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(cost < READERS * LINES * 4, "{cost} bytes");
}
