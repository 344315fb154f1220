//! A descriptor in the room, and the peer at its other end.

use super::step::Kind;
use libc::c_int;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// As little as the kernel holds for a socket or a pipe, so that it is full soon.
const NARROW: c_int = 4096;

const WIDE: c_int = 128 << 10;

pub(crate) struct Socket {
    number: c_int,
    pub(crate) kind: Kind,
    /// The peer's end, until the peer hangs up.
    far: Option<File>,
    /// What has been sent and the peer has not read.
    unread: Vec<u8>,
    /// Shut down in both directions, since its reader was cut off.
    shut: bool,
    pub(crate) listening: bool,
}

/// The outcome of a system call that has no reason to fail.
fn sure(outcome: c_int) -> c_int {
    assert_ne!(outcome, -1, "{}", Error::last_os_error());
    outcome
}

/// Whether the descriptor is open.
pub(crate) fn is_open(number: c_int) -> bool {
    // SAFETY: fcntl with this command touches no memory.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Closes what is open of these numbers.
pub(crate) fn close(number: c_int) {
    // SAFETY: the number is one of the room's own.
    unsafe { libc::close(number) };
}

impl Socket {
    /// Opens a descriptor with the given number.
    pub(crate) fn open(kind: Kind, number: c_int) -> Self {
        assert!(!is_open(number), "{number} is in use already");
        let (near, far) = match kind {
            Kind::Pair => pair(),
            Kind::Pipe => pipe(),
            Kind::Lone => (lone(), None),
        };
        // SAFETY: dup3 touches no memory, and nobody has the number.
        sure(unsafe { libc::dup3(near.as_raw_fd(), number, libc::O_CLOEXEC) });
        Self { number, kind, far, unread: Vec::new(), shut: false, listening: false }
    }

    /// Why sending to it must fail.
    fn failure(&self) -> Option<c_int> {
        match self.kind {
            Kind::Lone => Some(libc::ENOTCONN),
            _ if self.shut || self.far.is_none() => Some(libc::EPIPE),
            _ => None,
        }
    }

    /// How much has arrived at the peer beyond what is known of.
    pub(crate) fn arrived(&self) -> usize {
        let Some(far) = &self.far else { return 0 };
        let mut count: c_int = 0;
        // SAFETY: the request writes an int.
        sure(unsafe { libc::ioctl(far.as_raw_fd(), libc::FIONREAD, &mut count) });
        let count = usize::try_from(count).expect("a count");
        count.checked_sub(self.unread.len()).expect("what was sent is there until it is read")
    }

    /// Has the kernel hold much from here on, where there is room for little.
    pub(crate) fn widen(&self) {
        set_send_buffer(self.number, WIDE);
        // SAFETY: the call touches no memory. What is no pipe stays as it is.
        unsafe { libc::fcntl(self.number, libc::F_SETPIPE_SZ, WIDE) };
    }

    /// Whether the kernel would take more.
    fn is_writable(&self) -> bool {
        let mut look = libc::pollfd { fd: self.number, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one pollfd is there.
        while unsafe { libc::poll(&mut look, 1, 0) } == -1 {
            // The fuzzer has a timer.
            assert_eq!(Error::last_os_error().kind(), ErrorKind::Interrupted);
        }
        look.revents == libc::POLLOUT
    }

    /// Takes out of `queue` what the library has just sent of it: how much that is only the
    /// kernel knows. The library must have gone on until the kernel took no more. Where sending
    /// fails, nothing is left to be sent.
    pub(crate) fn send(&mut self, queue: &mut VecDeque<Vec<u8>>) -> Result<(), c_int> {
        if queue.is_empty() {
            return Ok(());
        }
        if let Some(errno) = self.failure() {
            queue.clear();
            return Err(errno);
        }
        let mut arrived = self.arrived();
        while let Some(first) = queue.front_mut() {
            let sent = arrived.min(first.len());
            arrived -= sent;
            self.unread.extend_from_slice(&first[..sent]);
            first.drain(..sent);
            if !first.is_empty() {
                break;
            }
            queue.pop_front();
        }
        assert!(queue.is_empty() || !self.is_writable(), "the kernel would take more");
        Ok(())
    }

    /// Notes that its reader has been cut off. A pipe has no such thing.
    pub(crate) fn shut(&mut self) {
        self.shut |= self.kind == Kind::Pair;
    }

    /// The peer reads, so many bytes at most, and compares.
    pub(crate) fn hear(&mut self, most: usize) {
        let Some(far) = &mut self.far else { return };
        let mut heard = vec![0; most.min(self.unread.len() + 1)];
        let count = match far.read(&mut heard) {
            Ok(count) => count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(self.unread.is_empty(), "not all has arrived");
                return;
            }
        };
        assert!(count > 0 || most == 0 || self.shut, "the end, though nobody has closed");
        assert_eq!(count, most.min(self.unread.len()), "as much as there is");
        assert!(heard[..count] == self.unread[..count], "the peer hears something else");
        self.unread.drain(..count);
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.far.is_some() && !self.unread.is_empty()
    }

    /// The peer closes. What it has not read by then it never does.
    pub(crate) fn hang_up(&mut self) {
        self.far = None;
    }

    /// Has a socket without a peer listen; only the first time makes a difference.
    pub(crate) fn listen(&mut self) {
        // SAFETY: listen touches no memory.
        sure(unsafe { libc::listen(self.number, 1) });
        self.listening = true;
    }

    /// The descriptor has been closed: the peer reads what was sent and then the end.
    pub(crate) fn check_closed(mut self) {
        assert!(!is_open(self.number), "{} is open", self.number);
        let Some(far) = self.far.take() else { return };
        // A file that is read to its end is first asked for its size.
        let most = self.unread.len() + 1;
        let mut heard = Vec::with_capacity(most);
        far.take(most as u64).read_to_end(&mut heard).expect("the end comes at once");
        assert!(heard == self.unread, "the peer has not heard what was sent");
    }
}

/// A pair of connected sockets, of which the library writes to the first. It is left blocking: the
/// library must not care.
fn pair() -> (OwnedFd, Option<File>) {
    let mut ends = [0; 2];
    // SAFETY: the call writes two descriptors.
    sure(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) });
    sure(set_send_buffer(ends[0], NARROW));
    owned(ends)
}

