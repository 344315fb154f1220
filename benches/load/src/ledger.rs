//! What was sent, which recipients have received it, and how long that took.
//!
//! Every line is determined by its sender, its number and its length, so that what a recipient
//! gets can be compared with what was sent, byte for byte. Recipients are numbered from 0, and
//! the first few of them are the senders.

use crate::line::{Id, Lines, header};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Latencies above a minute are entered as a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// Lines beyond a window, by which those in it may turn out to be lost.
const SPARE: usize = 1024;

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
        let found = named.iter().filter(|(count, _)| *count > 0);
        let faults: Vec<_> = found.map(|(count, name)| format!("{count} {name}")).collect();
        f.write_str(&faults.join(", "))
    }
}

/// One sender's lines. A line keeps a slot until every recipient has received it.
struct SentLines {
    is_timed: bool,
    window: usize,
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
    /// Recipient and sender are in the same room when their numbers are the same modulo this.
    rooms: usize,
    /// Whether the latency from a sender to a recipient is recorded.
    is_timed: Box<dyn Fn(usize, usize) -> bool + Send>,
    sent: Vec<SentLines>,
    /// The number of the line that a recipient is to receive next from a sender.
    next: Vec<u32>,
    /// The lines that were skipped, as later ones came first: (recipient, sender, number).
    missing: HashSet<(usize, usize, u32)>,
    /// All faults except lost lines, which are known only at the end.
    faults: Faults,
    deliveries: u64,
    latencies: Histogram<u64>,
    lines: Lines,
}

impl Ledger {
    /// For lines of this length, and a sender for each window, which is the number of lines that it
    /// may have on their way. The latency is recorded for the first `timed` senders only.
    pub fn new(recipients: usize, windows: &[usize], timed: usize, bytes: usize) -> Self {
        assert!(windows.len() <= recipients && !windows.contains(&0));
        let sent = |(sender, window): (usize, &usize)| SentLines {
            is_timed: sender < timed,
            window: *window,
            next: 0,
            pending: 0,
            slots: vec![Slot::default(); window + SPARE],
            text: vec![0; (window + SPARE) * bytes],
        };
        Self {
            bytes,
            recipients,
            rooms: 1,
            is_timed: Box::new(|_, _| true),
            sent: windows.iter().enumerate().map(sent).collect(),
            next: vec![0; recipients * windows.len()],
            missing: HashSet::new(),
            faults: Faults::default(),
            deliveries: 0,
            latencies: Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("valid bounds"),
            lines: Lines::fixed(bytes),
        }
    }

    /// For as many rooms, with as many recipients each, that hear nothing of one another.
    pub fn in_rooms(self, rooms: usize) -> Self {
        assert_eq!(self.recipients % rooms, 0);
        Self { rooms, ..self }
    }

    /// Only the latencies from such a sender to such a recipient are recorded.
    pub fn time_only(&mut self, is_timed: impl Fn(usize, usize) -> bool + Send + 'static) {
        self.is_timed = Box::new(is_timed);
    }

    /// A sender may have no more than so many lines on their way from now on.
    pub fn limit(&mut self, window: usize) {
        self.sent.iter_mut().for_each(|sent| sent.window = sent.window.min(window));
    }

    /// The number of lines a sender may send before earlier ones have reached every recipient.
    pub fn room(&self, sender: usize) -> usize {
        self.sent[sender].window.saturating_sub(self.sent[sender].outstanding())
    }

    /// Whether there is room for a line beyond that.
    pub fn has_spare_room(&self, sender: usize) -> bool {
        self.sent[sender].outstanding() < self.sent[sender].slots.len()
    }

    /// Whether every line has reached every recipient, or is known to be lost.
    pub fn is_settled(&self) -> bool {
        self.sent.iter().all(|sent| sent.outstanding() == 0)
    }

    /// Appends a sender's next line to `out`. The time is in nanoseconds.
    pub fn next_line(&mut self, sender: usize, now: u64, out: &mut Vec<u8>) {
        let start = out.len();
        self.lines.write(sender as Id, self.sent[sender].next, out);
        let sent = &mut self.sent[sender];
        let slot = sent.slot(sent.next);
        sent.slots[slot] = Slot { at: now, waiting: (self.recipients / self.rooms) as u32 - 1 };
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
        let pending = self.pairs().map(|(recipient, sender)| self.pending(recipient, sender));
        Faults { lost: self.missing.len() + pending.sum::<usize>(), ..self.faults }
    }

    /// How many lines of the sender the recipient has not received, and will not or not yet.
    pub fn lost(&self, recipient: usize, sender: usize) -> usize {
        let skipped = self.missing.iter().filter(|it| (it.0, it.1) == (recipient, sender));
        skipped.count() + self.pending(recipient, sender)
    }

    /// Lines that are missing up to now were said before everybody was in.
    pub fn all_are_in(&mut self) {
        self.missing.clear();
    }

