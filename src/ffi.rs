//! The outer ring: every type and every function that C sees.
//!
//! `include/chatServer.h` is generated from this file (`make header`), comments included: they
//! are written for readers of C.

use crate::errno::Errno;
use crate::message::{Letters, Text};
use crate::pool::PoolRef;
use core::ffi::{c_char, c_int, c_uint};
use core::slice;
use libc::fd_set;

/// A suitable size for a buffer to read into, in bytes. The library itself has no use for it.
pub const BUFFER_SIZE: c_int = 4096;

/// The pool: everybody in the room, and the descriptor sets for select().
///
/// The memory is the caller's (static, on the stack or from malloc), and init_pool makes a pool
/// of it. There is nothing to destroy: a pool whose connections are all removed owns nothing.
/// Pools are independent of each other, and each may have a thread of its own; one pool is for
/// one thread at a time.
///
/// A program may read every field, and write the sets, maxfd and nready. It usually copies
/// read_set and write_set to ready_read_set and ready_write_set, and gives select() the copies.
#[repr(C)]
pub struct Pool {
    /// The highest descriptor that select() has to look at; 0 when there is none.
    pub maxfd: c_int,
    /// How many descriptors select() found ready. The caller's: the library leaves it alone.
    pub nready: c_int,
    /// The descriptors to read from.
    pub read_set: fd_set,
    /// Those of them that select() found readable.
    pub ready_read_set: fd_set,
    /// The descriptors with messages queued for them.
    pub write_set: fd_set,
    /// Those of them that select() found writable.
    pub ready_write_set: fd_set,
    /// The connections, oldest first; NULL when there is none.
    pub conn_head: *mut Conn,
    /// How many connections there are. A program that takes one out of the list by itself
    /// counts it off here, or at least takes its descriptor out of read_set.
    pub nr_conns: c_uint,
}

/// A message in the queue of one connection. Messages are never shared between queues.
///
/// The struct and the bytes are an allocation each, from malloc: a program that empties a queue
/// by itself gives both to free().
#[repr(C)]
pub struct Msg {
    /// The message queued before this one; NULL at the head.
    pub prev: *mut Msg,
    /// The message queued after this one; NULL at the tail.
    pub next: *mut Msg,
    /// The bytes still to be sent, from the start of their allocation; any bytes, no NUL added.
    pub message: *mut c_char,
    /// How many bytes those are.
    pub size: c_int,
}

/// A connection: one descriptor in the pool and the messages that wait for it.
///
/// It is made by add_conn, keeps its address until remove_conn, and is larger than what is shown
/// here: it must be neither copied nor made by the program. A program that takes down its
/// connections by itself gives each to free(), after the messages.
#[repr(C)]
pub struct Conn {
    /// The connection added before this one; NULL at the head.
    pub prev: *mut Conn,
    /// The connection added after this one; NULL at the end.
    pub next: *mut Conn,
    /// The descriptor.
    pub fd: c_int,
    /// The message to be sent first; NULL when nothing waits.
    pub write_msg_head: *mut Msg,
    /// The message to be sent last; of no meaning when write_msg_head is NULL.
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

/// Makes an empty pool of the memory at pool: every field zero, maxfd included.
///
/// What was in the memory is neither read nor freed, so it may be fresh from malloc. Call it on
/// a pool in use only after its connections have been removed or freed.
///
/// @param pool  where the pool is to be
/// @return 0; or -1 with errno EINVAL when pool is NULL
///
/// # Safety
///
/// pool is NULL, or memory of a pool's size and alignment that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init_pool(pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the memory, as this function asks.
    status(unsafe { PoolRef::init(pool) })
}

