//! Telnet's interrupt, which is answered and not relayed.

use crate::harness::Server;

const INTERRUPT: &[u8] = b"\xff\xf4\xff\xfd\x06";
const ANSWER: &[u8] = b"\xff\xfc\x06";

#[test]
fn an_interrupt_is_answered_and_not_relayed() {
    let server = Server::start();
    let [talker, listener] = server.joins();
    talker.say([b"before", INTERRUPT, b" and after\n"].concat());
    talker.expect(ANSWER);
    listener.expect("before and after\n");
    talker.say([INTERRUPT, INTERRUPT, b"\n"].concat());
    talker.expect([ANSWER, ANSWER].concat());
    listener.expect("\n");
    server.stop();
}

#[test]
fn an_interrupt_in_pieces_is_an_interrupt() {
    let server = Server::start();
    let [talker, listener] = server.joins();
    for at in 1..INTERRUPT.len() {
        let (first, second) = INTERRUPT.split_at(at);
        talker.say([b"x", first].concat());
        server.wait_for_bytes(talker.sd, 1 + at);
        talker.say([second, b"y\n"].concat());
        talker.expect(ANSWER);
        listener.expect("xy\n");
    }
    for byte in INTERRUPT {
        talker.say([*byte]);
        server.wait_for_bytes(talker.sd, 1);
    }
    talker.expect(ANSWER);
    server.stop();
}

#[test]
fn what_only_begins_like_an_interrupt_is_relayed() {
    let server = Server::start();
    let [talker, listener] = server.joins();
    for at in 1..INTERRUPT.len() {
        let start = &INTERRUPT[..at];
        // In one read, doubled, in two reads, and at the end of what is said.
        for line in [[start, b"\n"].concat(), [start, start, b"z\n"].concat()] {
            talker.say(&line);
            listener.expect(&line);
        }
        talker.say(start);
        server.wait_for_bytes(talker.sd, at);
        talker.say("no\n");
        listener.expect([start, b"no\n"].concat());
    }
    talker.say(b"the end\xff\xf4\xff");
    talker.fall_silent();
    listener.expect(b"the end\xff\xf4\xff");
    server.stop();
}
