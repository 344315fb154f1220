//! The real telnet in a terminal: it goes on, whatever is typed and whoever else is in the room.

use crate::harness::Server;
use crate::tools::Tool;

/// A server, a client that watches, and a telnet that has said something already: telnet looks for
/// special keys only once it reads what is typed.
fn room() -> Option<(Server, crate::client::Client, Tool)> {
    let server = Server::start();
    let watcher = server.join();
    let telnet = Tool::start("telnet", &server)?;
    telnet.types("ready\n");
    watcher.expect("ready\r\n");
    server.wait_for("7 bytes received from sd 5");
    Some((server, watcher, telnet))
}

/// Types the keys in the middle of a line, and checks that telnet shows what is said then, and that
/// the whole line arrives.
#[track_caller]
fn telnet_goes_on_after(keys: &[u8], relayed: &[u8]) {
    let Some((server, watcher, telnet)) = room() else { return };
    telnet.presses(keys);
    server.wait_for_bytes(5, 5);
    watcher.say("can you hear me?\n");
    telnet.shows_in_the_end("can you hear me?");
    telnet.presses(b"yes\n");
    watcher.expect([relayed, b"yes\r\n"].concat());
    server.stop();
}

#[test]
fn after_an_interrupt() {
    telnet_goes_on_after(b"\x03", b"");
}

#[test]
fn after_a_break() {
    telnet_goes_on_after(b"\x1c", b"");
}

#[test]
fn after_an_abort_output() {
    telnet_goes_on_after(b"\x0f", b"");
}

#[test]
fn after_a_suspend() {
    telnet_goes_on_after(b"\x1a", b"");
}

/// Words whose UTF-8 has a byte that telnet takes for one of those keys.
#[test]
fn after_words_that_hold_special_keys() {
    let words = ["Übung", "“quoted”", "✓", "Москва", "Я", "ďábel"];
    let Some((server, watcher, telnet)) = room() else { return };
    for word in words {
        telnet.presses(format!("{word}\n").as_bytes());
        watcher.say(format!("after {word}\n"));
        telnet.shows_in_the_end(&format!("after {word}"));
    }
    telnet.presses(b"that was it\n");
    let heard = String::from_utf8_lossy(&watcher.hear_until(b"that was it\r\n")).into_owned();
    // Telnet keeps the bytes that it takes for a key, and may throw away what was typed before.
    assert_eq!(heard.lines().count(), words.len() + 1, "{heard:?}");
    server.stop();
}

/// 9D alone is telnet's own escape to its prompt.
#[test]
fn after_each_byte_in_the_middle_of_a_word() {
    let Some((server, watcher, telnet)) = room() else { return };
    for byte in (0x80..=0xff).filter(|byte| *byte != 0x9d) {
        telnet.presses(&[b'a', byte, b'b', b'\n']);
        watcher.say(format!("after {byte:x}\n"));
        telnet.shows_in_the_end(&format!("after {byte:x}"));
    }
    server.stop();
}

/// What others negotiate is not relayed: WILL SGA alone would make telnet end its lines with CR NUL
/// from then on, and nobody would hear it.
#[test]
fn while_others_negotiate() {
    let Some((server, watcher, telnet)) = room() else { return };
    let putty =
        b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";
    let lines: [&[u8]; 4] = [
        putty,
        b"\xff\xfb\x03",
        b"\xff\xfb\x01",
        b"\xff\xfd\x22\xff\xfa\x22\x01\x02\xff\xf0\xff\xfa\x22\x03\x01\x03\0\xff\xf0",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        watcher.say([line, format!("hello {number}\n").as_bytes()].concat());
        telnet.shows_in_the_end(&format!("hello {number}"));
        telnet.presses(format!("here {number}\n").as_bytes());
        watcher.hear_until(format!("here {number}\r\n").as_bytes());
    }
    server.stop();
}