/// Adds a descriptor to the pool, at the end of the list.
///
/// It goes into read_set, maxfd is raised where need be, and nr_conns grows by one. The other
/// sets, nready and the descriptor's own flags stay as they are: a blocking descriptor is welcome
/// and stays blocking. A listening socket may be added like any other; messages are never queued
/// for it. Whether sd is open is not looked at. The descriptor belongs to the pool until
/// remove_conn closes it; on failure it stays the caller's, open.
///
/// Unlike the original, it refuses what select() has no room for, and a descriptor that is in
/// the pool already.
///
/// @param sd    a socket, or any descriptor that can be read and written
/// @param pool  the pool
/// @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL or sd negative), EMFILE
///         (sd is FD_SETSIZE or above), EEXIST (sd is in the pool) or ENOMEM
///
/// # Safety
///
/// pool is NULL, or init_pool has made it; then its lists are sound, and no other thread is
/// using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_conn(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    status(unsafe { PoolRef::new(pool) }.and_then(|mut pool| pool.add(sd)))
}

/// Takes a connection out of the pool, frees it with all that is queued for it, and closes its
/// descriptor.
///
/// It prints "removing connection with sd N " and a newline on standard output, unless the
/// descriptor is a listening socket. The descriptor leaves all four sets. When it was the
/// highest, maxfd falls to the highest one left in read_set or in the list, or to 0. No other
/// connection moves, so a program that walks the list may go on with a next it took before.
///
/// Unlike the original, it also clears the ready sets, so that the rest of a pass does not serve
/// a newcomer who was given the same number; and it ends whatever the length of the queue.
///
/// @param sd    the descriptor
/// @param pool  the pool
/// @return 0; or -1 with nothing printed or changed and errno EINVAL (pool is NULL) or ENOENT
///         (sd is not in the pool)
///
/// # Safety
///
/// As for add_conn. Nobody uses the connection or its messages afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remove_conn(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    status(unsafe { PoolRef::new(pool) }.and_then(|mut pool| pool.remove(sd)))
}

/// Queues a message for everyone in the pool but its sender and but listening sockets.
///
/// Everyone gets a copy of their own of exactly len bytes, whatever bytes they are, and a bit in
/// write_set. The buffer stays the caller's and is never written to; it lacks a const because it
/// lacks one in the original's header. Sending is write_msg's part. All or nothing: when memory
/// runs out, nobody has got the message.
///
/// A reader for whom more than 8 MiB would wait, and the kernel takes none of it, is cut off: its
/// queue is dropped, its bit cleared, its socket shut down, and nothing is queued for it any more.
/// The program's next read from it finds the end. chatServerExt.h has the setting.
///
/// Unlike the original, it does not stop at a NUL byte, leaves the sender's own bit in write_set
/// alone (something may be queued for the sender too), and never touches ready_write_set.
///
/// @param sd      the sender, who gets no copy; need not be in the pool
/// @param buffer  the message
/// @param len     its length in bytes; for 0 nothing is queued
/// @param pool    the pool
/// @return 0; or -1 with nothing queued and errno EINVAL (pool is NULL, sd or len negative, or
///         buffer NULL with a length) or ENOMEM
///
/// # Safety
///
/// As for add_conn. When len is above 0, there are so many readable bytes at buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_msg(
    sd: c_int,
    buffer: *mut c_char,
    len: c_int,
    pool: *mut conn_pool_t,
) -> c_int {
    // SAFETY: the caller vouches for pool and buffer, as this function asks.
    unsafe { broadcast(sd, buffer, len, pool, Letters::AsTheyAre) }
}

