//! Who is in the room, who has said what, and who must have heard it.
//!
//! A client is known to be in as soon as somebody hears it. It must hear everything that is said
//! from then on; and nothing that somebody had heard before it came. In between it begins to hear
//! at some line of each speaker, and then hears them all, in order, once.
//!
//! What a client said must be heard, with two exceptions. Whoever ends its connection abruptly, or
//! is cut off, may not be heard to the end: but what one hears of it all others must hear as well,
//! down to where its last line breaks off. And as long as a client is behind, it may be cut off
//! any time, so that nobody can count on what it says.

use crate::line::{HEADER, Id, Lines, START, header};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::ops::Range;

/// Who has no more bytes than this to hear has caught up.
const CAUGHT_UP: usize = 16 * 1024;

/// What is wrong with what somebody hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Torn,
    Echoed,
    Doubled,
    Lost,
    /// Said by nobody, or after the speaker's end.
    Unsaid,
    /// Somebody had heard it before the listener came.
    Stale,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub listener: Id,
    pub wrong: Wrong,
    heard: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { listener, wrong, heard } = self;
        let wrong = match wrong {
            Wrong::Torn => "torn, or mixed with something else",
            Wrong::Echoed => "its own",
            Wrong::Doubled => "heard before, or before a later one",
            Wrong::Lost => "not the next one: others are missing in front of it",
            Wrong::Unsaid => "not said by anybody who is in",
            Wrong::Stale => "said before it came",
        };
        write!(f, "client {listener} hears what is {wrong}: {heard:?}")
    }
}

impl Error for Fault {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    InOrder,
    Abrupt,
}

/// The last line of a client, as far as it goes, without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    number: u32,
    length: usize,
}

#[derive(Default)]
struct Speaker {
    /// How many lines it has said; a piece counts, when it must be heard.
    said: u32,
    /// How many of them everybody must hear, who is in.
    promised: u32,
    /// How many of them somebody has heard.
    heard: u32,
    piece: Option<Piece>,
    end: Option<End>,
    /// It has not been reading, and not caught up since.
    is_behind: bool,
    /// It will be forgotten next time.
    is_fading: bool,
}

/// Which line of a speaker's a listener may hear next.
#[derive(Clone, Copy)]
struct Due {
    from: u32,
    by: u32,
}

const ANY: Due = Due { from: 0, by: u32::MAX };
const FIRST: Due = Due { from: 0, by: 0 };

#[derive(Default)]
struct Listener {
    /// Known to be in.
    is_in: bool,
    is_quitting: bool,
    /// Of the speakers who came before it, or whom it has heard.
    due: HashMap<Id, Due>,
    /// How many bytes it must yet hear.
    owed: usize,
}

impl Listener {
    fn due(&self, speaker: Id) -> Due {
        let of_others = if self.is_in { FIRST } else { ANY };
        self.due.get(&speaker).copied().unwrap_or(of_others)
    }

    fn is_owed(&self) -> bool {
        self.is_in && !self.is_quitting
    }
}

pub struct Register {
    pub lines: Lines,
    came: Id,
    speakers: HashMap<Id, Speaker>,
    listeners: HashMap<Id, Listener>,
    deliveries: u64,
    /// How many clients have ended abruptly, and how many pieces were too short to tell of whom.
    abrupt_ends: usize,
    scraps: usize,
}

impl Register {
    pub fn new(seed: u64) -> Self {
        Self {
            lines: Lines::new(seed),
            came: 0,
            speakers: HashMap::new(),
            listeners: HashMap::new(),
            deliveries: 0,
            abrupt_ends: 0,
            scraps: 0,
        }
    }

    /// How many lines have been heard, each by one client, and found right.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// How many clients have come up to now.
    pub fn came(&self) -> Id {
        self.came
    }

