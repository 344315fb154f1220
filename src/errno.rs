//! `errno` as a type.

use core::ffi::c_int;

/// The reason of a failure, one of the numbers of `errno.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    /// The reason of the system call that has just failed.
    pub(crate) fn last() -> Self {
        // SAFETY: the C library returns the address of this thread's errno, which is always valid.
        Self(unsafe { *libc::__errno_location() })
    }

    /// Stores the reason in `errno`, for the caller in C.
    pub(crate) fn set(self) {
        // SAFETY: as in `last`.
        unsafe { *libc::__errno_location() = self.0 }
    }
}
