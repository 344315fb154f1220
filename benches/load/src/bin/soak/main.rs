//! Has a crowd of clients connect, send, stall, reset and leave at random, checks every line at
//! every client, and checks that the server has released everything in the end.

mod attack;
mod checker;
mod client;
mod crowd;
mod lighttpd;
mod outbox;
mod telnet;
mod websocket;

use anyhow::{Result, ensure};
use clap::Parser;
use crowd::Crowd;
use lighttpd::Lighttpd;
use load::contender::{Contender, Server};
use load::{machine, ports, room};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// At the end of each round all clients leave; the server's memory is then compared with that after
/// the first round.
const ROUNDS: u32 = 5;
/// How often all lines must have arrived within a round.
const INTERVAL: Duration = Duration::from_secs(5);
/// The growth of the server's memory that is allowed from the first round to the last: the
/// allocator keeps some pages at the end of the heap.
const TOLERANCE_KIB: u64 = 128;
/// The smallest room in which lines are received.
const PAIR: usize = 2;
/// How long the server may take to notice that all clients have left.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Has clients connect, send, stall, reset and leave at random, and checks every line at every
/// client
#[derive(Parser)]
struct Options {
    /// How long
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many are in the room at a time
    #[arg(long, default_value_t = 500)]
    clients: usize,
    /// How many of them are attackers
    #[arg(long, default_value_t = 0)]
    attackers: usize,
    /// Determines what the clients do; the seed of an earlier run repeats it, except for the timing
    /// of the kernel
    #[arg(long, default_value_t = fastrand::u64(..), hide_default_value = true)]
    seed: u64,
    /// lighttpd's settings, by which some come by WebSocket
    #[arg(long)]
    web: Option<PathBuf>,
    /// Starts a server, with {port} where its port belongs
    #[arg(value_parser = |text: &str| format!("server={text}").parse::<Contender>())]
    command: Contender,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.clients >= PAIR, "a crowd is at least two clients");
    machine::allow_descriptors()?;
    println!("{}, seed {}", options.command.command(), options.seed);
    let port = ports::free_port();
    let mut server = options.command.start(port)?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let first = room::connect_first(address)?;
    let lighttpd = start_lighttpd(&options, port)?;
    let web = lighttpd.as_ref().map(|it| it.address);
    let mut crowd = Crowd::new(address, web, options.seed, options.attackers)?;
    crowd.settle(PAIR)?;
    let descriptors = server.descriptors()? - PAIR - 1;
    drop(first);

    let mut programs = vec![Program { name: "server", process: &server, descriptors }];
    programs.extend(lighttpd.iter().map(|it| Program {
        name: "lighttpd",
        process: &it.process,
        descriptors: it.descriptors,
    }));
    let round = Duration::from_secs(options.seconds) / ROUNDS;
    let mut look_after_round = || {
        live(&mut crowd, &programs, options.clients, round)?;
        look(&mut crowd, &programs)
    };
    let first = look_after_round()?;
    let mut last = first;
    for _ in 1..ROUNDS {
        last = look_after_round()?;
    }
    let limit_kib = first.resident_kib + TOLERANCE_KIB;
    ensure!(last.resident_kib <= limit_kib, "the server has grown, from {first} to {last}");
    ensure!(crowd.counts.cut_off > 0, "nobody was cut off: the limit was not put to the test");
    let status = server.end()?;
    ensure!(status.success(), "the server has ended with {status}");
    println!("SIGTERM has ended it with success");
    Ok(())
}

fn start_lighttpd(options: &Options, port: u16) -> Result<Option<Lighttpd>> {
    let Some(settings) = &options.web else { return Ok(None) };
    let lighttpd = Lighttpd::start(settings, port)?;
    if lighttpd.is_none() {
        println!("no lighttpd: nobody comes by WebSocket");
    }
    Ok(lighttpd)
}

/// A program that the clients are connected to.
struct Program<'a> {
    name: &'a str,
    process: &'a Server,
    /// Those that it has without clients.
    descriptors: usize,
}

/// A round, with a line of statistics for each interval.
fn live(crowd: &mut Crowd, programs: &[Program], clients: usize, round: Duration) -> Result<()> {
    let end = Instant::now() + round;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        crowd.live(clients, left.min(INTERVAL))?;
        crowd.settle(clients)?;
        println!("{} clients, {}; {}", crowd.size(), crowd, footprints(programs)?);
    }
}

/// A program's memory and descriptors.
#[derive(Clone, Copy)]
struct Footprint {
    resident_kib: u64,
    descriptors: usize,
}

impl Footprint {
    fn of(process: &Server) -> Result<Self> {
        let resident_kib = process.memory_kib(|status| status.rssanon)?;
        Ok(Self { resident_kib, descriptors: process.descriptors()? })
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} KiB resident, {} descriptors", self.resident_kib, self.descriptors)
    }
}

fn footprints(programs: &[Program]) -> Result<String> {
    let one = |it: &Program| Ok(format!("{} {}", it.name, Footprint::of(it.process)?));
    Ok(programs.iter().map(one).collect::<Result<Vec<_>>>()?.join(", "))
}

/// Has all clients leave, and waits until the programs have only the descriptors that they had
/// before the first one came. Then two clients must still be served. Returns what the server had.
fn look(crowd: &mut Crowd, programs: &[Program]) -> Result<Footprint> {
    crowd.empty()?;
    let idle = programs.iter().map(wait_until_idle).collect::<Result<Vec<_>>>()?;
    println!("all clients have left: {}", footprints(programs)?);
    crowd.settle(PAIR)?;
    Ok(idle[0])
}

fn wait_until_idle(program: &Program) -> Result<Footprint> {
    let start = Instant::now();
    loop {
        let now = Footprint::of(program.process)?;
        if now.descriptors == program.descriptors {
            return Ok(now);
        }
        let in_time = start.elapsed() < TIMEOUT;
        let Program { name, descriptors, .. } = program;
        ensure!(in_time, "{name}: {now} when all clients have left; {descriptors} before");
        // There is no event for that.
        thread::sleep(Duration::from_millis(10));
    }
}
