//! Standard output and error in unusual states: nobody who does not read them stops the server.

use crate::client::Client;
use crate::failing_calls::tracer;
use crate::harness::{PATIENCE, USUAL_LIMIT, command, free_port, lines_of, pipe, scratch};
use crate::injected::has_strace;
use crate::installed::skip;
use crate::stats::Stats;
use libc::{O_NONBLOCK, SIGTERM, SIGUSR1, c_int};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs a program as a user who may not open what belongs to the tests' own.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// A server of which nothing is known but its port; killed when dropped.
struct Unread {
    child: Child,
    port: u16,
}

impl Unread {
    /// A server whose outputs the command has set, once somebody can connect to it.
    fn start(mut command: Command) -> Self {
        let port = free_port();
        let child = command.arg(port.to_string()).stdin(Stdio::null()).spawn();
        let server = Self { child: child.expect("the server can be run"), port };
        server.until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        server
    }

    /// The same with a transcript that goes there, started by the runner if there is one.
    fn start_printing_to(output: File, runner: &[String]) -> Self {
        let runner: Vec<_> = runner.iter().map(String::as_str).collect();
        let mut command = command(&runner, USUAL_LIMIT);
        command.stdout(output).stderr(Stdio::null());
        Self::start(command)
    }

    fn until(&self, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "it does not come to that");
            thread::yield_now();
        }
    }

    fn signal(&self, signal: c_int) {
        // SAFETY: it is our child, and has not been waited for.
        unsafe { libc::kill(i32::try_from(self.child.id()).expect("a number"), signal) };
    }

    /// Has two clients exchange lines, each of which is some hundred bytes of transcript.
    fn chat(&self, lines: usize) {
        let [one, other] = [0; 2].map(|_| Client::connect(Ipv4Addr::LOCALHOST.into(), self.port));
        // When this arrives, the server has both.
        other.say("ready\n");
        one.expect("ready\n");
        for _ in 0..lines {
            one.say("hello\n");
            other.expect("hello\n");
        }
    }

    /// The server's own child processes.
    fn children(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
    }

    /// Ends it with SIGTERM, which it obeys within a second, and leaves no process behind.
    fn end(mut self) {
        let writers = self.children();
        self.signal(SIGTERM);
        let told = Instant::now();
        let mut status = None;
        while status.is_none() {
            assert!(told.elapsed() < PATIENCE, "it does not end");
            status = self.child.try_wait().expect("a child can be asked for");
            thread::yield_now();
        }
        assert!(status.expect("it has ended").success(), "{status:?}");
        // A loaded machine may add to it.
        assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
        for writer in writers {
            let stat = format!("/proc/{writer}/stat");
            let is_gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
            self.until(is_gone);
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A terminal: the side that reads what is printed there, and the side for a program.
fn terminal() -> (File, File) {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: what is opened is ours, and nobody else's: not even a child's that another test
    // starts at this moment.
    unsafe {
        let master = libc::posix_openpt(flags);
        assert_ne!(master, -1, "{}", io::Error::last_os_error());
        let master = File::from_raw_fd(master);
        assert_eq!(libc::unlockpt(master.as_raw_fd()), 0, "{}", io::Error::last_os_error());
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
        assert_ne!(slave, -1, "{}", io::Error::last_os_error());
        (master, File::from_raw_fd(slave))
    }
}

/// Each kind of output that can make a writer wait: the reader's side and the program's.
fn outputs() -> Vec<(&'static str, OwnedFd, OwnedFd)> {
    let (reader, its_end) = pipe();
    let (socket, its_peer) = UnixStream::pair().expect("a pair");
    let (master, slave) = terminal();
    vec![
        ("a pipe", reader, its_end),
        ("a socket", socket.into(), its_peer.into()),
        ("a terminal", master.into(), slave.into()),
    ]
}

/// The runners with which a server may open its outputs anew, and may not.
pub(crate) fn runners() -> Vec<&'static [&'static str]> {
    let mut command = command(&NOBODY, USUAL_LIMIT);
    let version = command.arg("--version").stderr(Stdio::null()).output();
    if version.is_ok_and(|output| output.status.success()) {
        return vec![&[], &NOBODY];
    }
    skip("a server of another user needs root, setpriv, and a folder that is open to all");
    vec![&[]]
}

fn status_flags(fd: &OwnedFd) -> c_int {
    // SAFETY: asks for the flags of a descriptor that is open.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }
}

fn copy_of(fd: &OwnedFd) -> OwnedFd {
    fd.try_clone().expect("a descriptor")
}

#[test]
fn outputs_that_nobody_reads_stop_nobody() {
    // The first number fills an output, but not what the server keeps for it.
    let runners = runners();
    for (lines, runner) in runners.iter().flat_map(|runner| [(900, runner), (2000, runner)]) {
        for (kind, reader, end) in outputs() {
            println!("{kind} {runner:?} {lines}");
            let mut command = command(runner, USUAL_LIMIT);
            command.stdout(copy_of(&end)).stderr(copy_of(&end));
            let server = Unread::start(command);
            server.chat(lines);
            server.signal(SIGUSR1);
            server.chat(10);
            assert_eq!(status_flags(&end) & O_NONBLOCK, 0, "it does not block others either");
            server.end();
            drop(reader);
        }
    }
}

/// Whether something arrives in time.
fn is_readable(reader: &File, time: Duration) -> bool {
    let mut state = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let time = c_int::try_from(time.as_millis()).expect("a minute or less");
    // SAFETY: the struct is ours.
    unsafe { libc::poll(&mut state, 1, time) == 1 }
}

/// Checks that a transcript arrives; a terminal may add a CR.
fn starts_a_transcript(mut reader: &File) {
    let mut first = [0; 22];
    assert!(is_readable(reader, PATIENCE), "nothing is written there");
    reader.read_exact(&mut first).expect("it is written there");
    assert_eq!(&first, b"Waiting on select()...");
}

/// Opened anew, the master of a terminal would be that of another one.
#[test]
fn a_terminals_other_side_is_written_to() {
    let (master, slave) = terminal();
    let server = Unread::start_printing_to(master, &[]);
    starts_a_transcript(&slave);
    server.chat(2000);
    server.end();
}

/// Reads until nothing has come for a while, which only a reader can tell the end by.
fn read_all(reader: OwnedFd) -> String {
    let mut reader = File::from(reader);
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while is_readable(&reader, Duration::from_secs(1)) {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            // The other side of a terminal has been closed.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
        }
    }
    String::from_utf8(text).expect("text")
}

