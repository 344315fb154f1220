//! Which clients are in the room, what each has sent, and what each must have received.
//!
//! A client is known to be in once another one has received a line of it. It must receive all
//! that is sent from then on, and nothing that somebody had received before it connected. Between,
//! it may begin at any line of each sender, and then receives all that follow, in order, once.
//!
//! Every line must be received, with two exceptions. When a client ends its connection abruptly or
//! is cut off, its last lines may be lost, and the last one may break off; but a whole line that
//! one recipient has received, all others must receive as well. And as long as a client is behind,
//! since it has stopped reading and not caught up, it may be cut off any time, so that its lines
//! are not relied on; what it has received until then has no gap.
//!
//! Telnet users send commands: nobody receives any of that, but they receive the answers to theirs,
//! in order, between lines.
//!
//! Attackers send empty lines. Nobody must receive more of them than were sent.

use crate::telnet::{IAC, OptionCommand};
use load::line::{HEADER, Id, Lines, START, header};
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::ops::Range;
use thiserror::Error;

/// A client has caught up when it has no more bytes than this to receive.
const CAUGHT_UP: usize = 16 * 1024;

/// What is wrong with a received text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Wrong {
    #[error("torn, or mixed with something else")]
    Torn,
    #[error("its own")]
    Echoed,
    #[error("received before, or before a later line")]
    Doubled,
    #[error("not the next one: lines are missing before it")]
    Lost,
    #[error("not sent by anybody in the room, or sent after its sender's end")]
    NeverSent,
    #[error("received by somebody before it connected")]
    Stale,
    #[error("a telnet command, and not the next answer to its own")]
    Command,
}

#[derive(Debug, PartialEq, Eq, Error)]
#[error("client {recipient} receives what is {wrong}: {received:?}")]
pub struct Fault {
    recipient: Id,
    wrong: Wrong,
    received: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    InOrder,
    Abrupt,
}

#[derive(Default)]
struct Sender {
    /// The number of lines it has sent.
    sent: u32,
    /// The number of lines that everybody in the room must receive.
    promised: u32,
    /// The number of lines that somebody has received.
    received: u32,
    end: Option<End>,
    /// The number of the line in which the server has ended its connection: from there on, what it
    /// has sent goes nowhere.
    broke_off: Option<u32>,
    /// It has stopped reading, and not caught up since.
    is_behind: bool,
    /// It will be forgotten the next time.
    is_fading: bool,
}

/// The first and the last line of a sender that a recipient may receive next.
#[derive(Clone, Copy)]
struct Due {
    from: u32,
    by: u32,
}

const ANY: Due = Due { from: 0, by: u32::MAX };
const FIRST: Due = Due { from: 0, by: 0 };

#[derive(Default)]
struct Recipient {
    /// Known to be in.
    is_in: bool,
    is_quitting: bool,
    /// For the senders that came before it, and those it has received lines of.
    due: HashMap<Id, Due>,
    /// The number of bytes that it must still receive.
    owed: usize,
    /// The number of bytes that are on their way to it at most, and that may be lost.
    coming: usize,
    empty_lines: u64,
    /// To its telnet commands.
    answers: VecDeque<OptionCommand>,
}

impl Recipient {
    fn due(&self, sender: Id) -> Due {
        let of_others = if self.is_in { FIRST } else { ANY };
        self.due.get(&sender).copied().unwrap_or(of_others)
    }

    fn is_owed(&self) -> bool {
        self.is_in && !self.is_quitting
    }
}

pub struct Checker {
    pub lines: Lines,
    /// The number of clients up to now.
    pub came: Id,
    /// The number of correct lines, counted for each recipient.
    pub deliveries: u64,
    /// The number of answers to telnet commands.
    pub answers: u64,
    /// The number of empty lines that may have been sent.
    pub empty_lines: u64,
    senders: HashMap<Id, Sender>,
    recipients: HashMap<Id, Recipient>,
}

impl Checker {
    pub fn new(seed: u64) -> Self {
        Self {
            lines: Lines::mixed(seed),
            came: 0,
            deliveries: 0,
            answers: 0,
            empty_lines: 0,
            senders: HashMap::new(),
            recipients: HashMap::new(),
        }
    }

    /// A client is about to connect.
    pub fn join(&mut self) -> Id {
        let id = self.came;
        self.came += 1;
        let due = self.senders.iter().map(|(id, it)| (*id, Due { from: it.received, ..ANY }));
        let due = due.collect();
        self.recipients.insert(id, Recipient { due, ..Recipient::default() });
        self.senders.insert(id, Sender::default());
        id
    }

