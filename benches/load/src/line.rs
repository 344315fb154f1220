//! The lines that are sent. Sender and number determine a line to the last byte, so that it can be
//! checked whether a received one is whole.
//!
//! A line begins with the only at sign in it: this shows where the next one begins after a line
//! that broke off.

use fastrand::Rng;
use std::io::Write;
use std::ops::Range;

/// Clients are numbered in the order in which they connect.
pub type Id = u32;

pub const START: u8 = b'@';
/// The at sign, and sender and number in eight hexadecimal digits, each followed by a space.
pub const HEADER: usize = 1 + 2 * (DIGITS + 1);
const DIGITS: usize = 8;
/// The shortest line: a header, one letter and the end.
pub const SHORTEST: usize = HEADER + 2;

/// Of lines of mixed lengths, most are short, some longer than what a server reads at once.
const SHORT: Range<usize> = HEADER + 14..160;
const LONG: Range<usize> = 160..2_000;
const LONGEST: Range<usize> = 4_000..9_000;

enum Length {
    Fixed(usize),
    Mixed { seed: u64 },
}

pub struct Lines {
    length: Length,
    letters: Vec<u8>,
}

impl Lines {
    /// Lines of this length, the newline included.
    pub fn fixed(bytes: usize) -> Self {
        assert!(bytes >= SHORTEST);
        Self::new(Length::Fixed(bytes), bytes)
    }

    /// Lines whose lengths the seed determines. Half of their senders end them as telnet does.
    pub fn mixed(seed: u64) -> Self {
        Self::new(Length::Mixed { seed }, LONGEST.end)
    }

    fn new(length: Length, longest: usize) -> Self {
        Self { length, letters: (b'a'..=b'z').cycle().take(longest + 26).collect() }
    }

    /// The line end included.
    pub fn length(&self, sender: Id, number: u32) -> usize {
        let seed = match self.length {
            Length::Fixed(bytes) => return bytes,
            Length::Mixed { seed } => seed,
        };
        let mut rng = seeded(seed, u64::from(sender) << 32 | u64::from(number));
        let range = match rng.u8(0..128) {
            0 => LONGEST,
            1..8 => LONG,
            _ => SHORT,
        };
        rng.usize(range)
    }

    /// Whether this sender ends its lines with CR LF.
    pub fn end_in_crlf(&self, sender: Id) -> bool {
        match self.length {
            Length::Fixed(_) => false,
            Length::Mixed { seed } => seeded(seed, !u64::from(sender)).bool(),
        }
    }

    fn end(&self, sender: Id) -> &'static [u8] {
        if self.end_in_crlf(sender) { b"\r\n" } else { b"\n" }
    }

    pub fn write(&self, sender: Id, number: u32, out: &mut Vec<u8>) {
        write!(out, "@{sender:08x} {number:08x} ").expect("a vector takes everything");
        out.extend_from_slice(self.letters(sender, number));
        out.extend_from_slice(self.end(sender));
    }

    pub fn line(&self, sender: Id, number: u32) -> Vec<u8> {
        let mut line = Vec::new();
        self.write(sender, number, &mut line);
        line
    }

    /// Whether the text is this line, or the beginning of it. It begins with its header.
    pub fn begins_with(&self, sender: Id, number: u32, text: &[u8]) -> bool {
        let letters = self.letters(sender, number);
        let body = &text[HEADER..];
        let (body, end) = body.split_at(body.len().min(letters.len()));
        letters.starts_with(body) && self.end(sender).starts_with(end)
    }

    /// They start at a different letter from line to line, so that the halves of two lines seldom
    /// make a whole one.
    fn letters(&self, sender: Id, number: u32) -> &[u8] {
        let first = (sender.wrapping_add(number) % 26) as usize;
        let count = self.length(sender, number) - HEADER - self.end(sender).len();
        &self.letters[first..][..count]
    }
}

/// Random numbers that are determined by the seed, and differ from one purpose to the next.
pub fn seeded(seed: u64, purpose: u64) -> Rng {
    Rng::with_seed(seed ^ Rng::with_seed(purpose).u64(..))
}

/// Sender and number, from the beginning of a line.
pub fn header(text: &[u8]) -> Option<(Id, u32)> {
    let (header, _) = text.split_at_checked(HEADER)?;
    let digits = |at: usize| hex(&header[at..][..DIGITS]);
    let is_one = header[0] == START && header[DIGITS + 1] == b' ' && header[HEADER - 1] == b' ';
    is_one.then_some((digits(1)?, digits(DIGITS + 2)?))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u32::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u32::from(digit - b'a' + 10)),
        _ => None,
    })
}
