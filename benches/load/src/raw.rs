//! raw.csv: the notes as comments, and then a row for every measurement.

use crate::cell::{Cell, Pace, Scenario};
use crate::ledger::Faults;
use crate::measure::Measurement;
use crate::results::Results;
use csv::{ReaderBuilder, Writer};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// What was measured: a row's first columns. Those of the measurement and the faults follow.
#[derive(Serialize, Deserialize)]
struct Key {
    scenario: Option<Scenario>,
    clients: usize,
    senders: usize,
    bytes: usize,
    window: Option<usize>,
    rate: Option<u32>,
    flooders: usize,
    stalled: usize,
    contender: String,
    round: usize,
}

/// Why there is no measurement, whose columns are zero then.
#[derive(Serialize, Deserialize)]
struct Failure {
    error: Option<String>,
}

impl Key {
    fn new(cell: &Cell, contender: &str, round: usize) -> Self {
        let (window, rate) = match cell.pace {
            Pace::Closed(window) => (Some(window), None),
            Pace::Open(rate) => (None, Some(rate)),
        };
        let &Cell { scenario, clients, senders, bytes, flooders, stalled, .. } = cell;
        let contender = contender.into();
        Self {
            scenario,
            clients,
            senders,
            bytes,
            window,
            rate,
            flooders,
            stalled,
            contender,
            round,
        }
    }

    fn cell(&self) -> Result<Cell, &'static str> {
        let pace = match (self.window, self.rate) {
            (Some(window), None) => Pace::Closed(window),
            (None, Some(rate)) => Pace::Open(rate),
            _ => return Err("a row has either a window or a rate"),
        };
        let &Self { scenario, clients, senders, bytes, flooders, stalled, .. } = self;
        Ok(Cell { scenario, flooders, stalled, ..Cell::new(clients, senders, bytes, pace) })
    }
}

pub fn write(results: &Results) -> Result<String, Box<dyn Error>> {
    let mut writer = Writer::from_writer(Vec::new());
    for (cell, by_contender) in results.cells.iter().zip(&results.outcomes) {
        for (contender, outcomes) in results.contenders.iter().zip(by_contender) {
            for (round, outcome) in outcomes.iter().enumerate() {
                let measurement = outcome.clone().unwrap_or_default();
                let failure = Failure { error: outcome.clone().err() };
                let key = Key::new(cell, contender, round + 1);
                writer.serialize((key, &measurement, measurement.faults, failure))?;
            }
        }
    }
    let notes: String = results.notes.iter().map(|note| format!("# {note}\n")).collect();
    Ok(notes + &String::from_utf8(writer.into_inner()?)?)
}

pub fn read(text: &str) -> Result<Results, Box<dyn Error>> {
    let notes = text.lines().map_while(|line| line.strip_prefix("# ")).map(String::from);
    let mut results = Results { notes: notes.collect(), ..Results::default() };
    let mut reader = ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let headers = reader.headers()?.clone();
    for row in reader.records() {
        let row = row?;
        let key: Key = row.deserialize(Some(&headers))?;
        let outcome = match row.deserialize::<Failure>(Some(&headers))?.error {
            Some(error) => Err(error),
            None => {
                let faults: Faults = row.deserialize(Some(&headers))?;
                Ok(Measurement { faults, ..row.deserialize(Some(&headers))? })
            }
        };
        results.add(&key.cell()?, &key.contender, outcome);
    }
    if results.cells.is_empty() { Err("there are no measurements".into()) } else { Ok(results) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut results = Results { notes: vec!["a machine".into()], ..Results::default() };
        let plain = Cell::new(10, 1, 32, Pace::Closed(64));
        for cell in [&plain].into_iter().chain(&Scenario::Idle.cells()) {
            for (contender, cpu_ns) in [("floor", 3000), ("server", 4000)] {
                let faults = Faults { lost: 2, ..Faults::default() };
                let (deliveries, seconds) = (10, 0.25);
                let measurement =
                    Measurement { deliveries, seconds, cpu_ns, faults, ..Measurement::default() };
                results.add(cell, contender, Ok(measurement));
                results.add(cell, contender, Err("a comma, and \"quotes\"".into()));
            }
        }
        let text = write(&results).unwrap();
        let again = read(&text).unwrap();
        assert_eq!(write(&again).unwrap(), text);
        assert_eq!(report::table(&again), report::table(&results));
        assert!(text.contains("# a machine\nscenario,clients,senders,"));
    }
}
