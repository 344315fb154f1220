//! The outer ring's second part: what the library adds to the interface of the original.
//!
//! `include/chatServerExt.h` is generated from this file (`make header`), comments included.

use crate::errno::Errno;
use crate::ffi::{conn_pool_t, status, with_bytes};
use crate::message::{Letters, Text};
use crate::pool::PoolRef;
use crate::settings;
use core::ffi::{c_char, c_int};
use core::ptr::NonNull;

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
/// may own memory that a program cannot see. The bytes must not be a message out of the pool's own
/// queues.
///
/// @param sd      the connection that was read from
/// @param buffer  what was read; stays the caller's and is not changed
/// @param len     how many bytes that is; 0 at the end of the file
/// @param pool    the pool
/// @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL, len negative, or buffer
///         NULL with a length), ENOENT (sd is not in the pool), EMSGSIZE (with what was kept of
///         its line, the message would be longer than INT_MAX) or ENOMEM
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
    // SAFETY: the same duties.
    unsafe { with_bytes(buffer, len, pool, |mut pool, bytes| pool.feed(sd, bytes)) }
}

/// Queues a message for one connection alone, as add_msg does for all. For a listening socket or
/// a connection that has been cut off nothing is queued, which is no failure. In a corked pool it
/// is first handed what has been said before, for the message to come after that.
///
/// @param sd      the connection that is to get it
/// @param buffer  the message; stays the caller's and is not changed
/// @param len     its length in bytes; for 0 nothing is queued
/// @param pool    the pool
/// @return 0; or -1 with nothing queued and errno EINVAL (pool is NULL, len negative, or buffer
///         NULL with a length), ENOENT (sd is not in the pool) or ENOMEM
///
/// # Safety
///
/// As for add_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_tell(
    sd: c_int,
    buffer: *const c_char,
    len: c_int,
    pool: *mut conn_pool_t,
) -> c_int {
    let call = |mut pool: PoolRef, bytes: &[u8]| {
        pool.tell(sd, Text::new([bytes, &[]], Letters::AsTheyAre)?)
    };
    // SAFETY: the same duties.
    unsafe { with_bytes(buffer, len, pool, call) }
}

/// Corks a pool: what add_msg, addMsg and chat_feed are given from now on is held once, in a
/// batch, in place of a copy in every queue, until chat_uncork delivers it.
///
/// A program corks before the reads of a pass and uncorks after them. Everything arrives as it
/// would without: in the order of the calls, to all but the sender, and not to who joins later.
/// write_msg goes on with what is queued, and leaves the batch alone. A batch of 4 MiB does not
/// wait for chat_uncork.
///
/// Corking what is corked changes nothing. An empty pool is not corked, and one that is emptied is
/// corked no more. The batch's memory is kept for the next time, most of it until chat_uncork
/// finds fewer than two connections, the rest until the last one is removed; so a pool that has
/// been corked is to be emptied by remove_conn, or that memory is lost. What has been said and not
/// delivered is dropped then. While a pool is corked, what add_msg is given must not be a message
/// out of the pool's own queues.
///
/// @param pool  the pool
/// @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL) or ENOMEM. An uncorked
///         pool works as well, so a program may ignore that.
///
/// # Safety
///
/// As for add_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_cork(pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    status(unsafe { PoolRef::new(pool) }.and_then(|mut pool| pool.cork()))
}

/// Uncorks a pool: everyone gets what has been said since chat_cork, by one system call each.
///
/// Who has nothing queued is sent it from the one batch, without a copy. What the kernel does not
/// take, and the whole where messages wait already, becomes a message in the queue, and its bit
/// in write_set is set: write_msg goes on with it. A peer that turns out to be gone gets nothing,
/// its socket is shut for writing as by write_msg, and the program's next read finds that out.
///
/// When memory runs out for somebody's queue, the others get everything, the pool stays corked,
/// and nothing is lost or sent twice: call again.
/// Uncorking what is not corked does nothing.
///
/// @param pool  the pool
/// @return 0; or -1 with the pool still corked and errno EINVAL (pool is NULL) or ENOMEM
///
/// # Safety
///
/// As for add_msg.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_uncork(pool: *mut conn_pool_t) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    status(unsafe { PoolRef::new(pool) }.and_then(|mut pool| pool.uncork()))
}

/// Limits what a reader who does not keep up may cost, in every pool of the process.
///
/// When more than so many bytes would wait for a connection, it is cut off: what waits is
/// dropped, its bit in write_set cleared, its socket shut down, and nothing is queued for it any
/// more. The peer gets what the kernel had taken, without a gap, and then the end (some of it may
/// be missing at the end if the peer goes on talking, as TCP has it). The program's
/// next read from the connection finds the end, too, and the program removes it in the ordinary
/// way. Before it comes to that, the queue is counted (a program may have taken messages out by
/// itself) and the kernel is asked to take some. A message for a connection that has nothing
/// waiting is queued whatever its length. A message counts for 32 bytes at least, since keeping
/// it costs memory, too.
///
/// Without this call the limit is 8 MiB. Any thread may call it at any time.
///
/// @param bytes  the limit in bytes of messages; 0 for none
#[unsafe(no_mangle)]
pub extern "C" fn chat_set_max_queue(bytes: usize) {
    settings::set_max_queue(bytes);
}

/// Has remove_conn print its line or not, in every pool of the process. Any thread may call it at
/// any time.
///
/// @param quiet  0 to print, as it does without this call; anything else not to
#[unsafe(no_mangle)]
pub extern "C" fn chat_set_quiet(quiet: c_int) {
    settings::set_quiet(quiet != 0);
}

/// How a connection stands; see chat_get_info.
#[repr(C)]
pub struct ConnInfo {
    /// How many bytes wait to be sent.
    pub queued_bytes: usize,
    /// How many messages those are, the first perhaps sent in part.
    pub queued_msgs: usize,
    /// 0; or, for a connection that has been cut off, why: ENOBUFS when it was too far behind
    /// (see chat_set_max_queue).
    pub cut_off: c_int,
}

/// The same as struct chat_conn_info.
#[allow(non_camel_case_types, reason = "the name that C programs use")]
pub type chat_conn_info_t = ConnInfo;

/// Tells how far behind a connection is, and whether it has been cut off.
///
/// The queue is counted message by message, so what the program has taken out by itself does
/// not count. Nor does what a corked pool holds (see chat_cork).
///
/// @param sd    the descriptor
/// @param pool  the pool
/// @param info  where the answer goes
/// @return 0; or -1 with nothing written and errno EINVAL (pool or info is NULL) or ENOENT (sd
///         is not in the pool)
///
/// # Safety
///
/// As for add_msg. info is NULL, or memory for the answer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_get_info(
    sd: c_int,
    pool: *mut conn_pool_t,
    info: *mut chat_conn_info_t,
) -> c_int {
    // SAFETY: the caller vouches for the pool, as this function asks.
    let pool = unsafe { PoolRef::new(pool) };
    let answer = NonNull::new(info).ok_or(Errno(libc::EINVAL));
    status(answer.and_then(|answer| {
        let (backlog, cut_off) = pool?.standing(sd)?;
        let info = ConnInfo {
            queued_bytes: backlog.bytes,
            queued_msgs: backlog.messages,
            cut_off: if cut_off { libc::ENOBUFS } else { 0 },
        };
        // SAFETY: the caller vouches for the memory, as this function asks.
        unsafe { answer.write(info) };
        Ok(())
    }))
}

/// The version of the library, as in "1.0.0".
///
/// @return a string that lives as long as the program
#[unsafe(no_mangle)]
pub extern "C" fn chat_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