    /// How many lines each sender has sent.
    pub fn sent(&self) -> Vec<u32> {
        self.sent.iter().map(|sent| sent.next).collect()
    }

    /// A pair of a recipient and a sender of whom it has received nothing beyond so many lines.
    pub fn first_to_wait(&self, lines: &[u32]) -> Option<(usize, usize)> {
        self.pairs().find(|(recipient, sender)| {
            self.next[recipient * self.sent.len() + sender] <= lines[*sender]
        })
    }

    /// Each recipient with each sender that it is to hear.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.recipients)
            .flat_map(|recipient| (0..self.sent.len()).map(move |sender| (recipient, sender)))
            .filter(|(recipient, sender)| {
                recipient != sender && recipient % self.rooms == sender % self.rooms
            })
    }

    fn pending(&self, recipient: usize, sender: usize) -> usize {
        (self.sent[sender].next - self.next[recipient * self.sent.len() + sender]) as usize
    }

    /// Sender and number of the text's first line, if the recipient is to receive it next. Without
    /// faults, all lines are recognised here.
    fn expected(&self, recipient: usize, text: &[u8]) -> Option<(usize, u32)> {
        let line = text.get(..self.bytes)?;
        let (sender, number) = header(line)?;
        let sender = sender as usize;
        let sent = self.sent.get(sender).filter(|_| sender != recipient)?;
        let is_it = number == self.next[recipient * self.sent.len() + sender]
            && number < sent.next
            && line == &sent.text[sent.slot(number) * self.bytes..][..self.bytes];
        is_it.then_some((sender, number))
    }

    fn accept(&mut self, recipient: usize, sender: usize, number: u32, now: u64) {
        let sent = &self.sent[sender];
        self.deliveries += 1;
        if sent.is_timed && (self.is_timed)(sender, recipient) {
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
        let (id, number) = header(line)?;
        let sender = id as usize;
        let is_sent = self.sent.get(sender).is_some_and(|sent| number < sent.next);
        let is_whole = line.len() == self.bytes && self.lines.begins_with(id, number, line);
        (is_sent && is_whole).then_some((sender, number))
    }
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

    #[test]
    fn each_fault_is_counted() {
        let (_, [a0, a1, b0, b1]) = room();
        let [a0, a1, b0, b1] = [&a0[..], &a1, &b0, &b1];
        let mut changed = b1.to_vec();
        changed[BYTES - 2] ^= 1;
        let mut invented = Vec::new();
        Lines::fixed(BYTES).write(1, 2, &mut invented);
        let own = |lost, doubled, torn, out_of_order| Faults {
            lost,
            doubled,
            torn,
            out_of_order,
            echoed: 0,
        };
        // What recipient 2 gets, while the others get what they should.
        let cases: [(&str, &[&[u8]], Faults); 13] = [
            ("as sent", &[a0, a1, b0, b1], own(0, 0, 0, 0)),
            ("in another mix of senders", &[b0, a0, a1, b1], own(0, 0, 0, 0)),
            ("one sender after the other", &[b0, b1, a0, a1], own(0, 0, 0, 0)),
            ("without the first", &[a1, b0, b1], own(1, 0, 0, 0)),
            ("without the last", &[a0, b0, b1], own(1, 0, 0, 0)),
            ("nothing", &[], own(4, 0, 0, 0)),
            ("two of them twice", &[a0, a0, a1, b0, b1, a1], own(0, 2, 0, 0)),
            ("an earlier one later", &[a1, b0, a0, b1], own(0, 0, 0, 1)),
            ("one within another", &[&a0[..20], b0, &a0[20..], a1, b1], own(2, 0, 2, 0)),
            ("a changed byte", &[a0, a1, b0, &changed], own(1, 0, 1, 0)),
            ("one that nobody sent", &[a0, a1, b0, b1, &invented], own(0, 0, 1, 0)),
            ("the rest of one", &[&a0[1..], a1, b0, b1], own(1, 0, 1, 0)),
            ("one without its end", &[a0, a1, b0, &b1[..BYTES - 1]], own(1, 0, 0, 0)),
        ];
        for (name, parts, faults) in cases {
            let (mut ledger, _) = room();
            assert_eq!(ledger.receive(0, &[b0, b1].concat(), 1), 2 * BYTES);
            assert_eq!(ledger.receive(1, &[a0, a1].concat(), 1), 2 * BYTES);
            ledger.receive(2, &parts.concat(), 1);
            assert_eq!(ledger.faults(), faults, "{name}");
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
    fn a_line_that_comes_back_to_its_sender_is_echoed() {
        let (mut ledger, [a0, a1, b0, b1]) = room();
        ledger.receive(0, &[&a0[..], &b0, &b1].concat(), 1);
        ledger.receive(1, &[&a0[..], &a1].concat(), 1);
        ledger.receive(2, &[&a0[..], &a1, &b0, &b1].concat(), 1);
        assert_eq!(ledger.faults(), Faults { echoed: 1, ..Faults::default() });
    }
}
