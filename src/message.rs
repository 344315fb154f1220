//! Copies of a message: one for each recipient, all of them or none.

use crate::buffer::Buffer;
use crate::errno::Errno;
use crate::ffi::Msg;
use core::ffi::c_int;
use core::ptr::{self, NonNull};
use core::slice;

/// How a copy's letters are written.
#[derive(Clone, Copy)]
pub(crate) enum Letters {
    AsTheyAre,
    /// ASCII letters in capitals.
    Capitals,
}

impl Letters {
    fn apply(self, copy: &mut [u8]) {
        if let Self::Capitals = self {
            copy.make_ascii_uppercase();
        }
    }
}

/// What is to be said: some bytes, in one part or in two that follow each other.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    parts: [&'a [u8]; 2],
    size: c_int,
    letters: Letters,
}

impl<'a> Text<'a> {
    /// Fails with EMSGSIZE when a message cannot be so long.
    pub(crate) fn new(parts: [&'a [u8]; 2], letters: Letters) -> Result<Self, Errno> {
        let [first, second] = parts;
        let size = c_int::try_from(first.len().saturating_add(second.len()));
        Ok(Self { parts, size: size.map_err(|_| Errno(libc::EMSGSIZE))?, letters })
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
            self.letters.apply(buffer.extend(part));
        }
        Ok(())
    }

    /// A message of its own, in no queue.
    pub(crate) fn copy(&self) -> Result<NonNull<Msg>, Errno> {
        let body = self.copy_bytes()?;
        // SAFETY: malloc may be called with any size.
        let msg = unsafe { libc::malloc(size_of::<Msg>()) }.cast::<Msg>();
        let Some(msg) = NonNull::new(msg) else {
            // SAFETY: the bytes came from malloc, and nobody has seen them.
            unsafe { libc::free(body.as_ptr().cast()) };
            return Err(Errno(libc::ENOMEM));
        };
        let (prev, next) = (ptr::null_mut(), ptr::null_mut());
        let message = body.as_ptr().cast();
        // SAFETY: the block is fresh, of this size, and malloc aligns for every type.
        unsafe { msg.write(Msg { prev, next, message, size: self.size }) };
        Ok(msg)
    }

    /// The bytes in a block of their own.
    fn copy_bytes(&self) -> Result<NonNull<u8>, Errno> {
        let [first, second] = self.parts;
        let length = self.length();
        // SAFETY: malloc may be called with any size.
        let block = unsafe { libc::malloc(length) }.cast::<u8>();
        let block = NonNull::new(block).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the block is fresh and as long as both parts together.
        let copy = unsafe {
            ptr::copy_nonoverlapping(first.as_ptr(), block.as_ptr(), first.len());
            let rest = block.as_ptr().add(first.len());
            ptr::copy_nonoverlapping(second.as_ptr(), rest, second.len());
            slice::from_raw_parts_mut(block.as_ptr(), length)
        };
        self.letters.apply(copy);
        Ok(block)
    }
}

/// Frees a message that is in no queue any more.
///
/// # Safety
///
/// `msg` and its bytes came from malloc, and nobody uses them afterwards.
pub(crate) unsafe fn free(msg: NonNull<Msg>) {
    // SAFETY: the caller vouches for both blocks; the inner one is read before the outer goes.
    unsafe {
        libc::free((*msg.as_ptr()).message.cast());
        libc::free(msg.as_ptr().cast());
    }
}

/// Copies of one text, made before the first queue is touched: whoever runs out of memory half
/// way drops them, and nothing has happened.
///
/// They are handed out in the order in which they were made. Who is written to first then frees the
/// lowest in memory: the other way round it is the uppermost, and the allocator gives the heap back
/// to the kernel bit by bit, for every message, only to ask for it again in the next pass.
pub(crate) struct Copies<'a> {
    text: Text<'a>,
    first: *mut Msg,
    /// Of meaning while there is a first one.
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
            // SAFETY: while there is a first, `last` is the end of what hangs on it, all of which was
            // made here and is ours alone.
            unsafe { (*self.last).next = msg.as_ptr() };
        }
        self.last = msg.as_ptr();
        Ok(())
    }

    /// Hands one out.
    pub(crate) fn take(&mut self) -> Option<NonNull<Msg>> {
        let msg = NonNull::new(self.first)?;
        // SAFETY: what hangs on `first` was made by `make` and is ours alone.
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
            // SAFETY: it came from `make`, and nobody else has it.
            unsafe { free(msg) };
        }
    }
}
