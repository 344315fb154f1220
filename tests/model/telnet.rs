//! The model of what the server relays of a client's bytes: written for all of them at once, in the
//! plainest way, where `telnet.c` and `printable.c` take them in any pieces. `tests/server/` and
//! `fuzz/` bring the functions under test.

use libc::c_char;
use std::io::BufRead;
use std::ptr;

/// A client's state in C, all zero at the start. Only its size matters here, and this is larger.
#[repr(C)]
#[derive(Default)]
pub(crate) struct State([u64; 8]);

/// The functions under test.
pub(crate) struct Functions {
    pub(crate) telnet_filter: unsafe extern "C" fn(
        *mut State,
        *mut c_char,
        *mut usize,
        *mut c_char,
        *mut usize,
    ) -> *mut c_char,
    pub(crate) printable_filter:
        unsafe extern "C" fn(*mut State, *mut c_char, *mut usize) -> *mut c_char,
}

const TELNET_HEADROOM: usize = 1;
const TELNET_ANSWERS_EXTRA: usize = 2;
const PRINTABLE_HELD: usize = 3;

/// Lines go on in pieces of this size, which cut no character.
const PIECE: usize = 64 << 10;

/// The first byte of inputs with a long line.
const LEAST_LONG: u8 = 224;

const IAC: u8 = 0xff;
const SB: u8 = 0xfa;
const SE: u8 = 0xf0;
const WILL: u8 = 0xfb;
const WONT: u8 = 0xfc;
const DO: u8 = 0xfd;
const DONT: u8 = 0xfe;

/// The text without telnet's commands, and the answers to these.
pub(crate) fn without_commands(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut text, mut answers, mut speaks) = (Vec::new(), Vec::new(), false);
    while !bytes.is_empty() {
        let (taken, command) = match *bytes {
            [IAC, SB, ref inside @ ..] => (2 + length_of_subnegotiation(inside), true),
            [IAC, verb @ WILL..=DONT, option, ..] => {
                match verb {
                    DO => answers.extend([IAC, WONT, option]),
                    WILL => answers.extend([IAC, DONT, option]),
                    _ => {}
                }
                (3, true)
            }
            [IAC, WILL..=DONT] | [IAC] => (bytes.len(), true),
            [IAC, 0xec..=0xf9, ..] => (2, true),
            [IAC, _, ..] => (2, false),
            _ => (length_of_text(bytes), false),
        };
        let (these, others) = bytes.split_at(taken);
        if command {
            speaks = true;
        } else if !speaks {
            text.extend_from_slice(these);
        } else {
            for byte in these {
                let ends_line = speaks && *byte == 0 && text.last() == Some(&b'\r');
                text.push(if ends_line { b'\n' } else { *byte });
            }
        }
        bytes = others;
    }
    (text, answers)
}

/// How many bytes there are before the first IAC, or in all.
fn length_of_text(mut bytes: &[u8]) -> usize {
    let ends = bytes.contains(&IAC);
    bytes.skip_until(IAC).expect("memory can be read") - usize::from(ends)
}

/// How many bytes there are up to IAC SE, or in all.
fn length_of_subnegotiation(inside: &[u8]) -> usize {
    let mut at = 0;
    while at < inside.len() {
        match inside[at..] {
            [IAC, SE, ..] => return at + 2,
            [IAC, _, ..] => at += 2,
            _ => at += 1,
        }
    }
    inside.len()
}

