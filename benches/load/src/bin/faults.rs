//! What it costs a room over three servers that something fails: lines that are lost when broker,
//! relay or server is killed, the latency elsewhere while one is stuck, and a relay's memory when
//! its spool overruns. Every line is checked at every client; how much may be lost is not.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use load::cell::{Cell, Pace};
use load::machine;
use load::rooms::{self, Rooms};
use load::talk::{SERVERS, Talk};
use rustix::process::Signal;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Measures what faults cost rooms over many servers
#[derive(Parser)]
struct Options {
    /// How often everything is measured; the worst counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long broker or server are stuck
    #[arg(long, default_value_t = 5.0)]
    stuck_seconds: f64,
    /// How much more than the spool holds is said, in MB
    #[arg(long, default_value_t = 176)]
    overrun: usize,
    /// The table's file
    #[arg(long)]
    out: Option<PathBuf>,
}

const SPEAKERS: usize = 4 * SERVERS;
/// Lines a second at one server: one in 1.25 ms. A speaker may have five seconds' on their way.
const RATE: usize = 800;
/// The rate while something is stuck, when more lines than that would wait.
const QUIET_RATE: usize = 200;
/// What a relay's spool holds, and the length of the lines that overrun it.
const SPOOL: usize = 64 << 20;
const LONG: usize = 2048;

fn chat(rate: usize) -> Cell {
    Cell::new(8 * SERVERS, SPEAKERS, 64, Pace::Open((rate * SERVERS) as u32))
}

fn main() -> Result<()> {
    let options = Options::parse();
    let clients = chat(RATE).clients;
    let mut text = format!(
        "{SERVERS} servers with a relay each, one broker, {clients} clients, lines of 64 bytes. \
         The worst of {} rounds.\n{}\n\n",
        options.rounds,
        machine::description()?
    );
    text += &losses(&options)?;
    text += &latencies(&options)?;
    text += &overrun(&options)?;
    print!("{text}");
    if let Some(file) = options.out {
        fs::create_dir_all(file.parent().context("a file in a folder")?)?;
        fs::write(&file, text)?;
    }
    Ok(())
}

/// The worst of the rounds.
fn worst<T: PartialOrd>(rounds: usize, measure: impl FnMut(usize) -> Result<T>) -> Result<T> {
    let all = (0..rounds).map(measure).collect::<Result<Vec<_>>>()?;
    let worst = all.into_iter().reduce(|one, other| if other > one { other } else { one });
    worst.context("there is a round")
}

/// Lines of one server that are lost to another one, beyond the time that something was away.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Loss {
    beyond_ms: f64,
    lines: usize,
    away_ms: f64,
}

impl Loss {
    fn new(lines: usize, away: Duration) -> Self {
        let away_ms = away.as_secs_f64() * 1e3;
        Self { beyond_ms: lines as f64 * 1e3 / RATE as f64 - away_ms, lines, away_ms }
    }
}

fn losses(options: &Options) -> Result<String> {
    let mut text = format!(
        "Killed (SIGKILL), while {RATE} lines a second are said at each server. Counted are the \
         lines of one\nserver that are lost to another one.\n\n"
    );
    text += "| killed | lines lost | as time, ms | away, ms | beyond, ms | allowed, ms | told |\n";
    text += "|---|--:|--:|--:|--:|--:|---|\n";
    let mut row = |what: &str, allowed, told, kill: &dyn Fn() -> Result<Loss>| {
        eprintln!("{what}");
        let it = worst(options.rounds, |_| kill())?;
        let time = it.beyond_ms + it.away_ms;
        write!(text, "| {what} | {} | {time:.0} | {:.0}", it.lines, it.away_ms)?;
        writeln!(text, " | {:.1} | {allowed} | {told} |", it.beyond_ms.max(0.0))?;
        anyhow::Ok(())
    };
    row("broker", 10, "each line", &kill_broker)?;
    let may_be = "that lines may be lost";
    row("relay, back after 50 ms", 300, may_be, &|| kill_relay(Duration::from_millis(50)))?;
    row("relay, back after 2 s", 300, may_be, &|| kill_relay(Duration::from_secs(2)))?;
    row("server, back at once", 300, may_be, &kill_server)?;
    Ok(text + "\n")
}

/// What was inside the broker is lost.
fn kill_broker() -> Result<Loss> {
    let mut talk = Talk::begin(Rooms::start("faults", SERVERS, "")?, &chat(RATE))?;
    talk.during(|rooms| {
        rooms.brokers[0].kill()?;
        thread::sleep(Duration::from_secs(1));
        rooms.start_broker(0)
    })?;
    talk.check(|from, to| from != to)?;
    let mut most = 0;
    for to in 0..SERVERS {
        talk.loss_is_told(to)?;
        for from in (0..SERVERS).filter(|from| *from != to) {
            most = most.max(talk.lost(from, to)?);
        }
    }
    Ok(Loss::new(most, Duration::ZERO))
}

fn kill_relay(pause: Duration) -> Result<Loss> {
    let mut talk = Talk::begin(Rooms::start("faults", SERVERS, "")?, &chat(RATE))?;
    let mut away = Duration::ZERO;
    talk.during(|rooms| {
        let killed = Instant::now();
        rooms.relays[0].kill()?;
        thread::sleep(pause);
        rooms.relays[0].start()?;
        away = killed.elapsed();
        Ok(())
    })?;
    talk.check(|from, to| from == 0 && to != 0 || to == 0 && from != 0)?;
    loss_from_first(&talk, away)
}

