//! Has a crowd of clients connect, send, stall, reset and leave at random, checks every line at
//! every client, and checks that the server has released everything in the end.

mod checker;
mod client;
mod crowd;
mod line;

use crowd::Crowd;
use lexopt::{Arg, Parser, ValueExt};
use load::contender::{Contender, Server};
use load::{machine, room};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const HELP: &str = "\
Has clients connect, send, stall, reset and leave at random, and checks every line at every client.

    soak [OPTION ...] COMMAND

The command starts a server, with {port} where its port belongs.

  --seconds NUMBER  how long (600 unless given)
  --clients NUMBER  how many are in the room at a time (500 unless given)
  --seed NUMBER     determines what the clients do; the seed of an earlier run repeats it, except
                    for the timing of the kernel
  --help            print this and end
";

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
const TIMEOUT: Duration = Duration::from_secs(10);

struct Options {
    server: Contender,
    seconds: u64,
    clients: usize,
    seed: u64,
}

fn main() -> ExitCode {
    let outcome = match parse() {
        Ok(Some(options)) => soak(&options),
        Ok(None) => {
            print!("{HELP}");
            Ok(())
        }
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        eprintln!("soak: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// None when help is asked for.
fn parse() -> Result<Option<Options>, Box<dyn Error>> {
    let mut parser = Parser::from_env();
    let (mut server, mut seconds, mut clients) = (None, 600, 500);
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut seed = u64::from(since_1970.subsec_nanos()) << 16 | u64::from(process::id()) & 0xffff;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seconds") => seconds = parser.value()?.parse()?,
            Arg::Long("clients") => clients = parser.value()?.parse()?,
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(command) if server.is_none() => {
                server = Some(format!("server={}", command.string()?).parse()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let server = server.ok_or("no command; see --help")?;
    if clients < 2 || seconds == 0 {
        return Err("a crowd is at least two clients, for at least a second".into());
    }
    Ok(Some(Options { server, seconds, clients, seed }))
}

fn soak(options: &Options) -> Result<(), Box<dyn Error>> {
    machine::allow_descriptors()?;
    println!("{}, seed {}", options.server.command(), options.seed);
    let port = room::free_port()?;
    let mut server = options.server.start(port)?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    room::connect_first(address)?;
    let mut crowd = Crowd::new(address, options.seed)?;
    crowd.settle(PAIR)?;
    let standing = server.descriptors()? - PAIR;

    let mut look_after_round = || {
        live(&mut crowd, &server, options.clients, Duration::from_secs(options.seconds) / ROUNDS)?;
        look(&mut crowd, &server, standing)
    };
    let first = look_after_round()?;
    let mut last = first;
    for _ in 1..ROUNDS {
        last = look_after_round()?;
    }
    if last.resident_kib > first.resident_kib + TOLERANCE_KIB {
        return Err(format!("the server has grown, from {first} to {last}").into());
    }
    if crowd.counts.cut_off == 0 {
        return Err("nobody was cut off: the limit was not put to the test".into());
    }
    match server.end()? {
        Some(status) if status.success() => {
            println!("SIGTERM has ended it with success");
            Ok(())
        }
        Some(status) => Err(format!("the server has ended with {status}").into()),
        None => Err("the server does not end".into()),
    }
}

/// A round, with a line of statistics for each interval.
fn live(
    crowd: &mut Crowd,
    server: &Server,
    clients: usize,
    round: Duration,
) -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + round;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        crowd.live(clients, left.min(INTERVAL))?;
        crowd.settle(clients)?;
        println!(
            "{} clients, {} in all, {} lines sent, {} correct deliveries; {} resets, {} closed in \
             order, {} stalls, {} cut off; {}",
            crowd.size(),
            crowd.checker.came(),
            crowd.counts.lines,
            crowd.checker.deliveries(),
            crowd.counts.resets,
            crowd.counts.quits,
            crowd.counts.stalls,
            crowd.counts.cut_off,
            Footprint::of(server)?,
        );
    }
}

/// The server's memory and descriptors.
#[derive(Clone, Copy)]
struct Footprint {
    resident_kib: u64,
    descriptors: usize,
}

impl Footprint {
    fn of(server: &Server) -> std::io::Result<Self> {
        let resident_kib = server.memory_kib("RssAnon")?;
        Ok(Self { resident_kib, descriptors: server.descriptors()? })
    }
}

impl std::fmt::Display for Footprint {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} KiB resident, {} descriptors", self.resident_kib, self.descriptors)
    }
}

/// Has all clients leave, and waits until the server has only the descriptors that it had before
/// the first one came. Then it must still serve two clients.
fn look(crowd: &mut Crowd, server: &Server, standing: usize) -> Result<Footprint, Box<dyn Error>> {
    crowd.empty()?;
    let start = Instant::now();
    // There is no event for that.
    while server.descriptors()? != standing {
        if start.elapsed() > TIMEOUT {
            let now = Footprint::of(server)?;
            return Err(format!(
                "{now} when all clients have left; it had {standing} descriptors before"
            )
            .into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let footprint = Footprint::of(server)?;
    println!("all clients have left: {footprint}");
    crowd.settle(PAIR)?;
    Ok(footprint)
}