/// Checks that these are lines of a transcript, and none is a mixture.
fn are_whole_lines(text: &str) {
    const LINES: [&str; 7] = [
        "Waiting on select()...",
        "MaxFd ",
        "New incoming connection on sd ",
        "Descriptor ",
        "6 bytes received from sd ",
        "Connection closed for sd ",
        "removing connection with sd ",
    ];
    assert!(text.ends_with('\n'), "{text}");
    for line in text.lines() {
        let starts = |start: &&str| line.starts_with(*start) && line.len() < 40;
        assert!(LINES.iter().any(starts), "{line}");
    }
}

#[test]
fn a_late_reader_gets_whole_lines_and_the_rest_is_counted() {
    for runner in runners() {
        for (kind, reader, end) in outputs() {
            println!("{kind} {runner:?}");
            let mut command = command(runner, USUAL_LIMIT);
            command.stdout(end).stderr(Stdio::piped());
            let mut server = Unread::start(command);
            let log = lines_of(server.child.stderr.take().expect("it is piped"));
            assert!(log.recv_timeout(PATIENCE).expect("a line").contains("listening on "));
            server.chat(6000);
            server.signal(SIGUSR1);
            let line = log.recv_timeout(PATIENCE).expect("a line");
            let dropped = Stats::in_line(&line).dropped_lines;
            assert!(dropped > 1000, "{dropped} lines dropped");
            // What the server has kept comes too, although nobody says anything more. This is the
            // measurement itself: after so long it only waits for the output.
            thread::sleep(Duration::from_millis(500));
            let text = read_all(reader);
            assert!(text.len() > 64 * 1024, "{} bytes", text.len());
            are_whole_lines(&text);
            server.end();
        }
    }
}

