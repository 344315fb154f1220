//! The messages that wait for one connection, first in, first out.
//!
//! A queue is empty when its head is NULL; its tail may be stale then. Programs take messages out
//! by themselves, so every call reads head and sizes anew.

use crate::abi::Msg;
use crate::connection::Connection;
use crate::errno::Errno;
use crate::message::Text;
use crate::transmit::Gather;
use crate::{message, settings};
use core::ffi::c_int;
use core::ptr::{self, NonNull};

/// Texts are joined to messages of so many bytes at most. Beside so many, the two blocks of a
/// message cost next to nothing; and a block of this size is moved fast when it grows.
const MAX_JOINED: usize = 16 * 1024;

/// Puts `msg`, which is in no queue, at the end.
pub(crate) fn append(conn: &mut Connection, msg: NonNull<Msg>) {
    conn.queued = known_charge(conn).saturating_add(charge(length(msg)));
    let msg = msg.as_ptr();
    if conn.write_msg_head.is_null() {
        conn.write_msg_head = msg;
    } else {
        let tail = conn.write_msg_tail;
        // SAFETY: a queue with a head has a tail, and both are messages.
        unsafe {
            (*msg).prev = tail;
            (*tail).next = msg;
        }
    }
    conn.write_msg_tail = msg;
}

/// Adds `text` at the end: to the last message where both are short, so that the memory of a queue
/// follows from its bytes and not from the number of texts. The first message stays as it is, since
/// a program may hold a pointer into it while it is sent.
pub(crate) fn append_text(conn: &mut Connection, text: Text) -> Result<(), Errno> {
    let tail = NonNull::new(conn.write_msg_tail).filter(|_| {
        !conn.write_msg_head.is_null() && !ptr::eq(conn.write_msg_head, conn.write_msg_tail)
    });
    match tail {
        Some(tail) if length(tail).saturating_add(text.length()) <= MAX_JOINED => {
            let before = charge(length(tail));
            text.append_to_message(tail)?;
            let added = charge(length(tail)).saturating_sub(before);
            conn.queued = conn.queued.saturating_add(added);
        }
        _ => append(conn, text.copy()?),
    }
    Ok(())
}

/// Whether the limit allows `length` more bytes, by the charge that the library knows. An empty
/// queue takes a message of any length, since the reader has kept up so far.
fn has_room(conn: &Connection, length: usize) -> bool {
    match (settings::max_queue(), known_charge(conn)) {
        (None, _) | (_, 0) => true,
        (Some(limit), queued) => queued.saturating_add(charge(length)) <= limit,
    }
}

/// Whether the limit allows `length` more bytes, after counting the queue anew and sending what the
/// kernel takes: no reader is to be cut off for messages that the program has taken out by itself,
/// or that the kernel would have taken.
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

/// The contents of a queue, counted.
pub(crate) struct Backlog {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
    charge: usize,
}

/// Counts the queue, message by message.
pub(crate) fn count(conn: &Connection) -> Backlog {
    let mut backlog = Backlog { bytes: 0, messages: 0, charge: 0 };
    let mut next = conn.write_msg_head;
    while let Some(msg) = NonNull::new(next) {
        backlog.bytes = backlog.bytes.saturating_add(length(msg));
        backlog.messages = backlog.messages.saturating_add(1);
        backlog.charge = backlog.charge.saturating_add(charge(length(msg)));
        // SAFETY: a queue links messages only.
        next = unsafe { (*msg.as_ptr()).next };
    }
    backlog
}

/// What a message of this length counts against the limit. The two blocks of a message take some 70
/// bytes beside the text, so short messages count for more than their length. The memory of a queue
/// then stays below twice the limit.
fn charge(length: usize) -> usize {
    length.max(64)
}

/// The charge of the queue as far as the library knows.
fn known_charge(conn: &Connection) -> usize {
    if conn.write_msg_head.is_null() { 0 } else { conn.queued }
}

/// Frees all messages of the queue.
pub(crate) fn clear(conn: &mut Connection) {
    while let Some(msg) = NonNull::new(conn.write_msg_head) {
        drop_head(conn, msg);
    }
    conn.write_msg_tail = ptr::null_mut();
}

/// Sends until the queue is empty or the kernel takes no more, and returns the kernel's reason
/// where it gave one. Any other error drops the queue, since the peer will never read it.
pub(crate) fn send(conn: &mut Connection) -> Result<Option<Errno>, Errno> {
    let mut reason = None;
    while !conn.write_msg_head.is_null() {
        let mut pieces = Gather::default();
        gather(conn, &mut pieces);
        let sent = match conn.send(&pieces) {
            Ok(sent) => sent,
            Err(errno) if errno.is_full() => {
                reason = Some(errno);
                break;
            }
            Err(errno) => {
                clear(conn);
                return Err(errno);
            }
        };
        consume(conn, sent);
        // The kernel is full. Another call would only say so.
        if sent < pieces.bytes() {
            break;
        }
    }
    if conn.write_msg_head.is_null() {
        conn.write_msg_tail = ptr::null_mut();
    }
    Ok(reason)
}

/// Gathers as many messages of the queue as one system call carries. (A returned Gather would be
/// copied, a kilobyte each time.)
fn gather(conn: &Connection, pieces: &mut Gather) {
    let mut next = conn.write_msg_head;
    while let Some(msg) = NonNull::new(next) {
        // SAFETY: a queue links messages only.
        let (bytes, after) = unsafe { ((*msg.as_ptr()).message, (*msg.as_ptr()).next) };
        if !pieces.push(bytes.cast(), length(msg)) {
            break;
        }
        next = after;
    }
}

/// Drops the first `sent` bytes of the queue.
fn consume(conn: &mut Connection, mut sent: usize) {
    while let Some(msg) = NonNull::new(conn.write_msg_head) {
        match sent.checked_sub(length(msg)) {
            Some(beyond) => sent = beyond,
            None => return drop_front(conn, msg, sent),
        }
        drop_head(conn, msg);
    }
}

/// Unlinks and frees `msg`, the head.
fn drop_head(conn: &mut Connection, msg: NonNull<Msg>) {
    conn.queued = conn.queued.saturating_sub(charge(length(msg)));
    // SAFETY: the messages of a queue came from malloc, as the header demands of programs, and
    // nothing leads to this one any more when it is freed.
    unsafe {
        let next = (*msg.as_ptr()).next;
        conn.write_msg_head = next;
        if !next.is_null() {
            (*next).prev = ptr::null_mut();
        }
        message::free(msg);
    }
}

/// Drops the first `sent` bytes of the head: the others move to the start of its allocation.
fn drop_front(conn: &mut Connection, head: NonNull<Msg>, sent: usize) {
    let left = length(head).saturating_sub(sent);
    let dropped = charge(length(head)).saturating_sub(charge(left));
    conn.queued = conn.queued.saturating_sub(dropped);
    // SAFETY: the queue links messages only, `sent` and `left` make up the length of this one, and
    // the two ranges may overlap.
    unsafe {
        let head = head.as_ptr();
        ptr::copy((*head).message.add(sent), (*head).message, left);
        (*head).size = c_int::try_from(left).unwrap_or(c_int::MAX);
    }
}

/// A message's length in bytes; a negative size counts as none.
fn length(msg: NonNull<Msg>) -> usize {
    // SAFETY: a queue links messages only.
    usize::try_from(unsafe { (*msg.as_ptr()).size }).unwrap_or(0)
}
