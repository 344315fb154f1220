//! What other relays say, as libmosquitto passes it on, and the model of what becomes of it: which
//! messages are dropped, what goes to the server, and how many lines are counted and told as lost.

use crate::telnet_model::without_commands;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io::BufRead;

/// What the relay counts, as in relay.c.
#[repr(C)]
#[derive(Clone, Debug, Default, PartialEq)]
struct Figures {
    lines_in: u64,
    lost_in: u64,
    doubled: u64,
    loops: u64,
    warnings: u64,
}

unsafe extern "C" {
    fn fuzz_begin(id: *const c_char, is_old: bool);
    fn fuzz_message(
        topic: *const c_char,
        retain: bool,
        payload: *mut u8,
        length: c_int,
        properties: *const *const c_char,
        count: usize,
    );
    fn fuzz_flush(heard: *mut u8, size: usize) -> usize;
    fn fuzz_lose_server();
    fn fuzz_waiting(length: *mut usize) -> *const u8;
    fn fuzz_figures() -> Figures;
    fn fuzz_tell() -> *const c_char;
}

/// A line goes on in pieces of this size.
const PIECE: usize = 64 << 10;

/// A longer message is dropped, and nobody looks at its bytes.
const LONGEST: c_int = 1 << 20;

/// So many epochs of each relay are remembered.
const EPOCHS: usize = 4;

/// A name is shorter.
const NAME_SIZE: usize = 64;

const OWN_NAME: &str = "me";

struct Message {
    topic: String,
    retain: bool,
    /// As is told; the payload may be short then.
    is_too_long: bool,
    payload: Vec<u8>,
    /// The user properties, in pairs.
    properties: Vec<(&'static str, String)>,
}

enum Step {
    Hear(Message),
    Flush,
    LoseServer,
    Tell,
}

/// What is left of the input. After its end there are zeros.
struct Input<'a> {
    bytes: &'a [u8],
    /// So many messages may be long: none in most inputs, since they take long.
    long: usize,
}

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, left) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = left;
        taken
    }

    /// A number: small, or one of the largest.
    fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..240 => u64::from(byte),
            byte => u64::MAX - u64::from(255 - byte),
        }
    }

    fn stamp(&mut self) -> String {
        let epoch = self.number() % 8;
        format!("{epoch}.{}.{}", self.number(), self.number())
    }

    /// Text that is nearly a stamp.
    fn no_stamp(&mut self) -> String {
        let count = usize::from(self.byte() % 24);
        let letters = self.take(count);
        letters.iter().map(|byte| char::from(b"0123456789...-+ "[usize::from(byte % 16)])).collect()
    }

    fn properties(&mut self) -> Vec<(&'static str, String)> {
        match self.byte() % 16 {
            0 => vec![],
            1 => vec![("n", self.no_stamp())],
            2 => vec![("m", self.stamp())],
            3 => vec![("n", self.no_stamp()), ("n", self.stamp())],
            4 => vec![("n", self.stamp()), ("n", self.stamp())],
            5 => vec![("nn", self.stamp()), ("", self.stamp()), ("n", self.stamp())],
            _ => vec![("n", self.stamp())],
        }
    }

    /// Bytes of the input, behind others where it is to be long: about as long as what is filtered
    /// at a time, or as a piece of a line.
    fn payload(&mut self) -> Vec<u8> {
        let size = self.byte();
        let more = usize::from(size / 16);
        let filler = match size % 16 {
            13.. if self.long == 0 => 0,
            13 => 4096 - 8,
            14 | 15 => PIECE - 8,
            _ => 0,
        };
        self.long -= usize::from(filler > 0);
        let mut payload = vec![b'x'; filler];
        payload.extend_from_slice(self.take(more));
        if size % 2 == 0 {
            payload.push(b'\n');
        }
        payload
    }

    fn message(&mut self) -> Message {
        let name = self.byte();
        let short = char::from(b'a' + name / 16 % 4);
        let topic = match name % 16 {
            9 => "chat/room/me".to_owned(),
            10 => format!("chat/room/{}", short.to_string().repeat(NAME_SIZE - 1)),
            11 => format!("chat/room/{}", short.to_string().repeat(NAME_SIZE)),
            12 => "chat/room/".to_owned(),
            13 => "room".to_owned(),
            14 => format!("chat/{short}/{short}"),
            _ => format!("chat/room/{short}"),
        };
        let (properties, payload) = (self.properties(), self.payload());
        let (retain, is_too_long) = (name % 16 == 15, name % 16 == 8);
        Message { topic, retain, is_too_long, payload, properties }
    }

    fn step(&mut self) -> Step {
        match self.byte() % 16 {
            0 => Step::Flush,
            1 => Step::LoseServer,
            2 => Step::Tell,
            _ => Step::Hear(self.message()),
        }
    }
}

fn count_lines(mut text: &[u8]) -> u64 {
    let last = u64::from(!text.is_empty() && !text.ends_with(b"\n"));
    let mut lines = 0;
    while text.skip_until(b'\n').expect("memory can be read") > 0 {
        lines += 1;
    }
    lines - last
}