    /// The server has been given so many more whole lines.
    pub fn sent(&mut self, id: Id, lines: u32) {
        let sender = self.sender(id);
        let before = sender.sent;
        sender.sent += lines;
        let sent = sender.sent;
        let bytes = total(&self.lines, id, before..sent);
        self.others(id).for_each(|it| it.coming += bytes);
        let sender = self.sender(id);
        if !sender.is_behind && sender.end.is_none() {
            self.promise(id, sent);
        }
    }

    /// Its commands must be answered with these.
    pub fn expect_answers(&mut self, id: Id, answers: Vec<OptionCommand>) {
        self.recipient(id).answers.extend(answers);
    }

    /// It stops reading.
    pub fn stop_reading(&mut self, id: Id) {
        self.sender(id).is_behind = true;
    }

    /// It reads again.
    pub fn catch_up(&mut self, id: Id) {
        let owed = self.owed(id);
        let sender = self.sender(id);
        if sender.is_behind && sender.end.is_none() && owed <= CAUGHT_UP {
            sender.is_behind = false;
            let sent = sender.sent;
            self.promise(id, sent);
        }
    }

    /// It sends nothing more. From now on it may receive more or not.
    pub fn quit(&mut self, id: Id) {
        if self.is_behind(id) {
            return self.quit_abruptly(id);
        }
        self.owe_nothing(id);
        let sender = self.sender(id);
        sender.end = Some(End::InOrder);
        let sent = sender.sent;
        self.promise(id, sent);
    }

    /// The same, where what nobody has received yet may be lost.
    pub fn quit_abruptly(&mut self, id: Id) {
        self.owe_nothing(id);
        self.end_abruptly(id);
    }

    fn owe_nothing(&mut self, id: Id) {
        let recipient = self.recipient(id);
        recipient.is_quitting = true;
        recipient.owed = 0;
    }

    /// It has ended its connection abruptly, or has been cut off: what nobody has received yet may
    /// be lost.
    pub fn abort(&mut self, id: Id) {
        self.recipients.remove(&id);
        self.end_abruptly(id);
    }

    /// Its connection has ended in order, once it was quitting.
    pub fn leave(&mut self, id: Id) {
        self.recipients.remove(&id);
    }

    /// What nobody has received yet, nobody has to receive.
    fn end_abruptly(&mut self, id: Id) {
        let sender = self.sender(id);
        sender.end = Some(End::Abrupt);
        let (received, sent) = (sender.received, sender.sent);
        let bytes = total(&self.lines, id, received..sent);
        self.others(id).for_each(|it| it.coming = it.coming.saturating_sub(bytes));
        self.promise(id, received);
    }

    /// Everybody in the room must receive this many of its lines.
    fn promise(&mut self, id: Id, lines: u32) {
        let before = mem::replace(&mut self.sender(id).promised, lines);
        let owed = self.recipients.iter_mut().filter(|(other, it)| **other != id && it.is_owed());
        for (_, recipient) in owed {
            let by = recipient.due(id).by;
            recipient.owed += total(&self.lines, id, by.max(before)..lines);
            recipient.owed -= total(&self.lines, id, by.max(lines)..before);
        }
    }

    pub fn is_in(&self, id: Id) -> bool {
        self.recipients[&id].is_in
    }

    pub fn is_behind(&self, id: Id) -> bool {
        self.senders[&id].is_behind
    }

    /// The number of bytes that it must still receive.
    pub fn owed(&self, id: Id) -> usize {
        self.recipients[&id].owed
    }

    /// The most bytes that are on their way to one client, of those that keep up.
    pub fn backlog(&self) -> usize {
        let up = self.recipients.iter().filter(|(id, it)| it.is_owed() && !self.is_behind(**id));
        up.map(|(_, it)| it.coming).max().unwrap_or(0)
    }

    /// At most so many bytes are on their way to one who is not known to be in.
    pub fn coming(&self) -> usize {
        let newcomers = self.recipients.values().filter(|it| !it.is_in && !it.is_quitting);
        newcomers.map(|it| it.coming).max().unwrap_or(0)
    }

