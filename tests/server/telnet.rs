//! Telnet's commands are taken out of what is relayed, and its options refused.

use crate::harness::{READ_SIZE, pair};
use crate::stats::Stats;

/// What PuTTY begins with: WILL NAWS, TSPEED, TTYPE, NEW-ENVIRON, DO ECHO, WILL SGA, DO SGA.
const PUTTY: &[u8] =
    b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";
const PUTTY_IS_TOLD: &[u8] =
    b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x03";

/// Checks what is relayed of these bytes, and what the sender is answered: at once, cut in two at
/// every place, and byte by byte. The bytes end a line.
#[track_caller]
fn becomes(said: &[u8], relayed: &[u8], answer: &[u8]) {
    becomes_with(&[], said, relayed, answer);
}

/// The same at a server with these options.
#[track_caller]
pub(crate) fn becomes_with(options: &[&str], said: &[u8], relayed: &[u8], answer: &[u8]) {
    let (server, sender, recipient) = pair(options);
    let say = |bytes: &[u8]| {
        sender.say(bytes);
        server.wait_for_bytes(sender.sd, bytes.len());
    };
    let hear = || {
        recipient.expect(relayed);
        sender.expect(answer);
    };
    say(said);
    hear();
    for at in 1..said.len() {
        say(&said[..at]);
        say(&said[at..]);
        hear();
    }
    said.chunks(1).for_each(say);
    hear();
    server.stop();
    recipient.expect_end();
    sender.expect_end();
}

#[test]
fn each_command_is_taken_out() {
    for command in (0xec..=0xf9).filter(|command| *command != 0xfa) {
        becomes(&[b'a', 0xff, command, b'b', b'\n'], b"ab\n", b"");
    }
}

/// The kernel would take an urgent byte out of what is read.
#[test]
fn urgent_bytes_stay_in_their_place() {
    stays_in_its_place(&[], b"hel", b"l", b"o\n", b"");
    stays_in_its_place(&["--raw"], b"hel", b"l", b"o\n", b"");
    stays_in_its_place(&[], b"hello", b"\xff\xf2", b"\n", b"");
    stays_in_its_place(&[], b"hello", b"\xff\xf2", b"\xff\xfd\x06\n", b"\xff\xfc\x06");
}

/// Sends these bytes, of which `urgent` ends with an urgent one, and checks the answer to them.
fn stays_in_its_place(options: &[&str], before: &[u8], urgent: &[u8], after: &[u8], answer: &[u8]) {
    let (server, sender, recipient) = pair(options);
    sender.say(before);
    sender.say_urgently(urgent);
    sender.say(after);
    recipient.expect("hello\n");
    sender.expect(answer);
    server.stop();
}

#[test]
fn each_option_that_is_asked_for_is_refused_every_time() {
    becomes(b"a\xff\xfd\x06b\xff\xfd\x06\n", b"ab\n", b"\xff\xfc\x06\xff\xfc\x06");
    becomes(b"a\xff\xfd\xffb\n", b"ab\n", b"\xff\xfc\xff");
    becomes(b"a\xff\xfb\x03b\n", b"ab\n", b"\xff\xfe\x03");
    becomes(PUTTY, b"", PUTTY_IS_TOLD);
}

#[test]
fn refusals_are_not_answered() {
    becomes(b"a\xff\xfc\x01b\xff\xfe\x03c\n", b"abc\n", b"");
}

#[test]
fn a_subnegotiation_is_skipped() {
    becomes(b"a\xff\xfa\x1f\0\x50\n\0\x18\xff\xf0b\n", b"ab\n", b"");
    // In there FF FF is a byte, also before F0, and DO no request.
    becomes(b"a\xff\xfa\x22\xff\xff\xf0\n\xff\xfd\x06\xff\xf0b\n", b"ab\n", b"");
}

