//! The command line.

use crate::cell::{Cell, Pace, Scenario};
use crate::contender::Contender;
use crate::ledger::SHORTEST_LINE;
use lexopt::{Arg, Parser, ValueExt};
use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

pub const HELP: &str = "\
Puts chat servers under load, checks every line, and compares what they cost.

    load --contender NAME=COMMAND ... [OPTION ...]

  --contender NAME=COMMAND  a server to measure; {port} in the command is replaced. The first is
                            the reference. Once for each of them.
  --only NAMES              measure only these of the contenders
  --clients, --speakers, --bytes, --window LIST
                            the cells: every combination of these, as in --clients 10,100
                            (10,100,500,1000; 1,10; 32,512; 1,64 unless given); or none
  --scenarios LIST          of latency, flood, stalled, idle; or none (all unless given)
  --rounds NUMBER           how often everything is measured (5 unless given)
  --seconds NUMBER          how long each time (0.5 unless given)
  --out FOLDER              where table.md, raw.csv and chart.svg go
  --strict                  fail when anything was lost, doubled, torn, out of order or echoed,
                            or could not be measured
  --help                    print this and end
";

pub struct Options {
    pub contenders: Vec<Contender>,
    pub cells: Vec<Cell>,
    pub scenarios: Vec<Scenario>,
    pub rounds: usize,
    pub seconds: f64,
    pub out: Option<PathBuf>,
    pub strict: bool,
}

/// None when help is what is wanted.
pub fn parse() -> Result<Option<Options>, Box<dyn Error>> {
    let mut parser = Parser::from_env();
    let mut contenders: Vec<Contender> = Vec::new();
    let mut only: Option<Vec<String>> = None;
    let [mut clients, mut speakers, mut bytes, mut windows] =
        [vec![10, 100, 500, 1000], vec![1, 10], vec![32, 512], vec![1, 64]];
    let mut scenarios = Scenario::ALL.to_vec();
    let (mut rounds, mut seconds, mut out, mut strict) = (5, 0.5, None, false);

    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("contender") => contenders.push(parser.value()?.string()?.parse()?),
            Arg::Long("only") => only = Some(list(&mut parser)?),
            Arg::Long("clients") => clients = list(&mut parser)?,
            Arg::Long("speakers") => speakers = list(&mut parser)?,
            Arg::Long("bytes") => bytes = list(&mut parser)?,
            Arg::Long("window") => windows = list(&mut parser)?,
            Arg::Long("scenarios") => scenarios = named_scenarios(&parser.value()?.string()?)?,
            Arg::Long("rounds") => rounds = parser.value()?.parse()?,
            Arg::Long("seconds") => seconds = parser.value()?.parse()?,
            Arg::Long("out") => out = Some(parser.value()?.into()),
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
    let cells = combinations(&clients, &speakers, &bytes, &windows);
    for cell in &cells {
        check(cell)?;
    }
    let is_idle = cells.is_empty() && scenarios.is_empty();
    if contenders.is_empty() || is_idle || rounds == 0 || !(0.001..=600.0).contains(&seconds) {
        return Err("nothing to measure; see --help".into());
    }
    Ok(Some(Options { contenders, cells, scenarios, rounds, seconds, out, strict }))
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
    speakers: &[usize],
    bytes: &[usize],
    windows: &[usize],
) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &clients in clients {
        for &speakers in speakers {
            for &bytes in bytes {
                for &window in windows {
                    cells.push(Cell::new(clients, speakers, bytes, Pace::Closed(window)));
                }
            }
        }
    }
    cells
}

fn check(cell: &Cell) -> Result<(), String> {
    let problem = if cell.clients < 2 {
        "a room has at least two clients"
    } else if !(1..=cell.clients).contains(&cell.speakers) {
        "the speakers are some of the clients"
    } else if cell.bytes < SHORTEST_LINE {
        "a line has room for its speaker and number: at least 16 bytes"
    } else if cell.pace == Pace::Closed(0) {
        "a window is at least one line"
    } else {
        return Ok(());
    };
    Err(format!("{cell}: {problem}"))
}
