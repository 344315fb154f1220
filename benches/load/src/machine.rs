//! The machine's description, and the use of its processor cores.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::process::Command;
use std::{fs, io};

#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    pub generator: usize,
}

impl Cores {
    /// The last core for the server, since interrupts tend to go to the first.
    pub fn choose() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        match (cores.first(), cores.last()) {
            (Some(first), Some(last)) => Ok(Self { server: *last, generator: *first }),
            _ => Err(io::Error::other("there is no processor core to run on")),
        }
    }

    pub fn are_one(self) -> bool {
        self.server == self.generator
    }
}

/// Keeps a process, or this thread, on one core.
pub fn pin(process: Option<Pid>, core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(process, &only)?)
}

/// Lets this process, and those it starts, have as many descriptors as the system allows.
pub fn allow_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Processor, cores, kernel and date, in one line.
pub fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let system = rustix::system::uname();
    let name = system.sysname().to_string_lossy();
    let release = system.release().to_string_lossy();
    let machine = system.machine().to_string_lossy();
    format!("{model}, {cores} cores, {name} {release} {machine}, {}", date())
}

fn date() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(
        |_| "date unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().into(),
    )
}
