//! Has a crowd of clients come, talk, stall, reset and leave for as long as one likes, checks every
//! line at every client, and looks at what the server keeps of it in the end: nothing.

mod client;
mod crowd;
mod dice;
mod line;
mod register;

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
Has clients come, talk, stall, reset and leave at random, and checks every line at every client.

    soak [OPTION ...] COMMAND

The command starts a server, with {port} where its port belongs.

  --seconds NUMBER  how long (600 unless given)
  --clients NUMBER  how many are in the room at a time (500 unless given)
  --seed NUMBER     what the clients do; that of another run does the same once more, as far as the
                    kernel has part in it
  --help            print this and end
";

/// Everybody leaves so often; the memory that the server has then is compared with what it had the
/// first time.
const ROUNDS: u32 = 5;
/// All has to be settled so often within a round.
const INTERVAL: Duration = Duration::from_secs(5);
/// By how much the server's memory may have grown between the first round and the last: what the
/// allocator keeps at the end of the heap for next time, which differs by some pages.
const TOLERANCE_KIB: u64 = 128;
/// As few as can hear each other.
const PAIR: usize = 2;
/// How long a server may take to notice that everybody has gone.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// None when help is what is wanted.
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
            println!("told to end, it has ended with success");
            Ok(())
        }
        Some(status) => Err(format!("the server has ended with {status}").into()),
        None => Err("the server does not end".into()),
    }
}

/// A round, with a line of figures for each interval.
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
            "{} clients, {} have come, {} lines said, {} deliveries right; {} resets, {} left in \
             order, {} stalls, {} cut off; {}",
            crowd.size(),
            crowd.register.came(),
            crowd.counts.lines,
            crowd.register.deliveries(),
            crowd.counts.resets,
            crowd.counts.quits,
            crowd.counts.stalls,
            crowd.counts.cut_off,
            Footprint::of(server)?,
        );
    }
}

/// What the server has of the machine.
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

/// Has everybody leave, and looks at what the server has once it has noticed that: no descriptors
/// beyond those that it had before anybody came. Then two come who hear each other: it still serves.
fn look(crowd: &mut Crowd, server: &Server, standing: usize) -> Result<Footprint, Box<dyn Error>> {
    crowd.empty()?;
    let start = Instant::now();
    // Nothing else tells when it has noticed.
    while server.descriptors()? != standing {
        if start.elapsed() > PATIENCE {
            let now = Footprint::of(server)?;
            return Err(format!("{now} when everybody has left: it had {standing} before").into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let footprint = Footprint::of(server)?;
    println!("everybody has left: {footprint}");
    crowd.settle(PAIR)?;
    Ok(footprint)
}
