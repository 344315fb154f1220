//! What it costs to have one room over many servers: deliveries, latency between servers, CPU time
//! and memory of servers, relays and broker, beside servers alone. Every line is checked.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use load::cell::{Cell, Pace};
use load::contender::Server;
use load::generator::Generator;
use load::machine;
use load::rooms::{Program, Rooms};
use plotters::prelude::*;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measures rooms over many servers
#[derive(Parser)]
struct Options {
    /// How many servers, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5")]
    servers: Vec<usize>,
    #[arg(long, default_value_t = 300)]
    clients: usize,
    #[arg(long, default_value_t = 10)]
    senders: usize,
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// Lines of a speaker that are on their way
    #[arg(long, default_value_t = 16)]
    window: usize,
    /// Compare with as many rooms as there are servers, and not with one server
    #[arg(long)]
    apart: bool,
    /// How often everything is measured; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each time
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The table's file; the chart has the same name
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One line of the table.
#[derive(Clone, Copy)]
struct Setup {
    servers: usize,
    rooms: usize,
    has_relays: bool,
}

impl Setup {
    fn name(self) -> String {
        match self {
            Self { has_relays: false, servers: 1, .. } => "one server alone".into(),
            Self { has_relays: false, servers, .. } => {
                format!("{servers} servers, {servers} rooms")
            }
            Self { servers: 1, .. } => "one server, relay and broker".into(),
            Self { servers, .. } => format!("{servers} servers, one room"),
        }
    }
}

/// CPU time in nanoseconds, and memory in KiB, of one sort of process together.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu_ns: u64,
    memory_kib: u64,
}

#[derive(Clone)]
struct Measurement {
    deliveries_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// CPU time for each line that was said, in microseconds, and memory in MiB: of the servers,
    /// the relays, and the broker.
    cpu_us: [f64; 3],
    memory_mib: [f64; 3],
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::allow_descriptors()?;
    let setups = setups(&options);
    let mut measured = vec![Vec::new(); setups.len()];
    for round in 0..options.rounds {
        for (setup, measured) in setups.iter().zip(&mut measured) {
            eprint!("\r\x1b[Kround {} of {}: {} ", round + 1, options.rounds, setup.name());
            measured.push(measure(&options, *setup)?);
        }
    }
    eprint!("\r\x1b[K");
    let medians: Vec<_> = measured.iter().map(|all| median(all)).collect();
    let table = table(&options, &setups, &medians)?;
    print!("{table}");
    if let Some(file) = options.out {
        fs::create_dir_all(file.parent().context("a file in a folder")?)?;
        fs::write(&file, table)?;
        if setups.len() > 2 {
            fs::write(file.with_extension("svg"), chart(&setups, &medians)?)?;
        }
    }
    Ok(())
}

/// What is compared first, and then the servers with their relays.
fn setups(options: &Options) -> Vec<Setup> {
    let most = options.servers.iter().copied().max().unwrap_or(1);
    let servers = if options.apart { most } else { 1 };
    let alone = Setup { servers, rooms: servers, has_relays: false };
    let with_relays = |servers: &usize| Setup { servers: *servers, rooms: 1, has_relays: true };
    [alone].into_iter().chain(options.servers.iter().map(with_relays)).collect()
}

fn start(setup: Setup) -> Result<Rooms> {
    if setup.has_relays {
        return Rooms::start("bench", setup.servers, "");
    }
    let mut rooms = Rooms::new("bench")?;
    for _ in 0..setup.servers {
        rooms.add_server("")?;
    }
    rooms.start_all()?;
    Ok(rooms)
}

/// What the room delivers, and what that costs, while all speakers say as much as they may. The
/// latencies are those of a second, quiet room, unless rooms are compared.
fn measure(options: &Options, setup: Setup) -> Result<Measurement> {
    // Separate rooms have as many speakers each, so that a pass has as many lines.
    let senders = options.senders * setup.rooms;
    let pace = Pace::Closed(options.window);
    let rooms = start(setup)?;
    let cell = Cell::new(options.clients, senders, options.bytes, pace);
    let mut crowd = rooms.gather_apart(&cell, setup.rooms)?;
    crowd.ledger.start_measuring();
    let (before, said_before) = (costs(&rooms)?, said(&crowd.ledger.sent()));
    let start_time = Instant::now();
    run(options, &mut crowd)?;
    let seconds = start_time.elapsed().as_secs_f64();
    let (after, lines) = (costs(&rooms)?, said(&crowd.ledger.sent()) - said_before);
    let deliveries_per_second = crowd.ledger.deliveries() as f64 / seconds;
    if !options.apart {
        drop((crowd, rooms));
        crowd = quiet(options, setup)?;
    }
    let at = |quantile| crowd.ledger.latencies().value_at_quantile(quantile) as f64 / 1e6;
    let cpu = |sort: usize| (after[sort].cpu_ns - before[sort].cpu_ns) as f64 / 1e3 / lines as f64;
    Ok(Measurement {
        deliveries_per_second,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cpu_us: [0, 1, 2].map(cpu),
        memory_mib: after.map(|cost| cost.memory_kib as f64 / 1024.0),
    })
}