#[test]
fn transcript_and_log_in_one_output_keep_their_order() {
    for (kind, reader, end) in outputs() {
        println!("{kind}");
        let mut command = command(&[], USUAL_LIMIT);
        command.arg("--verbose").stdout(copy_of(&end)).stderr(end);
        let server = Unread::start(command);
        (0..300).for_each(|_| server.chat(5));
        let text = read_all(reader);
        assert!(text.matches(": joined").count() > 100, "{text}");
        let lines: Vec<_> = text.lines().collect();
        let is_apart = |pair: &&[&str]| {
            pair[0].starts_with("New incoming connection on sd ") != pair[1].contains(": joined")
        };
        // Where the output was full, lines are missing: first the long ones.
        let apart = lines.windows(2).filter(is_apart).count();
        assert!(apart < 10, "{apart} of {}", lines.len());
        server.end();
    }
}

/// The process that writes to another user's terminal ends with the terminal, and is no zombie.
#[test]
fn a_terminal_that_goes_takes_nobody_with_it() {
    for runner in runners() {
        for is_read in [true, false] {
            println!("{runner:?} {is_read}");
            let (master, slave) = terminal();
            let mut command = command(runner, USUAL_LIMIT);
            command.stdout(slave).stderr(Stdio::null());
            let server = Unread::start(command);
            assert_eq!(server.children().len(), usize::from(!runner.is_empty()));
            if is_read {
                // Nothing more is to be written when the terminal goes.
                server.chat(10);
                read_until_all_have_left(&master);
            } else {
                server.chat(2000);
            }
            drop(master);
            server.until(|| server.children().is_empty());
            server.chat(100);
            server.end();
        }
    }
}

/// Reads the transcript of one connection and of one chat to its end.
fn read_until_all_have_left(reader: &File) {
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    let mut next = |start| lines.find(|line| line.starts_with(start)).is_some();
    assert!((0..3).all(|_| next("removing connection")));
    assert!(next("MaxFd "));
}

