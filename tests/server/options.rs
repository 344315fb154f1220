//! The command line beyond the port.

use crate::harness::{Server, USUAL_LIMIT, free_port};
use crate::slow::relay;
use crate::stats::Stats;
use crate::usage::is_rejected;
use std::net::{Ipv4Addr, TcpStream};

#[test]
fn help_and_version_are_on_standard_output() {
    let help = Server::spawn(&["--help"]).ended();
    assert!(help.status.success());
    assert!(help.transcript.starts_with("Usage: server [OPTION]... <port>\n"));
    let options = ["bind", "max-clients", "max-queue", "quiet", "verbose", "help", "version"];
    for option in options {
        assert!(help.transcript.contains(&format!("--{option}")), "{option}");
    }
    assert!(help.transcript.lines().count() <= 24, "it fits a screen");
    assert!(help.transcript.lines().all(|line| line.len() <= 80), "{}", help.transcript);
    let version = Server::spawn(&["--version"]).ended();
    assert!(version.status.success());
    assert!(version.transcript.trim_end().ends_with(env!("CARGO_PKG_VERSION")));
    assert_eq!(help.complaints + &version.complaints, "");
}

#[test]
fn a_bad_option_gets_a_message_and_the_usage() {
    // The words about the options themselves are the C library's.
    is_rejected(&["--loud", "5555"], "unrecognized option '--loud'");
    is_rejected(&["5555", "-1"], "invalid option -- '1'");
    is_rejected(&["--quiet=5555"], "option '--quiet' doesn't allow an argument");
    is_rejected(&["--bind=::1"; 1025], "too many addresses");
    for clients in ["0", "-1", "many", "1K", "4294967296"] {
        let why = format!("--max-clients: not a number of clients (from 1): '{clients}'");
        is_rejected(&["--max-clients", clients, "5555"], &why);
    }
}

#[test]
fn a_forgotten_value_is_named() {
    is_rejected(&["5555", "--bind"], "option '--bind' requires an argument");
    is_rejected(&["5555", "-m"], "option requires an argument -- 'm'");
    is_rejected(&["--bind", "--quiet", "5555"], "--bind needs a value, and '--quiet' is none");
    is_rejected(&["-m", "-q", "5555"], "--max-queue needs a value, and '-q' is none");
    is_rejected(&["--bind=", "5555"], "--bind needs a value, and '' is none");
    let why = "the port is missing, or the value of --bind, which took '5555'";
    is_rejected(&["--bind", "5555"], why);
    is_rejected(&["-b", "5555", "-q"], why);
    let why = "the port is missing, or the value of --max-queue, which took '5555'";
    is_rejected(&["-m5555"], why);
    is_rejected(&["--bind", "127.0.0.1"], "the port is missing");
}

/// A client is cut off beyond the limit, which shows what the server has understood.
#[test]
fn sizes_are_whole_numbers_or_have_a_unit() {
    let wrong = [
        "much",
        "-1",
        "8MB",
        "8.5M",
        "8 M",
        "M",
        "0x10",
        "8T",
        "1KK",
        "99999999999999999999999",
        "17179869184G",
    ];
    for size in wrong {
        let why = format!("--max-queue: not a number of bytes: '{size}'");
        is_rejected(&["--max-queue", size, "5555"], &why);
    }
    for size in ["0", "65536", "64K", "64k", "1M", "2m", "1G", "3g", "17179869183G"] {
        Server::start_with(&["--max-queue", size]).stop();
    }
    for size in ["--max-queue=65536", "--max-queue=64k", "-m64K"] {
        let server = Server::start_with(&[size]);
        let [sender, recipient, _stopped] = server.joins();
        relay(&sender, &recipient, 8 << 20);
        assert!(server.next_complaint().contains(": cut off: "));
        server.stop();
    }
}

#[test]
fn options_may_be_short_and_come_after_the_port() {
    let port = free_port().to_string();
    for arguments in [["-q", "-v", &port], ["-qv", &port, "--"], [&port, "-q", "--verbose"]] {
        let server = Server::spawn(&arguments);
        server.await_listening().expect("it listens");
        let address = (Ipv4Addr::LOCALHOST, port.parse().expect("a number"));
        TcpStream::connect(address).expect("it listens");
        assert!(server.next_complaint().ends_with(": joined\n"));
        assert_eq!(server.stop().transcript, "");
    }
    for (short, long) in [("-h", "--help"), ("-V", "--version")] {
        let [short, long] = [short, long].map(|option| Server::spawn(&[option]).ended().transcript);
        assert_eq!(short, long);
    }
}

#[test]
fn more_clients_than_wanted_are_sent_away() {
    let server = Server::start_with(&["--max-clients", "2"]);
    let [one, two] = server.joins();
    let [third] = server.visitors(1).try_into().ok().expect("one");
    third.expect("The room is full. Please come back later.\r\n");
    third.expect_end();
    assert!(server.next_complaint().ends_with(": refused: the room is full\n"));
    one.say("still here\n");
    two.expect("still here\n");
    drop(two);
    server.wait_for_removals(1);
    let fourth = server.join();
    fourth.say("welcome\n");
    one.expect("welcome\n");
    let stats = Stats::of(&server);
    assert_eq!((stats.clients, stats.refused), (2, 1));
    server.stop();
}

#[test]
fn it_goes_by_the_name_it_is_called_by() {
    let renamed = ["bash", "-c", r#"exec -a /opt/bin/chatserver "$0" "$@""#];
    let ended = |arguments| Server::spawn_with_limit(&renamed, arguments, USUAL_LIMIT).ended();
    let rejected = ended(&["--loud"]);
    assert_eq!(rejected.transcript, "Usage: chatserver <port>\n");
    assert!(rejected.complaints.starts_with("chatserver: "), "{}", rejected.complaints);
    let rejected = ended(&["http"]);
    assert!(rejected.complaints.starts_with("chatserver: "), "{}", rejected.complaints);
    assert!(ended(&["--help"]).transcript.starts_with("Usage: chatserver [OPTION]... <port>\n"));
    let version = concat!("chatserver (libchatserver) ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(ended(&["--version"]).transcript, version);
}

#[test]
fn quiet_is_without_a_transcript() {
    let server = Server::start_with(&["--quiet"]);
    let [sender, recipient] = server.quiet_joins();
    sender.say("hello\n");
    recipient.expect("hello\n");
    drop(sender);
    let ended = server.stop();
    assert_eq!((ended.transcript.as_str(), ended.complaints.as_str()), ("", ""));
}
