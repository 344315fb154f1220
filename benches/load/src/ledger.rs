//! What has been said, who has heard it, and how long that took.
//!
//! Every line is determined by its speaker, its number and its length, so that what a listener
//! gets can be compared with what was said, byte for byte. Listeners are numbered from 0, and
//! the first few of them are the speakers.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Speaker and number in hexadecimal digits, each with a space behind.
const SPEAKER_DIGITS: usize = 4;
const HEADER: usize = SPEAKER_DIGITS + 1 + 8 + 1;
/// Latencies above a minute are entered as a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// The shortest line: a header, one letter and the end.
pub const SHORTEST_LINE: usize = HEADER + 2;

/// What went wrong between saying and hearing, in lines of single listeners. A torn line counts
/// as lost, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    pub lost: usize,
    pub doubled: usize,
    pub torn: usize,
    pub out_of_order: usize,
    pub echoed: usize,
}

impl Faults {
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let named = [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.torn, "torn"),
            (self.out_of_order, "out of order"),
            (self.echoed, "echoed"),
        ];
        let faults: Vec<_> = named
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        f.write_str(&faults.join(", "))
    }
}

/// One speaker's lines. Those that not everybody has heard yet are kept, a slot each.
struct Said {
    is_timed: bool,
    next: u32,
    /// The first line that somebody has yet to hear.
    unheard: u32,
    slots: Vec<Slot>,
    /// The text of the lines in the slots.
    text: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    at: u64,
    waiting: u32,
}

impl Said {
    fn outstanding(&self) -> usize {
        (self.next - self.unheard) as usize
    }

    fn slot(&self, number: u32) -> usize {
        number as usize % self.slots.len()
    }
}

pub struct Ledger {
    bytes: usize,
    listeners: usize,
    said: Vec<Said>,
    /// The number of the line that a listener is to hear next from a speaker.
    next: Vec<u32>,
    /// Who has not heard which line, though later ones: (listener, speaker, number).
    missing: HashSet<(usize, usize, u32)>,
    /// All faults but what is lost, which the end only shows.
    faults: Faults,
    deliveries: u64,
    latencies: Histogram<u64>,
    letters: Vec<u8>,
}

impl Ledger {
    /// For lines of so many bytes, and as many speakers as there are windows: how many lines each
    /// may have outstanding. Only for the first `timed` of them is it noted how long a line took.
    pub fn new(listeners: usize, windows: &[usize], timed: usize, bytes: usize) -> Self {
        assert!(bytes >= SHORTEST_LINE && windows.len() <= listeners && !windows.contains(&0));
        let said = |(speaker, window): (usize, &usize)| Said {
            is_timed: speaker < timed,
            next: 0,
            unheard: 0,
            slots: vec![Slot::default(); *window],
            text: vec![0; window * bytes],
        };
        Self {
            bytes,
            listeners,
            said: windows.iter().enumerate().map(said).collect(),
            next: vec![0; listeners * windows.len()],
            missing: HashSet::new(),
            faults: Faults::default(),
            deliveries: 0,
            latencies: Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("valid bounds"),
            letters: (b'a'..=b'z').cycle().take(bytes + 26).collect(),
        }
    }

    /// How many more lines a speaker may say before others have been heard by all.
    pub fn room(&self, speaker: usize) -> usize {
        self.said[speaker].slots.len() - self.said[speaker].outstanding()
    }

    /// Whether all that was said has been heard (or will never be) by all.
    pub fn is_settled(&self) -> bool {
        self.said.iter().all(|said| said.outstanding() == 0)
    }

    /// Puts a speaker's next line at the end of `out`. The time is in nanoseconds.
    pub fn say(&mut self, speaker: usize, now: u64, out: &mut Vec<u8>) {
        let start = out.len();
        write_line(speaker, self.said[speaker].next, self.bytes, &self.letters, out);
        let said = &mut self.said[speaker];
        let slot = said.slot(said.next);
        said.slots[slot] = Slot { at: now, waiting: self.listeners as u32 - 1 };
        said.text[slot * self.bytes..][..self.bytes].copy_from_slice(&out[start..]);
        said.next += 1;
    }

