//! Process-wide settings. A pool has no room for settings of its own, since every byte of it
//! belongs to C.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// It is large enough for a burst to a reader that pauses for seconds, and small enough for two
/// hundred stopped readers in the memory of a small machine.
const DEFAULT_MAX_QUEUE: usize = 8 * 1024 * 1024;

/// In bytes; 0 for no limit.
static MAX_QUEUE: AtomicUsize = AtomicUsize::new(DEFAULT_MAX_QUEUE);
static QUIET: AtomicBool = AtomicBool::new(false);

/// How many bytes may be queued for one connection; none for no limit.
pub(crate) fn max_queue() -> Option<usize> {
    Some(MAX_QUEUE.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
}

pub(crate) fn set_max_queue(bytes: usize) {
    MAX_QUEUE.store(bytes, Ordering::Relaxed);
}

/// Whether `remove_conn` omits its line on standard output.
pub(crate) fn quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}
