//! The one place that writes to a descriptor: without blocking and without SIGPIPE, whatever
//! the descriptor is and whatever its flags are.

use crate::errno::Errno;
use core::ffi::{c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;
use libc::{iovec, sigset_t};

/// How many pieces one system call carries. The call's own price is spread thin by then, and
/// the array stays at a kilobyte of stack.
const PIECES: usize = 64;

/// Pieces of memory to be sent by one system call.
pub(crate) struct Gather {
    pieces: [MaybeUninit<iovec>; PIECES],
    count: usize,
    bytes: usize,
}

impl Default for Gather {
    fn default() -> Self {
        Self { pieces: [const { MaybeUninit::uninit() }; PIECES], count: 0, bytes: 0 }
    }
}

impl Gather {
    /// Adds a piece; false when there is no room for it.
    pub(crate) fn push(&mut self, start: *mut c_void, length: usize) -> bool {
        let Some(free) = self.pieces.get_mut(self.count) else { return false };
        free.write(iovec { iov_base: start, iov_len: length });
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(length);
        true
    }

    /// How many bytes the pieces have together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The piece, if there is just one.
    fn only(&self) -> Option<iovec> {
        // SAFETY: the first `count` pieces are set.
        (self.count == 1).then(|| unsafe { self.pieces[0].assume_init() })
    }

    fn start(&self) -> *const iovec {
        self.pieces.as_ptr().cast()
    }
}

impl Errno {
    /// Whether the kernel only has no room at the moment: the descriptor's buffer is full, or
    /// memory for buffers is short. Nothing is lost, and a later try may succeed.
    pub(crate) fn is_full(self) -> bool {
        matches!(self.0, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)
    }
}

/// Sends what the kernel takes at once and answers how much that was, in bytes.
pub(crate) fn send(fd: c_int, batch: &Gather) -> Result<usize, Errno> {
    let outcome = match send_to_socket(fd, batch) {
        Err(Errno(libc::ENOTSOCK)) => return write_to_other(fd, batch),
        outcome => outcome,
    };
    if outcome.is_err_and(|errno| !errno.is_full()) {
        end_stream(fd);
    }
    outcome
}

/// Has nothing follow what is lost, should the connection be alive after all: its peer reads a
/// stream without a hole, and the end. Who never was connected may still become a listener, and
/// where each message is one of its own there is no stream.
fn end_stream(fd: c_int) {
    if socket_option(fd, libc::SO_TYPE) != Some(libc::SOCK_STREAM) {
        return;
    }
    let mut peer = MaybeUninit::<libc::sockaddr>::uninit();
    let mut size = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `peer`, and shutdown touches no memory.
    unsafe {
        if libc::getpeername(fd, peer.as_mut_ptr(), &mut size) == 0 {
            libc::shutdown(fd, libc::SHUT_WR);
        }
    }
}

/// Whether `fd` is a listening socket.
pub(crate) fn is_listening(fd: c_int) -> bool {
    socket_option(fd, libc::SO_ACCEPTCONN).is_some_and(|listening| listening != 0)
}

/// What the kernel says of a socket; nothing for other descriptors.
fn socket_option(fd: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    let option = ptr::from_mut(&mut value).cast();
    // SAFETY: the kernel writes at most `size` bytes to `value`; a bad descriptor is an error.
    let status = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, option, &mut size) };
    (status == 0).then_some(value)
}

