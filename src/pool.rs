//! Who is in the room: joining, leaving, and saying something to everybody.

use crate::connection::{ConnRef, Roster};
use crate::errno::Errno;
use crate::ffi::{Conn, Pool};
use crate::message::{Copies, Letters, Text};
use crate::queue::Backlog;
use crate::{fdset, index, line, queue, settings, transmit};
use core::ffi::c_int;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

/// A pool that C has handed over for the length of one call.
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

    /// Lets `fd` join.
    pub(crate) fn add(&mut self, fd: c_int) -> Result<(), Errno> {
        match usize::try_from(fd) {
            Err(_) => return Err(Errno(libc::EINVAL)),
            Ok(fd) if fd >= fdset::CAPACITY => return Err(Errno(libc::EMFILE)),
            Ok(_) => {}
        }
        self.refresh_index();
        // The index says quickly that `fd` is new; that it is not, only the list can say.
        if !index::is_free(fd) {
            if self.connections().any(|conn| conn.fd == fd) {
                return Err(Errno(libc::EEXIST));
            }
            // Whoever had the number has gone without a word.
            self.rebuild_index();
        }
        let conn = ConnRef::new(fd).ok_or(Errno(libc::ENOMEM))?;
        self.link(conn);
        fdset::insert(&mut self.read_set, fd);
        self.maxfd = self.maxfd.max(fd);
        Ok(())
    }

    /// Lets `fd` leave, and closes it.
    pub(crate) fn remove(&mut self, fd: c_int) -> Result<(), Errno> {
        let mut conn = self.find(fd).ok_or(Errno(libc::ENOENT))?;
        if !settings::quiet() && !conn.is_listener() {
            // SAFETY: the format is a C string and asks for one int.
            unsafe { libc::printf(c"removing connection with sd %d \n".as_ptr(), fd) };
        }
        self.unlink(conn);
        fdset::remove(&mut self.read_set, fd);
        fdset::remove(&mut self.ready_read_set, fd);
        fdset::remove(&mut self.write_set, fd);
        fdset::remove(&mut self.ready_write_set, fd);
        if fd >= self.maxfd {
            self.maxfd = self.highest_left();
        }
        queue::clear(&mut conn);
        conn.line.free();
        // SAFETY: closing touches no memory, and a bad descriptor is an error to ignore. The
        // connection is in no list and no index any more.
        unsafe {
            libc::close(fd);
            conn.free();
        }
        Ok(())
    }

    /// Queues `text` for everyone but `sender`, or for nobody.
    pub(crate) fn broadcast(&mut self, sender: c_int, text: Text) -> Result<(), Errno> {
        if sender < 0 {
            return Err(Errno(libc::EINVAL));
        }
        if text.is_empty() {
            return Ok(());
        }
        if let Some(batch) = self.open_batch() {
            return self.gather(sender, text, batch);
        }
        let mut copies = Copies::of(text);
        let others = |conn: &ConnRef| conn.fd != sender;
        for _ in self.connections().filter(others).filter(|conn| conn.takes_messages()) {
            copies.make()?;
        }
        for conn in self.connections().filter(others).filter(|conn| conn.took_messages()) {
            self.queue_copy(conn, &mut copies);
        }
        Ok(())
    }

    /// Queues `text` for `fd` alone.
    pub(crate) fn tell(&mut self, fd: c_int, text: Text) -> Result<(), Errno> {
        let conn = self.find(fd).ok_or(Errno(libc::ENOENT))?;
        if text.is_empty() || !conn.takes_messages() {
            return Ok(());
        }
        let mut copies = Copies::of(text);
        copies.make()?;
        if let Some(batch) = self.open_batch() {
            // What was said before comes before.
            self.deliver(conn, batch)?;
        }
        // It may just have been cut off.
        if conn.took_messages() {
            self.queue_copy(conn, &mut copies);
        }
        Ok(())
    }

    /// Queues one of the copies for `conn`, or cuts it off where there is no room for more. All
    /// copies are made by then: what is sent to make room may be what they were made from.
    fn queue_copy(&mut self, mut conn: ConnRef, copies: &mut Copies) {
        if !queue::make_room(&mut conn, copies.length()) {
            self.cut_off(conn);
        } else if let Some(copy) = copies.take() {
            queue::append(&mut conn, copy);
            fdset::insert(&mut self.write_set, conn.fd);
        }
    }

    /// Gives up a reader who is too far behind: the program's next read finds the end.
    pub(crate) fn cut_off(&mut self, mut conn: ConnRef) {
        conn.cut_off = true;
        queue::clear(&mut conn);
        fdset::remove(&mut self.write_set, conn.fd);
        transmit::end(conn.fd);
    }

    /// What waits for `fd`, and whether it has been cut off.
    pub(crate) fn standing(&self, fd: c_int) -> Result<(Backlog, bool), Errno> {
        let conn = self.find(fd).ok_or(Errno(libc::ENOENT))?;
        Ok((queue::count(&conn), conn.cut_off))
    }

    /// Says to all others the whole lines that end in `bytes`, which were read from `fd`. The rest
    /// is kept until it ends, too; no bytes are the end of everything.
    pub(crate) fn feed(&mut self, fd: c_int, bytes: &[u8]) -> Result<(), Errno> {
        let mut conn = self.find(fd).ok_or(Errno(libc::ENOENT))?;
        let kept = conn.line.len();
        let (said, rest) = bytes.split_at_checked(line::ready(kept, bytes)).unwrap_or((bytes, &[]));
        if said.is_empty() && !bytes.is_empty() {
            conn.line.reserve(kept.saturating_add(rest.len()))?;
            conn.line.extend(rest);
            return Ok(());
        }
        // All that can fail comes before the line changes.
        conn.line.reserve(rest.len())?;
        self.broadcast(fd, Text::new([conn.line.bytes(), said], Letters::AsTheyAre)?)?;
        match rest {
            [] => conn.line.free(),
            _ => {
                conn.line.clear();
                conn.line.extend(rest);
            }
        }
        Ok(())
    }

    /// Sends what waits for `fd`, as far as the kernel takes it.
    pub(crate) fn write(&mut self, fd: c_int) -> Result<(), Errno> {
        let mut conn = self.find(fd).ok_or(Errno(libc::ENOENT))?;
        let outcome = queue::send(&mut conn);
        if conn.write_msg_head.is_null() {
            fdset::remove(&mut self.write_set, fd);
        }
        if outcome? {
            conn.has_taken_bytes();
        }
        Ok(())
    }

    /// The connection with the descriptor `fd`.
    ///
    /// The index is believed where nothing speaks against it. A program that has freed a
    /// connection by itself has counted it off in `nr_conns`, or has closed the descriptor and
    /// so taken it out of `read_set`, or has emptied the whole list: then what the index holds
    /// is not even looked at, and the list answers.
    pub(crate) fn find(&self, fd: c_int) -> Option<ConnRef> {
        if self.has_valid_roster()
            && fdset::contains(&self.read_set, fd)
            && let Some(conn) = index::get(self.0.as_ptr(), fd)
        {
            // SAFETY: of what might have freed the connection there is no sign, see above.
            return unsafe { ConnRef::from_raw(conn) };
        }
        let conn = self.connections().find(|conn| conn.fd == fd)?;
        index::put(self.0.as_ptr(), conn);
        Some(conn)
    }

    /// Whether the list is as the library left it, as far as can be told without walking it.
    fn has_valid_roster(&self) -> bool {
        self.head().is_some_and(|head| {
            ptr::eq(head.roster.pool, self.0.as_ptr()) && head.roster.nr_conns == self.nr_conns
        })
    }

    /// Brings the index up to date where the program has changed the list by itself.
    pub(crate) fn refresh_index(&mut self) {
        if !self.has_valid_roster() {
            self.rebuild_index();
        }
    }

    /// Makes the index anew from the list, and clears it of what an earlier list in the same
    /// memory has left.
    fn rebuild_index(&mut self) {
        index::forget_all(self.0.as_ptr());
        let (mut last_fd, mut highest) = (-1, -1);
        for conn in self.connections() {
            index::put(self.0.as_ptr(), conn);
            last_fd = conn.fd;
            highest = highest.max(conn.fd);
        }
        self.set_roster(last_fd, highest);
    }

    /// Writes down in the first connection, if there is one, how the list is now.
    fn set_roster(&mut self, last_fd: c_int, highest: c_int) {
        if let Some(mut head) = self.head() {
            let (pool, nr_conns) = (self.0.as_ptr().cast_const(), self.nr_conns);
            head.roster = Roster { pool, nr_conns, last_fd, highest, ..head.roster };
        }
    }

    /// Puts `conn` at the end of the list, whose index is up to date.
    fn link(&mut self, mut conn: ConnRef) {
        if let Some(batch) = self.open_batch() {
            conn.share = batch.newcomer();
        }
        match self.last() {
            Some(mut last) => {
                conn.prev = last.as_ptr();
                last.next = conn.as_ptr();
            }
            None => self.conn_head = conn.as_ptr(),
        }
        self.nr_conns = self.nr_conns.saturating_add(1);
        let highest = self.head().map_or(-1, |head| head.roster.highest).max(conn.fd);
        self.set_roster(conn.fd, highest);
        index::put(self.0.as_ptr(), conn);
    }

    /// Takes `conn` out of the list and out of the index.
    fn unlink(&mut self, conn: ConnRef) {
        self.refresh_index();
        let Some(Roster { mut last_fd, mut highest, batch, .. }) =
            self.head().map(|head| head.roster)
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
        self.set_roster(last_fd, highest);
        self.keep_batch(batch);
        index::forget(self.0.as_ptr(), conn.fd);
    }

    pub(crate) fn head(&self) -> Option<ConnRef> {
        // SAFETY: `conn_head` is a connection or NULL.
        unsafe { ConnRef::from_raw(self.conn_head) }
    }

    /// The connections, oldest first. Each may be freed once it has been handed out.
    pub(crate) fn connections(&self) -> Connections {
        Connections { next: self.conn_head }
    }

    /// The last connection, found without a walk where the roster is right.
    fn last(&self) -> Option<ConnRef> {
        let known = self.head().and_then(|head| self.find(head.roster.last_fd));
        let start = known.map_or(self.conn_head, ConnRef::as_ptr);
        Connections { next: start }.last()
    }

    /// The highest descriptor in `read_set` or in the list; 0 when there is none.
    fn highest_left(&self) -> c_int {
        let bound = self.head().map_or(-1, |head| head.roster.highest);
        match fdset::highest(&self.read_set) {
            Some(fd) if fd >= bound => fd,
            read => read.max(self.connections().map(|conn| conn.fd).max()).unwrap_or(0),
        }
    }
}

impl Deref for PoolRef {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        // SAFETY: whoever made this with `new` vouches for the pool.
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

/// A walk along the list. It knows the next one before it hands one out.
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
