//! The outer ring's second part: what the library adds to the interface of the original.
//!
//! `include/chatServerExt.h` is generated from this file (`make header`), comments included.

use crate::ffi::{bytes, conn_pool_t, status};
use crate::pool::PoolRef;
use core::ffi::{c_char, c_int};

/// Takes what read() has got from a connection, and queues the whole lines in it for everyone
/// else, as add_msg does.
///
/// What comes after the last newline stays with the connection until its line ends in a later
/// call, so the lines of two clients never mix. All whole lines of one call, line ends included,
/// make one message. A line of 64 KiB or more goes on in pieces of that size. Any bytes will do.
///
/// Call it with the count that read() has returned: for 0, the end of the file, what is left
/// without a newline is queued as it is. All or nothing: when memory runs out, nothing is queued
/// and nothing kept, and the same bytes may be given again.
///
/// A connection that has been given to this function is to be removed by remove_conn, since it
/// may own memory that a program cannot see.
///
/// @param sd      the connection that was read from
/// @param buffer  what was read; stays the caller's and is not changed
/// @param len     how many bytes that is; 0 at the end of the file
/// @param pool    the pool
/// @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL, len negative, or buffer
///         NULL with a length), ENOENT (sd is not in the pool) or ENOMEM
///
/// # Safety
///
/// As for add_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_feed(
    sd: c_int,
    buffer: *const c_char,
    len: c_int,
    pool: *mut conn_pool_t,
) -> c_int {
    // SAFETY: the caller vouches for the buffer, as this function asks.
    let bytes = unsafe { bytes(buffer, len) };
    // SAFETY: likewise for the pool.
    let pool = unsafe { PoolRef::new(pool) };
    status(pool.and_then(|mut pool| pool.feed(sd, bytes?)))
}
