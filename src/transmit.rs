//! The one place that writes to a descriptor. It neither blocks nor raises SIGPIPE, whatever the
//! descriptor is and whatever its flags are.

use crate::errno::Errno;
use core::ffi::{c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;
use libc::{iovec, sigset_t};

/// How many pieces one system call carries. With so many, the cost of the call itself hardly
/// matters any more, and the array takes a kilobyte of stack.
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

    /// The piece, if there is exactly one.
    fn only(&self) -> Option<iovec> {
        // SAFETY: the first `count` pieces are set.
        (self.count == 1).then(|| unsafe { self.pieces[0].assume_init() })
    }

    fn start(&self) -> *const iovec {
        self.pieces.as_ptr().cast()
    }
}

impl Errno {
    /// Whether the kernel has no room at the moment: the descriptor's buffer is full, or memory for
    /// buffers is short. No data is lost, and a later attempt may succeed.
    pub(crate) fn is_full(self) -> bool {
        matches!(self.0, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)
    }
}

/// Sends what the kernel takes at once, and returns how many bytes that was.
pub(crate) fn send(fd: c_int, pieces: &Gather) -> Result<usize, Errno> {
    let outcome = match send_to_socket(fd, pieces) {
        Err(Errno(libc::ENOTSOCK)) => return write_to_other(fd, pieces),
        outcome => outcome,
    };
    if outcome.is_err_and(|errno| !errno.is_full()) {
        shut_down_writing(fd);
    }
    outcome
}

/// After dropping data, shuts down writing, so that a peer that is alive after all sees the end of
/// the stream and not a gap. Not for datagrams, which are no stream, nor for sockets never
/// connected, which may still listen.
fn shut_down_writing(fd: c_int) {
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

/// The value of a socket's option; none for other descriptors.
fn socket_option(fd: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    let option = ptr::from_mut(&mut value).cast();
    // SAFETY: the kernel writes at most `size` bytes to `value`; a bad descriptor is an error.
    let status = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, option, &mut size) };
    (status == 0).then_some(value)
}

/// Shuts a socket down in both directions: the peer reads what was sent and then the end, and so
/// does the program on this side. Other descriptors cannot be shut down and stay as they are.
pub(crate) fn shut_down(fd: c_int) {
    // SAFETY: shutdown touches no memory; a bad descriptor is an error to ignore.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

fn send_to_socket(fd: c_int, pieces: &Gather) -> Result<usize, Errno> {
    const FLAGS: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    if let Some(only) = pieces.only() {
        // Most sends have one piece, and for one piece send takes a twentieth less time than
        // sendmsg, whose header the kernel has to check.
        // SAFETY: the kernel only reads what the piece names.
        return retried(|| unsafe { libc::send(fd, only.iov_base, only.iov_len, FLAGS) });
    }
    // SAFETY: a message header of zeros is a valid one, with nothing in it.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = pieces.start().cast_mut();
    header.msg_iovlen = pieces.count as _;
    retried(|| {
        // SAFETY: the first `count` pieces are set, and the kernel only reads what they name.
        unsafe { libc::sendmsg(fd, &header, FLAGS) }
    })
}

/// Writes to a pipe, a terminal or the like, for which neither of the two flags exists.
fn write_to_other(fd: c_int, pieces: &Gather) -> Result<usize, Errno> {
    let _flags = NonBlocking::enter(fd)?;
    let signals = HeldSignals::enter();
    let outcome = retried(|| {
        // SAFETY: the first `count` pieces are set, and the kernel only reads what they name.
        unsafe { libc::writev(fd, pieces.start(), pieces.count as c_int) }
    });
    match outcome {
        Err(Errno(libc::EPIPE)) => signals.discard(libc::SIGPIPE),
        Err(Errno(libc::EFBIG)) => signals.discard(libc::SIGXFSZ),
        _ => {}
    }
    outcome
}

/// Repeats a system call while signals interrupt it, and returns its outcome.
fn retried(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) if Errno::last() == Errno(libc::EINTR) => {}
            Err(_) => return Err(Errno::last()),
        }
    }
}

/// Keeps a descriptor non-blocking while it lives.
struct NonBlocking {
    fd: c_int,
    /// The flags to restore; none when the descriptor was non-blocking before.
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
            // SAFETY: as in `enter`. It succeeds where setting the flag did.
            unsafe { libc::fcntl(self.fd, libc::F_SETFL, flags) };
        }
    }
}

/// The signals that a write can raise: for a pipe that nobody reads, for a file that must not grow
/// any more, and for a terminal that only its foreground processes may write to. Where the last one
/// is blocked, the terminal takes the bytes.
const RAISED: [c_int; 3] = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGTTOU];

/// Keeps the signals of `RAISED` blocked in this thread while it lives.
struct HeldSignals {
    mask_before: sigset_t,
    pending_before: sigset_t,
}

impl HeldSignals {
    fn enter() -> Self {
        let (mut pending_before, mut mask_before) = (set_of(&[]), set_of(&[]));
        // SAFETY: the calls read and write the sets they are given, and cannot fail on these.
        unsafe {
            libc::sigpending(&mut pending_before);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set_of(&RAISED), &mut mask_before);
        }
        Self { mask_before, pending_before }
    }

    /// Discards a signal that a write has just raised. One that was pending before stays pending.
    fn discard(&self, signal: c_int) {
        // SAFETY: the set is a valid one, and so is the signal.
        if unsafe { libc::sigismember(&self.pending_before, signal) } == 1 {
            return;
        }
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the calls read what they are given; NULL asks for no details of the signal.
        let _ = retried(|| unsafe {
            libc::sigtimedwait(&set_of(&[signal]), ptr::null_mut(), &at_once) as isize
        });
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // SAFETY: the mask is the one this thread had; NULL asks for no copy of the current one.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask_before, ptr::null_mut()) };
    }
}

fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, and neither call can fail on it and real signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}