#[test]
fn a_writer_ends_with_a_server_that_is_killed() {
    let Some(runner) = runners().into_iter().find(|runner| !runner.is_empty()) else { return };
    let (_unread, slave) = terminal();
    let mut command = command(runner, USUAL_LIMIT);
    command.stdout(slave).stderr(Stdio::null());
    let mut server = Unread::start(command);
    server.chat(2000);
    let writers = server.children();
    server.child.kill().expect("it runs");
    server.child.wait().expect("it is ours");
    assert_eq!(writers.len(), 1);
    let stat = format!("/proc/{}/stat", writers[0]);
    server.until(|| fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}

/// What is said to be printed arrives all the same, unless the call was to pass it on.
#[test]
fn a_writer_whose_calls_fail_stops_nobody() {
    if !has_strace() {
        return;
    }
    for (call, error, arrives) in [
        ("prctl", "EPERM", true),
        ("poll", "ENOMEM", true),
        ("recvfrom", "ENOMEM", false),
        ("shutdown", "ENOTCONN", true),
    ] {
        println!("{call}: {error}");
        let inject = format!("inject={call}:error={error}");
        let (strace, log) = tracer(call, &["-f", "-e", &inject]);
        let (master, slave) = terminal();
        let server = Unread::start_printing_to(master, &strace);
        if arrives {
            starts_a_transcript(&slave);
        }
        server.chat(5);
        server.end();
        assert!(log.read().contains("(INJECTED)"), "{call} has not failed");
    }
}

/// The calls tell whether it can be opened anew. The first three fcntl() see whether the standard
/// descriptors are open.
#[test]
fn a_terminal_of_which_nothing_is_known_is_written_to_by_a_process() {
    if !has_strace() {
        return;
    }
    for (side, call, when) in
        [("the slave", "ioctl", 1), ("the slave", "fcntl", 4), ("the master", "ioctl", 2)]
    {
        println!("{call} {when}, {side}");
        let inject = format!("inject={call}:error=EIO:when={when}");
        let (strace, log) = tracer(call, &["-e", &inject]);
        let (master, slave) = terminal();
        let (end, reader) = if side == "the master" { (master, slave) } else { (slave, master) };
        let server = Unread::start_printing_to(end, &strace);
        starts_a_transcript(&reader);
        assert_eq!(server.children().len(), 1);
        server.chat(5);
        server.end();
        assert!(log.read().contains("(INJECTED)"), "{call} has not failed");
    }
}

#[test]
fn a_full_device_stops_nobody() {
    let mut command = command(&[], USUAL_LIMIT);
    let full = || File::options().write(true).open("/dev/full").expect("the device");
    command.stdout(full()).stderr(Stdio::piped());
    let mut server = Unread::start(command);
    let log = lines_of(server.child.stderr.take().expect("it is piped"));
    server.chat(100);
    server.signal(SIGUSR1);
    assert!(log.recv_timeout(PATIENCE).expect("a line").contains("listening on "));
    let stats = Stats::in_line(&log.recv_timeout(PATIENCE).expect("a line"));
    assert!(stats.dropped_lines > 200, "{stats:?}");
    server.end();
}

/// A file grows to the limit, and the server goes on. What it writes when the file has been emptied
/// begins with the rest of the last line.
#[test]
fn a_file_that_may_not_grow_stops_nobody() {
    let path = scratch("file-limit").join("transcript");
    let limited = ["bash", "-c", "ulimit -f 8; exec \"$0\" \"$@\""];
    let mut command = command(&limited, USUAL_LIMIT);
    let file = File::options().append(true).create(true).open(&path).expect("a file");
    command.stdout(copy_of(&file.into())).stderr(Stdio::null());
    let server = Unread::start(command);
    server.chat(1000);
    let mut text = fs::read_to_string(&path).expect("the file");
    assert_eq!(text.len(), 8 * 1024);
    File::options().write(true).open(&path).expect("the file").set_len(0).expect("it is ours");
    server.chat(3);
    server.end();
    text += &fs::read_to_string(&path).expect("the file");
    are_whole_lines(&text);
}

/// In the background of a terminal after `stty tostop`, a program that writes is stopped.
#[test]
fn a_terminal_that_stops_background_jobs_stops_nobody() {
    let script = "set -m; stty tostop; \"$0\" \"$@\" & wait $!";
    let mut command = command(&["setsid", "--ctty", "--wait", "bash", "-c", script], USUAL_LIMIT);
    let (master, slave) = terminal();
    let slave = OwnedFd::from(slave);
    command.stdout(copy_of(&slave)).stderr(copy_of(&slave));
    let port = free_port();
    let child = command.arg(port.to_string()).stdin(slave).spawn();
    let shell = Unread { child: child.expect("a shell can be run"), port };
    shell.until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    shell.chat(100);
    for job in shell.children() {
        // SAFETY: the shell waits for it, so the number is still its own.
        unsafe { libc::kill(i32::try_from(job).expect("a number"), SIGTERM) };
    }
    shell.until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    drop(master);
}

/// A client could otherwise get the number of standard output, and with it the transcript.
#[test]
fn closed_standard_descriptors_are_nobody_elses() {
    let server =
        Unread::start(command(&["sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"], USUAL_LIMIT));
    server.chat(20);
    server.end();
}

#[test]
fn without_dev_null_it_starts_if_it_needs_none() {
    let bare = "mount -t tmpfs none /dev 2>/dev/null || exit 77; exec \"$0\" \"$@\"";
    let run = |script: &str| {
        let mut command = command(&["unshare", "--mount", "sh", "-c", script], USUAL_LIMIT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let probe = run(bare).arg("--version").output().expect("unshare can be run");
    if !probe.status.success() {
        return skip("no namespace of one's own");
    }
    let mut refused = run(&format!("{bare} <&-"));
    let output = refused.arg(free_port().to_string()).output().expect("unshare can be run");
    assert_eq!(output.status.code(), Some(1));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints, "/dev/null: No such file or directory\n");
    let server = Unread::start(run(bare));
    server.chat(20);
    server.end();
}
