//! `--printable`: nobody's terminal is steered by somebody else's line.

use crate::harness::{READ_SIZE, Server, pair};
use crate::telnet::becomes_with;

const PRINTABLE: &[&str] = &["--printable"];

/// Checks what is relayed of these bytes, whatever pieces they come in.
#[track_caller]
fn becomes(said: &[u8], relayed: &[u8]) {
    becomes_with(PRINTABLE, said, relayed, b"");
}

#[test]
fn control_characters_become_question_marks() {
    becomes(b"\x1b]0;owned\x07\n", b"?]0;owned?\n");
    let control: Vec<u8> = (0..0x20).chain([0x7f, b'\n']).collect();
    becomes(&control, b"?????????\t\n??\r???????????????????\n");
    becomes("a\u{80}\u{85}\u{9b}31m\u{9f}b\n".as_bytes(), b"a???31m?b\n");
}

#[test]
fn text_stays_as_it_is() {
    let text = "tab\tÜbung “quoted” ✓ Москва \u{a0}\u{7ff}\u{800}\
                \u{d7ff}\u{e000}\u{ffff} 🙂\u{10ffff}\r\n";
    becomes(text.as_bytes(), text.as_bytes());
    becomes(b"\n\r\n\r\r\n", b"\n\r\n\r\r\n");
}

#[test]
fn each_byte_that_is_no_utf_8_becomes_a_question_mark() {
    // Alone, too short, overlong, a surrogate, too large.
    becomes(b"\x80a\xbf\xc0\x80\xc1\xbf\xfeb\xff\xff\n", b"?a??????b??\n");
    becomes(b"\xc3a\xe2\x82b\xf0\x9f\x99c\xe2\xc3\xbc\n", b"?a??b???c?\xc3\xbc\n");
    becomes(
        b"\xe0\x9f\xbf\xed\xa0\x80\xf0\x8f\xbf\xbf\xf4\x90\x80\x80\xf5\n",
        b"???????????????\n",
    );
    // No terminal takes these for a C1 character.
    becomes(b"\xc0\x9b\xe0\x82\x9b\n", b"?????\n");
}

#[test]
fn telnets_commands_are_gone_before() {
    becomes(b"a\xc3\xff\xf1\xbcb\r\0", b"a\xc3\xbcb\r\n");
}

#[test]
fn half_a_character_at_the_end_becomes_question_marks() {
    let (server, sender, recipient) = pair(PRINTABLE);
    sender.say(b"\xf0\x9f\x99");
    sender.fall_silent();
    recipient.expect("???\n");
    server.stop();
    recipient.expect_end();
}

/// A full read after half a character, whose bytes come in front of it.
#[test]
fn a_full_buffer_has_room_for_what_was_held() {
    let (server, sender, recipient) = pair(PRINTABLE);
    sender.say(b"\xf0\x9f\x99");
    server.wait_for_bytes(sender.sd, 3);
    let long = "x".repeat(READ_SIZE) + "\n";
    server.pause();
    sender.say(&long);
    server.resume();
    recipient.expect(format!("???{long}"));
    server.stop();
}

/// Lines of 64 KiB go on in pieces, and other clients' lines may come between them.
#[test]
fn no_character_is_cut_by_the_pieces_of_a_long_line() {
    let start = |before: usize| "x".repeat((64 << 10) - before);
    let cases = [
        (0, start(0), "🙂!\n".to_owned()),
        (1, start(1) + "?", "!\n".to_owned()),
        (2, start(2) + "?!", "\n".to_owned()),
        (3, String::new(), start(3) + "?!\n"),
        (4, start(4) + "🙂", "!\n".to_owned()),
    ];
    for (before, first, second) in cases {
        let (server, sender, recipient) = pair(PRINTABLE);
        let third = server.join();
        sender.say(start(before));
        server.wait_for_bytes(sender.sd, start(before).len());
        sender.say("🙂!");
        server.wait_for_bytes(sender.sd, "🙂!".len());
        third.say("in between\n");
        recipient.expect(first + "in between\n");
        sender.say("\n");
        recipient.expect(second);
        // The count starts anew with each line.
        sender.say("🙂\n");
        recipient.expect("🙂\n");
        server.stop();
    }
}

#[test]
fn raw_and_printable_exclude_each_other() {
    for arguments in [["--raw", "--printable", "5555"], ["-p", "-r", "5555"]] {
        let ended = Server::spawn(&arguments).ended();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.complaints.contains("--raw and --printable exclude each other"));
        assert!(ended.transcript.starts_with("Usage: "), "{}", ended.transcript);
    }
}
