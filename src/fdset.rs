//! The one place that touches the bits of an `fd_set`.
//!
//! A descriptor that a set has no room for is in no set, and inserting or removing it does nothing.
//! C's own macros would write beside the set, and the libc crate's functions would panic.

use core::ffi::{c_int, c_ulong};
use libc::fd_set;

/// How many descriptors a set has room for.
pub(crate) const CAPACITY: usize = libc::FD_SETSIZE;

// The number that chatServer.h compares the program's with (cbindgen.toml).
const _: () = assert!(CAPACITY == 1024);

const BITS: usize = c_ulong::BITS as usize;

/// The bits of a set as the C library lays them out: an array of longs, lowest bit first.
type Words = [c_ulong; CAPACITY / BITS];

const _: () = assert!(size_of::<fd_set>() == size_of::<Words>());
const _: () = assert!(align_of::<fd_set>() == align_of::<Words>());

fn words(set: &fd_set) -> &Words {
    // SAFETY: size and alignment are the same (asserted above), and any bits are a valid Words.
    unsafe { &*core::ptr::from_ref(set).cast() }
}

fn words_mut(set: &mut fd_set) -> &mut Words {
    // SAFETY: as in `words`; any bits are a valid fd_set, too.
    unsafe { &mut *core::ptr::from_mut(set).cast() }
}

/// The position of the bit of `fd`: the index of its word, and a mask.
fn position(fd: c_int) -> Option<(usize, c_ulong)> {
    let fd = usize::try_from(fd).ok()?;
    Some((fd / BITS, 1 << (fd % BITS)))
}

/// The word with the bit of `fd`, and a mask.
fn word_of(set: &mut fd_set, fd: c_int) -> Option<(&mut c_ulong, c_ulong)> {
    let (word, mask) = position(fd)?;
    Some((words_mut(set).get_mut(word)?, mask))
}

/// Adds `fd` to the set.
pub(crate) fn insert(set: &mut fd_set, fd: c_int) {
    if let Some((word, mask)) = word_of(set, fd) {
        *word |= mask;
    }
}

/// Removes `fd` from the set.
pub(crate) fn remove(set: &mut fd_set, fd: c_int) {
    if let Some((word, mask)) = word_of(set, fd) {
        *word &= !mask;
    }
}

/// Whether `fd` is in the set.
pub(crate) fn contains(set: &fd_set, fd: c_int) -> bool {
    position(fd)
        .and_then(|(word, mask)| words(set).get(word).map(|word| word & mask != 0))
        .unwrap_or(false)
}

/// The highest descriptor in the set.
pub(crate) fn highest(set: &fd_set) -> Option<c_int> {
    let (below, word) = words(set).iter().enumerate().rev().find(|(_, word)| **word != 0)?;
    let bit = word.checked_ilog2()?;
    c_int::try_from(below.checked_mul(BITS)?.checked_add(bit as usize)?).ok()
}
