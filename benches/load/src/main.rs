//! Puts chat servers under load, checks every line, and compares what they cost.
//!
//! Rounds are interleaved: each goes through all cells, and in each cell all contenders take turns
//! of a tenth of a second. So a disturbance of the machine affects all of them, or a single round,
//! which the median leaves out. The cells of a scenario, which are compared with each other, take
//! turns as well.

mod chart;
mod measure;
mod options;
mod report;
mod results;

use anyhow::{Result, ensure};
use load::cell::Cell;
use load::contender::Contender;
use load::machine::{self, Cores};
use measure::measure_in_turns;
use options::Options;
use results::Results;
use std::fs;
use std::time::Duration;

fn main() -> Result<()> {
    let options = Options::from_arguments();
    let results = match &options.from {
        Some(file) => serde_json::from_str(&fs::read_to_string(file)?)?,
        None => measure(&options)?,
    };
    let table = report::table(&results);
    print!("{table}");
    if let Some(folder) = options.out {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("table.md"), table)?;
        fs::write(folder.join("raw.json"), serde_json::to_string(&results)?)?;
        if !results.plain_cells().is_empty() {
            fs::write(folder.join("chart.svg"), chart::svg(&results)?)?;
        }
        println!("\nwritten to {}", folder.display());
    }
    ensure!(!options.strict || results.is_flawless(), "there are faults, see above");
    Ok(())
}

fn measure(options: &Options) -> Result<Results> {
    let cells = options.cells()?;
    let (contenders, missing): (Vec<_>, Vec<_>) =
        options.contenders()?.into_iter().partition(Contender::is_there);
    ensure!(!contenders.is_empty(), "none of the contenders is there");
    let cores = Cores::choose()?;
    machine::allow_descriptors()?;
    machine::pin(None, cores.generator)?;

    let mut results = Results::new(machine::description()?, &contenders, &cells);
    if cores.are_one() {
        let warning = "Server and generator share the only core: take no number for more.";
        results.notes.push(warning.into());
    }
    let is_not_there =
        |one: Contender| format!("Not on this machine: {} (`{}`).", one.name, one.command());
    results.notes.extend(missing.into_iter().map(is_not_there));
    let time = Duration::from_secs_f64(options.seconds);
    for round in 0..options.rounds as usize {
        let measure = |cells: &[Cell]| {
            eprint!("\r\x1b[Kround {} of {}: {} ", round + 1, options.rounds, cells[0]);
            // Another one goes first in each round: being first may be an advantage.
            measure_in_turns(&contenders, cells, cores, time, round)
        };
        let measured = cells.chunk_by(are_measured_together).flat_map(measure).flatten();
        for (outcomes, outcome) in results.outcomes.iter_mut().flatten().zip(measured) {
            outcomes.push(outcome.map_err(|error| error.to_string()));
        }
    }
    eprint!("\r\x1b[K");
    Ok(results)
}

/// A plain cell is measured by itself, and the cells of a scenario together.
fn are_measured_together(one: &Cell, next: &Cell) -> bool {
    one.scenario.is_some() && one.scenario == next.scenario
}
