//! Which clients get a line.

use crate::client::Client;
use crate::harness::{Server, may_open};
use crate::installed::skip;

/// Ends the server, and checks that no client got anything more.
fn expect_silence(server: Server, clients: &[Client]) {
    server.stop();
    for client in clients {
        client.expect_end();
    }
}

#[test]
fn a_line_goes_to_all_others_once_and_not_back() {
    let server = Server::start();
    let clients = server.crowd(5);
    for (at, sender) in clients.iter().enumerate() {
        let line = format!("client {at} has this to say\n");
        sender.say(&line);
        for (other, recipient) in clients.iter().enumerate() {
            if other != at {
                recipient.expect(&line);
            }
        }
    }
    expect_silence(server, &clients);
}

#[test]
fn somebody_alone_is_not_answered() {
    let server = Server::start();
    let clients = server.crowd(1);
    clients[0].say("is anybody there?\n");
    server.wait_for_bytes(4, 18);
    server.pass();
    expect_silence(server, &clients);
}

#[test]
fn a_newcomer_hears_nothing_of_what_was_said_before() {
    let server = Server::start();
    let [first, second] = server.joins();
    first.say("before\n");
    second.expect("before\n");
    let third = server.join();
    first.say("after\n");
    second.expect("after\n");
    third.expect("after\n");
    expect_silence(server, &[first, second, third]);
}

#[test]
fn a_thousand_hear_one() {
    if !may_open(1100) {
        return skip("too few descriptors for 1,000 clients");
    }
    let server = Server::start();
    let clients = server.crowd(1000);
    for at in [0, 500, 999] {
        let line = format!("one line from client {at} to all others\n");
        clients[at].say(&line);
        for (other, recipient) in clients.iter().enumerate() {
            if other != at {
                recipient.expect(&line);
            }
        }
    }
    expect_silence(server, &clients);
}
