//! What was sent, which recipients have received it, and how long that took.
//!
//! Every line is determined by its sender, its number and its length, so that what a recipient
//! gets can be compared with what was sent, byte for byte. Recipients are numbered from 0, and
//! the first few of them are the senders.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Sender and number in hexadecimal digits, each followed by a space.
const SENDER_DIGITS: usize = 4;
const HEADER: usize = SENDER_DIGITS + 1 + 8 + 1;
/// Latencies above a minute are entered as a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// The shortest line: a header, one letter and the end.
pub const SHORTEST_LINE: usize = HEADER + 2;

/// What went wrong between saying and hearing, in lines of single recipients. A torn line counts
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

/// One sender's lines. A line keeps a slot until every recipient has received it.
struct SentLines {
    is_timed: bool,
    next: u32,
    /// The first line that some recipient has not received yet.
    pending: u32,
    slots: Vec<Slot>,
    /// The text of the lines in the slots.
    text: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    at: u64,
    waiting: u32,
}

impl SentLines {
    fn outstanding(&self) -> usize {
        (self.next - self.pending) as usize
    }

    fn slot(&self, number: u32) -> usize {
        number as usize % self.slots.len()
    }
}

pub struct Ledger {
    bytes: usize,
    recipients: usize,
    sent: Vec<SentLines>,
    /// The number of the line that a recipient is to receive next from a sender.
    next: Vec<u32>,
    /// The lines that were skipped, as later ones came first: (recipient, sender, number).
    missing: HashSet<(usize, usize, u32)>,
    /// All faults except lost lines, which are known only at the end.
    faults: Faults,
    deliveries: u64,
    latencies: Histogram<u64>,
    letters: Vec<u8>,
}

impl Ledger {
    /// For lines of this length, and a sender for each window, which is the number of lines that it
    /// may have on their way. The latency is recorded for the first `timed` senders only.
    pub fn new(recipients: usize, windows: &[usize], timed: usize, bytes: usize) -> Self {
        assert!(bytes >= SHORTEST_LINE && windows.len() <= recipients && !windows.contains(&0));
        let sent = |(sender, window): (usize, &usize)| SentLines {
            is_timed: sender < timed,
            next: 0,
            pending: 0,
            slots: vec![Slot::default(); *window],
            text: vec![0; window * bytes],
        };
        Self {
            bytes,
            recipients,
            sent: windows.iter().enumerate().map(sent).collect(),
            next: vec![0; recipients * windows.len()],
            missing: HashSet::new(),
            faults: Faults::default(),
            deliveries: 0,
            latencies: Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("valid bounds"),
            letters: (b'a'..=b'z').cycle().take(bytes + 26).collect(),
        }
    }

    /// The number of lines a sender may send before earlier ones have reached every recipient.
    pub fn room(&self, sender: usize) -> usize {
        self.sent[sender].slots.len() - self.sent[sender].outstanding()
    }

    /// Whether every line has reached every recipient, or is known to be lost.
    pub fn is_settled(&self) -> bool {
        self.sent.iter().all(|sent| sent.outstanding() == 0)
    }

    /// Appends a sender's next line to `out`. The time is in nanoseconds.
    pub fn next_line(&mut self, sender: usize, now: u64, out: &mut Vec<u8>) {
        let start = out.len();
        write_line(sender, self.sent[sender].next, self.bytes, &self.letters, out);
        let sent = &mut self.sent[sender];
        let slot = sent.slot(sent.next);
        sent.slots[slot] = Slot { at: now, waiting: self.recipients as u32 - 1 };
        sent.text[slot * self.bytes..][..self.bytes].copy_from_slice(&out[start..]);
        sent.next += 1;
    }

