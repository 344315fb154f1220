//! From a descriptor to its connection without a walk along the list.
//!
//! A fixed table for the whole process, a slot a descriptor number, because a pool's memory is
//! C's to the last byte and may be given back without a word. A slot names the pool it speaks
//! for, so pools do not disturb each other: when a number is in two of them, the slot serves the
//! later one, and the other finds its connection by the list.
//!
//! The list is the truth, and a slot is a hint that may have gone stale (a program frees its
//! connections by itself). Whoever asks decides whether to believe it: see `PoolRef::find`.
//!
//! Threads that drive pools of their own meet here. Nobody ever waits: a writer marks the slot
//! `BUSY` while it changes it, a reader that sees the mark, or any change, gets no answer, and a
//! second writer leaves the slot to the first.

use crate::connection::ConnRef;
use crate::fdset;
use crate::ffi::{Conn, Pool};
use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

struct Slot {
    /// Whom the slot speaks for; NULL for nobody, `BUSY` while it is being changed.
    pool: AtomicPtr<Pool>,
    conn: AtomicPtr<Conn>,
    /// Some pool may have this descriptor without being named here. Once true, always true.
    contested: AtomicBool,
}

static SLOTS: [Slot; fdset::CAPACITY] = [const {
    Slot {
        pool: AtomicPtr::new(ptr::null_mut()),
        conn: AtomicPtr::new(ptr::null_mut()),
        contested: AtomicBool::new(false),
    }
}; fdset::CAPACITY];

/// An address that no pool can have.
const BUSY: *mut Pool = ptr::without_provenance_mut(1);

fn slot(fd: c_int) -> Option<&'static Slot> {
    SLOTS.get(usize::try_from(fd).ok()?)
}

/// What the slot has for `fd` in `pool`: a connection that was there when the slot was written.
pub(crate) fn get(pool: *mut Pool, fd: c_int) -> Option<*mut Conn> {
    let slot = slot(fd)?;
    if slot.pool.load(Ordering::Acquire) != pool {
        return None;
    }
    let conn = slot.conn.load(Ordering::Acquire);
    // A writer for another pool marks the slot before it stores a connection. So if the one just
    // read is another pool's, this load sees the mark or what came after it.
    (slot.pool.load(Ordering::Relaxed) == pool).then_some(conn)
}

/// Whether `fd` is in no pool at all, provided that every pool has entered its connections.
pub(crate) fn is_free(fd: c_int) -> bool {
    slot(fd).is_some_and(|slot| {
        slot.pool.load(Ordering::Acquire).is_null() && !slot.contested.load(Ordering::Relaxed)
    })
}

/// Lets the slot of the connection's descriptor speak for `pool`.
pub(crate) fn put(pool: *mut Pool, conn: ConnRef) {
    let Some(slot) = slot(conn.fd) else { return };
    let before = slot.pool.swap(BUSY, Ordering::AcqRel);
    if !before.is_null() && before != pool {
        slot.contested.store(true, Ordering::Relaxed);
    }
    if before != BUSY {
        slot.conn.store(conn.as_ptr(), Ordering::Release);
        slot.pool.store(pool, Ordering::Release);
    }
}

/// Ends what the slot of `fd` says for `pool`.
pub(crate) fn forget(pool: *mut Pool, fd: c_int) {
    if let Some(slot) = slot(fd) {
        slot.forget(pool);
    }
}

/// Ends what any slot says for `pool`.
pub(crate) fn forget_all(pool: *mut Pool) {
    SLOTS.iter().for_each(|slot| slot.forget(pool));
}

impl Slot {
    fn forget(&self, pool: *mut Pool) {
        // Looked at first: the exchange is a locked instruction, and most slots are others'.
        if self.pool.load(Ordering::Relaxed) == pool {
            // Lost against a writer for another pool, it has nothing left to do.
            let _ = self.pool.compare_exchange(
                pool,
                ptr::null_mut(),
                Ordering::Release,
                Ordering::Relaxed,
            );
        }
    }
}
