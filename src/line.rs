//! Whole lines from a stream of bytes that arrives in pieces.

use crate::buffer::Buffer;
use crate::errno::Errno;
use core::ffi::{c_int, c_void};

/// A line of so many bytes or more is passed on in pieces of this size, so that a client who never
/// ends a line costs no more memory than this.
const MAX_KEPT: usize = 64 * 1024;

const NEWLINE: c_int = b'\n' as c_int;

/// What has been read from a connection and not been passed on: lines that may be passed on now, if
/// any, and then the beginning of one that may not.
pub(crate) struct Input {
    buffer: Buffer,
    /// So many bytes of the buffer have been passed on by `next`.
    taken: usize,
    /// So many may be passed on. Never less than `taken`.
    ready: usize,
}

impl Input {
    pub(crate) const fn new() -> Self {
        Self { buffer: Buffer::new(), taken: 0, ready: 0 }
    }

    /// What has not been passed on.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.bytes().get(self.taken..).unwrap_or_default()
    }

    /// Splits bytes that have been read into those that may be passed on now, behind what is here,
    /// and the beginning of a line.
    pub(crate) fn split<'a>(&self, next: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let kept = self.buffer.len().saturating_sub(self.ready);
        next.split_at_checked(ready(kept, next)).unwrap_or((next, &[]))
    }

    /// Adds bytes that have been read. None mean the end of the file: then everything may be passed
    /// on.
    pub(crate) fn add(&mut self, next: &[u8]) -> Result<(), Errno> {
        self.drop_taken();
        let (lines, _) = self.split(next);
        let before = self.buffer.len();
        self.buffer.reserve(before.saturating_add(next.len()))?;
        self.buffer.extend(next);
        if !lines.is_empty() || next.is_empty() {
            self.ready = before.saturating_add(lines.len());
        }
        Ok(())
    }

    /// The next line, or piece of a long one, that may be passed on; empty when there is none. It
    /// stays where it is until the next call.
    pub(crate) fn next(&mut self) -> &[u8] {
        let start = self.taken;
        let ready = self.buffer.bytes().get(start..self.ready).unwrap_or_default();
        let length = first(ready.get(..MAX_KEPT).unwrap_or(ready));
        if length == 0 {
            self.drop_taken();
            return &[];
        }
        self.taken = start.saturating_add(length);
        self.buffer.bytes().get(start..self.taken).unwrap_or_default()
    }

    /// Makes room for `length` bytes in all.
    pub(crate) fn reserve(&mut self, length: usize) -> Result<(), Errno> {
        self.buffer.reserve(length)
    }

    /// Holds the beginning of a line instead, for which `reserve` has made room.
    pub(crate) fn replace(&mut self, rest: &[u8]) {
        self.buffer.replace(rest);
        (self.taken, self.ready) = (0, 0);
    }

    /// Empties it, and frees the memory.
    pub(crate) fn free(&mut self) {
        self.buffer.free();
        (self.taken, self.ready) = (0, 0);
    }

    /// Drops what has been passed on, and the memory with the last byte.
    fn drop_taken(&mut self) {
        self.buffer.remove_first(self.taken);
        self.ready = self.ready.saturating_sub(self.taken);
        self.taken = 0;
    }
}

/// The length of the first line of `bytes`, with its newline; of all of them where there is none.
fn first(bytes: &[u8]) -> usize {
    // SAFETY: memchr reads `bytes` alone.
    let end = unsafe { libc::memchr(bytes.as_ptr().cast(), NEWLINE, bytes.len()) };
    length_to(bytes, end).unwrap_or(bytes.len())
}

/// The length of all lines of `bytes` that have a newline.
fn whole(bytes: &[u8]) -> usize {
    // SAFETY: memrchr reads `bytes` alone.
    let end = unsafe { libc::memrchr(bytes.as_ptr().cast(), NEWLINE, bytes.len()) };
    length_to(bytes, end).unwrap_or(0)
}

/// How many of `bytes` there are up to the one at `last`, which is one of them or NULL.
fn length_to(bytes: &[u8], last: *const c_void) -> Option<usize> {
    let at = last.addr().checked_sub(bytes.as_ptr().addr())?;
    at.checked_add(1)
}

/// How many of the `next` bytes can be passed on now, behind the `kept` bytes of an unfinished
/// line: those up to the last newline, and of the bytes after it as many whole pieces as there are.
fn ready(kept: usize, next: &[u8]) -> usize {
    let lines = whole(next);
    let kept = if lines > 0 { 0 } else { kept };
    let rest = next.len().saturating_sub(lines).saturating_add(kept);
    match rest.saturating_sub(rest % MAX_KEPT) {
        0 => lines,
        pieces => lines.saturating_add(pieces).saturating_sub(kept),
    }
}
