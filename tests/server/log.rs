//! The log on standard error: who comes and goes, addresses, times, and floods of the same line.

use crate::client::Client;
use crate::harness::{Server, USUAL_LIMIT, free_port};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::process::Command;

/// For how many warnings a line stands.
pub(crate) fn warnings_in(line: &str) -> usize {
    let more = line.trim_end().strip_suffix(" more like it)");
    let Some((_, count)) = more.and_then(|line| line.rsplit_once(" (and ")) else { return 1 };
    1 + count.parse::<usize>().expect("a number")
}

/// Starts a quiet server whose log is in the order of what happens.
fn start(runner: &[&str], options: &[&str]) -> Server {
    let port = free_port();
    let number = port.to_string();
    let arguments = [&["--quiet"], options, &[&number]].concat();
    let mut server = Server::spawn_with_limit(runner, &arguments, USUAL_LIMIT);
    server.port = port;
    server.await_listening().expect("it listens");
    server
}

#[test]
fn verbose_logs_who_joins_and_leaves() {
    let server = start(&[], &["--verbose"]);
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let mut names = vec!["127.0.0.1"];
    names.extend(has_ipv6.then_some("::1"));
    for name in names {
        let client = TcpStream::connect((name, server.port)).expect("it listens");
        // An address of IPv6 is in brackets, and one of IPv4 in no form of IPv6.
        let address = client.local_addr().expect("it is connected").to_string();
        let line = server.next_complaint();
        assert!(line.ends_with(&format!(" {address}: joined\n")), "{line}");
        drop(client);
        let line = server.next_complaint();
        assert!(line.ends_with(&format!(" {address}: left\n")), "{line}");
    }
    assert_eq!(server.stop().complaints, "");
}

#[test]
fn times_are_those_of_rfc_3339() {
    for (zone, offset) in [("UTC", "+00:00"), ("IST-5:30", "+05:30"), ("NST3:30", "-03:30")] {
        let variable = format!("TZ={zone}");
        let server = start(&["env", &variable], &["-v"]);
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("it listens");
        let line = server.next_complaint();
        let (time, _) = line.split_once(' ').expect("the time comes first");
        assert_eq!((time.len(), &time[10..11], &time[19..]), (25, "T", offset), "{line}");
        // date(1) reads it as a time that has just been.
        let mut date = Command::new("date");
        let output = date.args(["+%s", "-d", time]).output().expect("date can be run");
        let seconds: i64 =
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
        // SAFETY: asks for the time.
        let now = unsafe { libc::time(std::ptr::null_mut()) };
        assert!((0..60).contains(&(now - seconds)), "{line}");
        server.stop();
    }
}

#[test]
fn a_flood_of_the_same_line_is_summed_up() {
    const CLIENTS: usize = 3000;
    let server = start(&[], &["--max-clients", "1"]);
    let [inside] = server.quiet_joins();
    for _ in 0..CLIENTS {
        let visitor = Client::connect(Ipv4Addr::LOCALHOST.into(), server.port);
        visitor.expect("The room is full. Please come back later.\r\n");
    }
    let (mut warnings, mut lines) = (0, 0);
    while warnings < CLIENTS {
        let line = server.next_complaint();
        assert!(line.contains(" 127.0.0.1:") && line.contains(": refused: the room is full"));
        warnings += warnings_in(&line);
        lines += 1;
    }
    assert_eq!(warnings, CLIENTS);
    assert!(lines < 100, "{lines} lines");
    drop(inside);
    assert_eq!(server.stop().complaints, "");
}

/// What was held back is logged at the end at the latest.
#[test]
fn no_warning_is_lost_at_the_end() {
    let server = start(&[], &["--max-clients", "1"]);
    let [_inside] = server.quiet_joins();
    for _ in 0..40 {
        let visitor = Client::connect(Ipv4Addr::LOCALHOST.into(), server.port);
        visitor.expect("The room is full. Please come back later.\r\n");
    }
    assert_eq!(server.stop().complaints.lines().map(warnings_in).sum::<usize>(), 40);
}

/// A health check connects and resets the connection. Somebody who has spoken is another matter.
#[test]
fn health_checks_are_not_worth_a_warning() {
    let server = start(&[], &["--verbose"]);
    for _ in 0..20 {
        Client::connect(Ipv4Addr::LOCALHOST.into(), server.port).reset();
    }
    for _ in 0..40 {
        let line = server.next_complaint();
        assert!(line.ends_with(": joined\n") || line.ends_with(": left\n"), "{line}");
    }
    let [speaker, other] = server.quiet_joins();
    speaker.say("hello\n");
    other.expect("hello\n");
    speaker.reset();
    server.wait_for_complaint(": read: Connection reset by peer");
    server.stop();
}
