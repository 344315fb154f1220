//! The lines that are said. Speaker and number determine a line to the last byte, so whoever hears
//! one can tell whether it is whole.
//!
//! A line begins with the one at sign in it. So where a client has been lost in the middle of a
//! line, which then has no end, it shows where the next one begins.

use crate::dice::Dice;
use std::ops::Range;

/// A client, by the order of coming.
pub type Id = u32;

pub const START: u8 = b'@';
/// The at sign, and speaker and number in eight hexadecimal digits with a space behind.
pub const HEADER: usize = 1 + 2 * (DIGITS + 1);
const DIGITS: usize = 8;

/// Most are short, some longer than what a server reads at once.
const SHORT: Range<u64> = HEADER as u64 + 14..160;
const LONG: Range<u64> = 160..2_000;
const LONGEST: Range<u64> = 4_000..9_000;

pub struct Lines {
    seed: u64,
    letters: Vec<u8>,
}

impl Lines {
    pub fn new(seed: u64) -> Self {
        Self { seed, letters: (b'a'..=b'z').cycle().take(LONGEST.end as usize + 26).collect() }
    }

    /// With the end of the line.
    pub fn length(&self, speaker: Id, number: u32) -> usize {
        let mut dice = Dice::new(self.seed, u64::from(speaker) << 32 | u64::from(number));
        let range = match dice.within(0..128) {
            0 => LONGEST,
            1..8 => LONG,
            _ => SHORT,
        };
        dice.within(range) as usize
    }

    pub fn write(&self, speaker: Id, number: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("@{speaker:08x} {number:08x} ").as_bytes());
        out.extend_from_slice(self.letters(speaker, number));
        out.push(b'\n');
    }

    /// Whether the text is this line, or the beginning of it. It begins with its header.
    pub fn begins_with(&self, speaker: Id, number: u32, text: &[u8]) -> bool {
        let letters = self.letters(speaker, number);
        let body = &text[HEADER..];
        let (body, end) = body.split_at(body.len().min(letters.len()));
        letters.starts_with(body) && b"\n".starts_with(end)
    }

    /// They begin elsewhere in the alphabet from line to line, so that the halves of two lines
    /// seldom make a whole one.
    fn letters(&self, speaker: Id, number: u32) -> &[u8] {
        let first = (speaker.wrapping_add(number) % 26) as usize;
        &self.letters[first..][..self.length(speaker, number) - HEADER - 1]
    }
}

/// Speaker and number, from the beginning of a line.
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
