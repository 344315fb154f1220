//! A text, and copies of it as messages: one for each recipient, all of them or none.

use crate::abi::Msg;
use crate::buffer::Buffer;
use crate::errno::Errno;
use core::ffi::c_int;
use core::ptr::{self, NonNull};
use core::slice;

/// The block of a long message to which texts are added grows by so many bytes at least, so that it
/// does not move for every short text. A short message takes what it holds: a queue of many would
/// otherwise take many times what it counts as.
const GROWTH: usize = 1024;

/// What happens to the ASCII letters of a copy.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Preserve,
    /// They become capitals.
    Upper,
}

impl Case {
    fn apply(self, copy: &mut [u8]) {
        if let Self::Upper = self {
            copy.make_ascii_uppercase();
        }
    }
}

/// Bytes to be sent, in two parts that follow each other; either may be empty.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    parts: [&'a [u8]; 2],
    size: c_int,
    case: Case,
}

impl<'a> Text<'a> {
    /// A text in one part.
    pub(crate) fn of(bytes: &'a [u8], case: Case) -> Result<Self, Errno> {
        Self::new([bytes, &[]], case)
    }

    /// Fails with EMSGSIZE when the parts are longer than a message can be.
    pub(crate) fn new(parts: [&'a [u8]; 2], case: Case) -> Result<Self, Errno> {
        let [first, second] = parts;
        let size = c_int::try_from(first.len().saturating_add(second.len()));
        Ok(Self { parts, size: size.map_err(|_| Errno(libc::EMSGSIZE))?, case })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub(crate) fn length(&self) -> usize {
        let [first, second] = self.parts;
        first.len().saturating_add(second.len())
    }

    /// Adds the text to a buffer.
    pub(crate) fn append_to(&self, buffer: &mut Buffer) -> Result<(), Errno> {
        buffer.reserve(buffer.len().saturating_add(self.length()))?;
        for part in self.parts {
            self.case.apply(buffer.extend(part));
        }
        Ok(())
    }

    /// A new message with this text, in no queue.
    pub(crate) fn copy(&self) -> Result<NonNull<Msg>, Errno> {
        let body = self.copy_bytes()?;
        // SAFETY: malloc may be called with any size.
        let msg = unsafe { libc::malloc(size_of::<Msg>()) }.cast::<Msg>();
        let Some(msg) = NonNull::new(msg) else {
            // SAFETY: the bytes came from malloc, and nothing else leads to them.
            unsafe { libc::free(body.as_ptr().cast()) };
            return Err(Errno(libc::ENOMEM));
        };
        let (prev, next) = (ptr::null_mut(), ptr::null_mut());
        let message = body.as_ptr().cast();
        // SAFETY: the block is fresh, of this size, and malloc aligns for every type.
        unsafe { msg.write(Msg { prev, next, message, size: self.size }) };
        Ok(msg)
    }

    /// A new block with the bytes of this text.
    fn copy_bytes(&self) -> Result<NonNull<u8>, Errno> {
        // SAFETY: malloc may be called with any size.
        let block = unsafe { libc::malloc(self.length()) }.cast::<u8>();
        let block = NonNull::new(block).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the block is fresh and as long as this text.
        unsafe { self.write_to(block.as_ptr()) };
        Ok(block)
    }

    /// Adds the text to the end of `msg`, a message in a queue, whose block may move.
    pub(crate) fn append_to_message(&self, mut msg: NonNull<Msg>) -> Result<(), Errno> {
        // SAFETY: the caller passes a message, and no other reference to it exists.
        let msg = unsafe { msg.as_mut() };
        let before = usize::try_from(msg.size).unwrap_or(0);
        let length = before.saturating_add(self.length());
        let size = c_int::try_from(length).map_err(|_| Errno(libc::EMSGSIZE))?;
        let is_long = length > GROWTH.saturating_mul(2);
        let capacity =
            length.checked_next_multiple_of(GROWTH).filter(|_| is_long).unwrap_or(length);
        // SAFETY: `message` is the start of a block from malloc, as the header demands of programs;
        // on failure it stays as it is. The new block has room for this text behind the old bytes.
        unsafe {
            let block = libc::realloc(msg.message.cast(), capacity).cast::<u8>();
            if block.is_null() {
                return Err(Errno(libc::ENOMEM));
            }
            self.write_to(block.add(before));
            (msg.message, msg.size) = (block.cast(), size);
        }
        Ok(())
    }

    /// Copies the text to memory outside of it.
    ///
    /// # Safety
    ///
    /// As many bytes as the text has may be written at `start`.
    unsafe fn write_to(&self, start: *mut u8) {
        let [first, second] = self.parts;
        // SAFETY: the caller vouches for the memory, which is as long as both parts together.
        let copy = unsafe {
            ptr::copy_nonoverlapping(first.as_ptr(), start, first.len());
            ptr::copy_nonoverlapping(second.as_ptr(), start.add(first.len()), second.len());
            slice::from_raw_parts_mut(start, self.length())
        };
        self.case.apply(copy);
    }
}

/// Frees a message that is in no queue any more.
///
/// # Safety
///
/// `msg` and its bytes came from malloc, and nobody uses them afterwards.
pub(crate) unsafe fn free(msg: NonNull<Msg>) {
    // SAFETY: the caller vouches for both blocks; the pointer is read before its block is freed.
    unsafe {
        libc::free((*msg.as_ptr()).message.cast());
        libc::free(msg.as_ptr().cast());
    }
}

/// Copies of one text, all made before the first queue is touched: where memory runs out half way,
/// they are dropped, and no queue has changed.
///
/// They are taken in the order in which they were made, so that the connection written to first
/// frees the copy lowest in memory. In the opposite order the uppermost block is freed first, and
/// the allocator gives the heap back to the kernel message by message, only to ask for it again in
/// the next pass.
pub(crate) struct Copies<'a> {
    text: Text<'a>,
    first: *mut Msg,
    /// Valid while `first` is not NULL.
    last: *mut Msg,
}

impl<'a> Copies<'a> {
    pub(crate) fn of(text: Text<'a>) -> Self {
        Self { text, first: ptr::null_mut(), last: ptr::null_mut() }
    }

    /// The length of each, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.text.length()
    }

    /// Makes one more.
    pub(crate) fn make(&mut self) -> Result<(), Errno> {
        let msg = self.text.copy()?;
        if self.first.is_null() {
            self.first = msg.as_ptr();
        } else {
            // SAFETY: while there is a first, `last` is the end of its chain, which was made here
            // and belongs to this value alone.
            unsafe { (*self.last).next = msg.as_ptr() };
        }
        self.last = msg.as_ptr();
        Ok(())
    }

    /// Takes the oldest one out.
    pub(crate) fn take(&mut self) -> Option<NonNull<Msg>> {
        let msg = NonNull::new(self.first)?;
        // SAFETY: the chain was made by `make` and belongs to this value alone.
        unsafe {
            self.first = (*msg.as_ptr()).next;
            (*msg.as_ptr()).next = ptr::null_mut();
        }
        Some(msg)
    }
}

impl Drop for Copies<'_> {
    fn drop(&mut self) {
        while let Some(msg) = self.take() {
            // SAFETY: it came from `make`, and nothing else leads to it.
            unsafe { free(msg) };
        }
    }
}
