//! What programs do to a pool without the library, as the header allows; and a look at the lists
//! that only such a program takes.

use super::calls::PoolBox;
use super::library::{Conn, Msg};
use super::step::Manners;
use libc::{c_int, c_ulong, fd_set};
use std::ptr;

/// The bits of a set, as the C library lays them out.
pub(crate) type Bits = [c_ulong; 16];

pub(crate) fn bits(set: &fd_set) -> &Bits {
    const { assert!(size_of::<fd_set>() == size_of::<Bits>()) };
    // SAFETY: the sizes are the same, longs are what a set is made of, and any bits are longs.
    unsafe { &*ptr::from_ref(set).cast() }
}

fn bits_mut(set: &mut fd_set) -> &mut Bits {
    // SAFETY: as in `bits`, and any bits are a set.
    unsafe { &mut *ptr::from_mut(set).cast() }
}

/// Puts a descriptor into a set, or takes it out.
pub(crate) fn mark(set: &mut Bits, fd: c_int, is_in: bool) {
    let fd = usize::try_from(fd).expect("a descriptor");
    let mask = 1 << (fd % 64);
    set[fd / 64] = if is_in { set[fd / 64] | mask } else { set[fd / 64] & !mask };
}

pub(crate) fn is_marked(set: &Bits, fd: c_int) -> bool {
    let fd = usize::try_from(fd).expect("a descriptor");
    set[fd / 64] & (1 << (fd % 64)) != 0
}

/// The four sets, in the order of the header.
pub(crate) fn sets(pool: &PoolBox) -> [&Bits; 4] {
    let pool = pool.get();
    [&pool.read_set, &pool.ready_read_set, &pool.write_set, &pool.ready_write_set].map(bits)
}

pub(crate) fn set_mut(pool: &mut PoolBox, which: usize) -> &mut Bits {
    let pool = pool.get_mut();
    let sets = [
        &mut pool.read_set,
        &mut pool.ready_read_set,
        &mut pool.write_set,
        &mut pool.ready_write_set,
    ];
    bits_mut(sets.into_iter().nth(which).expect("one of four"))
}

/// A walk along a doubly linked list, which checks that every node leads back.
pub(crate) struct Walk<T> {
    before: *mut T,
    next: *mut T,
    links: fn(&T) -> [*mut T; 2],
}

impl<T> Iterator for Walk<T> {
    type Item = *mut T;

    fn next(&mut self) -> Option<*mut T> {
        // SAFETY: what the lists lead to is there; that the library sees to it is what is tested.
        let [prev, next] = (self.links)(unsafe { self.next.as_ref() }?);
        assert_eq!(prev, self.before, "prev leads elsewhere");
        (self.before, self.next) = (self.next, next);
        Some(self.before)
    }
}

pub(crate) fn conns(pool: &PoolBox) -> Walk<Conn> {
    let links = |conn: &Conn| [conn.prev, conn.next];
    Walk { before: ptr::null_mut(), next: pool.get().conn_head, links }
}

pub(crate) fn msgs(conn: &Conn) -> Walk<Msg> {
    let links = |msg: &Msg| [msg.prev, msg.next];
    Walk { before: ptr::null_mut(), next: conn.write_msg_head, links }
}

/// The connection number `at` of the list.
pub(crate) fn conn(pool: &mut PoolBox, at: usize) -> &mut Conn {
    let conn = conns(pool).nth(at).expect("so many are in the pool");
    // SAFETY: as in `Walk`; the library has no reference to it outside its calls.
    unsafe { &mut *conn }
}

/// The bytes of a message.
pub(crate) fn bytes(msg: &Msg) -> &[u8] {
    let size = usize::try_from(msg.size).expect("no message has a negative size");
    assert!(!msg.message.is_null());
    // SAFETY: a message has as many bytes as it says; that is tested.
    unsafe { std::slice::from_raw_parts(msg.message.cast(), size) }
}

/// The bytes of the first message in a queue.
pub(crate) fn first(pool: &mut PoolBox, at: usize) -> Option<&[u8]> {
    // SAFETY: as in `Walk`.
    unsafe { conn(pool, at).write_msg_head.as_ref() }.map(bytes)
}

/// Takes the first message out of a queue, and frees it; false where there is none. The tail is
/// left as it is when the queue is empty then.
pub(crate) fn pop(pool: &mut PoolBox, at: usize) -> bool {
    let conn = conn(pool, at);
    // SAFETY: as in `Walk`.
    let Some(msg) = (unsafe { conn.write_msg_head.as_mut() }) else { return false };
    conn.write_msg_head = msg.next;
    // SAFETY: as in `Walk`; both blocks came from malloc, and nothing leads to them any more.
    unsafe {
        if let Some(next) = msg.next.as_mut() {
            next.prev = ptr::null_mut();
        }
        libc::free(msg.message.cast());
        libc::free(ptr::from_mut(msg).cast());
    }
    true
}

/// Frees a connection and what is queued for it, and closes the descriptor.
fn free(pool: &mut PoolBox, at: usize) {
    while pop(pool, at) {}
    let conn = conn(pool, at);
    // SAFETY: nobody else uses the descriptor. The block came from malloc, and the caller removes
    // what leads to it.
    unsafe {
        libc::close(conn.fd);
        libc::free(ptr::from_mut(conn).cast());
    }
}

/// Takes one connection out of the list.
pub(crate) fn take_out(pool: &mut PoolBox, at: usize, manners: Manners) {
    let (fd, prev, next) = {
        let conn = conn(pool, at);
        (conn.fd, conn.prev, conn.next)
    };
    free(pool, at);
    // SAFETY: the neighbours are there, or NULL.
    match unsafe { prev.as_mut() } {
        Some(prev) => prev.next = next,
        None => pool.get_mut().conn_head = next,
    }
    // SAFETY: likewise.
    if let Some(next) = unsafe { next.as_mut() } {
        next.prev = prev;
    }
    if manners.counts {
        pool.get_mut().nr_conns -= 1;
    }
    if manners.clears {
        mark(set_mut(pool, 0), fd, false);
        mark(set_mut(pool, 2), fd, false);
    }
}

/// Frees every connection, and leaves the pool as it is.
pub(crate) fn free_all(pool: &mut PoolBox) {
    for at in (0..conns(pool).count()).rev() {
        free(pool, at);
    }
}
