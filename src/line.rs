//! Whole lines from a stream of bytes.

/// A line of so many bytes or more is passed on in pieces of this size, so that a client who never
/// ends a line costs no more memory than this.
const MAX_KEPT: usize = 64 * 1024;

/// How many of the `next` bytes can be passed on now, behind the `kept` bytes of an unfinished
/// line: those up to the last newline, and of the bytes after it as many whole pieces as there are.
pub(crate) fn ready(kept: usize, next: &[u8]) -> usize {
    let (lines, kept) = match next.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => (at.saturating_add(1), 0),
        None => (0, kept),
    };
    let rest = next.len().saturating_sub(lines).saturating_add(kept);
    match rest.saturating_sub(rest % MAX_KEPT) {
        0 => lines,
        pieces => lines.saturating_add(pieces).saturating_sub(kept),
    }
}
