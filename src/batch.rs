//! The broadcasts of a corked pool: a batch holds each one once, side by side, and every connection
//! has a cursor into it.

use crate::buffer::Buffer;
use crate::errno::Errno;
use crate::message::Text;
use core::ops::{Deref, DerefMut, Range};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

/// A batch is delivered when it has so many bytes. They are enough for what a thousand clients send
/// in one pass, and half of what the queue of one slow reader may hold.
const FULL: usize = 4 * 1024 * 1024;

/// A number that no batch of the process has had.
fn next_generation() -> u64 {
    static GENERATIONS: AtomicU64 = AtomicU64::new(1);
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

pub(crate) struct Batch {
    pub(crate) text: Buffer,
    pub(crate) corked: bool,
    /// Tells this batch from all others, so that cursors into those are void.
    generation: u64,
}

/// How far a connection has received a batch, and which part of it the connection has sent itself.
///
/// Always `pos <= own.start <= own.end`, so what is left to deliver is in two parts, before `own`
/// and after it.
#[derive(Clone)]
pub(crate) struct Cursor {
    generation: u64,
    /// The connection has received everything before this position, or joined the pool here.
    pos: usize,
    /// What it has sent itself, and therefore does not receive.
    own: Range<usize>,
}

impl Cursor {
    fn new(generation: u64, pos: usize) -> Self {
        Self { generation, pos, own: pos..pos }
    }

    /// A cursor into no batch; generations count from 1.
    pub(crate) const NONE: Self = Self { generation: 0, pos: 0, own: 0..0 };

    /// The cursor after delivery of the next `count` bytes.
    pub(crate) fn advanced(self, count: usize) -> Self {
        match count.checked_sub(self.own.start.saturating_sub(self.pos)) {
            Some(beyond) => Self::new(self.generation, self.own.end.saturating_add(beyond)),
            None => Self { pos: self.pos.saturating_add(count), ..self },
        }
    }

    /// The cursor after its connection has sent `added`, which follows what it sent before.
    pub(crate) fn skipping(self, added: Range<usize>) -> Self {
        let start = if self.own.is_empty() { added.start } else { self.own.start };
        Self { own: start..added.end, ..self }
    }
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= FULL
    }

    /// The cursor of a connection, whose last one may be of an earlier batch.
    pub(crate) fn current(&self, cursor: &Cursor) -> Cursor {
        if cursor.generation == self.generation {
            cursor.clone()
        } else {
            Cursor::new(self.generation, 0)
        }
    }

    /// The cursor of a connection that joins now, or has received everything.
    pub(crate) fn end(&self) -> Cursor {
        Cursor::new(self.generation, self.text.len())
    }

    /// What is left to deliver: the bytes before and after what the connection has sent itself.
    pub(crate) fn parts(&self, cursor: &Cursor) -> [&[u8]; 2] {
        let Cursor { pos, own, .. } = cursor;
        [*pos..own.start, own.end..self.text.len()]
            .map(|range| self.text.bytes().get(range).unwrap_or_default())
    }

    /// Whether nothing is left to deliver.
    pub(crate) fn is_drained(&self, cursor: &Cursor) -> bool {
        self.parts(cursor).iter().all(|part| part.is_empty())
    }

    /// Whether a text added now would directly follow what the connection has sent before, so that
    /// one range has both.
    pub(crate) fn is_contiguous(&self, cursor: &Cursor) -> bool {
        let own = self.current(cursor).own;
        own.is_empty() || own.end == self.text.len()
    }

    /// Adds a text, and returns where it is.
    pub(crate) fn add(&mut self, text: Text) -> Result<Range<usize>, Errno> {
        let start = self.text.len();
        text.append_to(&mut self.text)?;
        Ok(start..self.text.len())
    }

    /// Starts the next batch. The memory is kept, unless one message made it unusually large.
    pub(crate) fn reset(&mut self) {
        self.generation = next_generation();
        if self.text.capacity() > FULL.saturating_mul(2) {
            self.text.free();
        }
        self.text.clear();
    }
}

/// A batch in memory from the C library. All connections of its pool lead to it.
#[derive(Clone, Copy)]
pub(crate) struct BatchRef(NonNull<Batch>);

impl BatchRef {
    pub(crate) fn new() -> Result<Self, Errno> {
        // SAFETY: malloc may be called with any size.
        let block = unsafe { libc::malloc(size_of::<Batch>()) }.cast::<Batch>();
        let block = NonNull::new(block).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the block is fresh, of this size, and malloc aligns for every type.
        unsafe {
            block.write(Batch { text: Buffer::new(), corked: false, generation: next_generation() })
        };
        Ok(Self(block))
    }

    /// Frees the batch.
    ///
    /// # Safety
    ///
    /// Nobody uses the batch afterwards.
    pub(crate) unsafe fn free(mut self) {
        self.text.free();
        // SAFETY: the block came from `new`, and this is its last use.
        unsafe { libc::free(self.0.as_ptr().cast()) };
    }
}

impl Deref for BatchRef {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        // SAFETY: the batch lives until `free`, which ends all use of it.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for BatchRef {
    fn deref_mut(&mut self) -> &mut Batch {
        // SAFETY: as in `deref`; a pool is for one thread at a time, and no reference outlives
        // the expression it is made in.
        unsafe { self.0.as_mut() }
    }
}
