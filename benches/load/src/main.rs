//! Puts chat servers under load, checks every line, and compares what they cost.
//!
//! Rounds are interleaved: each goes through all cells, and in each cell all contenders take turns
//! of a tenth of a second. So a disturbance of the machine affects all of them, or a single round,
//! which the median leaves out. The cells of a scenario, which are compared with each other, take
//! turns as well.

mod chart;
mod generator;
mod ledger;
mod measure;
mod options;
mod raw;
mod report;
mod results;
mod stats;

use cell::Cell;
use load::contender::Contender;
use load::machine::Cores;
use load::{cell, contender, machine, room};
use measure::measure_in_turns;
use options::Options;
use results::Results;
use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match options::parse().and_then(|options| options.map_or_else(print_help, bench)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_help() -> Result<bool, Box<dyn Error>> {
    print!("{}", options::HELP);
    Ok(true)
}

/// False when --strict finds a fault.
fn bench(options: Options) -> Result<bool, Box<dyn Error>> {
    let results = match &options.from {
        Some(file) => raw::read(&fs::read_to_string(file)?)?,
        None => measure(&options)?,
    };
    let table = report::table(&results);
    print!("{table}");
    if let Some(folder) = options.out {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("table.md"), table)?;
        fs::write(folder.join("raw.csv"), raw::write(&results)?)?;
        if !results.plain_cells().is_empty() {
            fs::write(folder.join("chart.svg"), chart::svg(&results)?)?;
        }
        println!("\nwritten to {}", folder.display());
    }
    Ok(!options.strict || results.is_flawless())
}

fn measure(options: &Options) -> Result<Results, Box<dyn Error>> {
    let (contenders, missing): (Vec<_>, Vec<_>) =
        options.contenders.iter().cloned().partition(Contender::is_there);
    if contenders.is_empty() {
        return Err("none of the contenders is there".into());
    }
    let cores = Cores::choose()?;
    machine::allow_descriptors()?;
    machine::pin(None, cores.generator)?;

    let mut results = Results { notes: vec![machine::description()], ..Results::default() };
    if cores.are_one() {
        let warning = "Server and generator share the only core: take no number for more.";
        results.notes.push(warning.into());
    }
    let is_not_there =
        |one: Contender| format!("Not on this machine: {} (`{}`).", one.name, one.command());
    results.notes.extend(missing.into_iter().map(is_not_there));
    for round in 0..options.rounds {
        run_round(&mut results, round, &contenders, cores, options);
    }
    Ok(results)
}

fn run_round(
    results: &mut Results,
    round: usize,
    contenders: &[Contender],
    cores: Cores,
    options: &Options,
) {
    let time = Duration::from_secs_f64(options.seconds);
    for cells in options.cells.chunk_by(are_measured_together) {
        let last = cells.last().expect("a chunk has cells");
        eprint!("\r\x1b[Kround {} of {}: {last} ", round + 1, options.rounds);
        // Another one goes first in each round: being first may be an advantage.
        let measured = measure_in_turns(contenders, cells, cores, time, round);
        for (cell, by_contender) in cells.iter().zip(measured) {
            for (contender, measured) in contenders.iter().zip(by_contender) {
                let outcome = measured.map_err(|error| error.to_string());
                results.add(cell, &contender.name, outcome);
            }
        }
    }
    eprint!("\r\x1b[K");
}

/// A plain cell is measured by itself, and the cells of a scenario together.
fn are_measured_together(one: &Cell, next: &Cell) -> bool {
    one.scenario.is_some() && one.scenario == next.scenario
}
