//! The machine's description, and the use of its processor cores.

use anyhow::{Context, Result};
use procfs::{CpuInfo, Current};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::process::Command;

#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    pub generator: usize,
}

impl Cores {
    /// The last core for the server, since interrupts tend to go to the first.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let generator = cores.next().context("there is no processor core to run on")?;
        Ok(Self { server: cores.next_back().unwrap_or(generator), generator })
    }

    pub fn are_one(self) -> bool {
        self.server == self.generator
    }
}

/// Keeps a process, or this thread, on one core.
pub fn pin(process: Option<Pid>, core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(process, &only)?)
}

/// Lets this process, and those it starts, have as many descriptors as the system allows.
pub fn allow_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Processor, cores, kernel and date, in one line.
pub fn description() -> Result<String> {
    let processors = CpuInfo::current()?;
    let model = processors.model_name(0).unwrap_or("unknown processor");
    let cores = processors.num_cores();
    Ok(format!("{model}, {cores} cores, {}, {}", told("uname -srm")?, told("date -u +%Y-%m-%d")?))
}

/// What a command prints.
fn told(command: &str) -> Result<String> {
    let output = Command::new("sh").args(["-c", command]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
