//! All contenders under one load, in turns.

use anyhow::{Result, bail};
use itertools::iproduct;
use load::cell::Cell;
use load::contender::{Contender, Server, Usage};
use load::generator::Generator;
use load::ledger::Faults;
use load::machine::{self, Cores};
use load::ports;
use load::room::{self, Room};
use serde::{Deserialize, Serialize};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The length of the warm-up, as a share of the usual length of a measurement.
const WARM_UP: f64 = 0.2;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub deliveries: u64,
    pub seconds: f64,
    pub cpu_ns: u64,
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub longest_ns: u64,
    /// Resident with everybody in the room, before the first line.
    pub joined_kib: u64,
    pub peak_kib: u64,
    /// In all lines, those of the warm-up included.
    pub faults: Faults,
    /// Whether the clients that never read were cut off.
    pub cut_off: bool,
}

impl Measurement {
    pub fn cpu_per_delivery_ns(&self) -> f64 {
        self.cpu_ns as f64 / self.deliveries as f64
    }

    pub fn deliveries_per_second(&self) -> f64 {
        self.deliveries as f64 / self.seconds
    }
}

/// One contender with its room, from the first line to the last.
struct Session {
    server: Server,
    generator: Generator,
    stalled: Vec<TcpStream>,
    turns: u32,
    turn_time: Duration,
    /// The sum of the turns up to now.
    sum: Measurement,
}

impl Session {
    /// Starts the contender and fills its room, which is then measured for this long.
    fn open(contender: &Contender, cell: &Cell, cores: Cores, time: Duration) -> Result<Self> {
        let port = ports::free_port();
        let server = contender.start(port)?;
        machine::pin(Some(server.pid()), cores.server)?;
        let Room { clients, stalled } = Room::open(port, cell)?;
        let joined_kib = server.memory_kib(|status| status.vmrss)?;
        let generator = Generator::new(clients, cell)?;
        let (turns, turn_time) = (cell.turns, time.mul_f64(cell.stretch) / cell.turns);
        let sum = Measurement { joined_kib, ..Measurement::default() };
        Ok(Self { server, generator, stalled, turns, turn_time, sum })
    }

    /// Runs without measuring: the memory is there then, and the buffers have found their size.
    fn warm_up(&mut self, duration: Duration) -> Result<()> {
        if self.turns > 1 {
            self.run(duration)?;
        }
        self.generator.ledger.start_measuring();
        Ok(())
    }

    /// One turn of the measurement, which adds to those before, if there is one more.
    fn take_turn(&mut self) -> Result<()> {
        if self.turns == 0 {
            return Ok(());
        }
        self.turns -= 1;
        let before = settled_usage(&self.server)?;
        let start = Instant::now();
        self.run(self.turn_time)?;
        self.sum.seconds += start.elapsed().as_secs_f64();
        let after = settled_usage(&self.server)?;
        self.sum.cpu_ns += after.cpu_ns - before.cpu_ns;
        self.sum.user_ticks += after.user_ticks - before.user_ticks;
        self.sum.system_ticks += after.system_ticks - before.system_ticks;
        Ok(())
    }

    fn run(&mut self, duration: Duration) -> Result<()> {
        if !self.generator.run(duration)? {
            bail!("standstill, {}", self.generator.ledger.faults());
        }
        Ok(())
    }

    fn close(mut self) -> Result<Measurement> {
        let peak_kib = self.server.memory_kib(|status| status.vmhwm)?;
        let cut_off = !self.stalled.is_empty() && room::are_cut_off(&mut self.stalled);
        // Before the clients disconnect, which is no longer of interest.
        drop(self.server);
        let ledger = &self.generator.ledger;
        let latencies = ledger.latencies();
        Ok(Measurement {
            deliveries: ledger.deliveries(),
            p50_ns: latencies.value_at_quantile(0.5),
            p99_ns: latencies.value_at_quantile(0.99),
            p999_ns: latencies.value_at_quantile(0.999),
            longest_ns: latencies.max(),
            peak_kib,
            faults: ledger.faults(),
            cut_off,
            ..self.sum
        })
    }
}

/// Measures all contenders under each of the loads, in turns of a fraction of the time, so that a
/// disturbance of the machine affects all of them. The contender at `first` begins. The outcomes
/// are by load and by contender.
pub fn measure_in_turns(
    contenders: &[Contender],
    cells: &[Cell],
    cores: Cores,
    time: Duration,
    first: usize,
) -> Vec<Vec<Result<Measurement>>> {
    let open = |(cell, contender)| Session::open(contender, cell, cores, time);
    let mut sessions: Vec<_> = iproduct!(cells, contenders).map(open).collect();
    each_in_turn(&mut sessions, first, |session| session.warm_up(time.mul_f64(WARM_UP)));
    let turns = cells.iter().map(|cell| cell.turns).max().unwrap_or(0);
    for turn in 0..turns as usize {
        each_in_turn(&mut sessions, first + turn, Session::take_turn);
    }
    let mut measured = sessions.into_iter().map(|session| session.and_then(Session::close));
    cells.iter().map(|_| measured.by_ref().take(contenders.len()).collect()).collect()
}

/// Calls `next` for each session without an error, beginning with the one at `first`.
fn each_in_turn(
    sessions: &mut [Result<Session>],
    first: usize,
    mut next: impl FnMut(&mut Session) -> Result<()>,
) {
    for step in 0..sessions.len() {
        let outcome = &mut sessions[(first + step) % sessions.len()];
        if let Ok(session) = outcome {
            if let Err(error) = next(session) {
                *outcome = Err(error);
            }
        }
    }
}

/// Waits until the server sleeps: while it is on the processor, its CPU time in /proc lags behind.
fn settled_usage(server: &Server) -> Result<Usage> {
    thread::sleep(Duration::from_millis(2));
    server.usage()
}