/// The text as `--printable` relays it, without a character that has not come to its end.
fn printable(text: &[u8]) -> Vec<u8> {
    let mut shown: Vec<u8> = Vec::new();
    let mut position = 0;
    let mut show = |piece: &[u8]| {
        let fits = position + piece.len() <= PIECE;
        let piece = if fits { piece } else { b"?" };
        shown.extend(piece);
        position = if piece == b"\n" { 0 } else { (position + piece.len()) % PIECE };
    };
    let mut chunks = text.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        for character in chunk.valid().chars() {
            let is_shown = !character.is_control() || "\t\r\n".contains(character);
            let character = if is_shown { character } else { '?' };
            show(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let may_go_on = chunks.peek().is_none() && may_go_on(chunk.invalid());
        if !may_go_on {
            chunk.invalid().iter().for_each(|_| show(b"?"));
        }
    }
    shown
}

/// Whether more bytes may make a character of these.
fn may_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The pieces that some bytes mean: each begins with its length, or, once, with 255 and how far
/// before the cut of a long line it ends.
fn decode(mut input: &[u8], mut may_be_long: bool) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while let [count, rest @ ..] = input {
        if let (255, true, [before, next @ ..]) = (*count, may_be_long, rest) {
            pieces.push(vec![b'x'; PIECE - usize::from(before % 8)]);
            may_be_long = false;
            input = next;
        } else {
            let (piece, next) = rest.split_at(usize::from(count % 32).min(rest.len()));
            pieces.push(piece.to_vec());
            input = next;
        }
    }
    pieces
}

/// Filters pieces, in buffers that have no byte more than they have to.
struct Player<'a> {
    functions: &'a Functions,
    telnet: State,
    printable: State,
}

impl Player<'_> {
    fn telnet(&mut self, piece: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut buffer = [&[0; TELNET_HEADROOM][..], piece].concat().into_boxed_slice();
        let mut answers = vec![0; piece.len() + TELNET_ANSWERS_EXTRA].into_boxed_slice();
        let (mut length, mut answers_length) = (piece.len(), 0);
        // SAFETY: the buffers have the room that telnet.h asks for, the state is large enough and
        // was zero at the start, and what is returned lies in the buffer.
        let text = unsafe {
            let start = (self.functions.telnet_filter)(
                &mut self.telnet,
                buffer.as_mut_ptr().add(TELNET_HEADROOM).cast(),
                &mut length,
                answers.as_mut_ptr().cast(),
                &mut answers_length,
            );
            std::slice::from_raw_parts(start.cast::<u8>(), length).to_vec()
        };
        (text, answers[..answers_length].to_vec())
    }

    fn printable(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut buffer = [&[0; PRINTABLE_HELD][..], piece].concat().into_boxed_slice();
        let mut length = piece.len();
        // SAFETY: as above, by printable.h.
        unsafe {
            let start = (self.functions.printable_filter)(
                ptr::from_mut(&mut self.printable),
                buffer.as_mut_ptr().add(PRINTABLE_HELD).cast(),
                &mut length,
            );
            std::slice::from_raw_parts(start.cast::<u8>(), length).to_vec()
        }
    }
}

/// Plays what the bytes mean: the first one says what is done to the pieces, and whether there is a
/// long one. In few inputs there is, since it takes long.
pub(crate) fn play(bytes: &[u8], functions: &Functions) {
    let Some((mode, input)) = bytes.split_first() else { return };
    let (speaks_telnet, is_printable) = (mode % 3 != 0, mode % 3 != 1);
    let mut player = Player { functions, telnet: State::default(), printable: State::default() };
    let (mut said, mut relayed, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    let pieces = decode(input, *mode >= LEAST_LONG);
    let last = pieces.len().saturating_sub(1);
    for (number, piece) in pieces.into_iter().enumerate() {
        said.extend(&piece);
        let mut text = piece;
        if speaks_telnet {
            let (plain, answers) = player.telnet(&text);
            text = plain;
            answered.extend(answers);
        }
        if is_printable {
            text = player.printable(&text);
        }
        relayed.extend(text);
        // The model begins at the beginning each time, which takes long for long texts.
        if said.len() > PIECE / 2 && number < last {
            continue;
        }
        let (mut wanted, mut answers) = (said.clone(), Vec::new());
        if speaks_telnet {
            (wanted, answers) = without_commands(&wanted);
        }
        if is_printable {
            wanted = printable(&wanted);
        }
        assert!(answered == answers, "{} is answered", said.escape_ascii());
        assert!(relayed == wanted, "{} is relayed", said.escape_ascii());
    }
}
