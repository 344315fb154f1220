//! Whole lines from a stream of bytes: what a client has said of a line that has not ended yet.

use crate::errno::Errno;
use core::ptr;
use core::slice;

/// What is kept of a line at most, in bytes. A longer line goes on in pieces of this size, so
/// that a client who never ends a line costs no more than this.
const LONGEST: usize = 64 * 1024;

/// A line that has not ended: fewer than `LONGEST` bytes, none of them a newline.
pub(crate) struct UnfinishedLine {
    /// A block of `capacity(length)` bytes at least; NULL when there is nothing to keep.
    start: *mut u8,
    length: usize,
}

impl Default for UnfinishedLine {
    fn default() -> Self {
        Self { start: ptr::null_mut(), length: 0 }
    }
}

impl UnfinishedLine {
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.start.is_null() {
            return &[];
        }
        // SAFETY: so many bytes of the block are written.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }

    /// How many of the bytes that come next can be said now, with everything kept before them:
    /// up to the end of the last line, and of the rest whatever exceeds what may be kept.
    pub(crate) fn ready(&self, next: &[u8]) -> usize {
        let newline = next.iter().rposition(|byte| *byte == b'\n');
        let (lines, kept) = match newline {
            Some(at) => (at.saturating_add(1), 0),
            None => (0, self.length),
        };
        let rest = next.len().saturating_sub(lines).saturating_add(kept);
        match rest.saturating_sub(rest % LONGEST) {
            0 => lines,
            pieces => lines.saturating_add(pieces).saturating_sub(kept),
        }
    }

    /// Makes room for `length` bytes and changes nothing else.
    pub(crate) fn reserve(&mut self, length: usize) -> Result<(), Errno> {
        if length == 0 || !self.start.is_null() && capacity(length) <= capacity(self.length) {
            return Ok(());
        }
        // SAFETY: the block is NULL or came from here; on failure it stays as it is.
        let start = unsafe { libc::realloc(self.start.cast(), capacity(length)) };
        if start.is_null() {
            return Err(Errno(libc::ENOMEM));
        }
        self.start = start.cast();
        Ok(())
    }

    /// Adds bytes for which `reserve` has made room.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // SAFETY: there is room behind what is kept, in a block that nobody else has.
        unsafe {
            let end = self.start.add(self.length);
            ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
        }
        self.length = self.length.saturating_add(bytes.len());
    }

    /// Keeps `bytes`, for which `reserve` has made room, instead of what is kept; for no bytes,
    /// the memory goes back.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        self.length = 0;
        self.extend(bytes);
        if bytes.is_empty() {
            self.clear();
        }
    }

    /// Forgets the line and gives the memory back.
    pub(crate) fn clear(&mut self) {
        // SAFETY: the block is NULL or came from `reserve`.
        unsafe { libc::free(self.start.cast()) };
        *self = Self::default();
    }
}

/// The size of the block for so many bytes. It grows in powers of two, so that a line which
/// comes byte by byte is not moved for every byte.
fn capacity(length: usize) -> usize {
    length.max(64).checked_next_power_of_two().unwrap_or(length)
}