/// No command goes on in another line.
fn without_commands_by_line(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (mut left, _) = without_commands(line);
        if line.ends_with(b"\n") && !left.ends_with(b"\n") {
            left.push(b'\n');
        }
        all.append(&mut left);
    }
    all
}

/// Epoch, number and lines before it.
fn parse(stamp: &str) -> Option<[u64; 3]> {
    let numbers = stamp.split('.').map(|number| {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.parse().ok()).flatten()
    });
    numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// What is remembered of a relay.
struct Origin {
    name: String,
    /// Each with its last number, the newest first; 0 for none.
    epochs: [(u64, u64); EPOCHS],
    lines: u64,
    unlogged: u64,
}

#[derive(PartialEq)]
enum Verdict {
    GoesOn,
    Skips,
    BeginsEpoch,
}

#[derive(Default)]
struct Model {
    is_old: bool,
    /// Fewer than those of which the oldest is forgotten.
    origins: Vec<Origin>,
    /// What waits for the server, or has gone there unless it is heard at once.
    waiting: Vec<u8>,
    /// Whose text is the last one, and whether it ends within a line.
    speaker: Option<String>,
    in_line: bool,
    /// What has gone to the server ends within a line.
    is_cut: bool,
    /// Up to whose next line end nothing is said.
    skipped: Option<String>,
    /// Lines cut off by the end of a server, which are not logged.
    cut_lines: u64,
    figures: Figures,
}

impl Model {
    fn origin(&mut self, name: &str) -> &mut Origin {
        let origins = &mut self.origins;
        let at = match origins.iter().position(|origin| origin.name == name) {
            Some(at) => at,
            None => {
                let epochs = Default::default();
                origins.push(Origin { name: name.to_owned(), epochs, lines: 0, unlogged: 0 });
                origins.len() - 1
            }
        };
        &mut origins[at]
    }

    fn hear(&mut self, message: &Message) {
        let Message { topic, retain, is_too_long, payload, properties } = message;
        let Some(name) = topic.strip_prefix("chat/room/") else { return };
        if *retain || (payload.is_empty() && !is_too_long) {
            return;
        }
        if name == OWN_NAME {
            self.figures.loops += u64::from(!self.is_old);
            return;
        }
        if *is_too_long {
            self.figures.warnings += 1;
            return;
        }
        let mut stamps = properties.iter().filter(|(name, _)| *name == "n");
        let stamp = stamps.find_map(|(_, value)| parse(value));
        let is_piece = stamp.is_some() && payload.len() >= PIECE;
        let needs_end = !is_piece && !payload.ends_with(b"\n");
        let lines = count_lines(payload) + u64::from(needs_end);
        let speaker = (name.len() < NAME_SIZE).then(|| name.to_owned());
        if speaker.is_some() {
            let origin = self.origin(name);
            if let Some(stamp) = stamp {
                let Some((lost, verdict)) = origin.check(stamp, lines) else {
                    self.figures.doubled += 1;
                    return;
                };
                self.figures.lost_in = self.figures.lost_in.wrapping_add(lost);
                self.figures.warnings += u64::from(verdict == Verdict::BeginsEpoch);
                if verdict != Verdict::GoesOn {
                    self.speaker.take_if(|last| speaker.as_ref() == Some(last));
                    self.skipped.take_if(|skipped| speaker.as_ref() == Some(skipped));
                }
            }
        }
        self.figures.lines_in += lines;
        self.say(speaker, &without_commands_by_line(payload), is_piece);
    }

    fn say(&mut self, speaker: Option<String>, mut text: &[u8], is_piece: bool) {
        if text.is_empty() {
            return;
        }
        if speaker.is_some() && speaker == self.skipped {
            let end = text.iter().position(|byte| *byte == b'\n');
            self.skipped.take_if(|_| end.is_some() || !is_piece);
            text = &text[end.map_or(text.len(), |at| at + 1)..];
        }
        if text.is_empty() {
            return;
        }
        if self.in_line && (speaker.is_none() || speaker != self.speaker) {
            self.waiting.push(b'\n');
        }
        self.waiting.extend_from_slice(text);
        self.in_line = !text.ends_with(b"\n");
        if self.in_line && !is_piece {
            self.waiting.push(b'\n');
            self.in_line = false;
        }
        self.speaker = speaker;
    }

    /// This has arrived at the server.
    fn arrive(&mut self, heard: &[u8]) {
        assert!(self.waiting.starts_with(heard), "the server hears something else");
        self.waiting.drain(..heard.len());
        if let Some(last) = heard.last() {
            self.is_cut = *last != b'\n';
        }
    }

    /// The rest of a line whose beginning has gone to the old server is dropped, also where it has
    /// still to come.
    fn lose_server(&mut self) {
        if !self.is_cut {
            return;
        }
        self.is_cut = false;
        self.cut_lines += 1;
        self.figures.lost_in = self.figures.lost_in.wrapping_add(1);
        let end = self.waiting.iter().position(|byte| *byte == b'\n');
        self.waiting.drain(..end.map_or(self.waiting.len(), |at| at + 1));
        if end.is_none() {
            self.skipped.clone_from(&self.speaker);
            self.in_line = false;
        }
    }

