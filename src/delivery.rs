//! Brings a text to its recipients: into their queues, or by way of a corked pool's batch straight
//! to the kernel. A recipient whose queue has no room left is cut off.

use crate::batch::{Batch, BatchRef};
use crate::connection::ConnRef;
use crate::errno::Errno;
use crate::members::PoolRef;
use crate::message::{Case, Copies, Text};
use crate::transmit::{self, Gather};
use crate::{fdset, queue};
use core::ffi::c_int;

/// Queues a copy of `text` for every connection but `sender`, or for none of them.
pub(crate) fn queue_for_others(pool: PoolRef, sender: c_int, text: Text) -> Result<(), Errno> {
    let mut copies = Copies::of(text);
    for conn in pool.connections() {
        if conn.fd != sender && conn.accepts_messages() {
            copies.make()?;
        }
    }
    for conn in pool.connections() {
        if conn.fd != sender && conn.accepts_messages_cached() {
            queue_copy(pool, conn, &mut copies);
        }
    }
    Ok(())
}

/// Queues `text` for `conn`, which accepts messages, behind what the batch still has for it.
pub(crate) fn queue_for_one(pool: PoolRef, conn: ConnRef, text: Text) -> Result<(), Errno> {
    let mut copies = Copies::of(text);
    copies.make()?;
    if let Some(batch) = pool.open_batch() {
        deliver(pool, conn, batch)?;
    }
    // The delivery may have cut it off.
    if conn.accepts_messages_cached() {
        queue_copy(pool, conn, &mut copies);
    }
    Ok(())
}

/// Queues one of the copies for `conn`, or cuts it off where there is no room. All copies have been
/// made by then, because the text may lie in a message that is sent and freed to make room.
fn queue_copy(mut pool: PoolRef, mut conn: ConnRef, copies: &mut Copies) {
    if !queue::make_room(&mut conn, copies.length()) {
        cut_off(pool, conn);
    } else if let Some(copy) = copies.take() {
        queue::append(&mut conn, copy);
        fdset::insert(&mut pool.write_set, conn.fd);
    }
}

/// Disconnects a slow reader. The program's next read from it reports the end of the file.
fn cut_off(mut pool: PoolRef, mut conn: ConnRef) {
    conn.cut_off = true;
    queue::clear(&mut conn);
    fdset::remove(&mut pool.write_set, conn.fd);
    transmit::shut_down(conn.fd);
}

/// Adds `text` to the batch, for every connection but `sender`.
pub(crate) fn add_to_batch(
    pool: PoolRef,
    sender: c_int,
    text: Text,
    mut batch: BatchRef,
) -> Result<(), Errno> {
    // What is left of a batch may become one message, and no message is longer than this.
    if batch.text.len().saturating_add(text.length()) > c_int::MAX as usize {
        deliver_to_all(pool, batch)?;
    }
    let sender = pool.find(sender).ok();
    if let Some(sender) = sender.filter(|conn| !batch.is_contiguous(&conn.cursor)) {
        deliver(pool, sender, batch)?;
    }
    let added = batch.add(text)?;
    if let Some(mut sender) = sender {
        sender.cursor = batch.current(&sender.cursor).skipping(added);
    }
    if batch.is_full() {
        // The text is in the batch; where memory is short, the undelivered part goes out later.
        let _ = deliver_to_all(pool, batch);
    }
    Ok(())
}

/// Delivers the batch to every connection and starts the next one. Where that fails for one
/// connection, the others get it all the same, and the cursors say how far each one got.
pub(crate) fn deliver_to_all(pool: PoolRef, mut batch: BatchRef) -> Result<(), Errno> {
    let mut outcome = Ok(());
    for conn in pool.connections() {
        outcome = outcome.and(deliver(pool, conn, batch));
    }
    if outcome.is_ok() {
        batch.reset();
    }
    outcome
}

/// Delivers to `conn` what the batch still has for it: to the kernel if its queue is empty, and
/// what the kernel does not take to the queue.
fn deliver(pool: PoolRef, mut conn: ConnRef, batch: BatchRef) -> Result<(), Errno> {
    conn.cursor = batch.current(&conn.cursor);
    if !batch.is_drained(&conn.cursor) && conn.accepts_messages() {
        if conn.write_msg_head.is_null() {
            send_from_batch(conn, &batch);
        }
        queue_from_batch(pool, conn, &batch)?;
    }
    conn.cursor = batch.end();
    Ok(())
}

/// Offers the kernel what the batch has for `conn`.
fn send_from_batch(mut conn: ConnRef, batch: &Batch) {
    let mut pieces = Gather::default();
    for part in batch.parts(&conn.cursor).into_iter().filter(|part| !part.is_empty()) {
        pieces.push(part.as_ptr().cast_mut().cast(), part.len());
    }
    match conn.send(&pieces) {
        Ok(sent) => conn.cursor = conn.cursor.clone().advanced(sent),
        Err(errno) if errno.is_full() => {}
        // The peer is gone, which the program's next read reports.
        Err(_) => conn.cursor = batch.end(),
    }
}

/// Queues what the batch has for `conn`.
fn queue_from_batch(mut pool: PoolRef, mut conn: ConnRef, batch: &Batch) -> Result<(), Errno> {
    let text = Text::new(batch.parts(&conn.cursor), Case::Preserve)?;
    if text.is_empty() {
        return Ok(());
    }
    if queue::make_room(&mut conn, text.length()) {
        queue::append_text(&mut conn, text)?;
        fdset::insert(&mut pool.write_set, conn.fd);
    } else {
        cut_off(pool, conn);
    }
    Ok(())
}