#[test]
fn what_is_no_command_stays() {
    becomes(b"\xffa\xff\xeb\xff\0\xff\r\0\xff\n", b"\xffa\xff\xeb\xff\0\xff\r\0\xff\n", b"");
    becomes(b"\xff\xff\xff\xff\xec\xff\xff\n", b"\xff\xff\xff\xff\xec\xff\xff\n", b"");
    becomes(b"\xff\xff\xff\xf1\xffx\n", b"\xff\xff\xffx\n", b"");
}

#[test]
fn who_speaks_telnet_ends_lines_with_cr_nul() {
    becomes(b"\xff\xf1a\r\0b\r\n\0\r\r\0c\rd\0\n", b"a\r\nb\r\n\0\r\r\nc\rd\0\n", b"");
    becomes(b"\xff\xf1\xff\r\0\r\xff\xf1\0\0\n", b"\xff\r\n\r\n\0\n", b"");
}

/// Not before the first command, and FF FF is none.
#[test]
fn others_may_say_cr_nul() {
    let (server, sender, recipient) = pair(&[]);
    sender.say(b"a\r\0\xff\xff\r\0b\n");
    recipient.expect(b"a\r\0\xff\xff\r\0b\n");
    sender.say(b"a\r\0\xff\xfe\x01b\r\0");
    recipient.expect(b"a\r\0b\r\n");
    // The next client with the same descriptor is another one.
    drop(sender);
    server.wait_for_removals(1);
    let next = server.join();
    next.say(b"a\r\0b\n");
    recipient.expect(b"a\r\0b\n");
    server.stop();
}

#[test]
fn every_byte_may_stand_in_a_word() {
    for byte in (0x80..=0xff).filter(|byte| *byte != b'\n') {
        let (server, sender, recipient) = pair(&[]);
        let word = [b'a', byte, b'b', b'\n'];
        sender.say(word);
        recipient.expect(word);
        server.stop();
    }
}

#[test]
fn half_a_command_at_the_end_is_dropped() {
    let ends: [&[u8]; 6] =
        [b"\xff", b"\xff\xfd", b"\xff\xfb", b"\xff\xfa", b"\xff\xfa\x1f\0", b"\xff\xfa\x1f\xff"];
    for end in ends {
        let (server, sender, recipient) = pair(&[]);
        sender.say([b"the end", end].concat());
        sender.fall_silent();
        recipient.expect("the end\n");
        server.stop();
        recipient.expect_end();
    }
}

/// An IAC that the last read has ended with comes out in front of a read that fills the buffer.
#[test]
fn a_full_buffer_has_room_for_what_was_held() {
    let (server, sender, recipient) = pair(&[]);
    sender.say(b"\xff");
    server.wait_for_bytes(sender.sd, 1);
    let long = [&[b'x'; 3 * READ_SIZE][..], b"\n"].concat();
    server.pause();
    sender.say(&long);
    server.resume();
    recipient.expect([b"\xff", &long[..]].concat());
    // A buffer full of requests has as many answers.
    let requests = b"\xff\xfd\x06".repeat(READ_SIZE);
    server.pause();
    sender.say(&requests);
    server.resume();
    sender.expect(b"\xff\xfc\x06".repeat(READ_SIZE));
    server.stop();
}

/// What is in a command is no line end, and CR NUL becomes one.
#[test]
fn statistics_count_the_lines_that_are_relayed() {
    let (server, sender, recipient) = pair(&[]);
    sender.say(b"\xff\xfa\x22\n\n\xff\xf0one\r\0");
    recipient.expect("one\r\n");
    assert_eq!(Stats::of(&server).messages_in, 1);
    server.stop();
}

#[test]
fn raw_passes_every_byte_as_it_came() {
    for option in ["--raw", "-r"] {
        let (server, sender, recipient) = pair(&[option]);
        let all: Vec<u8> = [PUTTY, b"\xff\xfd\x06a\r\0\xff\xfa\x01\xff\xf0\n\xff\xf4"].concat();
        sender.say(&all);
        sender.fall_silent();
        recipient.expect(&all);
        // Nothing is answered, and the last line gets no end.
        sender.expect_end();
        server.stop();
        recipient.expect_end();
    }
}