    /// Why not everything that was sent has been received yet, and a client that has to wait.
    pub fn unsettled(&self) -> Option<(Id, String)> {
        self.recipients.iter().find_map(|(id, it)| {
            let why = if it.is_quitting {
                "has quit, and its connection has not been ended".into()
            } else if !it.is_in {
                format!("has sent {} lines, and nobody has received one", self.senders[id].sent)
            } else if it.owed > 0 {
                self.first_owed(*id, it)
            } else if self.is_behind(*id) {
                "has not caught up".into()
            } else if let Some(answer) = it.answers.front() {
                format!("has had no answer {answer:?} to its telnet command")
            } else {
                return None;
            };
            Some((*id, format!("client {id} {why}")))
        })
    }

    fn first_owed(&self, id: Id, recipient: &Recipient) -> String {
        let mut owed = self.senders.iter().filter(|(sender, _)| **sender != id);
        let first = owed.find(|(sender, it)| recipient.due(**sender).by < it.promised);
        let (sender, it) = first.expect("it is owed something");
        let due = recipient.due(*sender);
        format!(
            "still has to receive lines {} to {} of client {sender}, which has sent {}, of which \
             somebody has received {}",
            due.by, it.promised, it.sent, it.received
        )
    }

    /// When all is settled: forgets the clients that had left by the last time. No line of them can
    /// be on its way any more.
    pub fn forget(&mut self) {
        self.senders.retain(|_, it| !it.is_fading);
        for sender in self.senders.values_mut() {
            sender.is_fading = sender.end.is_some();
        }
        for recipient in self.recipients.values_mut() {
            recipient.coming = 0;
            recipient.due.retain(|id, _| self.senders.contains_key(id));
        }
    }

    /// Checks what a recipient gets, except for an unfinished line at the end; returns the number
    /// of bytes checked.
    pub fn receive(&mut self, recipient: Id, text: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        loop {
            match self.receive_one(recipient, &text[at..]) {
                Ok(0) => break,
                Ok(length) => at += length,
                Err(wrong) => {
                    let received = &text[at..text.len().min(at + 2 * HEADER + 20)];
                    let received = String::from_utf8_lossy(received).into_owned();
                    return Err(Fault { recipient, wrong, received });
                }
            }
        }
        self.catch_up(recipient);
        Ok(at)
    }

    /// Whether an unfinished line is the beginning of one: where a stream ends, nothing more can be
    /// checked.
    pub fn is_beginning(&self, recipient: Id, text: &[u8]) -> bool {
        if text.first() == Some(&IAC) {
            let answer = self.recipients[&recipient].answers.front();
            return answer.is_some_and(|answer| answer.starts_with(text));
        }
        let text = without_end(text);
        match header(text) {
            Some((id, number)) => id < self.came && self.lines.begins_with(id, number, text),
            None => text.len() < HEADER && text.first().is_none_or(|first| *first == START),
        }
    }

    /// Checks the first line of the text; returns its length, or 0 when its end is not there yet.
    fn receive_one(&mut self, recipient: Id, text: &[u8]) -> Result<usize, Wrong> {
        if text.first() == Some(&b'\n') {
            return self.accept_empty(recipient);
        }
        if text.first() == Some(&IAC) {
            return self.accept_answer(recipient, text);
        }
        let is_start = text.first().is_none_or(|first| *first == START);
        let next = start_of_next(text);
        let Some((id, number)) = header(text) else {
            return match next {
                None if is_start && without_end(text).len() < HEADER => Ok(0),
                Some(next) if is_start && without_end(&text[..next]).len() < HEADER => Ok(next),
                _ => Err(Wrong::Torn),
            };
        };
        let length = self.lines.length(id, number);
        let is_whole =
            text.get(..length).is_some_and(|text| self.lines.begins_with(id, number, text));
        let may_break_off = self.may_break_off(id, number);
        if is_whole && may_break_off {
            self.note_end_by_server(id, number);
        }
        if is_whole && (self.was_sent(id, number) || !may_break_off) {
            self.accept(recipient, id, number)?;
            return Ok(length);
        }
        let is_so_far = |text: &[u8]| self.lines.begins_with(id, number, without_end(text));
        match next {
            None if is_so_far(text) => Ok(0),
            Some(next) if is_so_far(&text[..next]) && may_break_off => Ok(next),
            _ => Err(Wrong::Torn),
        }
    }

    /// Whether this line may be the last one of a client that has ended abruptly, or may have been
    /// cut off. Those that are forgotten have ended.
    fn may_break_off(&self, id: Id, number: u32) -> bool {
        self.senders.get(&id).map_or(id < self.came, |sender| {
            let may_have_ended = sender.end.map_or(sender.is_behind, |end| end == End::Abrupt);
            may_have_ended && (sender.received..=sender.sent).contains(&number)
        })
    }

