//! Puts chat servers under load, checks every line, and compares what they cost.
//!
//! Rounds are interleaved: each goes through all cells, and in each cell through all contenders
//! one right after the other. So a ratio is of two measurements a second apart, and what disturbs
//! the machine for a while disturbs a round, which the median leaves out.

mod cell;
mod chart;
mod contender;
mod generator;
mod ledger;
mod machine;
mod measure;
mod options;
mod report;
mod results;
mod room;
mod stats;

use contender::Contender;
use machine::Cores;
use options::Options;
use results::{Outcome, Results};
use std::error::Error;
use std::process::ExitCode;
use std::{fs, io};

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
    for round in 0..options.rounds {
        run_round(&mut results, round, options.rounds, cores, options.seconds);
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

fn run_round(results: &mut Results, round: usize, rounds: usize, cores: Cores, seconds: f64) {
    let nr_contenders = results.contenders.len();
    for cell in 0..results.cells.len() {
        eprint!(
            "\r\x1b[Kround {} of {rounds}, cell {} of {}: {} ",
            round + 1,
            cell + 1,
            results.cells.len(),
            results.cells[cell],
        );
        for turn in 0..nr_contenders {
            // Another one goes first in each round: being first may be an advantage.
            let contender = (round + turn) % nr_contenders;
            let measured = measure::measure(
                &results.contenders[contender],
                &results.cells[cell],
                cores,
                seconds,
            );
            let outcome: Outcome = measured.map_err(|error: io::Error| error.to_string());
            results.outcomes[cell][contender].push(outcome);
        }
    }
    eprint!("\r\x1b[K");
}