/// Returns -1 where the descriptor is no socket.
fn set_send_buffer(number: c_int, size: c_int) -> c_int {
    let (value, length) = (ptr::from_ref(&size).cast(), size_of::<c_int>() as _);
    // SAFETY: an int is there to be read.
    unsafe { libc::setsockopt(number, libc::SOL_SOCKET, libc::SO_SNDBUF, value, length) }
}

fn pipe() -> (OwnedFd, Option<File>) {
    let mut ends = [0; 2];
    // SAFETY: the call writes two descriptors.
    sure(unsafe { libc::pipe(ends.as_mut_ptr()) });
    // SAFETY: the call touches no memory.
    sure(unsafe { libc::fcntl(ends[1], libc::F_SETPIPE_SZ, NARROW) });
    let [reader, writer] = ends;
    owned([writer, reader])
}

/// Both ends; the far one does not block.
fn owned([near, far]: [c_int; 2]) -> (OwnedFd, Option<File>) {
    // SAFETY: the call touches no memory.
    sure(unsafe { libc::fcntl(far, libc::F_SETFL, libc::O_NONBLOCK) });
    // SAFETY: both are new, and nobody else has them.
    unsafe { (OwnedFd::from_raw_fd(near), Some(File::from_raw_fd(far))) }
}

/// A socket that may listen: it has a name, which the kernel has chosen.
fn lone() -> OwnedFd {
    let family = libc::AF_UNIX as libc::sa_family_t;
    // SAFETY: the calls read a family and nothing more; the descriptor is new.
    unsafe {
        let socket = OwnedFd::from_raw_fd(sure(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)));
        let address = ptr::from_ref(&family).cast();
        sure(libc::bind(socket.as_raw_fd(), address, size_of_val(&family) as _));
        socket
    }
}
