//! The model of what `chat_feed` makes of chunks: byte by byte, in the plainest words.

use super::calls::{PoolBox, be_quiet};
use super::direct_access;
use libc::c_int;

/// Of a line that does not end, so much is kept at most; see the header.
const LONGEST: usize = 64 * 1024;

/// Adds what has been read to a line that has not ended, and answers what is to be said now.
pub(crate) fn assemble(line: &mut Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return std::mem::take(line);
    }
    let mut said = Vec::new();
    for byte in bytes {
        line.push(*byte);
        if *byte == b'\n' || line.len() == LONGEST {
            said.append(line);
        }
    }
    said
}

/// Who speaks, and what a single `read` got of it.
pub(crate) struct Chunk {
    speaker: usize,
    bytes: Vec<u8>,
}

const SPEAKERS: usize = 3;

/// The chunks that some bytes mean. Of each the first byte says who speaks and what of: bytes
/// that follow, so many of a letter, or so many that a line is about as long as it may be.
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
        let bytes = [bytes, &vec![b'a' + head % 26; filler]].concat();
        chunks.push(Chunk { speaker: usize::from(*head) % SPEAKERS, bytes });
        input = next;
    }
    chunks
}

/// Feeds the chunks to a pool in which nobody is sent anything, and takes out of the queues what
/// is to be heard. The descriptors are not open: the library does not look.
pub(crate) fn play(chunks: &[Chunk]) {
    const FIRST: c_int = 900;
    let number = |speaker: usize| FIRST + c_int::try_from(speaker).expect("few speakers");
    be_quiet();
    let mut pool = PoolBox::new();
    let mut lines = [const { Vec::new() }; SPEAKERS];
    for speaker in 0..SPEAKERS {
        assert_eq!(pool.add_conn(number(speaker), 0), Ok(()));
    }
    let silence = (0..SPEAKERS).map(|speaker| Chunk { speaker, bytes: Vec::new() });
    for Chunk { speaker, bytes } in chunks.iter().chain(&silence.collect::<Vec<_>>()) {
        let said = assemble(&mut lines[*speaker], bytes);
        assert_eq!(pool.feed(number(*speaker), bytes), Ok(()));
        for at in 0..SPEAKERS {
            let wanted = if at == *speaker || said.is_empty() { None } else { Some(&said) };
            assert!(direct_access::pop(&mut pool, at).as_ref() == wanted, "{at} hears {speaker}");
            assert!(
                direct_access::pop(&mut pool, at).is_none(),
                "one message for all lines of a call"
            );
        }
    }
    for speaker in 0..SPEAKERS {
        assert_eq!(pool.remove_conn(number(speaker), 0), Ok(()));
    }
}