    /// Those that are forgotten have sent everything.
    fn was_sent(&self, id: Id, number: u32) -> bool {
        self.senders.get(&id).is_none_or(|sender| {
            number < sender.sent && sender.broke_off.is_none_or(|line| number < line)
        })
    }

    /// A line that broke off just before its end got that from the server. Its sender may send the
    /// end before it learns that it has been cut off.
    fn note_end_by_server(&mut self, id: Id, number: u32) {
        if let Some(sender) = self.senders.get_mut(&id).filter(|sender| number >= sender.sent) {
            sender.broke_off = Some(number);
        }
    }

    fn accept_empty(&mut self, recipient: Id) -> Result<usize, Wrong> {
        let most = self.empty_lines;
        let recipient = self.recipient(recipient);
        recipient.empty_lines += 1;
        if recipient.empty_lines <= most { Ok(1) } else { Err(Wrong::NeverSent) }
    }

    fn accept_answer(&mut self, recipient: Id, text: &[u8]) -> Result<usize, Wrong> {
        let answers = &mut self.recipient(recipient).answers;
        let answer = *answers.front().ok_or(Wrong::Command)?;
        if !text.starts_with(&answer) {
            return if answer.starts_with(text) { Ok(0) } else { Err(Wrong::Command) };
        }
        answers.pop_front();
        self.answers += 1;
        Ok(answer.len())
    }

    fn accept(&mut self, to: Id, from: Id, number: u32) -> Result<(), Wrong> {
        let sender = self.senders.get_mut(&from).ok_or(Wrong::NeverSent)?;
        let recipient = self.recipients.get_mut(&to).expect("a recipient is in the room");
        let due = recipient.due(from);
        if to == from {
            return Err(Wrong::Echoed);
        } else if number >= sender.sent {
            return Err(Wrong::NeverSent);
        } else if number > due.by {
            return Err(Wrong::Lost);
        } else if number < due.from {
            return Err(if due.from == due.by { Wrong::Doubled } else { Wrong::Stale });
        }
        let next = number + 1;
        recipient.due.insert(from, Due { from: next, by: next });
        recipient.coming = recipient.coming.saturating_sub(self.lines.length(from, number));
        self.deliveries += 1;
        sender.received = sender.received.max(next);
        let promised = sender.promised;
        if recipient.is_owed() {
            recipient.owed += total(&self.lines, from, next..promised);
            recipient.owed -= total(&self.lines, from, due.by..promised);
        }
        // What one has received, all must receive.
        if next > promised {
            self.promise(from, next);
        }
        self.admit(from);
        Ok(())
    }

    /// Somebody has received a line of it, so it is in.
    fn admit(&mut self, id: Id) {
        let Some(recipient) = self.recipients.get_mut(&id).filter(|it| !it.is_in) else { return };
        for (other, sender) in self.senders.iter().filter(|(other, _)| **other != id) {
            let due = recipient.due.entry(*other).or_insert(ANY);
            if due.by == ANY.by {
                due.by = sender.sent;
            }
            if !recipient.is_quitting {
                recipient.owed += total(&self.lines, *other, due.by..sender.promised);
            }
        }
        recipient.is_in = true;
    }

    fn others(&mut self, id: Id) -> impl Iterator<Item = &mut Recipient> {
        self.recipients.iter_mut().filter(move |(other, _)| **other != id).map(|(_, it)| it)
    }

    fn recipient(&mut self, id: Id) -> &mut Recipient {
        self.recipients.get_mut(&id).expect("it is in the room")
    }

    fn sender(&mut self, id: Id) -> &mut Sender {
        self.senders.get_mut(&id).expect("it has come")
    }
}

/// The number of bytes in these lines.
fn total(lines: &Lines, id: Id, numbers: Range<u32>) -> usize {
    numbers.map(|number| lines.length(id, number)).sum()
}

/// Where the next line or answer begins, if the text goes so far.
fn start_of_next(text: &[u8]) -> Option<usize> {
    text.iter().skip(1).position(|byte| [START, IAC].contains(byte)).map(|at| at + 1)
}

/// A line that broke off, without the end that the server gave it and the empty lines behind it.
fn without_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    &text[..end]
}

#[cfg(test)]
mod tests;
