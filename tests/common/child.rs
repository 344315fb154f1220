//! For programs that run beside a test: their output, line by line.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// How long a test waits for what must come. It is no requirement on speed: a busy machine takes
/// ten seconds to start a program under valgrind.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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
