//! Saying much and sending it once: while a pool is corked, what is said goes into a batch, and
//! uncorking hands the batch to everyone straight from there.

use crate::batch::{Batch, BatchRef};
use crate::connection::ConnRef;
use crate::errno::Errno;
use crate::message::{Letters, Text};
use crate::pool::PoolRef;
use crate::transmit::{self, Gather};
use crate::{fdset, queue};
use core::ffi::c_int;

impl PoolRef {
    /// Has what is said from now on held in a batch. In an empty pool there is nobody to hold it
    /// for.
    pub(crate) fn cork(&mut self) -> Result<(), Errno> {
        self.refresh_index();
        let Some(mut head) = self.head() else { return Ok(()) };
        let mut batch = match head.roster.batch {
            Some(batch) => batch,
            None => BatchRef::new()?,
        };
        batch.corked = true;
        head.roster.batch = Some(batch);
        Ok(())
    }

    /// Delivers the batch, and has everything queued as it is said again.
    pub(crate) fn uncork(&mut self) -> Result<(), Errno> {
        if let Some(mut batch) = self.open_batch() {
            self.deliver_all(batch)?;
            batch.corked = false;
            // In the pool nobody is left to hear another. A block that lies high keeps all of the heap
            // below it from going back to the kernel.
            if self.connections().nth(1).is_none() {
                batch.text.free();
            }
        }
        Ok(())
    }

    /// The batch, while the pool is corked.
    pub(crate) fn open_batch(&self) -> Option<BatchRef> {
        self.head()?.roster.batch.filter(|batch| batch.corked)
    }

    /// Keeps the batch where it is found: in the first connection. With the last one it goes.
    pub(crate) fn keep_batch(&mut self, batch: Option<BatchRef>) {
        match (self.head(), batch) {
            (Some(mut head), batch) => head.roster.batch = batch,
            // SAFETY: only the connection that has just left led to it.
            (None, Some(batch)) => unsafe { batch.free() },
            (None, None) => {}
        }
    }

    /// Adds `text` to the batch.
    pub(crate) fn gather(
        &mut self,
        sender: c_int,
        text: Text,
        mut batch: BatchRef,
    ) -> Result<(), Errno> {
        // A message has room for so much and no more.
        if batch.text.len().saturating_add(text.length()) > c_int::MAX as usize {
            self.deliver_all(batch)?;
        }
        let speaker = self.find(sender);
        if let Some(speaker) = speaker.filter(|conn| !batch.is_in_one_piece(&conn.share)) {
            self.deliver(speaker, batch)?;
        }
        let before = speaker.map(|conn| batch.current(&conn.share));
        let share = batch.add(text, before)?;
        if let (Some(mut speaker), Some(share)) = (speaker, share) {
            speaker.share = share;
        }
        if batch.is_full() {
            // It has been said, and where memory is short what is left is delivered later.
            let _ = self.deliver_all(batch);
        }
        Ok(())
    }

    /// Hands the batch to everyone and starts the next. Where that fails for somebody, the others
    /// get it all the same, and everyone's share says how far it got.
    fn deliver_all(&mut self, mut batch: BatchRef) -> Result<(), Errno> {
        let mut outcome = Ok(());
        for conn in self.connections() {
            outcome = outcome.and(self.deliver(conn, batch));
        }
        if outcome.is_ok() {
            batch.start_over();
        }
        outcome
    }

    /// Hands `conn` what the batch still has for it: to the kernel where nothing waits, and what
    /// that does not take to the queue.
    pub(crate) fn deliver(&mut self, mut conn: ConnRef, batch: BatchRef) -> Result<(), Errno> {
        conn.share = batch.current(&conn.share);
        if !batch.is_had(&conn.share) && conn.takes_messages() {
            send_share(conn, &batch);
            self.queue_share(conn, &batch)?;
        }
        conn.share = batch.newcomer();
        Ok(())
    }

    /// Makes one message of what is left of the share.
    fn queue_share(&mut self, mut conn: ConnRef, batch: &Batch) -> Result<(), Errno> {
        let rest = Text::new(batch.parts(&conn.share), Letters::AsTheyAre)?;
        if rest.is_empty() {
            return Ok(());
        }
        if !queue::make_room(&mut conn, rest.length()) {
            self.cut_off(conn);
            return Ok(());
        }
        queue::append(&mut conn, rest.copy()?);
        fdset::insert(&mut self.write_set, conn.fd);
        Ok(())
    }
}

/// Sends of the share what the kernel takes, unless messages wait that come before.
fn send_share(mut conn: ConnRef, batch: &Batch) {
    if !conn.write_msg_head.is_null() {
        return;
    }
    let mut pieces = Gather::default();
    for part in batch.parts(&conn.share).into_iter().filter(|part| !part.is_empty()) {
        pieces.push(part.as_ptr().cast_mut().cast(), part.len());
    }
    match transmit::send(conn.fd, &pieces) {
        Ok(sent) => {
            conn.share = conn.share.clone().advanced(sent);
            conn.has_taken_bytes();
        }
        Err(errno) if errno.is_full() => {}
        // The peer is gone, which the program's next read finds out.
        Err(_) => conn.share = batch.newcomer(),
    }
}
