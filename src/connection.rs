//! One member of the pool: what C sees of it, and what the library keeps behind that.

use crate::batch::{BatchRef, Share};
use crate::buffer::Buffer;
use crate::ffi::{Conn, Pool};
use crate::transmit;
use core::ffi::{c_int, c_uint};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

/// A connection as it is allocated: the public struct, and hidden members after it.
#[repr(C)]
pub(crate) struct Connection {
    conn: Conn,
    role: Role,
    /// What is queued, as `queue` charges it and as far as the library has seen: a program that
    /// takes messages out by itself leaves this too high.
    pub(crate) queued: usize,
    /// Nothing is queued any more: too much was.
    pub(crate) cut_off: bool,
    /// What it has said of a line that has not ended.
    pub(crate) line: Buffer,
    /// Its part in the batch of a corked pool.
    pub(crate) share: Share,
    /// Of meaning in the first connection of a list only.
    pub(crate) roster: Roster,
}

/// What a descriptor is, as far as it is known.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// No listening socket when last asked; a program may add a socket first and listen later.
    Undecided,
    /// A listening socket.
    Listener,
    /// Something that has taken bytes from us, so it is no listening socket and never will be.
    Peer,
}

/// What the first connection of a list knows of the whole list.
#[derive(Clone, Copy)]
pub(crate) struct Roster {
    /// The pool that the list belongs to.
    pub(crate) pool: *const Pool,
    /// Its `nr_conns` when the library last changed the list.
    pub(crate) nr_conns: c_uint,
    /// The descriptor of the last connection.
    pub(crate) last_fd: c_int,
    /// No connection has a higher descriptor.
    pub(crate) highest: c_int,
    /// What has been said while the pool is corked; none before it first was.
    pub(crate) batch: Option<BatchRef>,
}

/// A connection of a pool that C has handed over for the length of one call.
///
/// References to its fields are made for one expression and dropped, since the lists lead from
/// any connection to any other.
#[derive(Clone, Copy)]
pub(crate) struct ConnRef(NonNull<Connection>);

impl ConnRef {
    /// Allocates a connection that is in no list.
    pub(crate) fn new(fd: c_int) -> Option<Self> {
        // SAFETY: malloc may be called with any size.
        let block = unsafe { libc::malloc(size_of::<Connection>()) };
        let block = NonNull::new(block.cast::<Connection>())?;
        let conn = Conn {
            prev: ptr::null_mut(),
            next: ptr::null_mut(),
            fd,
            write_msg_head: ptr::null_mut(),
            write_msg_tail: ptr::null_mut(),
        };
        let role = if transmit::is_listening(fd) { Role::Listener } else { Role::Undecided };
        let roster =
            Roster { pool: ptr::null(), nr_conns: 0, last_fd: -1, highest: -1, batch: None };
        let (line, share) = (Buffer::new(), Share::NONE);
        let connection = Connection { conn, role, queued: 0, cut_off: false, line, share, roster };
        // SAFETY: the block is fresh, of this size, and malloc aligns for every type.
        unsafe { block.write(connection) };
        Some(Self(block))
    }

    /// Frees the connection, which is in no list any more and has no messages.
    ///
    /// # Safety
    ///
    /// Nobody uses it afterwards.
    pub(crate) unsafe fn free(self) {
        // SAFETY: the block came from malloc, and this is its last use.
        unsafe { libc::free(self.0.as_ptr().cast()) }
    }

    /// The connection at `conn`, if there is one.
    ///
    /// # Safety
    ///
    /// `conn` is NULL, or was made by `new` and is not freed while the result is in use.
    pub(crate) unsafe fn from_raw(conn: *mut Conn) -> Option<Self> {
        NonNull::new(conn.cast()).map(Self)
    }

    /// The connection as the lists hold it.
    pub(crate) fn as_ptr(self) -> *mut Conn {
        self.0.as_ptr().cast()
    }

    /// Whether it is a listening socket; asks the kernel while that is undecided.
    pub(crate) fn is_listener(mut self) -> bool {
        if self.role == Role::Undecided && transmit::is_listening(self.fd) {
            self.role = Role::Listener;
        }
        self.role == Role::Listener
    }

    /// Whether messages are queued for it: not for a listening socket, nor after a cut-off.
    pub(crate) fn takes_messages(self) -> bool {
        !self.cut_off && !self.is_listener()
    }

    /// The same by what is known already.
    pub(crate) fn took_messages(self) -> bool {
        !self.cut_off && self.role != Role::Listener
    }

    /// Notes that the descriptor has taken bytes.
    pub(crate) fn has_taken_bytes(mut self) {
        self.role = Role::Peer;
    }
}

impl Deref for ConnRef {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        // SAFETY: whoever made this (`new`, `from_raw`) vouches that the connection is there.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for ConnRef {
    fn deref_mut(&mut self) -> &mut Connection {
        // SAFETY: as in `deref`; a pool is for one thread at a time, and no reference outlives
        // the expression it is made in.
        unsafe { self.0.as_mut() }
    }
}

impl Deref for Connection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
