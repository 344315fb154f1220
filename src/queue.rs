//! The messages that wait for one connection, first in, first out.
//!
//! A queue is empty when its head is NULL; the tail says nothing then. Programs take messages
//! out by themselves, so head and sizes are looked at anew in every call.

use crate::connection::Connection;
use crate::errno::Errno;
use crate::ffi::Msg;
use crate::message;
use crate::settings;
use crate::transmit::{self, Gather};
use core::ffi::c_int;
use core::ptr::{self, NonNull};

/// Puts `msg`, which is in no queue, at the end.
pub(crate) fn append(conn: &mut Connection, msg: NonNull<Msg>) {
    conn.queued = known_charge(conn).saturating_add(charge(length(msg)));
    let msg = msg.as_ptr();
    if conn.write_msg_head.is_null() {
        conn.write_msg_head = msg;
    } else {
        let tail = conn.write_msg_tail;
        // SAFETY: a queue with a head has a tail, and both messages are there.
        unsafe {
            (*msg).prev = tail;
            (*tail).next = msg;
        }
    }
    conn.write_msg_tail = msg;
}

/// Whether `length` bytes more may wait, as far as is known. Where nothing waits, any message may:
/// its length says nothing of whether the reader keeps up.
fn has_room(conn: &Connection, length: usize) -> bool {
    match (settings::max_queue(), known_charge(conn)) {
        (None, _) | (_, 0) => true,
        (Some(limit), waiting) => waiting.saturating_add(charge(length)) <= limit,
    }
}

/// Whether `length` bytes more may wait, after everything has been tried to make room for them:
/// nobody is to be cut off for messages that the program has taken out by itself, or that the
/// kernel would have taken.
pub(crate) fn make_room(conn: &mut Connection, length: usize) -> bool {
    if has_room(conn, length) {
        return true;
    }
    conn.queued = count(conn).charge;
    if has_room(conn, length) {
        return true;
    }
    // A failure is write_msg's to report; it leaves the queue empty.
    let _ = send(conn);
    has_room(conn, length)
}

/// What a queue holds.
pub(crate) struct Backlog {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
    charge: usize,
}

/// Counts what waits, message by message.
pub(crate) fn count(conn: &Connection) -> Backlog {
    let mut backlog = Backlog { bytes: 0, messages: 0, charge: 0 };
    let mut next = conn.write_msg_head;
    while let Some(msg) = NonNull::new(next) {
        backlog.bytes = backlog.bytes.saturating_add(length(msg));
        backlog.messages = backlog.messages.saturating_add(1);
        backlog.charge = backlog.charge.saturating_add(charge(length(msg)));
        // SAFETY: what hangs in a queue is a message.
        next = unsafe { (*msg.as_ptr()).next };
    }
    backlog
}

/// What a message of this length counts against the limit. Its two blocks cost some 80 bytes
/// beside the text, so very short ones count for more than they hold: the memory of a queue then
/// stays below four times the limit.
fn charge(length: usize) -> usize {
    length.max(32)
}

/// What waits, charged, as far as the library has seen.
fn known_charge(conn: &Connection) -> usize {
    if conn.write_msg_head.is_null() { 0 } else { conn.queued }
}

/// Frees everything that waits.
pub(crate) fn clear(conn: &mut Connection) {
    while let Some(msg) = NonNull::new(conn.write_msg_head) {
        drop_head(conn, msg);
    }
    conn.write_msg_tail = ptr::null_mut();
}

/// Sends until nothing waits or the kernel takes no more, and answers whether any byte went out.
/// A failure that is more than a full kernel drops what waits: nobody will ever read it.
pub(crate) fn send(conn: &mut Connection) -> Result<bool, Errno> {
    let mut progress = false;
    while !conn.write_msg_head.is_null() {
        let batch = gather(conn);
        let sent = match transmit::send(conn.fd, &batch) {
            Ok(sent) => sent,
            Err(errno) if errno.is_full() => break,
            Err(errno) => {
                clear(conn);
                return Err(errno);
            }
        };
        progress |= sent > 0;
        consume(conn, sent);
        // To ask a full kernel once more would be a system call for nothing.
        if sent < batch.bytes() {
            break;
        }
    }
    if conn.write_msg_head.is_null() {
        conn.write_msg_tail = ptr::null_mut();
    }
    Ok(progress)
}

/// As much of the queue as one system call carries.
fn gather(conn: &Connection) -> Gather {
    let mut batch = Gather::default();
    let mut next = conn.write_msg_head;
    while let Some(msg) = NonNull::new(next) {
        // SAFETY: what hangs in a queue is a message.
        let (bytes, after) = unsafe { ((*msg.as_ptr()).message, (*msg.as_ptr()).next) };
        if !batch.push(bytes.cast(), length(msg)) {
            break;
        }
        next = after;
    }
    batch
}

/// Drops from the queue the first `sent` bytes, which have gone out.
fn consume(conn: &mut Connection, mut sent: usize) {
    while let Some(msg) = NonNull::new(conn.write_msg_head) {
        match sent.checked_sub(length(msg)) {
            Some(beyond) => sent = beyond,
            None if sent > 0 => return keep_rest(conn, msg, sent),
            None => return,
        }
        drop_head(conn, msg);
    }
}

/// Unlinks and frees `msg`, the head.
fn drop_head(conn: &mut Connection, msg: NonNull<Msg>) {
    conn.queued = conn.queued.saturating_sub(charge(length(msg)));
    // SAFETY: the messages of a queue came from malloc, as the header tells programs; nothing
    // leads to this one any more when it is freed.
    unsafe {
        let next = (*msg.as_ptr()).next;
        conn.write_msg_head = next;
        if !next.is_null() {
            (*next).prev = ptr::null_mut();
        }
        message::free(msg);
    }
}

/// Moves what is left of the head after its first `sent` bytes to the start of its allocation.
fn keep_rest(conn: &mut Connection, head: NonNull<Msg>, sent: usize) {
    let rest = length(head).saturating_sub(sent);
    let paid = charge(length(head)).saturating_sub(charge(rest));
    conn.queued = conn.queued.saturating_sub(paid);
    // SAFETY: the message is there, `sent` and `rest` make up its length, and the two ranges may
    // overlap.
    unsafe {
        let head = head.as_ptr();
        ptr::copy((*head).message.add(sent), (*head).message, rest);
        (*head).size = c_int::try_from(rest).unwrap_or(c_int::MAX);
    }
}

/// A message's length in bytes; a negative size counts as none.
fn length(msg: NonNull<Msg>) -> usize {
    // SAFETY: what hangs in a queue is a message.
    usize::try_from(unsafe { (*msg.as_ptr()).size }).unwrap_or(0)
}
