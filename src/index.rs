//! Leads from a descriptor to its connection without a walk along the list.
//!
//! It is a fixed table with a slot for each descriptor number. There is one table for the process,
//! because every byte of a pool belongs to C, which may free the pool without telling the library.
//! A slot names the pool that it is valid for, so pools do not disturb each other: when a number is
//! in two pools, the slot serves the one that wrote it last, and the other searches its list.
//!
//! The list is the truth. A slot is a hint, and it may be stale, because programs free connections
//! by themselves. The caller decides whether to trust it: see `PoolRef::find`.
//!
//! Threads that drive a pool each share this table, and none of them ever waits. A writer marks the
//! slot `BUSY` while it changes it; a reader that sees the mark, or any change, gets no answer; and
//! a second writer gives up.

use crate::abi::{Conn, Pool};
use crate::connection::ConnRef;
use crate::fdset;
use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

struct Slot {
    /// The pool that the slot is valid for; NULL for none, `BUSY` while the slot is being changed.
    pool: AtomicPtr<Pool>,
    conn: AtomicPtr<Conn>,
    /// Another pool may have this descriptor, too. Once true, it stays true.
    contested: AtomicBool,
}

static SLOTS: [Slot; fdset::CAPACITY] = [const {
    Slot {
        pool: AtomicPtr::new(ptr::null_mut()),
        conn: AtomicPtr::new(ptr::null_mut()),
        contested: AtomicBool::new(false),
    }
}; fdset::CAPACITY];

/// The mark of a slot that is being changed: an address that no pool can have.
const BUSY: *mut Pool = ptr::without_provenance_mut(1);

fn slot(fd: c_int) -> Option<&'static Slot> {
    SLOTS.get(usize::try_from(fd).ok()?)
}

/// The slot's connection for `fd` in `pool`, which was in the list when the slot was written.
pub(crate) fn get(pool: *mut Pool, fd: c_int) -> Option<*mut Conn> {
    let slot = slot(fd)?;
    if slot.pool.load(Ordering::Acquire) != pool {
        return None;
    }
    let conn = slot.conn.load(Ordering::Acquire);
    // A writer for another pool marks the slot before it stores a connection. So if the connection
    // just read belongs to another pool, this load sees the mark or a later value.
    (slot.pool.load(Ordering::Relaxed) == pool).then_some(conn)
}

/// Whether `fd` is certainly in no pool whose connections have all been put here.
pub(crate) fn is_free(fd: c_int) -> bool {
    slot(fd).is_some_and(|slot| {
        slot.pool.load(Ordering::Acquire).is_null() && !slot.contested.load(Ordering::Relaxed)
    })
}

/// How many slots are valid for `pool`.
pub(crate) fn count(pool: *mut Pool) -> usize {
    SLOTS.iter().filter(|slot| slot.pool.load(Ordering::Relaxed) == pool).count()
}

/// Stores `conn` of `pool` in the slot of its descriptor.
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

/// Clears the slot of `fd` if it is valid for `pool`.
pub(crate) fn forget(pool: *mut Pool, fd: c_int) {
    if let Some(slot) = slot(fd) {
        slot.forget(pool);
    }
}

/// Clears all slots that are valid for `pool`.
pub(crate) fn forget_all(pool: *mut Pool) {
    SLOTS.iter().for_each(|slot| slot.forget(pool));
}

impl Slot {
    fn forget(&self, pool: *mut Pool) {
        // The plain load comes first because the exchange is a locked instruction, and most slots
        // are not this pool's.
        if self.pool.load(Ordering::Relaxed) == pool {
            // Where another pool's writer was faster, the slot is not this pool's any more.
            let _ = self.pool.compare_exchange(
                pool,
                ptr::null_mut(),
                Ordering::Release,
                Ordering::Relaxed,
            );
        }
    }
}
