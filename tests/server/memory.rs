//! A server that gets no more memory disconnects the client it fails for; the others chat on.

use crate::harness::Server;
use crate::slow::peak_memory;

const NO_MEMORY: &str = "Cannot allocate memory";

#[test]
fn who_cannot_be_kept_in_mind_is_let_go() {
    let server = Server::start_with(&["--quiet"]);
    let room = server.quiet_crowd(102);
    let [sender, recipient, mumblers @ ..] = &room[..] else { panic!("a crowd") };
    server.limit_memory(true);
    // The server keeps lines without an end until it has no memory for one more.
    for mumbler in mumblers {
        mumbler.say([b'x'; 4000]);
    }
    server.wait_for_complaint(&format!("closed: {NO_MEMORY}"));
    sender.say("still here\n");
    recipient.expect("still here\n");
    // The last line of a client that leaves now is lost.
    mumblers[0].fall_silent();
    server.wait_for_complaint(&format!("its last line is lost: {NO_MEMORY}"));
    sender.say("and here\n");
    recipient.expect("and here\n");
    server.limit_memory(false);
    let long = [&[b'y'; 50_000][..], b"\n"].concat();
    sender.say(&long);
    recipient.expect(&long);
    server.stop();
}

/// The answers fill the kernel's buffer, and then the queue until memory runs out.
#[test]
fn who_interrupts_and_reads_no_answers_is_let_go() {
    let server = Server::start_with(&["--quiet"]);
    let [sender, recipient, stopped] = server.quiet_joins();
    server.limit_memory(true);
    let interrupts = b"\xff\xf4\xff\xfd\x06".repeat(10_000);
    while stopped.try_say(&interrupts).is_ok() {}
    server.wait_for_complaint(&format!("closed: {NO_MEMORY}"));
    sender.say("still here\n");
    recipient.expect("still here\n");
    server.limit_memory(false);
    server.stop();
}

/// It is skipped, and not kept.
#[test]
fn a_subnegotiation_of_telnet_without_an_end_takes_no_memory() {
    const SAID: usize = 100 << 20;
    let server = Server::start_with(&["--quiet"]);
    let [sender, recipient] = server.quiet_joins();
    sender.say(b"a\xff\xfa\x27");
    let piece = vec![b'x'; 1 << 20];
    (0..SAID / piece.len()).for_each(|_| sender.say(&piece));
    sender.say(b"\xff\xf0b\n");
    recipient.expect("ab\n");
    let peak = peak_memory(&server);
    assert!(peak < 16 << 20, "{peak} bytes");
    server.stop();
}