    /// Somebody is about to connect.
    pub fn join(&mut self) -> Id {
        let id = self.came;
        self.came += 1;
        let due = self.speakers.iter().map(|(id, it)| (*id, Due { from: it.heard, ..ANY }));
        let due = due.collect();
        self.listeners.insert(id, Listener { due, ..Listener::default() });
        self.speakers.insert(id, Speaker::default());
        id
    }

    /// The server has been given so many more whole lines.
    pub fn say(&mut self, id: Id, lines: u32) {
        let speaker = self.speaker(id);
        speaker.said += lines;
        let said = speaker.said;
        if !speaker.is_behind {
            self.promise(id, said);
        }
    }

    /// It stops reading.
    pub fn fall_behind(&mut self, id: Id) {
        self.speaker(id).is_behind = true;
    }

    /// It reads again.
    pub fn catch_up(&mut self, id: Id) {
        let owed = self.owed(id);
        let speaker = self.speaker(id);
        if speaker.is_behind && speaker.end.is_none() && owed <= CAUGHT_UP {
            speaker.is_behind = false;
            let said = speaker.said;
            self.promise(id, said);
        }
    }

    /// It has nothing more to say but a piece of its next line, of so many bytes, if any. From now
    /// on it may hear more or not.
    pub fn quit(&mut self, id: Id, piece: usize) {
        let listener = self.listeners.get_mut(&id).expect("it is in the room");
        listener.is_quitting = true;
        listener.owed = 0;
        if self.is_behind(id) {
            return self.end_abruptly(id);
        }
        let speaker = self.speaker(id);
        speaker.end = Some(End::InOrder);
        if piece > 0 {
            speaker.piece = Some(Piece { number: speaker.said, length: piece });
            speaker.said += 1;
        }
        let said = speaker.said;
        self.promise(id, said);
    }

    /// It has ended its connection abruptly, or has been cut off: what nobody has heard of it yet
    /// may be lost.
    pub fn abort(&mut self, id: Id) {
        self.listeners.remove(&id);
        self.end_abruptly(id);
    }

    /// Its connection has ended in order, once it was quitting.
    pub fn leave(&mut self, id: Id) {
        self.listeners.remove(&id);
    }

    fn end_abruptly(&mut self, id: Id) {
        self.speaker(id).end = Some(End::Abrupt);
        self.abrupt_ends += 1;
        self.take_back(id);
    }

    /// Nobody has to hear of it what nobody has heard yet.
    fn take_back(&mut self, id: Id) {
        let speaker = self.speaker(id);
        let before = std::mem::replace(&mut speaker.promised, speaker.heard);
        let speaker = &self.speakers[&id];
        for listener in owed_by(&mut self.listeners, id) {
            let from = listener.due(id).by.max(speaker.promised);
            listener.owed -= total(&self.lines, id, speaker, from..before);
        }
    }

    /// Everybody who is in must hear so many of its lines.
    fn promise(&mut self, id: Id, lines: u32) {
        let speaker = self.speaker(id);
        let before = speaker.promised;
        speaker.promised = lines.max(before);
        let speaker = &self.speakers[&id];
        for listener in owed_by(&mut self.listeners, id) {
            let from = listener.due(id).by.max(before);
            listener.owed += total(&self.lines, id, speaker, from..speaker.promised);
        }
    }

    pub fn is_in(&self, id: Id) -> bool {
        self.listeners[&id].is_in
    }

    pub fn is_behind(&self, id: Id) -> bool {
        self.speakers[&id].is_behind
    }

    /// How many bytes it must yet hear.
    pub fn owed(&self, id: Id) -> usize {
        self.listeners[&id].owed
    }

    /// How many bytes are on their way to one of those who keep up, at most.
    pub fn backlog(&self) -> usize {
        let up = self.listeners.iter().filter(|(id, it)| it.is_owed() && !self.is_behind(**id));
        up.map(|(_, it)| it.owed).max().unwrap_or(0)
    }

