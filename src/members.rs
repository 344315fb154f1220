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
        let indexed = if self.has_valid_state() { self.indexed(fd) } else { None };
        if let Some(conn) = indexed {
            return Ok(conn);
        }
        self.search(fd)
    }

    /// The same, along the list.
    #[cold]
    fn search(&self, fd: c_int) -> Result<ConnRef, Errno> {
        let conn = self.connections().find(|conn| conn.fd == fd).ok_or(Errno(libc::ENOENT))?;
        index::put(self.0.as_ptr(), conn);
        Ok(conn)
    }

    /// The connection that the index has for `fd`, if it is not seen to be stale. The head's state
    /// is valid.
    fn indexed(&self, fd: c_int) -> Option<ConnRef> {
        let conn = index::get(self.0.as_ptr(), fd).filter(|_| fdset::contains(&self.read_set, fd));
        // SAFETY: nothing shows that the program has freed the connection, see `find`.
        unsafe { ConnRef::from_raw(conn?) }
    }

    /// Whether `fd` is in the list. Leaves the index up to date.
    pub(crate) fn has_member(&mut self, fd: c_int) -> bool {
        self.refresh_index();
        // A free slot proves that `fd` is new, and so does an index that has all connections of the
        // pool and not this one.
        if index::is_free(fd) || self.is_indexed_without(fd) {
            return false;
        }
        let is_member = self.connections().any(|conn| conn.fd == fd);
        if !is_member {
            // The program freed the old connection itself, or another pool has taken slots over.
            self.rebuild_index();
        }
        is_member
    }

    /// Whether all connections of this pool are in the index, and `fd` is not among them.
    fn is_indexed_without(&self, fd: c_int) -> bool {
        let pool = self.0.as_ptr();
        index::get(pool, fd).is_none() && index::count(pool) == self.nr_conns as usize
    }

    /// Puts `conn` at the end of the list, whose index is up to date.
    pub(crate) fn link(&mut self, mut conn: ConnRef) {
        let fd = conn.fd;
        self.nr_conns = self.nr_conns.wrapping_add(1);
        if let Some(mut head) = self.head() {
            let mut last = self.last(head);
            (conn.prev, last.next) = (last.as_ptr(), conn.as_ptr());
            if let Some(batch) = head.batch {
                (conn.batch, conn.cursor) = (Some(batch), batch.end());
            }
            head.list.nr_conns = self.nr_conns;
            head.list.last_fd = fd;
            head.list.highest = head.list.highest.max(fd);
        } else {
            self.conn_head = conn.as_ptr();
            conn.list = self.state(fd, fd);
        }
        index::put(self.0.as_ptr(), conn);
    }

    /// Takes `conn` out of the list, whose index is up to date. With the last connection the batch
    /// goes.
    pub(crate) fn unlink(&mut self, conn: ConnRef) {
        let fd = conn.fd;
        // SAFETY: the neighbours in the list are connections, or NULL at its ends.
        let (prev, next) = unsafe { (ConnRef::from_raw(conn.prev), ConnRef::from_raw(conn.next)) };
        match prev {
            Some(mut prev) => prev.next = conn.next,
            None => self.conn_head = conn.next,
        }
        if let Some(mut next) = next {
            next.prev = conn.prev;
            if prev.is_none() {
                next.list = conn.list;
            }
        }
        self.nr_conns = self.nr_conns.saturating_sub(1);
        index::forget(self.0.as_ptr(), fd);
        if let Some(mut head) = self.head() {
            head.list.nr_conns = self.nr_conns;
            if head.list.last_fd == fd {
                head.list.last_fd = prev.map_or(0, |prev| prev.fd);
            }
            if head.list.highest == fd {
                head.list.highest = fd.saturating_sub(1);
            }
        } else if let Some(batch) = conn.batch {
            // SAFETY: no connection in the list leads to it any more.
            unsafe { batch.free() };
        }
    }

    /// The first connection of the list.
    pub(crate) fn head(&self) -> Option<ConnRef> {
        // SAFETY: `conn_head` is a connection or NULL.
        unsafe { ConnRef::from_raw(self.conn_head) }
    }

    /// The last connection of the list, whose index is up to date.
    fn last(&self, head: ConnRef) -> ConnRef {
        let known = self.indexed(head.list.last_fd).unwrap_or(head);
        Connections { next: known.next }.last().unwrap_or(known)
    }

    /// The connections, oldest first. The caller may free each one as it gets it.
    pub(crate) fn connections(&self) -> Connections {
        Connections { next: self.conn_head }
    }

    /// The highest descriptor in `read_set` or in the list; 0 when there is none.
    pub(crate) fn highest_fd(&self) -> c_int {
        let bound = self.head().map_or(0, |head| head.list.highest);
        match fdset::highest(&self.read_set) {
            Some(fd) if fd >= bound => fd,
            read => read.max(self.connections().map(|conn| conn.fd).max()).unwrap_or(0),
        }
    }

    /// The batch, while the pool is corked.
    pub(crate) fn open_batch(&self) -> Option<BatchRef> {
        self.batch().filter(|batch| batch.corked)
    }

    /// The batch, if the pool has ever been corked.
    fn batch(&self) -> Option<BatchRef> {
        self.head()?.batch
    }

    /// The batch, which is made where there is none yet; none in an empty pool.
    pub(crate) fn make_batch(&mut self) -> Result<Option<BatchRef>, Errno> {
        if self.batch().is_none() && !self.conn_head.is_null() {
            let batch = BatchRef::new()?;
            for mut conn in self.connections() {
                conn.batch = Some(batch);
            }
        }
        Ok(self.batch())
    }

    /// Brings the index up to date where the program has changed the list by itself.
    pub(crate) fn refresh_index(&mut self) {
        if !self.has_valid_state() {
            self.rebuild_index();
        }
    }

    /// Rebuilds the index from the list. Entries that an earlier list in the same memory has left
    /// are dropped.
    #[cold]
    fn rebuild_index(&mut self) {
        index::forget_all(self.0.as_ptr());
        let Some(mut head) = self.head() else { return };
        let (mut last_fd, mut highest) = (0, 0);
        for conn in self.connections() {
            index::put(self.0.as_ptr(), conn);
            last_fd = conn.fd;
            highest = highest.max(conn.fd);
        }
        head.list = self.state(last_fd, highest);
    }

    /// Whether the list is as the library left it, as far as can be told without walking it.
    fn has_valid_state(&self) -> bool {
        self.head().is_some_and(|head| {
            ptr::eq(head.list.pool, self.0.as_ptr()) && head.list.nr_conns == self.nr_conns
        })
    }

    /// The facts about the list as it is now.
    fn state(&self, last_fd: c_int, highest: c_int) -> ListState {
        ListState { pool: self.0.as_ptr(), nr_conns: self.nr_conns, last_fd, highest }
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
