//! For programs that run beside a test: a free port, and their output line by line.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// How long a test waits for what must come. It is no requirement on speed: a busy machine takes
/// ten seconds to start a program under valgrind.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A free port, below the range from which Linux gives ports to clients, so that no client takes it
/// before a server does.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + process::id() * 101;
        let port = u16::try_from(10_000 + number % 20_000).expect("below 30,000");
        let is_free = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok()
            || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if is_free {
            return port;
        }
    }
}

/// The reading and the writing end of a pipe that no program inherits.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: the two numbers are ours to write, and what is opened is ours.
    unsafe {
        let outcome = libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC);
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// The lines written into a pipe, line ends included. A thread reads the pipe at once, so that the
/// writer never waits.
pub(crate) fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = String::new();
        while pipe.read_line(&mut line).expect("the transcript is text") > 0 {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}