    /// Checks what a recipient gets, except for an unfinished line at the end; returns the number
    /// of bytes checked.
    pub fn receive(&mut self, recipient: usize, text: &[u8], now: u64) -> usize {
        let mut rest = text;
        loop {
            if let Some((sender, number)) = self.expected(recipient, rest) {
                self.accept(recipient, sender, number, now);
                rest = &rest[self.bytes..];
            } else if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.judge(recipient, &rest[..=end], now);
                rest = &rest[end + 1..];
            } else {
                return text.len() - rest.len();
            }
        }
    }

    /// The number of lines received since measuring began, counted for each recipient.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The latencies of those lines whose sender is timed.
    pub fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    pub fn start_measuring(&mut self) {
        self.deliveries = 0;
        self.latencies.reset();
    }

    /// The faults up to now; a line that is still on its way counts as lost.
    pub fn faults(&self) -> Faults {
        let senders = self.sent.len();
        let pairs = (0..self.recipients).flat_map(|l| (0..senders).map(move |s| (l, s)));
        let pending: usize = pairs
            .filter(|(recipient, sender)| recipient != sender)
            .map(|(l, s)| (self.sent[s].next - self.next[l * senders + s]) as usize)
            .sum();
        Faults { lost: self.missing.len() + pending, ..self.faults }
    }

    /// Sender and number of the text's first line, if the recipient is to receive it next. Without
    /// faults, all lines are recognised here.
    fn expected(&self, recipient: usize, text: &[u8]) -> Option<(usize, u32)> {
        let line = text.get(..self.bytes)?;
        let sender = hex(&line[..SENDER_DIGITS])? as usize;
        let sent = self.sent.get(sender).filter(|_| sender != recipient)?;
        let number = self.next[recipient * self.sent.len() + sender];
        let is_it = number < sent.next
            && line == &sent.text[sent.slot(number) * self.bytes..][..self.bytes];
        is_it.then_some((sender, number))
    }

    fn accept(&mut self, recipient: usize, sender: usize, number: u32, now: u64) {
        let sent = &self.sent[sender];
        self.deliveries += 1;
        if sent.is_timed {
            self.latencies.saturating_record(now - sent.slots[sent.slot(number)].at);
        }
        self.next[recipient * self.sent.len() + sender] = number + 1;
        self.settle(sender, number);
    }

    /// One recipient less waits for the line.
    fn settle(&mut self, sender: usize, number: u32) {
        let sent = &mut self.sent[sender];
        let slot = sent.slot(number);
        sent.slots[slot].waiting -= 1;
        while sent.pending < sent.next && sent.slots[sent.slot(sent.pending)].waiting == 0 {
            sent.pending += 1;
        }
    }

    /// Finds out what is wrong with a line that was not the one to be received next.
    fn judge(&mut self, recipient: usize, line: &[u8], now: u64) {
        let Some((sender, number)) = self.identify(line) else {
            self.faults.torn += 1;
            return;
        };
        if sender == recipient {
            self.faults.echoed += 1;
            return;
        }
        let next = self.next[recipient * self.sent.len() + sender];
        if number >= next {
            for skipped in next..number {
                self.missing.insert((recipient, sender, skipped));
                self.settle(sender, skipped);
            }
            self.accept(recipient, sender, number, now);
        } else if self.missing.remove(&(recipient, sender, number)) {
            self.faults.out_of_order += 1;
        } else {
            self.faults.doubled += 1;
        }
    }

    /// Sender and number, when the line is one that has been sent, to the last byte.
    fn identify(&self, line: &[u8]) -> Option<(usize, u32)> {
        let sender = hex(line.get(..SENDER_DIGITS)?)? as usize;
        let number = hex(line.get(SENDER_DIGITS + 1..HEADER - 1)?)?;
        let mut sent = Vec::with_capacity(self.bytes);
        write_line(sender, number, self.bytes, &self.letters, &mut sent);
        let is_sent = self.sent.get(sender).is_some_and(|sent| number < sent.next);
        (is_sent && sent == line).then_some((sender, number))
    }
}

