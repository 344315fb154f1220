//! The command line.

use anyhow::{Result, ensure};
use clap::Parser;
use itertools::iproduct;
use load::cell::{Cell, Pace, Scenario};
use load::contender::Contender;
use load::line;
use std::env;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// What `make` builds, and ncat. The first is the reference.
const CONTENDERS: [&str; 6] = [
    "floor=build/benches/floor {port}",
    "server=./server --quiet {port}",
    "copies=build/benches/copies {port}",
    "uncorked=build/benches/uncorked --quiet {port}",
    "original=build/benches/original {port}",
    "ncat=ncat -l -k --broker -m 2000 {port}",
];

/// `original` and `ncat` may tear lines while somebody floods: they relay what a read gave them.
const PRESETS: [(&str, &str); 5] = [
    ("full", "--out benches/results"),
    (
        "quick",
        "--rounds 3 --seconds 0.25 --clients 10,100 --bytes 32 --scenarios latency \
         --out build/benches/quick",
    ),
    (
        "flood",
        "--rounds 3 --seconds 1 --clients none --scenarios flood,floods --only server --strict",
    ),
    (
        "check",
        "--rounds 1 --seconds 0.05 --clients 10 --senders 2 --bytes 40 --window 8 \
         --scenarios latency,idle --only floor,server,copies,uncorked,original --strict \
         --out build/benches/check",
    ),
    (
        "check-flood",
        "--rounds 1 --seconds 0.05 --clients none --scenarios flood \
         --only floor,server,copies,uncorked --strict",
    ),
];

/// Puts chat servers under load, checks every line, and compares what they cost.
///
/// The plain cells are every combination of --clients, --senders, --bytes and --window. LISTs are
/// separated by commas, and may be `none`.
#[derive(Parser)]
#[command(args_override_self = true)]
pub struct Options {
    /// Options for a purpose; others that are given replace them
    #[arg(long, value_parser = PRESETS.map(|(name, _)| name))]
    preset: Option<String>,
    /// One more server to measure; {port} in the command is replaced
    #[arg(long = "contender", value_name = "NAME=COMMAND")]
    added: Vec<Contender>,
    /// Measure only these of floor (the reference), server, copies, uncorked, original, ncat, and
    /// those added
    #[arg(long, value_name = "LIST")]
    only: Option<List<String>>,
    /// Clients in the room
    #[arg(long, value_name = "LIST", default_value = "10,100,500,1000")]
    clients: List<usize>,
    /// How many of them send
    #[arg(long, value_name = "LIST", default_value = "1,10")]
    senders: List<usize>,
    /// The length of a line
    #[arg(long, value_name = "LIST", default_value = "32,512")]
    bytes: List<usize>,
    /// Lines of a sender that are on their way
    #[arg(long, value_name = "LIST", default_value = "1,64")]
    window: List<usize>,
    /// What to measure beside the plain cells
    #[arg(long, value_name = "LIST", default_value = "latency,flood,stalled,idle")]
    scenarios: List<Scenario>,
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How long each time
    #[arg(long, default_value_t = 0.5)]
    pub seconds: f64,
    /// Where table.md, raw.json and chart.svg go
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Measure nothing: read a raw.json
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Fail when anything was lost, doubled, torn, out of order or echoed, or could not be measured
    #[arg(long)]
    pub strict: bool,
}

impl Options {
    /// Exits when help is asked for, or when the arguments make no sense.
    pub fn from_arguments() -> Self {
        let given = Self::parse();
        let preset = PRESETS.iter().find(|(name, _)| given.preset.as_deref() == Some(name));
        let Some((_, preset)) = preset else { return given };
        let (program, arguments) = (env::args().take(1), env::args().skip(1));
        let preset = preset.split_whitespace().map(String::from);
        Self::parse_from(program.chain(preset).chain(arguments))
    }

    pub fn contenders(&self) -> Result<Vec<Contender>> {
        let known = CONTENDERS.map(|one| one.parse().expect("a contender"));
        let mut contenders = [&known[..], &self.added].concat();
        if let Some(List(names)) = &self.only {
            for name in names {
                let is_known = contenders.iter().any(|one| one.name == *name);
                ensure!(is_known, "there is no contender {name}");
            }
            contenders.retain(|one| names.contains(&one.name));
        }
        Ok(contenders)
    }

    pub fn cells(&self) -> Result<Vec<Cell>> {
        let all = iproduct!(&self.clients.0, &self.senders.0, &self.bytes.0, &self.window.0);
        let mut cells: Vec<_> =
            all.map(|(c, s, b, w)| Cell::new(*c, *s, *b, Pace::Closed(*w))).collect();
        for cell in &cells {
            let (clients, senders) = (cell.clients, cell.senders);
            ensure!(clients >= 2, "{cell}: a room has at least two clients");
            ensure!((1..=clients).contains(&senders), "{cell}: senders are some of the clients");
            ensure!(
                cell.bytes >= line::SHORTEST,
                "{cell}: a line has at least {} bytes",
                line::SHORTEST
            );
            ensure!(cell.pace != Pace::Closed(0), "{cell}: a window is at least one line");
        }
        cells.extend(self.scenarios.0.iter().flat_map(|scenario| scenario.cells()));
        let has_time = (0.001..=600.0).contains(&self.seconds);
        ensure!(!cells.is_empty() && has_time, "nothing to measure; see --help");
        Ok(cells)
    }
}

#[derive(Clone)]
struct List<T>(Vec<T>);

impl<T: FromStr<Err: Display>> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |word: &str| word.parse().map_err(|error| format!("'{word}': {error}"));
        match text {
            "none" => Ok(Self(Vec::new())),
            _ => text.split(',').map(parse).collect::<Result<_, _>>().map(Self),
        }
    }
}
