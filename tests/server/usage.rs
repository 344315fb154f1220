//! How ./server starts, and how it refuses to.

use crate::client::Client;
use crate::harness::{Ended, Server, USUAL_LIMIT};
use crate::installed::skip;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

const USAGE: &str = "Usage: server <port>\n";

/// Whether it has ended by itself, with a failure status.
fn has_failed(ended: &Ended) -> bool {
    ended.status.code().is_some_and(|code| code != 0)
}

/// Checks that these arguments get the usage, the reason, and where to find more.
pub(crate) fn is_rejected(arguments: &[&str], why: &str) {
    let ended = Server::spawn(arguments).ended();
    assert_eq!(ended.transcript, USAGE, "{arguments:?}");
    let complaints = format!("server: {why}\nTry 'server --help'.\n");
    assert_eq!(ended.complaints, complaints, "{arguments:?}");
    assert!(has_failed(&ended), "{arguments:?}: {}", ended.status);
}

#[test]
fn what_is_no_port_gets_the_usage_and_a_reason() {
    let wrong = [
        "",
        "65536",
        "99999",
        "+80",
        " 80",
        "80 ",
        "80x",
        "x80",
        "0x50",
        "8.0",
        "http",
        "4294967376",
        "18446744073709551696",
        "99999999999999999999999999",
    ];
    for port in wrong {
        is_rejected(&[port], &format!("not a port number (0 to 65535): '{port}'"));
    }
}

#[test]
fn not_one_port_gets_the_usage_and_a_reason() {
    is_rejected(&[], "the port is missing");
    is_rejected(&["--quiet"], "the port is missing");
    is_rejected(&["8080", "8081"], "more than one port: '8081'");
    is_rejected(&["--", "8080", "--quiet"], "more than one port: '--quiet'");
}

#[test]
fn the_first_and_the_last_port_are_ports() {
    for port in ["1", "65535"] {
        // Whether it starts is another matter: the port may be taken, or not for everybody.
        let line = Server::spawn(&[port]).next_line().unwrap_or_default();
        assert!(!line.contains("Usage"), "{port} is refused");
    }
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let server = Server::start();
    let [first, second] = server.joins();
    let ended = Server::spawn(&[&server.port.to_string()]).ended();
    assert!(has_failed(&ended), "{}", ended.status);
    assert_eq!(ended.transcript, "");
    let complaint =
        format!("server: cannot listen on port {}: Address already in use\n", server.port);
    assert_eq!(ended.complaints, complaint);
    first.say("still here\n");
    second.expect("still here\n");
    let third = server.join();
    third.say("and open\n");
    first.expect("and open\n");
    server.stop();
}

#[test]
fn it_can_be_restarted_at_once() {
    let mut server = Server::start();
    for _ in 0..20 {
        let [first, second, third] = server.joins();
        first.say("hello\n");
        second.expect("hello\n");
        // One connection is closed by the client, two by the server.
        drop(third);
        server.wait_for_removals(1);
        let port = server.port;
        server.stop();
        server = Server::try_start(&[], &[], port, USUAL_LIMIT).expect("the port is free again");
        first.expect_end();
        second.expect("");
    }
    server.stop();
}

#[test]
fn ipv4_and_ipv6_meet_in_one_room() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip("no IPv6");
    }
    let server = Server::start();
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let mut clients = addresses.map(|address| Client::connect(address, server.port));
    server.let_in(&mut clients);
    let [four, six] = clients;
    four.say("from 4\n");
    six.expect("from 4\n");
    six.say("from 6\n");
    four.expect("from 6\n");
    server.stop();
}
