//! One connection: the struct that C sees, and the library's hidden members behind it.

use crate::abi::{Conn, Pool};
use crate::batch::{BatchRef, Cursor};
use crate::errno::Errno;
use crate::line::Input;
use crate::transmit::{self, Gather};
use core::ffi::{c_int, c_uint};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

/// A connection as it is allocated: the public struct, and hidden members after it.
#[repr(C)]
pub(crate) struct Connection {
    conn: Conn,
    role: Role,
    /// The bytes that are queued, as `queue` charges them. A program that takes messages out by
    /// itself leaves this too high.
    pub(crate) queued: usize,
    /// The bytes that the kernel has taken.
    pub(crate) sent_bytes: usize,
    /// The queue was too long: nothing is queued any more.
    pub(crate) cut_off: bool,
    /// What the program has read from it, until it is passed on.
    pub(crate) input: Input,
    /// The batch that collects broadcasts while the pool is corked; none until it is corked for the
    /// first time. All connections of a pool lead to it, since a program may take out any of them.
    pub(crate) batch: Option<BatchRef>,
    /// How far it has received the batch.
    pub(crate) cursor: Cursor,
    /// Valid in the head of the list only.
    pub(crate) list: ListState,
}

/// What kind of descriptor it is, as far as the library knows.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// Not a listening socket when last checked. A program may add a socket first and listen later.
    Undecided,
    /// A listening socket.
    Listener,
    /// A send to it has succeeded, so it is not a listening socket and never will be.
    Peer,
}

/// Cached facts about the list; valid in the head only.
#[derive(Clone, Copy)]
pub(crate) struct ListState {
    /// The pool that the list belongs to.
    pub(crate) pool: *const Pool,
    /// The pool's `nr_conns` when the library last changed the list.
    pub(crate) nr_conns: c_uint,
    /// The descriptor of the last connection.
    pub(crate) last_fd: c_int,
    /// An upper bound of the descriptors in the list.
    pub(crate) highest: c_int,
}

/// A connection of the pool that C has passed to the current call.
///
/// References to its fields are made for one expression and dropped, since the lists lead from
/// any connection to any other.
#[derive(Clone, Copy)]
pub(crate) struct ConnRef(NonNull<Connection>);

impl ConnRef {
    /// Allocates a connection that is in no list.
    pub(crate) fn new(fd: c_int) -> Result<Self, Errno> {
        // SAFETY: malloc may be called with any size.
        let block = unsafe { libc::malloc(size_of::<Connection>()) };
        let block = NonNull::new(block.cast::<Connection>()).ok_or(Errno(libc::ENOMEM))?;
        let conn = Conn {
            prev: ptr::null_mut(),
            next: ptr::null_mut(),
            fd,
            write_msg_head: ptr::null_mut(),
            write_msg_tail: ptr::null_mut(),
        };
        let role = if transmit::is_listening(fd) { Role::Listener } else { Role::Undecided };
        let connection = Connection {
            conn,
            role,
            queued: 0,
            sent_bytes: 0,
            cut_off: false,
            input: Input::new(),
            batch: None,
            cursor: Cursor::NONE,
            list: ListState { pool: ptr::null(), nr_conns: 0, last_fd: 0, highest: 0 },
        };
        // SAFETY: the block is fresh, of this size, and malloc aligns for every type.
        unsafe { block.write(connection) };
        Ok(Self(block))
    }

    /// Frees the connection, which is in no list any more and has no messages left.
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

    /// Whether it is a listening socket. Asks the kernel while that is undecided.
    pub(crate) fn is_listener(mut self) -> bool {
        if self.role == Role::Undecided && transmit::is_listening(self.fd) {
            self.role = Role::Listener;
        }
        self.role == Role::Listener
    }

    /// Whether messages may be queued for it: not for a listening socket, nor after a cut-off. Asks
    /// the kernel where `is_listener` does.
    pub(crate) fn accepts_messages(self) -> bool {
        !self.cut_off && !self.is_listener()
    }

    /// The last answer of `accepts_messages`, unless it has been cut off since.
    pub(crate) fn accepts_messages_cached(self) -> bool {
        !self.cut_off && self.role != Role::Listener
    }
}

impl Deref for ConnRef {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        // SAFETY: `new` made the connection, or the caller of `from_raw` vouches for it.
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

impl Connection {
    /// Sends what the kernel takes at once, and returns how many bytes that was. All bytes that go
    /// to a connection pass here.
    pub(crate) fn send(&mut self, pieces: &Gather) -> Result<usize, Errno> {
        let sent = transmit::send(self.fd, pieces)?;
        self.role = Role::Peer;
        self.sent_bytes = self.sent_bytes.wrapping_add(sent);
        Ok(sent)
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