/// Sends what is queued for a connection, until nothing is left or the kernel takes no more.
///
/// It never blocks and never raises SIGPIPE, whatever the descriptor's flags. Queued messages are
/// gathered, so that one system call carries many. When all is sent, the bit in write_set is
/// cleared. When the kernel takes no more, the rest stays queued and the bit stays: call again
/// when select() says that the descriptor is writable. Of a message sent in part the rest is
/// moved to the start of its allocation, and size says how much that is.
///
/// Where something is left because the kernel gave an error, errno says which, although 0 is
/// returned: set it to 0 before to know. After ENOBUFS or ENOMEM the kernel is short of memory, and
/// select() may call the descriptor writable all the same, so a program tries again after a while
/// and not at once.
///
/// When the peer is gone, the queue is dropped and the bit cleared; the connection stays until
/// the program's own read finds the end and calls remove_conn. A stream socket is shut for writing
/// then: should there be a peer after all, it hears a stream without a hole, and the end.
///
/// A descriptor that is no socket (a pipe, a terminal) and that is blocking is made non-blocking
/// for the moment of the write.
///
/// Unlike the original, which calls this function write_to_client, it waits for nobody: a slow
/// reader is not the room's business.
///
/// @param sd    the descriptor
/// @param pool  the pool
/// @return 0, also when something is left or nothing was queued; or -1 with errno EINVAL (pool is
///         NULL), ENOENT (sd is not in the pool), or why sending failed, EPIPE or ECONNRESET
///         mostly
///
/// # Safety
///
/// As for add_conn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write_msg(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    status(unsafe { PoolRef::new(pool) }.and_then(|mut pool| pool.write(sd)))
}

/// The same as write_msg, under the name that the original header has for it.
///
/// # Safety
///
/// As for write_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write_to_client(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the same duties.
    unsafe { write_msg(sd, pool) }
}

/// The same as init_pool.
///
/// # Safety
///
/// As for init_pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn initPool(pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the same duties.
    unsafe { init_pool(pool) }
}

/// The same as add_conn.
///
/// # Safety
///
/// As for add_conn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn addConn(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the same duties.
    unsafe { add_conn(sd, pool) }
}

/// The same as remove_conn.
///
/// # Safety
///
/// As for remove_conn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn removeConn(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the same duties.
    unsafe { remove_conn(sd, pool) }
}

/// As add_msg, but every copy has its ASCII letters in capitals. The buffer is not changed.
///
/// # Safety
///
/// As for add_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn addMsg(
    sd: c_int,
    buffer: *mut c_char,
    len: c_int,
    pool: *mut conn_pool_t,
) -> c_int {
    // SAFETY: the same duties.
    unsafe { broadcast(sd, buffer, len, pool, Letters::Capitals) }
}

/// The same as write_msg.
///
/// # Safety
///
/// As for write_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writeToClient(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the same duties.
    unsafe { write_msg(sd, pool) }
}

/// What the two spellings of add_msg have in common.
///
/// # Safety
///
/// As for add_msg.
unsafe fn broadcast(
    sd: c_int,
    buffer: *const c_char,
    len: c_int,
    pool: *mut conn_pool_t,
    letters: Letters,
) -> c_int {
    let call =
        |mut pool: PoolRef, bytes: &[u8]| pool.broadcast(sd, Text::new([bytes, &[]], letters)?);
    // SAFETY: the same duties.
    unsafe { with_bytes(buffer, len, pool, call) }
}

/// Makes a call inwards with a pool and some bytes, once both are checked.
///
/// # Safety
///
/// As for add_msg.
pub(crate) unsafe fn with_bytes(
    buffer: *const c_char,
    len: c_int,
    pool: *mut conn_pool_t,
    call: impl FnOnce(PoolRef, &[u8]) -> Result<(), Errno>,
) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    let pool = unsafe { PoolRef::new(pool) };
    // SAFETY: likewise for the bytes.
    let bytes = unsafe { bytes(buffer, len) };
    status(pool.and_then(|pool| call(pool, bytes?)))
}

/// The `len` bytes at `buffer`, which is not looked at when `len` is 0.
///
/// # Safety
///
/// Where `buffer` is not NULL and `len` is above 0, there are so many readable bytes, and they
/// stay as they are while the result is in use.
unsafe fn bytes<'a>(buffer: *const c_char, len: c_int) -> Result<&'a [u8], Errno> {
    match usize::try_from(len) {
        Ok(0) => Ok(&[]),
        // SAFETY: the caller vouches for the bytes, as this function asks.
        Ok(len) if !buffer.is_null() => Ok(unsafe { slice::from_raw_parts(buffer.cast(), len) }),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// 0 for success; -1 for a failure, with errno saying which.
pub(crate) fn status(outcome: Result<(), Errno>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(errno) => {
            errno.set();
            -1
        }
    }
}