    /// The log of lost lines, sorted.
    fn tell(&mut self) -> Vec<String> {
        let losses = self.origins.iter_mut().filter(|origin| origin.unlogged > 0);
        let mut lines: Vec<_> = losses
            .map(|origin| {
                let unlogged = std::mem::take(&mut origin.unlogged);
                format!("{}: lost: {unlogged} lines", origin.name)
            })
            .collect();
        let cut_lines = std::mem::take(&mut self.cut_lines);
        lines.extend((cut_lines > 0).then(|| format!("lost: {cut_lines} lines of others")));
        lines.sort();
        lines
    }
}

impl Origin {
    /// How many lines are missing before a message, and whether it is the next one; nothing where
    /// it has been heard before.
    fn check(&mut self, [epoch, seq, before]: [u64; 3], lines: u64) -> Option<(u64, Verdict)> {
        let is_known = self.epochs[0].0 != 0;
        let known = self.epochs.iter().position(|(known, _)| *known == epoch);
        if known.is_some_and(|at| seq <= self.epochs[at].1) {
            return None;
        }
        if known.is_none() {
            self.epochs.rotate_right(1);
            self.lines = if is_known { 0 } else { before };
        }
        let at = known.unwrap_or(0);
        let verdict = match known {
            None if is_known => Verdict::BeginsEpoch,
            None => Verdict::GoesOn,
            Some(0) if seq - self.epochs[0].1 == 1 => Verdict::GoesOn,
            Some(_) => Verdict::Skips,
        };
        self.epochs[at] = (epoch, seq);
        let mut lost = 0;
        if at == 0 {
            lost = before.saturating_sub(self.lines);
            self.lines = before.wrapping_add(lines);
            self.unlogged = self.unlogged.wrapping_add(lost);
        }
        Some((lost, verdict))
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// Passes a message to the relay, in a buffer that has no byte more.
fn pass(Message { topic, retain, is_too_long, payload, properties }: &Message) {
    let length = if *is_too_long {
        LONGEST + 1
    } else {
        c_int::try_from(payload.len()).expect("short enough for C")
    };
    let mut payload = payload.clone().into_boxed_slice();
    let topic = c_string(topic);
    let texts = properties.iter().flat_map(|(name, value)| [c_string(name), c_string(value)]);
    let texts: Vec<_> = texts.collect();
    let pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
    // SAFETY: everything is there, with the lengths that are told; where that is too long, nobody
    // reads.
    unsafe {
        fuzz_message(
            topic.as_ptr(),
            *retain,
            payload.as_mut_ptr(),
            length,
            pointers.as_ptr(),
            pointers.len(),
        );
    }
}

/// Sends what the server takes, and compares what arrives there.
fn flush(model: &mut Model) -> usize {
    let mut heard = [0; 16 << 10];
    // SAFETY: the buffer has that size.
    let count = unsafe { fuzz_flush(heard.as_mut_ptr(), heard.len()) };
    model.arrive(&heard[..count]);
    count
}

fn tell(model: &mut Model) {
    // SAFETY: the text ends with a NUL, and stays until the next call.
    let told = unsafe { CStr::from_ptr(fuzz_tell()) }.to_str().expect("names are UTF-8");
    let mut told: Vec<_> = told.lines().collect();
    told.sort_unstable();
    assert_eq!(told, model.tell(), "told as lost");
}

/// Plays what the bytes mean, and compares after each step.
pub(crate) fn play(bytes: &[u8]) {
    let mut input = Input { bytes, long: 0 };
    let mode = input.byte();
    input.long = if mode >= 224 { 2 } else { 0 };
    let mut model = Model { is_old: mode % 8 == 7, ..Model::default() };
    let id = c_string(OWN_NAME);
    // SAFETY: the name ends with a NUL.
    unsafe { fuzz_begin(id.as_ptr(), model.is_old) };
    while !input.bytes.is_empty() {
        match input.step() {
            Step::Hear(message) => {
                pass(&message);
                model.hear(&message);
            }
            Step::Flush => _ = flush(&mut model),
            Step::LoseServer => {
                // SAFETY: `fuzz_begin` has been called.
                unsafe { fuzz_lose_server() };
                model.lose_server();
            }
            Step::Tell => tell(&mut model),
        }
        compare(&model);
    }
    while flush(&mut model) > 0 {}
    assert!(model.waiting.is_empty(), "not all has arrived");
    tell(&mut model);
}

fn compare(model: &Model) {
    let mut length = 0;
    // SAFETY: the length may be written.
    let start = unsafe { fuzz_waiting(&mut length) };
    // SAFETY: so many bytes are there until the next call.
    let waiting = unsafe { std::slice::from_raw_parts(start, length) };
    assert!(waiting == model.waiting, "what waits for the server");
    // SAFETY: `fuzz_begin` has been called.
    assert_eq!(unsafe { fuzz_figures() }, model.figures);
}
