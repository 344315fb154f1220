//! A telnet user: commands (RFC 854 and 855) within its lines, and the line ends of telnet.

use fastrand::Rng;
use std::ops::RangeInclusive;

pub const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
/// Commands of two bytes: from end of file, suspend and abort to go ahead.
const SHORT: RangeInclusive<u8> = 236..=249;
const LONGEST_PARAMETER: usize = 300;

/// A command, or the answer to one, about an option.
pub type OptionCommand = [u8; 3];

#[derive(Default)]
pub struct Telnet {
    has_sent_command: bool,
    /// The answers to what it has composed since they were last taken.
    pub answers: Vec<OptionCommand>,
}

impl Telnet {
    /// What is sent for a line that ends with CR LF: commands may be anywhere before its last byte,
    /// and one who has sent some may end it with CR NUL.
    pub fn encode(&mut self, line: &[u8], rng: &mut Rng) -> Vec<u8> {
        let text = line.strip_suffix(b"\n").expect("it is a line");
        let commands = if rng.u8(0..4) == 0 { rng.usize(1..4) } else { 0 };
        let mut places: Vec<_> = (0..commands).map(|_| rng.usize(0..=text.len())).collect();
        places.sort_unstable();
        let mut wire = Vec::new();
        let mut at = 0;
        for place in places {
            wire.extend_from_slice(&text[at..place]);
            self.command(&mut wire, rng);
            at = place;
        }
        wire.extend_from_slice(&text[at..]);
        wire.push(if self.has_sent_command && rng.bool() { b'\0' } else { b'\n' });
        wire
    }

    fn command(&mut self, wire: &mut Vec<u8>, rng: &mut Rng) {
        self.has_sent_command = true;
        // Option 255 in a subnegotiation would look like the beginning of its end.
        let option = rng.u8(..IAC);
        match rng.u8(0..6) {
            0 => wire.extend([IAC, rng.u8(SHORT)]),
            1 => subnegotiation(wire, option, rng),
            2 => wire.extend([IAC, WONT, option]),
            3 => wire.extend([IAC, DONT, option]),
            4 => self.request([IAC, WILL, option], [IAC, DONT, option], wire),
            _ => self.request([IAC, DO, option], [IAC, WONT, option], wire),
        }
    }

    fn request(&mut self, request: OptionCommand, answer: OptionCommand, wire: &mut Vec<u8>) {
        wire.extend(request);
        self.answers.push(answer);
    }
}

fn subnegotiation(wire: &mut Vec<u8>, option: u8, rng: &mut Rng) {
    wire.extend([IAC, SB, option]);
    for _ in 0..rng.usize(0..LONGEST_PARAMETER) {
        let byte = rng.u8(..);
        wire.push(byte);
        if byte == IAC {
            wire.push(IAC);
        }
    }
    wire.extend([IAC, SE]);
}
