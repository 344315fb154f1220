//! A program as a child process: its output and its end.

use super::child::{PATIENCE, lines_of};
use libc::{SIGHUP, SIGINT, SIGTERM, c_int};
use std::io;
use std::iter;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The time in which a program must end when told to, however busy it and the machine are: less
/// than the 90 seconds that the server waits for clients.
const END: Duration = Duration::from_secs(30);

/// A running program; killed when dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// What it prints on standard output.
    pub(crate) transcript: Receiver<String>,
    /// What it writes on standard error.
    pub(crate) complaints: Receiver<String>,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Standard output that the test had not read yet.
    pub(crate) transcript: String,
    /// The rest of standard error.
    pub(crate) complaints: String,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let transcript = lines_of(child.stdout.take().expect("it is piped"));
        let complaints = lines_of(child.stderr.take().expect("it is piped"));
        Self { child, transcript, complaints }
    }

    /// Waits until the port takes connections, for a program that does not report it; false when it
    /// has ended before.
    pub(crate) fn listens_on(&mut self, port: u16) -> bool {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if self.child.try_wait().expect("a child can be asked for").is_some() {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    /// The next line of the transcript; `None` at its end.
    pub(crate) fn next_line(&self) -> Option<String> {
        line_before(Instant::now() + PATIENCE, &self.transcript)
    }

    /// The next line on standard error.
    pub(crate) fn next_complaint(&self) -> String {
        line_before(Instant::now() + PATIENCE, &self.complaints).expect("the program has not ended")
    }

    /// The transcript up to the next line that is wanted, which must come in time.
    pub(crate) fn until(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = String::new();
        loop {
            let line = line_before(deadline, &self.transcript).expect("the program has not ended");
            text += &line;
            if is_wanted(&line) {
                return text;
            }
        }
    }

    pub(crate) fn signal(&self, signal: c_int) {
        // SAFETY: the child has not been waited for, so the number is still its own.
        let outcome = unsafe { libc::kill(self.pid(), signal) };
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
    }

    /// Waits for the program, which has been told to end.
    pub(crate) fn ended(mut self) -> Ended {
        let deadline = Instant::now() + END;
        let rest = |lines| iter::from_fn(|| line_before(deadline, lines)).collect();
        let (transcript, complaints) = (rest(&self.transcript), rest(&self.complaints));
        let status = self.child.wait().expect("the program can be waited for");
        Ended { status, transcript, complaints }
    }

    pub(crate) fn pid(&self) -> libc::pid_t {
        libc::pid_t::try_from(self.child.id()).expect("a process number")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command prints, which must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    // Cargo sets the variable for the tests themselves.
    let output = command.env_remove("LD_LIBRARY_PATH").output().expect("it can be run");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{complaints}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn succeeds(command: &mut Command) {
    output(command);
}

/// Isolates the program from how the tests were started: it inherits only the standard descriptors,
/// may open `limit` in all, and has default signal handling.
pub(crate) fn set_apart(command: &mut Command, limit: u64) {
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: only system calls are made between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == -1 {
                return Err(io::Error::last_os_error());
            }
            let (first, last, flags) = (3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            libc::syscall(libc::SYS_close_range, first, last, flags);
            // A shell makes its background processes ignore SIGINT, nohup makes them ignore SIGHUP.
            libc::signal(SIGHUP, libc::SIG_DFL);
            libc::signal(SIGINT, libc::SIG_DFL);
            libc::signal(SIGTERM, libc::SIG_DFL);
            // The program ends even when the tests are killed.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

/// The next line; `None` when the pipe is closed, as it is when the program ends.
fn line_before(deadline: Instant, lines: &Receiver<String>) -> Option<String> {
    let left = deadline.saturating_duration_since(Instant::now());
    match lines.recv_timeout(left) {
        Ok(line) if !left.is_zero() => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Ok(_) | Err(RecvTimeoutError::Timeout) => panic!("the program does not come to it"),
    }
}
