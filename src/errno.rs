//! An error number of the system, as a type.

use core::ffi::c_int;

/// Why something failed, in the numbers of `errno.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    /// The reason of the system call that has just failed.
    pub(crate) fn last() -> Self {
        // SAFETY: the C library answers with the address of this thread's errno, always valid.
        Self(unsafe { *libc::__errno_location() })
    }

    /// Leaves the reason where a caller in C looks for it.
    pub(crate) fn set(self) {
        // SAFETY: as in `last`.
        unsafe { *libc::__errno_location() = self.0 }
    }
}
