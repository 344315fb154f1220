//! The model of what `chat_feed`, or `chat_receive`, makes of chunks: line by line, in the plainest
//! words.

use super::calls::{PoolBox, be_quiet};
use super::direct_access;
use libc::c_int;
use std::cell::Cell;
use std::io::{BufRead, Read};

/// The most that is kept of a line that does not end; see the header.
const LONGEST: usize = 64 * 1024;

/// Adds what has been read to a line that has not ended, and returns what is to be sent now.
pub(crate) fn assemble(line: &mut Vec<u8>, mut bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return std::mem::take(line);
    }
    let mut said = Vec::new();
    line.reserve(bytes.len());
    while !bytes.is_empty() {
        let room = (LONGEST - line.len()) as u64;
        Read::take(&mut bytes, room).read_until(b'\n', line).expect("memory can be read");
        if line.ends_with(b"\n") || line.len() == LONGEST {
            said.append(line);
        }
    }
    said
}

/// The length of the first line, or of the first piece of a long one.
pub(crate) fn first(lines: &[u8]) -> usize {
    let mut line = &lines[..lines.len().min(LONGEST)];
    line.skip_until(b'\n').expect("memory can be read")
}

/// A sender, and what a single `read` got from it.
pub(crate) struct Chunk {
    speaker: usize,
    bytes: Vec<u8>,
}

const SPEAKERS: usize = 3;

const MOST_LONG: usize = 2;

/// The chunks that some bytes mean. The first byte of each selects the sender and what it sends:
/// the bytes that follow, or a letter repeated, or repeated until the line is about as long as a
/// line may be. Few are that long, since they take long.
pub(crate) fn decode(mut input: &[u8]) -> Vec<Chunk> {
    let (mut chunks, mut long) = (Vec::new(), 0);
    while let [head, count, rest @ ..] = input {
        let count = usize::from(*count);
        let (literal, filler) = match head / 3 % 16 {
            15 if long < MOST_LONG => {
                long += 1;
                (0, LONGEST - 128 + count)
            }
            12.. => (0, count),
            _ => (count.min(rest.len()), 0),
        };
        let (text, next) = rest.split_at(literal);
        let mut bytes = Vec::with_capacity(literal + filler);
        bytes.extend_from_slice(text);
        bytes.resize(literal + filler, b'a' + head % 26);
        chunks.push(Chunk { speaker: usize::from(*head) % SPEAKERS, bytes });
        input = next;
    }
    chunks
}

/// A pool that is fed, and another one whose lines are fetched by `chat_next_line`. The same
/// speakers are in both. Their descriptors are not open: the library does not look at them.
struct Room {
    pool: PoolBox,
    reader: PoolBox,
}

fn number(speaker: usize) -> c_int {
    const FIRST: c_int = 900;
    FIRST + c_int::try_from(speaker).expect("few speakers")
}

impl Room {
    fn open() -> Self {
        be_quiet();
        let mut room = Self { pool: PoolBox::new(), reader: PoolBox::new() };
        for speaker in 0..SPEAKERS {
            assert_eq!(room.pool.add_conn(number(speaker), 0), Ok(()));
            assert_eq!(room.reader.add_conn(number(speaker), 0), Ok(()));
        }
        room
    }

    /// Feeds a chunk, of which `said` is to be heard now, and takes what is queued out of the
    /// queues. Then fetches the same lines from the other pool.
    fn play(&mut self, Chunk { speaker, bytes }: &Chunk, said: &[u8]) {
        let sd = number(*speaker);
        assert_eq!(self.pool.feed(sd, bytes), Ok(()));
        for at in 0..SPEAKERS {
            let hears = at != *speaker && !said.is_empty();
            let wanted = hears.then_some(said);
            assert!(direct_access::first(&mut self.pool, at) == wanted, "{at} hears {speaker}");
            direct_access::pop(&mut self.pool, at);
            assert!(!direct_access::pop(&mut self.pool, at), "one message for all lines of a call");
        }
        assert_eq!(self.reader.receive(sd, bytes), Ok(()));
        let mut lines = said;
        while !lines.is_empty() {
            let (line, others) = lines.split_at(first(lines));
            assert!(self.reader.next_line(sd) == Ok(line));
            lines = others;
        }
        assert_eq!(self.reader.next_line(sd), Ok(&[][..]));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for pool in [&mut self.pool, &mut self.reader] {
            (0..SPEAKERS).for_each(|speaker| _ = pool.remove_conn(number(speaker), 0));
        }
    }
}

/// Plays chunks, and then an end of the input of each speaker, after which nothing is left. So the
/// room can be used again, unless there was a failure: a new one takes long.
pub(crate) fn play(chunks: &[Chunk]) {
    thread_local!(static ROOM: Cell<Option<Room>> = const { Cell::new(None) });
    let mut room = ROOM.take().unwrap_or_else(Room::open);
    let mut lines = [const { Vec::new() }; SPEAKERS];
    let silence = (0..SPEAKERS).map(|speaker| Chunk { speaker, bytes: Vec::new() });
    for chunk in chunks.iter().chain(&silence.collect::<Vec<_>>()) {
        room.play(chunk, &assemble(&mut lines[chunk.speaker], &chunk.bytes));
    }
    ROOM.set(Some(room));
}
