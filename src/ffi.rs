//! The functions of `chatServer.h`. Each one checks its arguments, makes one call inwards, and
//! turns the outcome into a status.
//!
//! `include/chatServer.h` is generated from this file and `abi.rs` (`make header`), comments
//! included: they are written for readers of C.

pub use crate::abi::*;
use crate::errno::{Errno, preserved};
use crate::members::PoolRef;
use crate::message::{Case, Text};
use crate::pool;
use core::ffi::{c_char, c_int};
use core::slice;

/// Makes an empty pool of the memory at pool: sets every field to zero, maxfd included.
///
/// The old contents of the memory are neither read nor freed, so it may be fresh from malloc. Call
/// it on a pool in use only after its connections have been removed or freed.
///
/// @param pool  the memory for the pool
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
/// It goes into read_set, maxfd is raised where necessary, and nr_conns grows by one. The other
/// sets, nready and the descriptor's own flags stay as they are: a blocking descriptor is accepted
/// and stays blocking. A listening socket may be added like any other descriptor; messages are
/// never queued for it. The function does not check whether sd is open. The descriptor belongs to
/// the pool until remove_conn closes it; on failure it stays the caller's, open.
///
/// Unlike the original, it refuses a descriptor that is too high for select(), and one that is in
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
    let pool = unsafe { PoolRef::new(pool) };
    status(preserved(|| pool::add(pool?, sd)))
}

/// Removes a connection from the pool, frees it with everything queued for it, and closes its
/// descriptor.
///
/// It prints "removing connection with sd N " and a newline on standard output, unless the
/// descriptor is a listening socket. The line goes through the program's own stdio: it stays in the
/// buffer of stdout as long as the program's own output does, and keeps its place in that. Where
/// standard output is a full pipe, writing it waits for the pipe's reader, and where it is a broken
/// pipe, it raises SIGPIPE, as a printf of the program's would. chat_set_quiet turns the line off.
/// That the program has closed the descriptor already is no failure. Where the program has set
/// SO_LINGER with a time, closing the socket waits for the peer, as close() does.
///
/// The descriptor leaves all four sets. When it was the highest, maxfd falls to the highest one
/// left in read_set or in the list, or to 0. No other connection moves, so a program that walks
/// the list may go on with a next pointer that it read before.
///
/// Unlike the original, it also clears the ready sets, so that the remaining part of a pass does
/// not serve a new client that was given the same number; and it returns however long the queue
/// is.
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
    let pool = unsafe { PoolRef::new(pool) };
    status(preserved(|| pool::remove(pool?, sd)))
}

/// Queues a message for every connection in the pool except the sender and listening sockets.
///
/// Each of them gets its own copy of exactly len bytes, whatever their values, and its bit in
/// write_set is set. The buffer stays the caller's and is never written to; it is not const because
/// the original's header declares it so. write_msg does the sending. The call does all or nothing:
/// when memory runs out, nobody gets the message.
///
/// A reader for which more than 8 MiB would be queued is cut off, unless the kernel takes enough of
/// them at once. chat_set_max_queue in chatServerExt.h tells what that means, and sets the limit.
///
/// Unlike the original, it does not stop at a NUL byte, leaves the sender's own bit in write_set
/// alone (messages may be queued for the sender, too), and never touches ready_write_set.
///
/// @param sd      the sender, which gets no copy; it need not be in the pool
/// @param buffer  the message
/// @param len     its length in bytes; for 0 nothing is queued, and the -1 of a failed read() is
///                refused with EINVAL
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
    unsafe { broadcast(sd, buffer, len, pool, Case::Preserve, 0) }
}

/// Sends what is queued for a connection, until the queue is empty or the kernel takes no more.
///
/// It never blocks, whatever the descriptor's flags, and never raises a signal (SIGPIPE, or SIGXFSZ
/// for a file, or SIGTTOU for a terminal). Queued messages are gathered, so that one system call
/// carries many; a call that a signal interrupts is made again. When everything has been sent, the
/// bit in write_set is cleared. When the kernel takes no more, the remaining messages stay queued
/// and the bit stays set: call again when select() reports the descriptor writable. When only part
/// of a message was sent, the other part is moved to the start of its allocation, and size says how
/// many bytes that is.
///
/// Where something is left because the kernel returned an error, errno says which, although the
/// function returns 0: set errno to 0 before the call to tell. After ENOBUFS or ENOMEM the kernel
/// is short of memory, and select() may report the descriptor writable all the same, so a program
/// should try again after a delay and not at once. In all other cases a function of this library
/// that succeeds leaves errno as it was.
///
/// When the peer is gone, the queue is dropped and the bit cleared; the connection stays until the
/// program's own read finds the end and it calls remove_conn. A stream socket is also shut down for
/// writing: should there be a peer after all, it reads a stream without a gap, and then the end.
///
/// A descriptor that is not a socket (a pipe, a terminal) and that is blocking is made non-blocking
/// for the duration of the write.
///
/// Unlike the original, which calls this function write_to_client, it never waits: a slow reader
/// does not hold up the others.
///
/// @param sd    the descriptor
/// @param pool  the pool
/// @return 0, also when something is left or nothing was queued; or -1 with errno EINVAL (pool is
///         NULL), ENOENT (sd is not in the pool), ENOBUFS (the connection has been cut off), or
///         the error of sendmsg() or writev(), mostly EPIPE or ECONNRESET
///
/// # Safety
///
/// As for add_conn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write_msg(sd: c_int, pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    let pool = unsafe { PoolRef::new(pool) };
    let outcome = preserved(|| pool::write(pool?, sd));
    status(outcome.map(|reason| reason.into_iter().for_each(Errno::set)))
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

/// The same as add_msg, except that the ASCII letters of every copy become capitals. The buffer is
/// not changed.
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
    unsafe { broadcast(sd, buffer, len, pool, Case::Upper, 0) }
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

/// The common part of add_msg, addMsg and chat_say, which refuse an sd below `lowest`.
///
/// # Safety
///
/// As for add_msg.
pub(crate) unsafe fn broadcast(
    sd: c_int,
    buffer: *const c_char,
    len: c_int,
    pool: *mut conn_pool_t,
    case: Case,
    lowest: c_int,
) -> c_int {
    // SAFETY: the same duties.
    let checked = unsafe { checked(pool, buffer, len) };
    status(preserved(|| {
        let (pool, bytes) = checked?;
        if sd < lowest {
            return Err(Errno(libc::EINVAL));
        }
        pool::broadcast(pool, sd, Text::of(bytes, case)?)
    }))
}

/// The pool and the `len` bytes at `buffer`, which is not looked at when `len` is 0.
///
/// # Safety
///
/// As for add_msg, and the bytes stay as they are while the result is in use.
pub(crate) unsafe fn checked<'a>(
    pool: *mut conn_pool_t,
    buffer: *const c_char,
    len: c_int,
) -> Result<(PoolRef, &'a [u8]), Errno> {
    // SAFETY: the caller vouches for the pool, as this function asks.
    let pool = unsafe { PoolRef::new(pool) }?;
    match usize::try_from(len) {
        Ok(0) => Ok((pool, &[])),
        Ok(len) if !buffer.is_null() => {
            // SAFETY: the caller vouches for the bytes, as this function asks.
            Ok((pool, unsafe { slice::from_raw_parts(buffer.cast(), len) }))
        }
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