    /// Takes in what a listener gets, but for an unfinished line at the end; answers how many
    /// bytes that were.
    pub fn hear(&mut self, listener: usize, text: &[u8], now: u64) -> usize {
        let mut rest = text;
        loop {
            if let Some((speaker, number)) = self.expected(listener, rest) {
                self.accept(listener, speaker, number, now);
                rest = &rest[self.bytes..];
            } else if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.judge(listener, &rest[..=end], now);
                rest = &rest[end + 1..];
            } else {
                return text.len() - rest.len();
            }
        }
    }

    /// How many lines have been heard since measuring began.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// How long each of them took, of those whose speaker is timed.
    pub fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    pub fn start_measuring(&mut self) {
        self.deliveries = 0;
        self.latencies.reset();
    }

    /// What has gone wrong up to now; a line that is still on its way counts as lost.
    pub fn faults(&self) -> Faults {
        let speakers = self.said.len();
        let pairs = (0..self.listeners).flat_map(|l| (0..speakers).map(move |s| (l, s)));
        let unheard: usize = pairs
            .filter(|(listener, speaker)| listener != speaker)
            .map(|(l, s)| (self.said[s].next - self.next[l * speakers + s]) as usize)
            .sum();
        Faults { lost: self.missing.len() + unheard, ..self.faults }
    }

    /// Whose line the text begins with, when it is the one that the listener is to hear next. All
    /// but a faulty server's lines are recognised here.
    fn expected(&self, listener: usize, text: &[u8]) -> Option<(usize, u32)> {
        let line = text.get(..self.bytes)?;
        let speaker = hex(&line[..SPEAKER_DIGITS])? as usize;
        let said = self.said.get(speaker).filter(|_| speaker != listener)?;
        let number = self.next[listener * self.said.len() + speaker];
        let is_it = number < said.next
            && line == &said.text[said.slot(number) * self.bytes..][..self.bytes];
        is_it.then_some((speaker, number))
    }

    fn accept(&mut self, listener: usize, speaker: usize, number: u32, now: u64) {
        let said = &self.said[speaker];
        self.deliveries += 1;
        if said.is_timed {
            self.latencies.saturating_record(now - said.slots[said.slot(number)].at);
        }
        self.next[listener * self.said.len() + speaker] = number + 1;
        self.settle(speaker, number);
    }

    /// One listener less waits for the line.
    fn settle(&mut self, speaker: usize, number: u32) {
        let said = &mut self.said[speaker];
        let slot = said.slot(number);
        said.slots[slot].waiting -= 1;
        while said.unheard < said.next && said.slots[said.slot(said.unheard)].waiting == 0 {
            said.unheard += 1;
        }
    }

    /// Finds out what is wrong with a line that was not the one to be heard next.
    fn judge(&mut self, listener: usize, line: &[u8], now: u64) {
        let Some((speaker, number)) = self.identify(line) else {
            self.faults.torn += 1;
            return;
        };
        if speaker == listener {
            self.faults.echoed += 1;
            return;
        }
        let next = self.next[listener * self.said.len() + speaker];
        if number >= next {
            for skipped in next..number {
                self.missing.insert((listener, speaker, skipped));
                self.settle(speaker, skipped);
            }
            self.accept(listener, speaker, number, now);
        } else if self.missing.remove(&(listener, speaker, number)) {
            self.faults.out_of_order += 1;
        } else {
            self.faults.doubled += 1;
        }
    }

    /// Speaker and number, when the line is one that has been said, to the last byte.
    fn identify(&self, line: &[u8]) -> Option<(usize, u32)> {
        let speaker = hex(line.get(..SPEAKER_DIGITS)?)? as usize;
        let number = hex(line.get(SPEAKER_DIGITS + 1..HEADER - 1)?)?;
        let mut said = Vec::with_capacity(self.bytes);
        write_line(speaker, number, self.bytes, &self.letters, &mut said);
        let is_said = self.said.get(speaker).is_some_and(|said| number < said.next);
        (is_said && said == line).then_some((speaker, number))
    }
}

/// The letters begin elsewhere in the alphabet from line to line, so that the halves of two lines
/// seldom make a whole one.
fn write_line(speaker: usize, number: u32, bytes: usize, letters: &[u8], out: &mut Vec<u8>) {
    push_hex(speaker as u32, SPEAKER_DIGITS, out);
    out.push(b' ');
    push_hex(number, 8, out);
    out.push(b' ');
    let first = (speaker + number as usize) % 26;
    out.extend_from_slice(&letters[first..][..bytes - HEADER - 1]);
    out.push(b'\n');
}

