//! Telnet's interrupt, which is answered and not relayed.

use crate::harness::Server;

const INTERRUPT: &[u8] = b"\xff\xf4\xff\xfd\x06";
const ANSWER: &[u8] = b"\xff\xfc\x06";

#[test]
fn an_interrupt_is_answered_and_not_relayed() {
    let server = Server::start();
    let [sender, recipient] = server.joins();
    sender.say([b"before", INTERRUPT, b" and after\n"].concat());
    sender.expect(ANSWER);
    recipient.expect("before and after\n");
    sender.say([INTERRUPT, INTERRUPT, b"\n"].concat());
    sender.expect([ANSWER, ANSWER].concat());
    recipient.expect("\n");
    server.stop();
}

#[test]
fn an_interrupt_in_pieces_is_an_interrupt() {
    let server = Server::start();
    let [sender, recipient] = server.joins();
    for at in 1..INTERRUPT.len() {
        let (first, second) = INTERRUPT.split_at(at);
        sender.say([b"x", first].concat());
        server.wait_for_bytes(sender.sd, 1 + at);
        sender.say([second, b"y\n"].concat());
        sender.expect(ANSWER);
        recipient.expect("xy\n");
    }
    for byte in INTERRUPT {
        sender.say([*byte]);
        server.wait_for_bytes(sender.sd, 1);
    }
    sender.expect(ANSWER);
    server.stop();
}

#[test]
fn what_only_begins_like_an_interrupt_is_relayed() {
    let server = Server::start();
    let [sender, recipient] = server.joins();
    for at in 1..INTERRUPT.len() {
        let start = &INTERRUPT[..at];
        // In one read, doubled, in two reads, and at the end of what is said.
        for line in [[start, b"\n"].concat(), [start, start, b"z\n"].concat()] {
            sender.say(&line);
            recipient.expect(&line);
        }
        sender.say(start);
        server.wait_for_bytes(sender.sd, at);
        sender.say("no\n");
        recipient.expect([start, b"no\n"].concat());
    }
    sender.say(b"the end\xff\xf4\xff");
    sender.fall_silent();
    recipient.expect(b"the end\xff\xf4\xff");
    server.stop();
}
