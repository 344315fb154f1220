//! One contender under one load, once.

use crate::cell::Cell;
use crate::contender::{Contender, Server, Usage};
use crate::generator::Generator;
use crate::ledger::Faults;
use crate::machine::{self, Cores};
use crate::room::{self, Room};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// What goes before a measurement, as a share of it: the memory is there then, and the buffers
/// have found their size.
const WARM_UP: f64 = 0.2;

#[derive(Clone, Debug)]
pub struct Measurement {
    pub deliveries: u64,
    pub seconds: f64,
    pub cpu_ns: u64,
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    /// Resident with everybody in the room, before the first line.
    pub joined_kib: u64,
    pub peak_kib: u64,
    /// Of all that was said, the warm-up included.
    pub faults: Faults,
    /// Whether those who never read were cut off.
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

pub fn measure(
    contender: &Contender,
    cell: &Cell,
    cores: Cores,
    seconds: f64,
) -> io::Result<Measurement> {
    let port = room::free_port()?;
    let server = contender.start(port)?;
    machine::pin(Some(server.pid()), cores.server)?;
    let mut room = Room::open(port, cell)?;
    let joined_kib = server.memory_kib("VmRSS")?;
    let measurement = run(&server, &room, cell, seconds * cell.stretch)?;
    let peak_kib = server.memory_kib("VmHWM")?;
    let cut_off = cell.stalled > 0 && room.is_cut_off();
    // Before the clients go: their leaving is nothing to see to any more.
    drop(server);
    Ok(Measurement { joined_kib, peak_kib, cut_off, ..measurement })
}

fn run(server: &Server, room: &Room, cell: &Cell, seconds: f64) -> io::Result<Measurement> {
    let mut generator = Generator::new(&room.clients, cell.speakers, cell.bytes, cell.pace)?;
    let standstill = |generator: &Generator| {
        io::Error::other(format!("standstill, {}", generator.ledger.faults()))
    };
    if !generator.run(Duration::from_secs_f64(seconds * WARM_UP))? {
        return Err(standstill(&generator));
    }
    generator.ledger.start_measuring();
    let before = settled_usage(server)?;
    let start = Instant::now();
    if !generator.run(Duration::from_secs_f64(seconds))? {
        return Err(standstill(&generator));
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = settled_usage(server)?;
    let latencies = generator.ledger.latencies();
    Ok(Measurement {
        deliveries: latencies.len(),
        seconds,
        cpu_ns: after.cpu_ns - before.cpu_ns,
        user_ticks: after.user_ticks - before.user_ticks,
        system_ticks: after.system_ticks - before.system_ticks,
        p50_ns: latencies.value_at_quantile(0.5),
        p99_ns: latencies.value_at_quantile(0.99),
        p999_ns: latencies.value_at_quantile(0.999),
        joined_kib: 0,
        peak_kib: 0,
        faults: generator.ledger.faults(),
        cut_off: false,
    })
}

/// When everything has been heard, the server goes to sleep, and only then is its account exact:
/// what is on the processor is entered at the scheduler's leisure.
fn settled_usage(server: &Server) -> io::Result<Usage> {
    thread::sleep(Duration::from_millis(2));
    server.usage()
}
