//! The operations on a pool, one function for each. Read this file first.
//!
//! `members` finds, links and unlinks connections, `delivery` brings a text to its recipients, and
//! `queue` has what waits for one connection.

use crate::connection::ConnRef;
use crate::errno::Errno;
use crate::members::PoolRef;
use crate::message::{Case, Text};
use crate::queue::Backlog;
use crate::{delivery, fdset, queue, settings};
use core::ffi::c_int;

/// Adds `fd` to the pool.
pub(crate) fn add(mut pool: PoolRef, fd: c_int) -> Result<(), Errno> {
    match usize::try_from(fd) {
        Err(_) => return Err(Errno(libc::EINVAL)),
        Ok(fd) if fd >= fdset::CAPACITY => return Err(Errno(libc::EMFILE)),
        Ok(_) => {}
    }
    if pool.has_member(fd) {
        return Err(Errno(libc::EEXIST));
    }
    pool.link(ConnRef::new(fd)?);
    fdset::insert(&mut pool.read_set, fd);
    pool.maxfd = pool.maxfd.max(fd);
    Ok(())
}

/// Removes `fd` from the pool and closes it.
pub(crate) fn remove(mut pool: PoolRef, fd: c_int) -> Result<(), Errno> {
    pool.refresh_index();
    let mut conn = pool.find(fd)?;
    if !settings::quiet() && !conn.is_listener() {
        // SAFETY: the format is a C string and asks for one int.
        unsafe { libc::printf(c"removing connection with sd %d \n".as_ptr(), fd) };
    }
    pool.unlink(conn);
    fdset::remove(&mut pool.read_set, fd);
    fdset::remove(&mut pool.ready_read_set, fd);
    fdset::remove(&mut pool.write_set, fd);
    fdset::remove(&mut pool.ready_write_set, fd);
    if fd >= pool.maxfd {
        pool.maxfd = pool.highest_fd();
    }
    queue::clear(&mut conn);
    conn.input.free();
    // SAFETY: closing touches no memory, and a bad descriptor is an error to ignore. The
    // connection is in no list and no index any more.
    unsafe {
        libc::close(fd);
        conn.free();
    }
    Ok(())
}

/// Queues `text` for all connections but `sender`, which need not be in the pool; -1 is nobody.
pub(crate) fn broadcast(pool: PoolRef, sender: c_int, text: Text) -> Result<(), Errno> {
    if text.is_empty() {
        return Ok(());
    }
    match pool.open_batch() {
        Some(batch) => delivery::add_to_batch(pool, sender, text, batch),
        None => delivery::queue_for_others(pool, sender, text),
    }
}

/// Queues `text` for `fd` alone.
pub(crate) fn tell(pool: PoolRef, fd: c_int, text: Text) -> Result<(), Errno> {
    let conn = pool.find(fd)?;
    if text.is_empty() || !conn.accepts_messages() {
        return Ok(());
    }
    delivery::queue_for_one(pool, conn, text)
}

/// Broadcasts every line whose end is in `bytes`, which were read from `fd`, and keeps the
/// unfinished line after them.
pub(crate) fn feed(pool: PoolRef, fd: c_int, bytes: &[u8]) -> Result<(), Errno> {
    let mut conn = pool.find(fd)?;
    if bytes.is_empty() {
        return end_of_file(pool, conn);
    }
    let (lines, rest) = conn.input.split(bytes);
    if lines.is_empty() {
        return conn.input.add(rest);
    }
    // Everything that can fail comes before the input changes.
    conn.input.reserve(rest.len())?;
    broadcast(pool, fd, Text::new([conn.input.bytes(), lines], Case::Preserve)?)?;
    conn.input.replace(rest);
    Ok(())
}

/// Broadcasts the unfinished line of `conn` as it is.
fn end_of_file(pool: PoolRef, mut conn: ConnRef) -> Result<(), Errno> {
    broadcast(pool, conn.fd, Text::of(conn.input.bytes(), Case::Preserve)?)?;
    conn.input.free();
    Ok(())
}

/// Keeps `bytes`, which were read from `fd`, for `next_line`. None mean the end of the file.
pub(crate) fn receive(pool: PoolRef, fd: c_int, bytes: &[u8]) -> Result<(), Errno> {
    pool.find(fd)?.input.add(bytes)
}

/// The next whole line of what was read from `fd`, and how long it is; it stays where it is until
/// the input of `fd` is used again.
pub(crate) fn next_line(pool: PoolRef, fd: c_int) -> Result<(*const u8, c_int), Errno> {
    let mut conn = pool.find(fd)?;
    let line = conn.input.next();
    let length = c_int::try_from(line.len()).map_err(|_| Errno(libc::EMSGSIZE))?;
    Ok((line.as_ptr(), length))
}

/// Sends what is queued for `fd`, as far as the kernel takes it. Returns the kernel's reason where
/// it gave one for taking no more. Fails for a connection that has been cut off.
pub(crate) fn write(mut pool: PoolRef, fd: c_int) -> Result<Option<Errno>, Errno> {
    let mut conn = pool.find(fd)?;
    let outcome = if conn.cut_off { Err(Errno(libc::ENOBUFS)) } else { queue::send(&mut conn) };
    if conn.write_msg_head.is_null() {
        fdset::remove(&mut pool.write_set, fd);
    }
    outcome
}

/// Corks the pool: broadcasts are collected in a batch from now on. An empty pool has no recipients
/// and stays uncorked.
pub(crate) fn cork(mut pool: PoolRef) -> Result<(), Errno> {
    if let Some(mut batch) = pool.make_batch()? {
        batch.corked = true;
    }
    Ok(())
}

/// Delivers the batch, and uncorks the pool.
pub(crate) fn uncork(pool: PoolRef) -> Result<(), Errno> {
    let Some(mut batch) = pool.open_batch() else { return Ok(()) };
    delivery::deliver_to_all(pool, batch)?;
    batch.corked = false;
    // With a single recipient there is hardly anything to deliver. A large block near the top of
    // the heap would keep the memory below it from going back to the kernel, so it is freed.
    let mut recipients = pool.connections().filter(|conn| conn.accepts_messages_cached());
    if recipients.nth(1).is_none() {
        batch.text.free();
    }
    Ok(())
}

/// The connection with the descriptor `fd`, and what is queued for it.
pub(crate) fn info(pool: PoolRef, fd: c_int) -> Result<(ConnRef, Backlog), Errno> {
    let conn = pool.find(fd)?;
    Ok((conn, queue::count(&conn)))
}