fn push_hex(number: u32, digits: usize, out: &mut Vec<u8>) {
    let digit = |at: usize| b"0123456789abcdef"[(number >> (4 * at)) as usize & 15];
    out.extend((0..digits).rev().map(digit));
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u32::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u32::from(digit - b'a' + 10)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 32;

    /// Three listeners, of whom 0 and 1 say two lines each, which are returned.
    fn room() -> (Ledger, [Vec<u8>; 4]) {
        let mut ledger = Ledger::new(3, &[4, 4], 2, BYTES);
        let lines = [0, 0, 1, 1].map(|speaker| {
            let mut line = Vec::new();
            ledger.say(speaker, 0, &mut line);
            line
        });
        (ledger, lines)
    }

    /// The faults when listener 2 gets this, and the others what they should.
    fn faults_of(what: &[u8]) -> Faults {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        assert_eq!(ledger.hear(0, &[b0, b1].concat(), 1), 2 * BYTES);
        assert_eq!(ledger.hear(1, &[a0, a1].concat(), 1), 2 * BYTES);
        ledger.hear(2, what, 1);
        ledger.faults()
    }

    #[test]
    fn lines_as_they_were_said_are_no_fault_in_any_mix_of_speakers() {
        let (_, [a0, a1, b0, b1]) = room();
        for mix in [[&a0, &a1, &b0, &b1], [&b0, &a0, &a1, &b1], [&b0, &b1, &a0, &a1]] {
            assert_eq!(faults_of(&mix.map(|line| &line[..]).concat()), Faults::default());
        }
    }

    #[test]
    fn all_is_settled_when_everybody_has_heard_everything() {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        assert_eq!((ledger.room(0), ledger.is_settled()), (2, false));
        ledger.hear(0, &[&b0[..], &b1].concat(), 5);
        ledger.hear(1, &[&a0[..], &a1].concat(), 5);
        assert_eq!(ledger.room(0), 2);
        ledger.hear(2, &[a0, b0, a1, b1].concat(), 1_000_000);
        assert_eq!((ledger.room(0), ledger.is_settled()), (4, true));
        assert_eq!(ledger.latencies().len(), 8);
        assert_eq!(ledger.latencies().value_at_quantile(0.5), 5);
        assert!(ledger.latencies().max().abs_diff(1_000_000) < 1_000);
    }

    #[test]
    fn only_the_timed_count_for_the_latency() {
        let mut ledger = Ledger::new(3, &[1, 1], 1, BYTES);
        let mut lines = Vec::new();
        ledger.say(0, 0, &mut lines);
        ledger.say(1, 0, &mut lines);
        ledger.hear(2, &lines, 7);
        assert_eq!((ledger.deliveries(), ledger.latencies().len()), (2, 1));
    }

    #[test]
    fn an_unfinished_line_is_left_for_later() {
        let (mut ledger, [a0, ..]) = room();
        assert_eq!(ledger.hear(2, &a0[..BYTES - 1], 1), 0);
        assert_eq!(ledger.hear(2, &[&a0[..], b"0"].concat(), 1), BYTES);
        assert_eq!(ledger.faults().torn, 0);
    }

    #[test]
    fn a_line_that_never_comes_is_lost() {
        let (_, [a0, a1, b0, b1]) = room();
        assert_eq!(faults_of(&[&a1[..], &b0, &b1].concat()), Faults { lost: 1, ..no() });
        assert_eq!(faults_of(&[&a0[..], &b0, &b1].concat()), Faults { lost: 1, ..no() });
        assert_eq!(faults_of(b""), Faults { lost: 4, ..no() });
    }

    #[test]
    fn a_line_that_comes_twice_is_doubled() {
        let (_, [a0, a1, b0, b1]) = room();
        let text = [&a0[..], &a0, &a1, &b0, &b1, &a1].concat();
        assert_eq!(faults_of(&text), Faults { doubled: 2, ..no() });
    }

    #[test]
    fn a_line_that_comes_after_a_later_one_is_out_of_order() {
        let (_, [a0, a1, b0, b1]) = room();
        let text = [&a1[..], &b0, &a0, &b1].concat();
        assert_eq!(faults_of(&text), Faults { out_of_order: 1, ..no() });
    }

    #[test]
    fn mixed_halves_and_changed_bytes_are_torn() {
        let (_, [a0, a1, b0, b1]) = room();
        let mixed = [&a0[..20], &b0, &a0[20..], &a1, &b1].concat();
        assert_eq!(faults_of(&mixed), Faults { torn: 2, lost: 2, ..no() });
        let mut changed = [&a0[..], &a1, &b0, &b1].concat();
        changed[2 * BYTES - 2] ^= 1;
        assert_eq!(faults_of(&changed), Faults { torn: 1, lost: 1, ..no() });
    }

    #[test]
    fn a_line_that_nobody_said_is_torn() {
        let (_, [a0, a1, b0, b1]) = room();
        let mut invented = Vec::new();
        write_line(1, 2, BYTES, &room().0.letters, &mut invented);
        let text = [&a0[..], &a1, &b0, &b1, &invented].concat();
        assert_eq!(faults_of(&text), Faults { torn: 1, ..no() });
    }

    #[test]
    fn a_speaker_who_hears_itself_is_echoed() {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        ledger.hear(0, &[&a0[..], &b0, &b1].concat(), 1);
        ledger.hear(1, &[&a0[..], &a1].concat(), 1);
        ledger.hear(2, &[&a0[..], &a1, &b0, &b1].concat(), 1);
        assert_eq!(ledger.faults(), Faults { echoed: 1, ..no() });
    }

    fn no() -> Faults {
        Faults::default()
    }
}
