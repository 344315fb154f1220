//! The connections of a pool: the list that C sees, and what makes its use fast.
//!
//! The list is the truth, and programs may change it by themselves. The rest is derived from it:
//! the index leads from a descriptor to its connection, and the head of the list caches facts about
//! the whole list. Both are checked before use, and rebuilt when they turn out to be stale.

use crate::abi::{Conn, Pool};
use crate::batch::BatchRef;
use crate::connection::{ConnRef, ListState};
use crate::errno::Errno;
use crate::{fdset, index};
use core::ffi::c_int;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

/// A pool that C has passed to the current call.
///
/// References to its fields are made for one expression and dropped.
#[derive(Clone, Copy)]
pub(crate) struct PoolRef(NonNull<Pool>);

impl PoolRef {
    /// Makes an empty pool of the memory at `pool`, which is not read.
    ///
    /// # Safety
    ///
    /// `pool` is NULL, or memory of a pool's size and alignment that may be written.
    pub(crate) unsafe fn init(pool: *mut Pool) -> Result<(), Errno> {
        let pool = NonNull::new(pool).ok_or(Errno(libc::EINVAL))?;
        // SAFETY: the caller vouches for the memory; zeros are a valid pool, the empty one.
        unsafe { pool.write_bytes(0, 1) };
        Ok(())
    }

    /// The pool at `pool`.
    ///
    /// # Safety
    ///
    /// `pool` is NULL or a pool with sound lists that nobody else uses while the result is in use.
    pub(crate) unsafe fn new(pool: *mut Pool) -> Result<Self, Errno> {
        NonNull::new(pool).map(Self).ok_or(Errno(libc::EINVAL))
    }

    /// The connection with the descriptor `fd`; ENOENT where there is none.
    ///
    /// The index is trusted unless the pool shows that the program freed connections by itself: it
    /// then lowered `nr_conns`, or closed the descriptor and took it out of `read_set`, or emptied
    /// the whole list. In these cases the indexed pointer is not followed, and the list is
    /// searched.
    pub(crate) fn find(&self, fd: c_int) -> Result<ConnRef, Errno> {
        if self.has_valid_state()
            && fdset::contains(&self.read_set, fd)
            && let Some(conn) = index::get(self.0.as_ptr(), fd)
        {
            // SAFETY: nothing shows that the program has freed the connection, see above.
            return unsafe { ConnRef::from_raw(conn) }.ok_or(Errno(libc::ENOENT));
        }
        let conn = self.connections().find(|conn| conn.fd == fd).ok_or(Errno(libc::ENOENT))?;
        index::put(self.0.as_ptr(), conn);
        Ok(conn)
    }

    /// Whether `fd` is in the list. Leaves the index up to date.
    pub(crate) fn has_member(&mut self, fd: c_int) -> bool {
        self.refresh_index();
        // A free slot proves that `fd` is new. A slot in use may be stale, so the list decides.
        if index::is_free(fd) {
            return false;
        }
        let is_member = self.connections().any(|conn| conn.fd == fd);
        if !is_member {
            // The program freed the old connection itself: the index is stale.
            self.rebuild_index();
        }
        is_member
    }

    /// Puts `conn` at the end of the list, whose index is up to date.
    pub(crate) fn link(&mut self, mut conn: ConnRef) {
        if let Some(batch) = self.open_batch() {
            conn.cursor = batch.end();
        }
        match self.last() {
            Some(mut last) => {
                conn.prev = last.as_ptr();
                last.next = conn.as_ptr();
            }
            None => self.conn_head = conn.as_ptr(),
        }
        self.nr_conns = self.nr_conns.saturating_add(1);
        let highest = self.head().map_or(-1, |head| head.list.highest).max(conn.fd);
        self.set_state(conn.fd, highest);
        index::put(self.0.as_ptr(), conn);
    }

    /// Takes `conn` out of the list and out of the index.
    pub(crate) fn unlink(&mut self, conn: ConnRef) {
        self.refresh_index();
        let Some(ListState { mut last_fd, mut highest, batch, .. }) =
            self.head().map(|head| head.list)
        else {
            return;
        };
        // SAFETY: the neighbours in the list are connections, or NULL at its ends.
        let (prev, next) = unsafe { (ConnRef::from_raw(conn.prev), ConnRef::from_raw(conn.next)) };
        match prev {
            Some(mut prev) => prev.next = conn.next,
            None => self.conn_head = conn.next,
        }
        if let Some(mut next) = next {
            next.prev = conn.prev;
        }
        self.nr_conns = self.nr_conns.saturating_sub(1);
        if last_fd == conn.fd {
            last_fd = prev.map_or(-1, |prev| prev.fd);
        }
        if highest == conn.fd {
            highest = highest.saturating_sub(1);
        }
        self.set_state(last_fd, highest);
        self.keep_batch(batch);
        index::forget(self.0.as_ptr(), conn.fd);
    }

