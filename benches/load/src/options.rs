//! The command line.

use crate::cell::{Cell, Pace, Scenario};
use crate::contender::Contender;
use crate::ledger::SHORTEST_LINE;
use lexopt::{Arg, Parser, ValueExt};
use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

pub const HELP: &str = "\
Puts chat servers under load, checks every line, and compares what they cost.

    load --preset NAME [OPTION ...]
    load [OPTION ...]

  --preset NAME             options for a purpose, which those that follow replace: full, quick,
                            flood, check, check-flood
  --contender NAME=COMMAND  one more server to measure; {port} in the command is replaced
  --only NAMES              measure only these of the contenders, which are floor (the reference),
                            server, copies, uncorked, original, ncat, and those added
  --clients, --senders, --bytes, --window LIST
                            the cells: every combination of these, as in --clients 10,100
                            (10,100,500,1000; 1,10; 32,512; 1,64 by default); or none
  --scenarios LIST          of latency, flood, stalled, idle; or none (all by default)
  --rounds NUMBER           how often everything is measured (5 by default)
  --seconds NUMBER          how long each time (0.5 by default)
  --out FOLDER              where table.md, raw.csv and chart.svg go
  --from FILE               measure nothing: read a raw.csv
  --strict                  fail when anything was lost, doubled, torn, out of order or echoed,
                            or could not be measured
  --help                    print this and end
";

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
    ("flood", "--rounds 3 --seconds 1 --clients none --scenarios flood --only server --strict"),
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

pub struct Options {
    pub contenders: Vec<Contender>,
    pub cells: Vec<Cell>,
    pub rounds: usize,
    pub seconds: f64,
    pub out: Option<PathBuf>,
    pub from: Option<PathBuf>,
    pub strict: bool,
}

/// None when help is asked for.
pub fn parse() -> Result<Option<Options>, Box<dyn Error>> {
    let mut parser = Parser::from_args(expanded(env::args_os().skip(1).collect())?);
    let mut contenders: Vec<Contender> =
        CONTENDERS.into_iter().map(str::parse).collect::<Result<_, _>>()?;
    let mut only: Option<Vec<String>> = None;
    let [mut clients, mut senders, mut bytes, mut windows] =
        [vec![10, 100, 500, 1000], vec![1, 10], vec![32, 512], vec![1, 64]];
    let mut scenarios = Scenario::ALL.to_vec();
    let (mut rounds, mut seconds, mut strict) = (5, 0.5, false);
    let (mut out, mut from) = (None, None);

    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("contender") => contenders.push(parser.value()?.string()?.parse()?),
            Arg::Long("only") => only = Some(list(&mut parser)?),
            Arg::Long("clients") => clients = list(&mut parser)?,
            Arg::Long("senders") => senders = list(&mut parser)?,
            Arg::Long("bytes") => bytes = list(&mut parser)?,
            Arg::Long("window") => windows = list(&mut parser)?,
            Arg::Long("scenarios") => scenarios = named_scenarios(&parser.value()?.string()?)?,
            Arg::Long("rounds") => rounds = parser.value()?.parse()?,
            Arg::Long("seconds") => seconds = parser.value()?.parse()?,
            Arg::Long("out") => out = Some(parser.value()?.into()),
            Arg::Long("from") => from = Some(parser.value()?.into()),
            Arg::Long("strict") => strict = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(names) = only {
        if let Some(name) = names.iter().find(|name| contenders.iter().all(|c| c.name != **name)) {
            return Err(format!("there is no contender {name}").into());
        }
        contenders.retain(|contender| names.contains(&contender.name));
    }
    let mut cells = combinations(&clients, &senders, &bytes, &windows);
    for cell in &cells {
        check(cell)?;
    }
    cells.extend(scenarios.into_iter().flat_map(Scenario::cells));
    if cells.is_empty() || rounds == 0 || !(0.001..=600.0).contains(&seconds) {
        return Err("nothing to measure; see --help".into());
    }
    Ok(Some(Options { contenders, cells, rounds, seconds, out, from, strict }))
}

/// The arguments with the options of the preset in its place.
fn expanded(arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    match &arguments[..] {
        [option, name, others @ ..] if option == "--preset" => {
            let (_, preset) = PRESETS
                .iter()
                .find(|(known, _)| name == known)
                .ok_or_else(|| format!("there is no preset {}", name.to_string_lossy()))?;
            let options = preset.split_whitespace().map(OsString::from);
            Ok(options.chain(others.iter().cloned()).collect())
        }
        _ => Ok(arguments),
    }
}

fn list<T: FromStr<Err: Display>>(parser: &mut Parser) -> Result<Vec<T>, Box<dyn Error>> {
    let text = parser.value()?.string()?;
    let parse = |word: &str| word.parse().map_err(|error| format!("'{word}': {error}").into());
    if text == "none" { Ok(Vec::new()) } else { text.split(',').map(parse).collect() }
}

fn named_scenarios(text: &str) -> Result<Vec<Scenario>, Box<dyn Error>> {
    let find = |name: &str| {
        let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
        found.ok_or_else(|| format!("there is no scenario {name}").into())
    };
    if text == "none" { Ok(Vec::new()) } else { text.split(',').map(find).collect() }
}

fn combinations(
    clients: &[usize],
    senders: &[usize],
    bytes: &[usize],
    windows: &[usize],
) -> Vec<Cell> {
    let pairs = clients.iter().flat_map(|c| senders.iter().map(move |s| (*c, *s)));
    let triples = pairs.flat_map(|(c, s)| bytes.iter().map(move |b| (c, s, *b)));
    let with_windows = triples.flat_map(|(c, s, b)| windows.iter().map(move |w| (c, s, b, *w)));
    with_windows.map(|(c, s, b, w)| Cell::new(c, s, b, Pace::Closed(w))).collect()
}

fn check(cell: &Cell) -> Result<(), String> {
    let problem = if cell.clients < 2 {
        "a room has at least two clients"
    } else if !(1..=cell.clients).contains(&cell.senders) {
        "the senders are some of the clients"
    } else if cell.bytes < SHORTEST_LINE {
        "a line has room for its sender and number: at least 16 bytes"
    } else if cell.pace == Pace::Closed(0) {
        "a window is at least one line"
    } else {
        return Ok(());
    };
    Err(format!("{cell}: {problem}"))
}