/// The letters begin elsewhere in the alphabet from line to line, so that the halves of two lines
/// seldom make a whole one.
fn write_line(sender: usize, number: u32, bytes: usize, letters: &[u8], out: &mut Vec<u8>) {
    push_hex(sender as u32, SENDER_DIGITS, out);
    out.push(b' ');
    push_hex(number, 8, out);
    out.push(b' ');
    let first = (sender + number as usize) % 26;
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

    /// Three clients, of which 0 and 1 send two lines each, which are returned.
    fn room() -> (Ledger, [Vec<u8>; 4]) {
        let mut ledger = Ledger::new(3, &[4, 4], 2, BYTES);
        let lines = [0, 0, 1, 1].map(|sender| {
            let mut line = Vec::new();
            ledger.next_line(sender, 0, &mut line);
            line
        });
        (ledger, lines)
    }

    /// The faults when recipient 2 gets this, and the others what they should.
    fn faults_of(what: &[u8]) -> Faults {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        assert_eq!(ledger.receive(0, &[b0, b1].concat(), 1), 2 * BYTES);
        assert_eq!(ledger.receive(1, &[a0, a1].concat(), 1), 2 * BYTES);
        ledger.receive(2, what, 1);
        ledger.faults()
    }

    #[test]
    fn lines_as_they_were_sent_are_no_fault_in_any_mix_of_senders() {
        let (_, [a0, a1, b0, b1]) = room();
        for mix in [[&a0, &a1, &b0, &b1], [&b0, &a0, &a1, &b1], [&b0, &b1, &a0, &a1]] {
            assert_eq!(faults_of(&mix.map(|line| &line[..]).concat()), Faults::default());
        }
    }

    #[test]
    fn all_is_settled_when_everybody_has_received_everything() {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        assert_eq!((ledger.room(0), ledger.is_settled()), (2, false));
        ledger.receive(0, &[&b0[..], &b1].concat(), 5);
        ledger.receive(1, &[&a0[..], &a1].concat(), 5);
        assert_eq!(ledger.room(0), 2);
        ledger.receive(2, &[a0, b0, a1, b1].concat(), 1_000_000);
        assert_eq!((ledger.room(0), ledger.is_settled()), (4, true));
        assert_eq!(ledger.latencies().len(), 8);
        assert_eq!(ledger.latencies().value_at_quantile(0.5), 5);
        assert!(ledger.latencies().max().abs_diff(1_000_000) < 1_000);
    }

    #[test]
    fn only_the_timed_count_for_the_latency() {
        let mut ledger = Ledger::new(3, &[1, 1], 1, BYTES);
        let mut lines = Vec::new();
        ledger.next_line(0, 0, &mut lines);
        ledger.next_line(1, 0, &mut lines);
        ledger.receive(2, &lines, 7);
        assert_eq!((ledger.deliveries(), ledger.latencies().len()), (2, 1));
    }

    #[test]
    fn an_unfinished_line_is_left_for_later() {
        let (mut ledger, [a0, ..]) = room();
        assert_eq!(ledger.receive(2, &a0[..BYTES - 1], 1), 0);
        assert_eq!(ledger.receive(2, &[&a0[..], b"0"].concat(), 1), BYTES);
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
    fn a_line_that_nobody_sent_is_torn() {
        let (_, [a0, a1, b0, b1]) = room();
        let mut invented = Vec::new();
        write_line(1, 2, BYTES, &room().0.letters, &mut invented);
        let text = [&a0[..], &a1, &b0, &b1, &invented].concat();
        assert_eq!(faults_of(&text), Faults { torn: 1, ..no() });
    }

    #[test]
    fn a_line_that_comes_back_to_its_sender_is_echoed() {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        ledger.receive(0, &[&a0[..], &b0, &b1].concat(), 1);
        ledger.receive(1, &[&a0[..], &a1].concat(), 1);
        ledger.receive(2, &[&a0[..], &a1, &b0, &b1].concat(), 1);
        assert_eq!(ledger.faults(), Faults { echoed: 1, ..no() });
    }

    fn no() -> Faults {
        Faults::default()
    }
}