    /// Why not everything that was said has been heard yet.
    pub fn unsettled(&self) -> Option<String> {
        self.listeners.iter().find_map(|(id, it)| {
            let why = if it.is_quitting {
                "has said its last, and its connection has not been ended".into()
            } else if !it.is_in {
                format!("has said {} lines, and nobody hears it", self.speakers[id].said)
            } else if it.owed > 0 {
                self.first_owed(*id, it)
            } else if self.is_behind(*id) {
                "has not caught up".into()
            } else {
                return None;
            };
            Some(format!("client {id} {why}"))
        })
    }

    fn first_owed(&self, id: Id, listener: &Listener) -> String {
        let mut owed = self.speakers.iter().filter(|(speaker, _)| **speaker != id);
        let first = owed.find(|(speaker, it)| listener.due(**speaker).by < it.promised);
        let (speaker, it) = first.expect("it is owed something");
        let due = listener.due(*speaker);
        format!(
            "is yet to hear lines {} to {} of client {speaker}, who has said {} of which somebody \
             has heard {}",
            due.by, it.promised, it.said, it.heard
        )
    }

    /// When all is settled: strikes out those who had gone already last time. Nothing of them can
    /// be on its way any more.
    pub fn forget(&mut self) {
        self.speakers.retain(|_, it| !it.is_fading);
        for speaker in self.speakers.values_mut() {
            speaker.is_fading = speaker.end.is_some();
        }
        for listener in self.listeners.values_mut() {
            listener.due.retain(|id, _| self.speakers.contains_key(id));
        }
    }

    /// Takes in what a listener gets, but for an unfinished line at the end; answers how many
    /// bytes that were.
    pub fn hear(&mut self, listener: Id, text: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        loop {
            match self.hear_one(listener, &text[at..]) {
                Ok(0) => break,
                Ok(length) => at += length,
                Err(wrong) => {
                    let heard = &text[at..text.len().min(at + 2 * HEADER + 20)];
                    let heard = String::from_utf8_lossy(heard).into_owned();
                    return Err(Fault { listener, wrong, heard });
                }
            }
        }
        self.catch_up(listener);
        Ok(at)
    }

    /// Whether an unfinished line is the beginning of one: where a stream ends, that is all that
    /// can be said.
    pub fn is_beginning(&self, text: &[u8]) -> bool {
        match header(text) {
            Some((id, number)) => {
                self.speakers.contains_key(&id) && self.lines.begins_with(id, number, text)
            }
            None => text.len() < HEADER && text.first().is_none_or(|first| *first == START),
        }
    }

    /// The first line of the text, or a piece of one; answers how long it was, or 0 when its end
    /// is not there yet.
    fn hear_one(&mut self, listener: Id, text: &[u8]) -> Result<usize, Wrong> {
        let Some((id, number)) = header(text) else { return self.hear_scrap(text) };
        let speaker = self.speakers.get(&id).ok_or(Wrong::Unsaid)?;
        let is_so_far = |text| self.lines.begins_with(id, number, text);
        let length = self.lines.length(id, number);
        if text.get(..length).is_some_and(is_so_far) {
            self.accept(listener, id, number)?;
            return Ok(length);
        }
        let known = speaker.piece.filter(|piece| piece.number == number);
        let length = match start_of_next(text) {
            Some(next) => next,
            None if known.is_some_and(|piece| piece.length == text.len()) => text.len(),
            None if is_so_far(text) => return Ok(0),
            None => return Err(Wrong::Torn),
        };
        if !is_so_far(&text[..length]) {
            return Err(Wrong::Torn);
        }
        self.break_off(id, Piece { number, length })?;
        self.accept(listener, id, number)?;
        Ok(length)
    }

    /// Its last line is but a piece. That may be with those who have ended abruptly, or may have
    /// been cut off, and then everybody must hear the same piece.
    fn break_off(&mut self, id: Id, piece: Piece) -> Result<(), Wrong> {
        let speaker = &self.speakers[&id];
        let may_break_off = match speaker.end {
            _ if speaker.piece.is_some() => speaker.piece == Some(piece),
            Some(end) => end == End::Abrupt && piece.number >= speaker.heard,
            None => speaker.is_behind && piece.number >= speaker.heard,
        };
        if !may_break_off {
            return Err(Wrong::Torn);
        }
        if speaker.piece.is_none() {
            self.take_back(id);
        }
        self.speaker(id).piece = Some(piece);
        Ok(())
    }

