//! The types that C sees, laid out as `chatServer.h` declares them.
//!
//! `include/chatServer.h` is generated from this file and `ffi.rs` (`make header`), comments
//! included: they are written for readers of C.

use core::ffi::{c_char, c_int, c_uint};
use libc::fd_set;

/// A suitable size for a buffer to read into, in bytes. The library itself does not use it.
pub const BUFFER_SIZE: c_int = 4096;

/// A pool: the connections of a chat room, and the descriptor sets for select().
///
/// The memory is the caller's (static, on the stack or from malloc), and init_pool makes a pool
/// of it. There is no destroy call: a pool whose connections are all removed owns nothing.
/// Pools are independent of each other, and each may be used by a thread of its own; one pool must
/// be used by one thread at a time.
///
/// A program may read every field, and write the sets, maxfd and nready. It usually copies
/// read_set and write_set to ready_read_set and ready_write_set, and passes the copies to select().
#[repr(C)]
pub struct Pool {
    /// The highest descriptor that select() has to look at; 0 when there is none.
    pub maxfd: c_int,
    /// How many descriptors select() found ready. The library leaves it to the caller.
    pub nready: c_int,
    /// The descriptors to read from.
    pub read_set: fd_set,
    /// The descriptors of read_set that select() found readable.
    pub ready_read_set: fd_set,
    /// The descriptors with messages queued for them.
    pub write_set: fd_set,
    /// The descriptors of write_set that select() found writable.
    pub ready_write_set: fd_set,
    /// The connections, oldest first; NULL when there is none.
    pub conn_head: *mut Conn,
    /// How many connections there are. A program that takes one out of the list by itself must
    /// lower this count, or at least take the descriptor out of read_set and leave it out until
    /// add_conn adds that number.
    pub nr_conns: c_uint,
}

/// A message in the queue of one connection. Messages are never shared between queues.
///
/// The struct and the bytes are two allocations from malloc: a program that empties a queue by
/// itself passes both to free().
#[repr(C)]
pub struct Msg {
    /// The message queued before this one; NULL at the head.
    pub prev: *mut Msg,
    /// The message queued after this one; NULL at the tail.
    pub next: *mut Msg,
    /// The bytes still to be sent, from the start of their allocation. They may have any values,
    /// and no NUL is added.
    pub message: *mut c_char,
    /// How many bytes are still to be sent.
    pub size: c_int,
}

/// A connection: one descriptor in the pool and the messages queued for it.
///
/// It is made by add_conn, keeps its address until remove_conn, and is larger than what is shown
/// here: a program must neither copy nor make one. A program that takes down its connections by
/// itself passes each to free(), after the messages.
#[repr(C)]
pub struct Conn {
    /// The connection added before this one; NULL at the head.
    pub prev: *mut Conn,
    /// The connection added after this one; NULL at the end.
    pub next: *mut Conn,
    /// The descriptor.
    pub fd: c_int,
    /// The message to be sent first; NULL when the queue is empty.
    pub write_msg_head: *mut Msg,
    /// The message to be sent last; meaningless when write_msg_head is NULL.
    pub write_msg_tail: *mut Msg,
}

/// The same as struct conn_pool.
#[allow(non_camel_case_types, reason = "the name that C programs use")]
pub type conn_pool_t = Pool;

/// The same as struct msg.
#[allow(non_camel_case_types, reason = "the name that C programs use")]
pub type msg_t = Msg;

/// The same as struct conn.
#[allow(non_camel_case_types, reason = "the name that C programs use")]
pub type conn_t = Conn;