/// One speaker says ten lines a second; the latency between servers counts, where there are some.
fn quiet(options: &Options, setup: Setup) -> Result<Generator> {
    let rooms = start(setup)?;
    let cell = Cell::new(options.clients, 1, options.bytes, Pace::Open(10));
    let mut crowd = rooms.gather(&cell)?;
    let servers = setup.servers;
    crowd.ledger.time_only(move |from, to| servers == 1 || from % servers != to % servers);
    crowd.ledger.start_measuring();
    run(options, &mut crowd)?;
    Ok(crowd)
}

fn run(options: &Options, crowd: &mut Generator) -> Result<()> {
    let is_settled = crowd.run(Duration::from_secs_f64(options.seconds))?;
    let faults = crowd.ledger.faults();
    ensure!(is_settled && !faults.any(), "standstill, or faults: {faults}");
    Ok(())
}

fn said(lines: &[u32]) -> u64 {
    lines.iter().map(|lines| u64::from(*lines)).sum()
}

fn costs(rooms: &Rooms) -> Result<[Cost; 3]> {
    let cost = |programs: &[Program]| -> Result<Cost> {
        programs.iter().map(Program::running).try_fold(Cost::default(), |sum, server: &Server| {
            Ok(Cost {
                cpu_ns: sum.cpu_ns + server.usage()?.cpu_ns,
                memory_kib: sum.memory_kib + server.memory_kib(|status| status.vmhwm)?,
            })
        })
    };
    Ok([cost(&rooms.servers)?, cost(&rooms.relays)?, cost(&rooms.brokers)?])
}

/// Each figure's median.
fn median(all: &[Measurement]) -> Measurement {
    let of = |figure: &dyn Fn(&Measurement) -> f64| {
        let mut figures: Vec<_> = all.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Measurement {
        deliveries_per_second: of(&|it| it.deliveries_per_second),
        p50_ms: of(&|it| it.p50_ms),
        p99_ms: of(&|it| it.p99_ms),
        cpu_us: [0, 1, 2].map(|sort| of(&|it| it.cpu_us[sort])),
        memory_mib: [0, 1, 2].map(|sort| of(&|it| it.memory_mib[sort])),
    }
}

fn table(options: &Options, setups: &[Setup], medians: &[Measurement]) -> Result<String> {
    let Options { clients, senders, bytes, window, rounds, seconds, .. } = options;
    let mut text = format!(
        "{clients} clients, {senders} speakers in each room, lines of {bytes} bytes, {window} of \
         each speaker on\ntheir way. Median of {rounds} rounds of {seconds} s. {}\n\n",
        machine::description()?
    );
    text += "| | deliveries/s | share | p50 ms | p99 ms | CPU a line, µs: servers | relays \
             | broker | MiB: servers | relays | broker |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    let whole = medians[0].deliveries_per_second;
    for (setup, it) in setups.iter().zip(medians) {
        write!(text, "| {} | {:.0}", setup.name(), it.deliveries_per_second)?;
        write!(text, " | {:.2}", it.deliveries_per_second / whole)?;
        write!(text, " | {:.2} | {:.2}", it.p50_ms, it.p99_ms)?;
        for (sort, cpu) in it.cpu_us.iter().enumerate() {
            let is_there = sort == 0 || setup.has_relays;
            text += &if is_there { format!(" | {cpu:.1}") } else { " | ".into() };
        }
        for (sort, memory) in it.memory_mib.iter().enumerate() {
            let is_there = sort == 0 || setup.has_relays;
            text += &if is_there { format!(" | {memory:.1}") } else { " | ".into() };
        }
        text += " |\n";
    }
    Ok(text)
}

/// Deliveries a second over the number of servers.
fn chart(setups: &[Setup], medians: &[Measurement]) -> Result<String> {
    let millions = |it: &Measurement| it.deliveries_per_second / 1e6;
    let highest = medians.iter().map(millions).fold(0.0, f64::max);
    let most = setups.iter().map(|setup| setup.servers).max().unwrap_or(1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (640, 320)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0.5..most as f64 + 0.5, 0.0..highest * 1.1)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(most)
            .x_label_formatter(&|servers| format!("{servers:.0}"))
            .x_desc("servers that form one room")
            .y_desc("million deliveries/s")
            .draw()?;
        let alone = millions(&medians[0]);
        chart
            .draw_series([PathElement::new([(0.5, alone), (most as f64 + 0.5, alone)], BLACK)])?
            .label("one server alone")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLACK));
        let points = setups.iter().zip(medians).skip(1);
        let points: Vec<_> =
            points.map(|(setup, it)| (setup.servers as f64, millions(it))).collect();
        chart
            .draw_series(points.into_iter().map(|at| Circle::new(at, 4, BLUE.filled())))?
            .label("servers with relays and one broker")
            .legend(|(x, y)| Circle::new((x + 8, y), 4, BLUE.filled()));
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::LowerLeft);
        labels.background_style(WHITE).border_style(BLACK).draw()?;
        area.present()?;
    }
    Ok(svg)
}