    /// A piece too short to tell of whom.
    fn hear_scrap(&mut self, text: &[u8]) -> Result<usize, Wrong> {
        if text.first().is_some_and(|first| *first != START) {
            return Err(Wrong::Torn);
        }
        match start_of_next(text) {
            None if text.len() < HEADER => Ok(0),
            Some(next)
                if next < HEADER && self.scraps < self.abrupt_ends * self.listeners.len() =>
            {
                self.scraps += 1;
                Ok(next)
            }
            _ => Err(Wrong::Torn),
        }
    }

    fn accept(&mut self, to: Id, from: Id, number: u32) -> Result<(), Wrong> {
        let speaker = self.speakers.get_mut(&from).expect("its line was recognised");
        let listener = self.listeners.get_mut(&to).expect("whoever hears is in");
        let said = speaker.piece.map_or(speaker.said, |piece| piece.number + 1);
        let due = listener.due(from);
        if to == from {
            return Err(Wrong::Echoed);
        } else if number >= said {
            return Err(Wrong::Unsaid);
        } else if number > due.by {
            return Err(Wrong::Lost);
        } else if number < due.from {
            return Err(if due.from == due.by { Wrong::Doubled } else { Wrong::Stale });
        }
        let next = number + 1;
        listener.due.insert(from, Due { from: next, by: next });
        self.deliveries += 1;
        speaker.heard = speaker.heard.max(next);
        let (promised, speaker) = (speaker.promised, &self.speakers[&from]);
        if listener.is_owed() {
            listener.owed += total(&self.lines, from, speaker, next..promised);
            listener.owed -= total(&self.lines, from, speaker, due.by..promised);
        }
        // What one has heard, all must hear.
        if next > promised {
            self.promise(from, next);
        }
        self.let_in(from);
        Ok(())
    }

    /// Somebody has heard it, so it is in.
    fn let_in(&mut self, id: Id) {
        let Some(listener) = self.listeners.get_mut(&id).filter(|it| !it.is_in) else { return };
        for (other, speaker) in self.speakers.iter().filter(|(other, _)| **other != id) {
            let due = listener.due.entry(*other).or_insert(ANY);
            if due.by == ANY.by {
                // The last piece of who has gone, or may have been cut off, may be on its way to
                // those before it only.
                due.by = speaker.said + u32::from(speaker.end.is_some() || speaker.is_behind);
            }
            if !listener.is_quitting {
                listener.owed += total(&self.lines, *other, speaker, due.by..speaker.promised);
            }
        }
        listener.is_in = true;
    }

    fn speaker(&mut self, id: Id) -> &mut Speaker {
        self.speakers.get_mut(&id).expect("it has come")
    }
}

/// Those who must hear what a speaker says.
fn owed_by(
    listeners: &mut HashMap<Id, Listener>,
    speaker: Id,
) -> impl Iterator<Item = &mut Listener> {
    let others = listeners.iter_mut().filter(move |(id, it)| **id != speaker && it.is_owed());
    others.map(|(_, listener)| listener)
}

/// How many bytes these lines have together.
fn total(lines: &Lines, id: Id, speaker: &Speaker, numbers: Range<u32>) -> usize {
    let length = |number| match speaker.piece {
        Some(piece) if piece.number == number => piece.length,
        _ => lines.length(id, number),
    };
    numbers.map(length).sum()
}

/// Where the next line begins, if the text goes so far. What begins the text is no whole line, and
/// all but a piece is torn: so an end of a line is not looked for.
fn start_of_next(text: &[u8]) -> Option<usize> {
    text.iter().skip(1).position(|byte| *byte == START).map(|at| at + 1)
}

#[cfg(test)]
mod tests;
