//! The programs that are compared, and what /proc has about a running one.

use rustix::process::{Pid, Signal, kill_process};
use std::ops::{AddAssign, Sub};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

const PORT: &str = "{port}";

#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    words: Vec<String>,
}

/// From `name=command with {port}`. The command is split at spaces; no shell is involved.
impl FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("a contender is NAME=COMMAND")?;
        let words: Vec<_> = command.split_whitespace().map(String::from).collect();
        if name.is_empty() || words.is_empty() {
            return Err("a contender is NAME=COMMAND".into());
        }
        if !words.iter().any(|word| word.contains(PORT)) {
            return Err(format!("the command of {name} has no {PORT}"));
        }
        Ok(Self { name: name.into(), words })
    }
}

impl Contender {
    pub fn command(&self) -> String {
        self.words.join(" ")
    }

    /// Whether the machine has the program.
    pub fn is_there(&self) -> bool {
        let program = Path::new(&self.words[0]);
        if program.components().count() > 1 {
            return program.exists();
        }
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(program).exists())
    }

    pub fn start(&self, port: u16) -> io::Result<Server> {
        let words: Vec<_> =
            self.words.iter().map(|word| word.replace(PORT, &port.to_string())).collect();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Server { child })
    }
}

/// A running contender; ended when dropped.
pub struct Server {
    child: Child,
}

/// The CPU time that a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on the processor, as the scheduler counts it: to the nanosecond.
    pub cpu_ns: u64,
    /// The same in clock ticks (of 10 ms mostly), which is all that is told apart.
    pub user_ticks: u64,
    pub system_ticks: u64,
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns - before.cpu_ns,
            user_ticks: self.user_ticks - before.user_ticks,
            system_ticks: self.system_ticks - before.system_ticks,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.cpu_ns += more.cpu_ns;
        self.user_ticks += more.user_ticks;
        self.system_ticks += more.system_ticks;
    }
}

impl Server {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn usage(&self) -> io::Result<Usage> {
        let (schedstat, stat) = (self.read("schedstat")?, self.read("stat")?);
        // The name of the program is in parentheses and may contain anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        Ok(Usage {
            cpu_ns: number(&schedstat, 0)?,
            user_ticks: number(fields, 11)?,
            system_ticks: number(fields, 12)?,
        })
    }

    /// A line of /proc/PID/status that is in KiB.
    pub fn memory_kib(&self, key: &str) -> io::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        number(line.unwrap_or_default(), 0)
    }

    /// The number of its descriptors.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Ends it with SIGTERM; none when it still runs after a second.
    pub fn end(&mut self) -> io::Result<Option<ExitStatus>> {
        kill_process(self.pid(), Signal::TERM)?;
        let given_up = Instant::now() + Duration::from_secs(1);
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() > given_up {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
    }
}

fn number(text: &str, word: usize) -> io::Result<u64> {
    let number = text.split_whitespace().nth(word).and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::Error::other("/proc has no such number"))
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && !matches!(self.end(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
