//! A growing array of bytes, in memory from the C library.

use crate::errno::Errno;
use core::ptr;
use core::slice;

/// The capacity of the smallest block.
const MIN_CAPACITY: usize = 64;

pub(crate) struct Buffer {
    start: *mut u8,
    length: usize,
    capacity: usize,
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self { start: ptr::null_mut(), length: 0, capacity: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        if self.start.is_null() {
            return &[];
        }
        // SAFETY: the first `length` bytes of the block are initialised.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }

    /// Makes room for `length` bytes in all, and changes nothing else. Blocks grow in powers of
    /// two, so that appending byte by byte does not move the block for every byte.
    pub(crate) fn reserve(&mut self, length: usize) -> Result<(), Errno> {
        if length <= self.capacity {
            return Ok(());
        }
        let capacity = length.max(MIN_CAPACITY).checked_next_power_of_two().unwrap_or(length);
        // SAFETY: the block is NULL or came from here; on failure it stays as it is.
        let start = unsafe { libc::realloc(self.start.cast(), capacity) };
        if start.is_null() {
            return Err(Errno(libc::ENOMEM));
        }
        (self.start, self.capacity) = (start.cast(), capacity);
        Ok(())
    }

    /// Appends bytes, for which `reserve` has made room, and returns the copy.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> &mut [u8] {
        let count = bytes.len().min(self.capacity.saturating_sub(self.length));
        if count == 0 {
            return &mut [];
        }
        // SAFETY: the block has room for `count` bytes behind the first `length`, and nothing else
        // leads to it.
        let added = unsafe {
            let end = self.start.add(self.length);
            ptr::copy_nonoverlapping(bytes.as_ptr(), end, count);
            slice::from_raw_parts_mut(end, count)
        };
        self.length = self.length.saturating_add(count);
        added
    }

    /// Holds `bytes` instead, for which `reserve` has made room. Without any, the memory is freed.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.free();
        } else {
            self.clear();
            self.extend(bytes);
        }
    }

    /// Drops the first `count` bytes. Without any others, the memory is freed.
    pub(crate) fn remove_first(&mut self, count: usize) {
        let Some(left) = self.length.checked_sub(count).filter(|left| *left > 0) else {
            return self.free();
        };
        // SAFETY: the block has `count` and `left` initialised bytes, and the copy may overlap.
        unsafe { ptr::copy(self.start.add(count), self.start, left) };
        self.length = left;
    }

    /// Empties the buffer and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    /// Empties the buffer and frees the memory.
    pub(crate) fn free(&mut self) {
        if !self.start.is_null() {
            // SAFETY: the block came from `reserve`.
            unsafe { libc::free(self.start.cast()) };
            *self = Self::new();
        }
    }
}
