//! The model of what `chat_feed`, or `chat_receive`, makes of chunks: line by line, in the plainest
//! words.

use super::calls::{PoolBox, be_quiet};
use super::direct_access;
use libc::c_int;
use std::io::{BufRead, Read};

/// The most that is kept of a line that does not end; see the header.
const LONGEST: usize = 64 * 1024;

/// Adds what has been read to a line that has not ended, and returns what is to be sent now.
pub(crate) fn assemble(line: &mut Vec<u8>, mut bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return std::mem::take(line);
    }
    let mut said = Vec::new();
    while !bytes.is_empty() {
        let room = (LONGEST - line.len()) as u64;
        bytes.by_ref().take(room).read_until(b'\n', line).expect("memory can be read");
        if line.ends_with(b"\n") || line.len() == LONGEST {
            said.append(line);
        }
    }
    said
}

/// Takes the first line out, or the first piece of a long one; nothing where there is none.
pub(crate) fn take_first(lines: &mut Vec<u8>) -> Vec<u8> {
    let end = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1);
    lines.drain(..end.min(LONGEST)).collect()
}

/// A sender, and what a single `read` got from it.
pub(crate) struct Chunk {
    speaker: usize,
    bytes: Vec<u8>,
}

const SPEAKERS: usize = 3;

/// The chunks that some bytes mean. The first byte of each selects the sender and what it sends:
/// the bytes that follow, or a letter repeated, or repeated until the line is about as long as a
/// line may be.
pub(crate) fn decode(mut input: &[u8]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    while let [head, count, rest @ ..] = input {
        let count = usize::from(*count);
        let (literal, filler) = match head / 3 % 16 {
            15 => (0, LONGEST - 128 + count),
            12..15 => (0, count),
            _ => (count.min(rest.len()), 0),
        };
        let (bytes, next) = rest.split_at(literal);
        let mut bytes = bytes.to_vec();
        bytes.resize(literal + filler, b'a' + head % 26);
        chunks.push(Chunk { speaker: usize::from(*head) % SPEAKERS, bytes });
        input = next;
    }
    chunks
}

/// Feeds the chunks to a pool, and takes what is queued out of the queues by itself. Another pool
/// gets them for `chat_next_line`. The descriptors are not open: the library does not look at them.
pub(crate) fn play(chunks: &[Chunk]) {
    const FIRST: c_int = 900;
    let number = |speaker: usize| FIRST + c_int::try_from(speaker).expect("few speakers");
    be_quiet();
    let (mut pool, mut reader) = (PoolBox::new(), PoolBox::new());
    let mut lines = [const { Vec::new() }; SPEAKERS];
    for speaker in 0..SPEAKERS {
        assert_eq!(pool.add_conn(number(speaker), 0), Ok(()));
        assert_eq!(reader.add_conn(number(speaker), 0), Ok(()));
    }
    let silence = (0..SPEAKERS).map(|speaker| Chunk { speaker, bytes: Vec::new() });
    for Chunk { speaker, bytes } in chunks.iter().chain(&silence.collect::<Vec<_>>()) {
        let mut said = assemble(&mut lines[*speaker], bytes);
        assert_eq!(pool.feed(number(*speaker), bytes), Ok(()));
        for at in 0..SPEAKERS {
            let wanted = if at == *speaker || said.is_empty() { None } else { Some(&said) };
            assert!(direct_access::pop(&mut pool, at).as_ref() == wanted, "{at} hears {speaker}");
            assert!(
                direct_access::pop(&mut pool, at).is_none(),
                "one message for all lines of a call"
            );
        }
        assert_eq!(reader.receive(number(*speaker), bytes), Ok(()));
        while !said.is_empty() {
            assert!(reader.next_line(number(*speaker)) == Ok(take_first(&mut said)));
        }
        assert_eq!(reader.next_line(number(*speaker)), Ok(Vec::new()));
    }
    for speaker in 0..SPEAKERS {
        assert_eq!(pool.remove_conn(number(speaker), 0), Ok(()));
        assert_eq!(reader.remove_conn(number(speaker), 0), Ok(()));
    }
}
