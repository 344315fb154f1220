//! What is said while a pool is corked: every message once, side by side.

use crate::buffer::Buffer;
use crate::errno::Errno;
use crate::message::Text;
use core::ops::{Deref, DerefMut, Range};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

/// A batch is delivered when it has so many bytes: enough to hold what a thousand clients say in
/// one pass, and no more memory than half of what one slow reader may cost.
const BOUND: usize = 4 * 1024 * 1024;

/// A number that no batch of the process has had.
fn next_round() -> u64 {
    static ROUNDS: AtomicU64 = AtomicU64::new(1);
    ROUNDS.fetch_add(1, Ordering::Relaxed)
}

pub(crate) struct Batch {
    pub(crate) text: Buffer,
    pub(crate) corked: bool,
    /// The batch's own number, so that what a connection knows of another one is void.
    round: u64,
}

/// What part a connection has in a batch.
#[derive(Clone)]
pub(crate) struct Share {
    round: u64,
    /// Up to where it has had the batch: what was said before it joined it never gets.
    from: usize,
    /// What it has said itself, in one piece.
    own: Range<usize>,
}

impl Share {
    /// The share of a connection that has had the batch up to `from`.
    fn new(round: u64, from: usize) -> Self {
        Self { round, from, own: from..from }
    }

    /// No share in any batch; rounds count from 1.
    pub(crate) const NONE: Self = Self { round: 0, from: 0, own: 0..0 };

    /// The share after its next `count` bytes have been delivered.
    pub(crate) fn advanced(mut self, count: usize) -> Self {
        let before_own = self.own.start.saturating_sub(self.from);
        self.from = match count.checked_sub(before_own) {
            Some(rest) if self.own.start >= self.from => self.own.end.saturating_add(rest),
            _ => self.from.saturating_add(count),
        };
        self
    }
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= BOUND
    }

    /// The share of a connection, which may remember that of an earlier batch.
    pub(crate) fn current(&self, share: &Share) -> Share {
        if share.round == self.round { share.clone() } else { Share::new(self.round, 0) }
    }

    /// The share of whoever joins now, or has had everything up to now.
    pub(crate) fn newcomer(&self) -> Share {
        Share::new(self.round, self.text.len())
    }

    /// The bytes that a share still has coming: before and after what its owner has said.
    pub(crate) fn parts(&self, share: &Share) -> [&[u8]; 2] {
        let end = self.text.len();
        let (before, after) = if share.own.start >= share.from {
            (share.from..share.own.start, share.own.end..end)
        } else {
            (share.from..end, end..end)
        };
        [before, after].map(|range| self.text.bytes().get(range).unwrap_or_default())
    }

    /// Whether a share has nothing coming any more.
    pub(crate) fn is_had(&self, share: &Share) -> bool {
        self.parts(share).iter().all(|part| part.is_empty())
    }

    /// Whether the owner of the share may say something without a piece of others' in between.
    pub(crate) fn is_in_one_piece(&self, share: &Share) -> bool {
        let own = self.current(share).own;
        own.is_empty() || own.end == self.text.len()
    }

    /// Adds what the owner of `share` says, or somebody who is not in the pool.
    pub(crate) fn add(&mut self, text: Text, share: Option<Share>) -> Result<Option<Share>, Errno> {
        let start = self.text.len();
        text.append_to(&mut self.text)?;
        let end = self.text.len();
        Ok(share.map(|share| {
            let start = if share.own.is_empty() { start } else { share.own.start };
            Share { own: start..end, ..share }
        }))
    }

    /// Starts the next batch. The memory is kept, unless one message made it unusually large.
    pub(crate) fn start_over(&mut self) {
        self.round = next_round();
        if self.text.capacity() > BOUND.saturating_mul(2) {
            self.text.free();
        }
        self.text.clear();
    }
}

/// A batch in memory of the C library's. The first connection of a list leads to it.
#[derive(Clone, Copy)]
pub(crate) struct BatchRef(NonNull<Batch>);

impl BatchRef {
    pub(crate) fn new() -> Result<Self, Errno> {
        // SAFETY: malloc may be called with any size.
        let block = unsafe { libc::malloc(size_of::<Batch>()) }.cast::<Batch>();
        let block = NonNull::new(block).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the block is fresh, of this size, and malloc aligns for every type.
        unsafe { block.write(Batch { text: Buffer::new(), corked: false, round: next_round() }) };
        Ok(Self(block))
    }

    /// Gives the memory back.
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