fn kill_server() -> Result<Loss> {
    let mut talk = Talk::begin(Rooms::start("faults", SERVERS, "")?, &chat(RATE))?;
    talk.during(|rooms| {
        rooms.servers[0].kill()?;
        rooms.servers[0].start()
    })?;
    talk.check(|from, to| from == 0 || to == 0)?;
    loss_from_first(&talk, Duration::ZERO)
}

/// What the others have lost of the first server's lines, as their relays say without a number.
fn loss_from_first(talk: &Talk, away: Duration) -> Result<Loss> {
    let mut most = 0;
    for other in 1..SERVERS {
        ensure!(talk.rooms.relays[other].log()?.contains("may be lost"), "it is not told");
        most = most.max(talk.lost(0, other)?);
    }
    Ok(Loss::new(most, away))
}

fn latencies(options: &Options) -> Result<String> {
    let Options { rounds, stuck_seconds, .. } = options;
    let mut text = format!(
        "Stuck (SIGSTOP) for {stuck_seconds} s, while {QUIET_RATE} lines a second are said at each \
         server: latencies\nelsewhere in that time.\n\n\
         | stuck | elsewhere | p99 ms | allowed, ms |\n|---|---|--:|--:|\n"
    );
    let between_others = |from: usize, to: usize| from % SERVERS != 0 && to % SERVERS != 0;
    let at_one = |from: usize, to: usize| from % SERVERS == to % SERVERS;
    eprintln!("stuck");
    let p99 = worst(*rounds, |_| stuck(options, |_| false, |_, _| true))?;
    writeln!(text, "| nothing | anywhere | {p99:.1} | |")?;
    let p99 = worst(*rounds, |_| stuck(options, |name| name == "server", between_others))?;
    writeln!(text, "| one server | from and to clients of the others | {p99:.1} | 200 |")?;
    let p99 = worst(*rounds, |_| stuck(options, |name| name == "broker", at_one))?;
    writeln!(text, "| the broker | among the clients of each server | {p99:.1} | 500 |")?;
    Ok(text + "\n")
}

/// The 99th percentile in ms of these latencies while something is stuck. Nothing may be lost.
fn stuck(
    options: &Options,
    is_stuck: impl Fn(&str) -> bool,
    elsewhere: impl Fn(usize, usize) -> bool + Send + 'static,
) -> Result<f64> {
    let rooms = Rooms::start("faults", SERVERS, "")?;
    let mut talk = Talk::begin(rooms, &chat(QUIET_RATE))?;
    let programs = [("server", &talk.rooms.servers[0]), ("broker", &talk.rooms.brokers[0])];
    let stuck: Vec<_> = programs.iter().filter(|(name, _)| is_stuck(name)).collect();
    talk.crowd.ledger.time_only(elsewhere);
    talk.crowd.ledger.start_measuring();
    let end = Instant::now() + Duration::from_secs_f64(options.stuck_seconds);
    stuck.iter().try_for_each(|(_, program)| program.signal(Signal::STOP))?;
    talk.crowd.run_until(|_| Instant::now() > end)?;
    let p99 = talk.crowd.ledger.latencies().value_at_quantile(0.99);
    stuck.iter().try_for_each(|(_, program)| program.signal(Signal::CONT))?;
    rooms::touch(&mut talk.crowd)?;
    talk.nothing_is_lost()?;
    Ok(p99 as f64 / 1e6)
}

/// One speaker, and two clients at each server. Says so much while the broker is away.
fn overrun(options: &Options) -> Result<String> {
    eprintln!("overrun");
    let lines = (SPOOL + options.overrun * 1_000_000) / LONG;
    let cell = Cell::new(2 * SERVERS, 1, LONG, Pace::Closed(lines));
    let mut talk = Talk::begin(Rooms::start("faults", SERVERS, "")?, &cell)?;
    let before = talk.figure(0, "lost_out")?;
    let said_before = talk.crowd.ledger.sent()[0] as usize;
    talk.rooms.brokers[0].end()?;
    talk.crowd.run_until(|ledger| ledger.sent()[0] as usize >= said_before + lines)?;
    // A few lines more, behind all that, show what is lost.
    talk.crowd.ledger.limit(16);
    talk.during(|rooms| rooms.start_broker(0))?;
    talk.check(|from, to| from == 0 && to != 0)?;
    let dropped = talk.figure(0, "lost_out")? - before;
    let (one, other) = (talk.loss_is_told(1)?, talk.loss_is_told(2)?);
    let memory = talk.rooms.relays[0].running().memory_kib(|status| status.vmhwm)?;
    let mut text = format!(
        "A spool of 64 MiB overrun by {} MB in lines of {LONG} bytes, while the broker is away. \
         When it is\nback, it drops what comes faster than a relay takes it, beyond its \
         `max_queued_bytes`.\n\n\
         | lines lost at the other servers | and told by their relays | of these by the spool \
         | relay's most memory, MiB | allowed |\n|---|---|--:|--:|--:|\n",
        options.overrun
    );
    let memory = memory as f64 / 1024.0;
    writeln!(text, "| {one}, {other} | {one}, {other} | {dropped} | {memory:.0} | 200 |")?;
    Ok(text)
}
