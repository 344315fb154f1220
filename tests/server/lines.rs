//! Whole lines are relayed, as they came.

use crate::client::Client;
use crate::harness::{READ_SIZE, Server, pair};

/// Sends bytes, and waits until the server has read them all.
fn say(server: &Server, client: &Client, bytes: impl AsRef<[u8]>) {
    client.say(bytes.as_ref());
    server.wait_for_bytes(client.sd, bytes.as_ref().len());
}

/// A line of so many bytes, line end included, without repetition.
fn line(length: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| format!("{number:x} ").into_bytes());
    numbers.take(length - 1).chain([b'\n']).collect()
}

/// Checks that the bytes arrive as they are, and nothing more.
fn arrives(said: &[u8]) {
    arrives_with(&[], said);
}

/// The same at a server with these options.
fn arrives_with(options: &[&str], said: &[u8]) {
    let (server, sender, recipient) = pair(options);
    sender.say(said);
    recipient.expect(said);
    server.stop();
    recipient.expect_end();
    sender.expect_end();
}

#[test]
fn halves_of_two_lines_never_mix() {
    let server = Server::start();
    let [first, second, recipient] = server.joins();
    say(&server, &first, "the first ");
    say(&server, &second, "the second ");
    say(&server, &first, "says this\nand ");
    say(&server, &second, "says that\nand that is ");
    say(&server, &first, "this is all\n");
    say(&server, &second, "all\n");
    recipient
        .expect("the first says this\nthe second says that\nand this is all\nand that is all\n");
    first.expect("the second says that\nand that is all\n");
    second.expect("the first says this\nand this is all\n");
    server.stop();
}

#[test]
fn half_a_line_is_not_passed_on() {
    let (server, sender, recipient) = pair(&[]);
    say(&server, &sender, "first\nsecond");
    recipient.expect("first\n");
    let third = server.join();
    third.say("in between\n");
    recipient.expect("in between\n");
    sender.say("\n");
    recipient.expect("second\n");
    server.stop();
}

#[test]
fn several_lines_in_a_packet_stay_as_they_are() {
    arrives(b"one\ntwo\nthree\n");
}

#[test]
fn empty_lines_are_lines() {
    arrives(b"\n");
    arrives(b"\n\n\n");
    arrives(b"\r\n\r\n");
}

#[test]
fn line_ends_are_kept() {
    arrives(b"unix\nnetwork\r\nold\rand odd\n\rend\r\r\n");
}

#[test]
fn a_line_end_may_come_in_two_packets() {
    let (server, sender, recipient) = pair(&[]);
    say(&server, &sender, "hello\r");
    say(&server, &sender, "\n");
    recipient.expect("hello\r\n");
    say(&server, &sender, "\r");
    say(&server, &sender, "\nbye\r");
    say(&server, &sender, "\n");
    recipient.expect("\r\nbye\r\n");
    server.stop();
    recipient.expect_end();
}

#[test]
fn nul_bytes_are_bytes() {
    arrives(b"\0\n");
    arrives(b"before\0after\n\0\0\n");
}

#[test]
fn any_byte_will_do() {
    let ascending: Vec<u8> = (0..=255).chain([b'\n']).collect();
    arrives(&ascending);
    // FF FE would begin a command of telnet's.
    let descending: Vec<u8> = (0..=255).rev().chain([b'\n']).collect();
    arrives_with(&["--raw"], &descending);
}

#[test]
fn the_size_of_the_servers_buffer_does_not_show() {
    for size in [4096, 8192, READ_SIZE, 2 * READ_SIZE] {
        for length in [size - 1, size, size + 1] {
            arrives(&line(length));
        }
    }
}

#[test]
fn long_lines_arrive() {
    for length in [10_000, 65_535, 65_536, 65_537, 1_000_000] {
        arrives(&line(length));
    }
}

#[test]
fn a_line_that_fills_the_buffer_waits_for_its_end() {
    let (server, sender, recipient) = pair(&[]);
    let third = server.join();
    let long = line(3 * READ_SIZE + 1);
    let (start, end) = long.split_at(3 * READ_SIZE);
    say(&server, &sender, start);
    third.say("in between\n");
    recipient.expect("in between\n");
    sender.say(end);
    recipient.expect(&long);
    server.stop();
}

#[test]
fn a_line_may_come_byte_by_byte() {
    let (server, sender, recipient) = pair(&[]);
    let third = server.join();
    let slow = line(300);
    for byte in &slow[..299] {
        say(&server, &sender, [*byte]);
    }
    third.say("faster\n");
    recipient.expect("faster\n");
    sender.say("\n");
    recipient.expect(&slow);
    server.stop();
    recipient.expect_end();
}

#[test]
fn last_words_need_no_newline() {
    let (server, sender, recipient) = pair(&[]);
    sender.say("a line\nlast words");
    sender.fall_silent();
    recipient.expect("a line\nlast words\n");
    let transcript = server.until(|line| line.starts_with("removing"));
    let end = "Connection closed for sd 4\nremoving connection with sd 4 \n";
    assert!(transcript.ends_with(end), "{transcript}");
    sender.expect_end();
    server.stop();
    recipient.expect_end();
}

#[test]
fn whoever_leaves_after_a_whole_line_says_nothing_more() {
    let (server, sender, recipient) = pair(&[]);
    sender.say("a line\n");
    drop(sender);
    recipient.expect("a line\n");
    server.wait_for_removals(1);
    server.stop();
    recipient.expect_end();
}

/// The half line of a client is not continued by the next with the same descriptor.
#[test]
fn half_a_line_leaves_with_its_client() {
    let (server, sender, recipient) = pair(&[]);
    say(&server, &recipient, "kept");
    drop(recipient);
    server.wait_for_removals(1);
    sender.expect("kept\n");
    let newcomer = server.join();
    assert_eq!(newcomer.sd, 5);
    newcomer.say("new\n");
    sender.expect("new\n");
    server.stop();
    sender.expect_end();
}