    /// The first connection of the list.
    pub(crate) fn head(&self) -> Option<ConnRef> {
        // SAFETY: `conn_head` is a connection or NULL.
        unsafe { ConnRef::from_raw(self.conn_head) }
    }

    /// The last connection, found without a walk while the cached facts are right.
    fn last(&self) -> Option<ConnRef> {
        let known = self.head().and_then(|head| self.find(head.list.last_fd).ok());
        let start = known.map_or(self.conn_head, ConnRef::as_ptr);
        Connections { next: start }.last()
    }

    /// The connections, oldest first. The caller may free each one as it gets it.
    pub(crate) fn connections(&self) -> Connections {
        Connections { next: self.conn_head }
    }

    /// The highest descriptor in `read_set` or in the list; 0 when there is none.
    pub(crate) fn highest_fd(&self) -> c_int {
        let bound = self.head().map_or(-1, |head| head.list.highest);
        match fdset::highest(&self.read_set) {
            Some(fd) if fd >= bound => fd,
            read => read.max(self.connections().map(|conn| conn.fd).max()).unwrap_or(0),
        }
    }

    /// The batch, while the pool is corked.
    pub(crate) fn open_batch(&self) -> Option<BatchRef> {
        self.head()?.list.batch.filter(|batch| batch.corked)
    }

    /// Stores the batch where `open_batch` looks for it, in the head. An empty pool has no batch.
    fn keep_batch(&mut self, batch: Option<BatchRef>) {
        match (self.head(), batch) {
            (Some(mut head), batch) => head.list.batch = batch,
            // SAFETY: only the connection that has just been unlinked led to it.
            (None, Some(batch)) => unsafe { batch.free() },
            (None, None) => {}
        }
    }

    /// Brings the index up to date where the program has changed the list by itself.
    pub(crate) fn refresh_index(&mut self) {
        if !self.has_valid_state() {
            self.rebuild_index();
        }
    }

    /// Rebuilds the index from the list. Entries that an earlier list in the same memory has left
    /// are dropped.
    fn rebuild_index(&mut self) {
        index::forget_all(self.0.as_ptr());
        let (mut last_fd, mut highest) = (-1, -1);
        for conn in self.connections() {
            index::put(self.0.as_ptr(), conn);
            last_fd = conn.fd;
            highest = highest.max(conn.fd);
        }
        self.set_state(last_fd, highest);
    }

    /// Whether the list is as the library left it, as far as can be told without walking it.
    fn has_valid_state(&self) -> bool {
        self.head().is_some_and(|head| {
            ptr::eq(head.list.pool, self.0.as_ptr()) && head.list.nr_conns == self.nr_conns
        })
    }

    /// Caches the present facts about the list in its head, if there is one.
    fn set_state(&mut self, last_fd: c_int, highest: c_int) {
        if let Some(mut head) = self.head() {
            let (pool, nr_conns) = (self.0.as_ptr().cast_const(), self.nr_conns);
            head.list = ListState { pool, nr_conns, last_fd, highest, ..head.list };
        }
    }
}

impl Deref for PoolRef {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        // SAFETY: the caller of `new` vouches for the pool.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for PoolRef {
    fn deref_mut(&mut self) -> &mut Pool {
        // SAFETY: as in `deref`; nobody else uses the pool during the call, and no reference
        // outlives the expression it is made in.
        unsafe { self.0.as_mut() }
    }
}

/// A walk along the list. It reads the next pointer before it returns a connection.
pub(crate) struct Connections {
    next: *mut Conn,
}

impl Iterator for Connections {
    type Item = ConnRef;

    fn next(&mut self) -> Option<ConnRef> {
        // SAFETY: the list is sound, so this is a connection or NULL.
        let conn = unsafe { ConnRef::from_raw(self.next) }?;
        self.next = conn.next;
        Some(conn)
    }
}
