//! Runs the examples in a document, and compares what they print with what the document shows.

use super::child::{PATIENCE, pipe};
use super::folders::{emptied, root};
use super::ports::free_port;
use super::program::{Program, set_apart};
use libc::{SIGINT, SIGKILL, c_int};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The port that documents show; a free one replaces it.
pub(crate) const PORT: &str = "5555";

/// The usual limit on descriptors.
const USUAL_LIMIT: u64 = 1024;

/// Readers may compile with these warnings as errors.
const STRICT_CC: &str = "cc() { command ${CC:-cc} -Wall -Wextra -Werror \"$@\"; }\n";

/// An empty folder for an example.
pub(crate) fn folder(name: &str) -> PathBuf {
    emptied(root().join("build/documents").join(name))
}

/// The commands of a session, which follow a `$`, each with its output.
pub(crate) fn commands(session: &str) -> Vec<(&str, String)> {
    let mut commands: Vec<(&str, String)> = Vec::new();
    for line in session.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, String::new())),
            (None, Some((_, shown))) => *shown += &format!("{}\n", line.trim_end()),
            (None, None) => panic!("a session begins with a command: {line}"),
        }
    }
    commands
}

/// A command line, to be run by a shell in `folder`.
pub(crate) fn shell(line: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{STRICT_CC}{line}")]).current_dir(folder);
    // Cargo and an outer make set these for themselves.
    command.env_remove("LD_LIBRARY_PATH").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    command.stdin(Stdio::null());
    set_apart(&mut command, USUAL_LIMIT);
    command
}

/// Runs a command to its end, and compares its output with what is shown.
pub(crate) fn answers(mut command: Command, shown: &str) {
    let what = format!("{command:?}");
    let (output, both) = pipe();
    command.stdout(both.try_clone().expect("a descriptor")).stderr(both);
    let mut child = command.spawn().expect("sh can be run");
    // It holds the writing ends, too.
    drop(command);
    let printed = io::read_to_string(File::from(output)).expect("text");
    let status = child.wait().expect("it can be waited for");
    assert!(status.success(), "{what}: {status}\n{printed}");
    let printed: String = printed.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    assert_eq!(printed, shown, "{what}");
}

/// A chat server that a command line has started; ended when dropped.
pub(crate) struct Room {
    pub(crate) port: u16,
    program: Program,
}

impl Room {
    /// Runs a command line that names the documents' port.
    pub(crate) fn open(line: &str, prepare: impl FnOnce(&str) -> Command) -> Self {
        let port = free_port();
        assert!(line.contains(PORT), "no chat server: {line}");
        let mut command = prepare(&line.replace(PORT, &port.to_string()));
        // So that the shell and what it has started get signals together.
        let program = Program::start(command.process_group(0));
        Self { port, program }
    }

    /// The next lines of the transcript are these; `...` stands for any number of any lines.
    pub(crate) fn shows(&self, lines: &str) {
        let mut skipping = false;
        for wanted in lines.lines().map(str::trim_end) {
            if wanted == "..." {
                skipping = true;
                continue;
            }
            loop {
                let line = self.program.next_line();
                let line = line.unwrap_or_else(|| panic!("not shown: {wanted}"));
                if line.trim_end() == wanted {
                    break;
                }
                assert!(skipping, "shown: {line}in place of: {wanted}");
            }
            skipping = false;
        }
    }

    /// Connects a client as soon as the server listens.
    pub(crate) fn enter(&self) -> TcpStream {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
                    return stream;
                }
                Err(_) if Instant::now() < deadline => thread::yield_now(),
                Err(error) => panic!("nobody listens: {error}"),
            }
        }
    }

    /// Checks that a line from one client reaches another.
    pub(crate) fn relays(&self) {
        let (mut speaker, listener) = (self.enter(), self.enter());
        let impatient = Some(Duration::from_millis(200));
        listener.set_read_timeout(impatient).expect("a time-out can be set");
        let mut listener = BufReader::new(listener);
        let mut heard = String::new();
        // The second client may be accepted only after the first lines.
        for _ in 0..300 {
            speaker.write_all(b"hello\n").expect("the room takes a line");
            if listener.read_line(&mut heard).is_ok() {
                break;
            }
        }
        assert_eq!(heard, "hello\n");
    }

    /// Types Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(SIGINT);
    }

    fn signal(&self, signal: c_int) {
        // SAFETY: the group is the child's own, which has not been waited for.
        unsafe { libc::kill(-self.program.pid(), signal) };
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.signal(SIGKILL);
    }
}
