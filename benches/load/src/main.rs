//! Puts chat servers under load, checks every line, and compares what they cost.
//!
//! Rounds are interleaved: each goes through all cells, and in each cell all contenders take turns
//! of a tenth of a second. So what disturbs the machine for a while disturbs all of them, or a
//! round, which the median leaves out. The cells of a scenario, which are compared with each other,
//! take turns, too.

mod chart;
mod generator;
mod ledger;
mod measure;
mod options;
mod report;
mod results;
mod stats;

use load::contender::Contender;
use load::machine::Cores;
use load::{cell, contender, machine, room};
use measure::measure_in_turns;
use options::Options;
use results::{Outcome, Results};
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

/// False when something was wrong that must not be.
fn bench(options: Options) -> Result<bool, Box<dyn Error>> {
    let (contenders, missing): (Vec<_>, Vec<_>) =
        options.contenders.into_iter().partition(Contender::is_there);
    if contenders.is_empty() {
        return Err("none of the contenders is there".into());
    }
    let cores = Cores::choose()?;
    machine::allow_descriptors()?;
    machine::pin(None, cores.generator)?;

    let mut results = Results::new(contenders, missing, options.cells, &options.scenarios);
    results.machine = machine::description();
    results.cores_are_one = cores.are_one();
    let time = Duration::from_secs_f64(options.seconds);
    for round in 0..options.rounds {
        run_round(&mut results, round, options.rounds, cores, time);
    }
    let table = report::table(&results);
    print!("{table}");
    if let Some(folder) = options.out {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("table.md"), table)?;
        fs::write(folder.join("raw.csv"), report::csv(&results))?;
        fs::write(folder.join("chart.svg"), chart::svg(&results))?;
        println!("\nwritten to {}", folder.display());
    }
    Ok(!options.strict || results.is_flawless())
}

fn run_round(results: &mut Results, round: usize, rounds: usize, cores: Cores, time: Duration) {
    for group in results.groups() {
        let cells = &results.cells[group.clone()];
        eprint!(
            "\r\x1b[Kround {} of {rounds}, cell {} of {}: {} ",
            round + 1,
            group.end,
            results.cells.len(),
            cells.last().expect("a group has cells"),
        );
        // Another one goes first in each round: being first may be an advantage.
        let measured = measure_in_turns(&results.contenders, cells, cores, time, round);
        for (cell, by_contender) in group.zip(measured) {
            for (contender, measured) in by_contender.into_iter().enumerate() {
                let outcome: Outcome = measured.map_err(|error| error.to_string());
                results.outcomes[cell][contender].push(outcome);
            }
        }
    }
    eprint!("\r\x1b[K");
}
