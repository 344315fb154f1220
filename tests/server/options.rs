//! The command line beyond the port.

use crate::client::Client;
use crate::harness::{Server, USUAL_LIMIT};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

const USAGE: &str = "Usage: server <port>\n";

#[test]
fn help_and_version_are_on_standard_output() {
    let help = Server::spawn(&["--help"]).ended();
    assert!(help.status.success());
    assert!(help.transcript.starts_with(USAGE));
    for option in ["--bind", "--max-queue", "--quiet", "--help", "--version"] {
        assert!(help.transcript.contains(option), "{option}");
    }
    let version = Server::spawn(&["--version"]).ended();
    assert!(version.status.success());
    assert!(version.transcript.trim_end().ends_with(env!("CARGO_PKG_VERSION")));
    assert_eq!(help.complaints + &version.complaints, "");
}

#[test]
fn a_bad_option_gets_a_message_and_the_usage() {
    // The words about the options themselves are the C library's.
    let wrong: &[(&[&str], &str)] = &[
        (&["--loud", "5555"], "--loud"),
        (&["--bind"], "--bind"),
        (&["--max-queue", "much", "5555"], "not a number of bytes: 'much'"),
        (&["--max-queue", "-1", "5555"], "not a number of bytes: '-1'"),
        (&["--max-queue", "99999999999999999999999", "5555"], "not a number of bytes: '9999"),
        (&["-1"], "1"),
    ];
    for (arguments, why) in wrong {
        let ended = Server::spawn(arguments).ended();
        assert_eq!(ended.transcript, USAGE, "{arguments:?}");
        assert_eq!(ended.complaints.lines().count(), 1, "{arguments:?}: {}", ended.complaints);
        let reason = ended.complaints.strip_prefix("server: ");
        assert!(reason.is_some_and(|reason| reason.contains(why)), "{}", ended.complaints);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn options_after_the_port_are_no_options() {
    let ended = Server::spawn(&["5555", "--quiet"]).ended();
    assert_eq!(ended.transcript, USAGE);
    assert_eq!(ended.complaints, "server: nothing is wanted after the port: '--quiet'\n");
    assert_eq!(ended.status.code(), Some(1));
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
    assert!(ended(&["--help"]).transcript.starts_with("Usage: chatserver <port>\n"));
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

#[test]
fn bound_to_an_address_it_listens_there_alone() {
    let pairs: [(&str, IpAddr, IpAddr); 2] = [
        ("127.0.0.2", Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into()),
        ("::1", Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()),
    ];
    for (name, bound, other) in pairs {
        let server = Server::start_with(&["--bind", name]);
        let mut client = [Client::connect(bound, server.port)];
        server.let_in(&mut client);
        TcpStream::connect((other, server.port)).expect_err("nobody listens there");
        server.stop();
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    let ended = Server::spawn(&["--bind", "203.0.113.1", "5555"]).ended();
    let complaint = "cannot listen on port 5555 of 203.0.113.1: ";
    assert!(ended.complaints.starts_with(complaint), "{}", ended.complaints);
    assert_eq!(ended.status.code(), Some(1));
    let ended = Server::spawn(&["--bind", "no address", "5555"]).ended();
    assert!(ended.complaints.contains("no address: "), "{}", ended.complaints);
    assert_eq!(ended.status.code(), Some(1));
}
