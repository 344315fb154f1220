//! `errno` as a type.

use core::ffi::c_int;

/// The reason of a failure, one of the numbers of `errno.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    /// The reason of the system call that has just failed.
    pub(crate) fn last() -> Self {
        // SAFETY: `location` is always valid.
        Self(unsafe { *location() })
    }

    /// Stores the reason in `errno`, for the caller in C.
    pub(crate) fn set(self) {
        // SAFETY: as in `last`.
        unsafe { *location() = self.0 }
    }
}

/// Makes a call, and restores `errno` when it succeeds: system calls that fail on the way are no
/// business of the caller in C.
pub(crate) fn preserved<T>(call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let errno = location();
    // SAFETY: `location` is always valid.
    let before = unsafe { *errno };
    let outcome = call();
    if outcome.is_ok() {
        // SAFETY: as above; it is the same thread.
        unsafe { *errno = before };
    }
    outcome
}

/// Where this thread's `errno` is.
fn location() -> *mut c_int {
    // SAFETY: the function has no duties.
    unsafe { libc::__errno_location() }
}
