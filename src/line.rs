//! Whole lines from a stream of bytes.

/// What is kept of a line at most, in bytes. A longer line goes on in pieces of this size, so
/// that a client who never ends a line costs no more than this.
const LONGEST: usize = 64 * 1024;

/// How many of the `next` bytes can be said now, with the `kept` bytes of an unfinished line
/// before them: up to the end of the last line, and of the rest whatever exceeds what may be kept.
pub(crate) fn ready(kept: usize, next: &[u8]) -> usize {
    let (lines, kept) = match next.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => (at.saturating_add(1), 0),
        None => (0, kept),
    };
    let rest = next.len().saturating_sub(lines).saturating_add(kept);
    match rest.saturating_sub(rest % LONGEST) {
        0 => lines,
        pieces => lines.saturating_add(pieces).saturating_sub(kept),
    }
}