/// Ends a socket in both directions: its peer reads what was sent and then the end, and so does
/// whoever reads here. Other descriptors have no such thing.
pub(crate) fn end(fd: c_int) {
    // SAFETY: shutdown touches no memory; a bad descriptor is an error, and nothing to be done.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

fn send_to_socket(fd: c_int, batch: &Gather) -> Result<usize, Errno> {
    const FLAGS: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    if let Some(only) = batch.only() {
        // Most of what is sent is in one piece, and for one the kernel has less to look through:
        // it takes a twentieth less time than by sendmsg.
        // SAFETY: the kernel only reads what the piece names.
        return retried(|| unsafe { libc::send(fd, only.iov_base, only.iov_len, FLAGS) });
    }
    // SAFETY: a message header of zeros is a valid one, with nothing in it.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = batch.start().cast_mut();
    header.msg_iovlen = batch.count as _;
    retried(|| {
        // SAFETY: the first `count` pieces are set, and the kernel only reads what they name.
        unsafe { libc::sendmsg(fd, &header, FLAGS) }
    })
}

/// For pipes, terminals and the like, which know neither of sendmsg's flags.
fn write_to_other(fd: c_int, batch: &Gather) -> Result<usize, Errno> {
    let _flags = NonBlocking::enter(fd)?;
    let signal = HeldSigpipe::enter();
    let outcome = retried(|| {
        // SAFETY: the first `count` pieces are set, and the kernel only reads what they name.
        unsafe { libc::writev(fd, batch.start(), batch.count as c_int) }
    });
    if outcome == Err(Errno(libc::EPIPE)) {
        signal.discard();
    }
    outcome
}

/// The outcome of a system call, made again when a signal interrupts it.
fn retried(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) if Errno::last() == Errno(libc::EINTR) => {}
            Err(_) => return Err(Errno::last()),
        }
    }
}

/// While it lives, its descriptor does not block.
struct NonBlocking {
    fd: c_int,
    /// The flags to restore; none when the descriptor was non-blocking to begin with.
    flags: Option<c_int>,
}

impl NonBlocking {
    fn enter(fd: c_int) -> Result<Self, Errno> {
        // SAFETY: fcntl with these commands touches no memory; a bad descriptor is an error.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        if flags == -1 {
            return Err(Errno::last());
        }
        if flags & libc::O_NONBLOCK != 0 {
            return Ok(Self { fd, flags: None });
        }
        // SAFETY: as above.
        match unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } {
            -1 => Err(Errno::last()),
            _ => Ok(Self { fd, flags: Some(flags) }),
        }
    }
}

impl Drop for NonBlocking {
    fn drop(&mut self) {
        if let Some(flags) = self.flags {
            // SAFETY: as in `enter`. It cannot fail where setting the flag did not.
            unsafe { libc::fcntl(self.fd, libc::F_SETFL, flags) };
        }
    }
}

/// While it lives, a SIGPIPE for this thread waits.
struct HeldSigpipe {
    mask_before: sigset_t,
    was_pending: bool,
}

impl HeldSigpipe {
    fn enter() -> Self {
        let (mut pending, mut mask_before) = (no_signals(), no_signals());
        // SAFETY: the calls read and write the sets they are given, and cannot fail on these.
        unsafe {
            libc::sigpending(&mut pending);
            libc::pthread_sigmask(libc::SIG_BLOCK, &sigpipe(), &mut mask_before);
            Self { mask_before, was_pending: libc::sigismember(&pending, libc::SIGPIPE) == 1 }
        }
    }

    /// Takes back the SIGPIPE that a write has just raised; one that waited before it still does.
    fn discard(&self) {
        if self.was_pending {
            return;
        }
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the calls read what they are given; NULL asks for no details of the signal.
        let _ = retried(|| unsafe {
            libc::sigtimedwait(&sigpipe(), ptr::null_mut(), &at_once) as isize
        });
    }
}

impl Drop for HeldSigpipe {
    fn drop(&mut self) {
        // SAFETY: the mask is the one this thread had; NULL asks for no copy of the present one.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask_before, ptr::null_mut()) };
    }
}

fn no_signals() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set and cannot fail.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn sigpipe() -> sigset_t {
    let mut set = no_signals();
    // SAFETY: the set is a valid one, and so is the signal.
    unsafe { libc::sigaddset(&mut set, libc::SIGPIPE) };
    set
}
