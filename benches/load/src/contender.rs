//! The programs that are compared, and what /proc has about a running one.

use crate::room::TIMEOUT;
use anyhow::{Context, Error, Result, bail, ensure};
use procfs::process::{Process, Status};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

const PORT: &str = "{port}";

#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    words: Vec<String>,
}

/// From `name=command with {port}`. The command is split at spaces; no shell is involved.
impl FromStr for Contender {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').context("a contender is NAME=COMMAND")?;
        ensure!(command.contains(PORT), "the command of '{name}' has no {PORT}");
        let words = command.split_whitespace().map(String::from).collect();
        Ok(Self { name: name.into(), words })
    }
}

impl Contender {
    pub fn command(&self) -> String {
        self.words.join(" ")
    }

    /// Whether the machine has the program.
    pub fn is_there(&self) -> bool {
        which::which(&self.words[0]).is_ok()
    }

    pub fn start(&self, port: u16) -> Result<Server> {
        let words: Vec<_> =
            self.words.iter().map(|word| word.replace(PORT, &port.to_string())).collect();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = Process::new(child.id() as i32)?;
        Ok(Server { child, process })
    }
}

/// A running contender; ended when dropped.
pub struct Server {
    child: Child,
    process: Process,
}

/// The CPU time that a process has used.
pub struct Usage {
    /// Time on the processor, as the scheduler counts it: to the nanosecond.
    pub cpu_ns: u64,
    /// The same in clock ticks (of 10 ms mostly), which is all that is told apart.
    pub user_ticks: u64,
    pub system_ticks: u64,
}

impl Server {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn usage(&self) -> Result<Usage> {
        let (cpu_ns, stat) = (self.process.schedstat()?.sum_exec_runtime, self.process.stat()?);
        Ok(Usage { cpu_ns, user_ticks: stat.utime, system_ticks: stat.stime })
    }

    /// A figure of /proc/PID/status that is in KiB.
    pub fn memory_kib(&self, which: fn(Status) -> Option<u64>) -> Result<u64> {
        which(self.process.status()?).context("/proc has no such number")
    }

    /// The number of its descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(self.process.fd_count()?)
    }

    /// Ends it with SIGTERM; fails when it still runs after `TIMEOUT`.
    pub fn end(&mut self) -> Result<ExitStatus> {
        kill_process(self.pid(), Signal::TERM)?;
        let given_up = Instant::now() + TIMEOUT;
        while Instant::now() < given_up {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("the server does not end")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.end().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
