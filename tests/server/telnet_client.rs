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

/// Presses a key that telnet has a command for, and checks that telnet shows what is said then.
#[track_caller]
fn telnet_goes_on_after(key: &[u8]) {
    let Some((server, watcher, telnet)) = room() else { return };
    telnet.presses(key);
    // The command, and DO TIMING-MARK: until that is answered, nothing is shown.
    server.wait_for_bytes(5, 5);
    watcher.say("can you hear me?\n");
    telnet.shows_in_the_end("can you hear me?");
    telnet.types("yes\n");
    watcher.hear_until(b"yes\r\n");
    server.stop();
}

#[test]
fn after_an_interrupt() {
    telnet_goes_on_after(b"\x03");
}

#[test]
fn after_a_break() {
    telnet_goes_on_after(b"\x1c");
}

/// The terminal hands this key over at the end of a line only.
#[test]
fn after_an_abort_output() {
    telnet_goes_on_after(b"\x0f\n");
}

#[test]
fn after_a_suspend() {
    telnet_goes_on_after(b"\x1a");
}

/// It comes as urgent data.
#[test]
fn after_a_synch() {
    let Some((server, watcher, telnet)) = room() else { return };
    telnet.presses(b"\x1dsend synch\n");
    server.wait_for_bytes(5, 2);
    telnet.presses(b"yes\n");
    watcher.expect("yes\r\n");
    server.stop();
}

/// Types lines, each of which the watcher hears and answers. Returns what it has heard.
fn converse(lines: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let Some((server, watcher, telnet)) = room() else { return Vec::new() };
    let mut heard = Vec::new();
    for (number, line) in lines.into_iter().enumerate() {
        telnet.presses(&[&line[..], b"\n"].concat());
        heard.push(watcher.hear_until(b"\r\n"));
        let answer = format!("answer {number}");
        watcher.say(format!("{answer}\n"));
        telnet.shows_in_the_end(&answer);
    }
    server.stop();
    heard
}

/// The UTF-8 of these words has bytes that telnet takes for one of those keys: it sends a command
/// in their place.
#[test]
fn after_words_that_hold_special_keys() {
    let words = ["Übung", "“quoted", "✓", "Москва", "naïve"];
    let heard = converse(words.map(|word| word.as_bytes().to_vec()));
    let wanted: [&[u8]; 5] = [
        b"\xc3bung",
        b"\xe2\x80quoted",
        b"\xe2\x93",
        &[b"\xd0", "осква".as_bytes()].concat(),
        "naïve".as_bytes(),
    ];
    for (heard, wanted) in heard.iter().zip(wanted) {
        assert_eq!(heard, &[wanted, b"\r\n"].concat());
    }
}

/// 9D is left out: it opens telnet's own prompt.
#[test]
fn after_each_byte_in_the_middle_of_a_word() {
    let bytes = (0x80..=0xff).filter(|byte| *byte != 0x9d);
    for line in converse(bytes.map(|byte| vec![b'a', byte, b'b'])) {
        let [b'a', .., b'b', b'\r', b'\n'] = line[..] else { panic!("{}", line.escape_ascii()) };
        assert!(line.len() <= 6, "no command is relayed: {}", line.escape_ascii());
    }
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
