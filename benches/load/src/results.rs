//! All measurements, and the comparisons between them.

use crate::measure::Measurement;
use load::cell::{Cell, Scenario};
use load::contender::Contender;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A measurement, or the reason why there is none.
pub type Outcome = Result<Measurement, String>;

/// The widest that the middle half of a ratio's rounds may be. Beyond it, five rounds cannot tell a
/// difference of one in twenty, which is what matters here, from chance.
pub const TOLERABLE_SPREAD: f64 = 0.1;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The machine first; then what a reader of the tables should know.
    pub notes: Vec<String>,
    /// Their names; the first is the reference.
    pub contenders: Vec<String>,
    /// The plain cells, and then those of the scenarios.
    pub cells: Vec<Cell>,
    /// By cell, by contender, by round.
    pub outcomes: Vec<Vec<Vec<Outcome>>>,
}

impl Results {
    pub fn new(machine: String, contenders: &[Contender], cells: &[Cell]) -> Self {
        Self {
            notes: vec![machine],
            contenders: contenders.iter().map(|contender| contender.name.clone()).collect(),
            cells: cells.to_vec(),
            outcomes: vec![vec![Vec::new(); contenders.len()]; cells.len()],
        }
    }

    pub fn rounds(&self) -> usize {
        self.outcomes.first().and_then(|cell| cell.first()).map_or(0, Vec::len)
    }

    pub fn plain_cells(&self) -> Range<usize> {
        0..self.cells.iter().filter(|cell| cell.scenario.is_none()).count()
    }

    /// The numbers of a scenario's cells, if it was measured.
    pub fn cells_of(&self, scenario: Scenario) -> Vec<usize> {
        let is_its = |cell: &usize| self.cells[*cell].scenario == Some(scenario);
        (0..self.cells.len()).filter(is_its).collect()
    }

    fn measured(&self, cell: usize, contender: usize) -> impl Iterator<Item = &Measurement> {
        self.outcomes[cell][contender].iter().flatten()
    }

    /// The median over the rounds; none unless every round could be measured.
    pub fn median(
        &self,
        cell: usize,
        contender: usize,
        value: impl Fn(&Measurement) -> f64,
    ) -> Option<f64> {
        if self.outcomes[cell][contender].iter().any(Result::is_err) {
            return None;
        }
        finite_median(&self.measured(cell, contender).map(value).collect::<Vec<_>>())
    }

    pub fn cpu_ns(&self, cell: usize, contender: usize) -> Option<f64> {
        self.median(cell, contender, Measurement::cpu_per_delivery_ns)
    }

    /// CPU per delivery, as a ratio to the reference's in the same round: the median of these.
    pub fn ratio(&self, cell: usize, contender: usize) -> Option<f64> {
        self.ratios(cell, contender).and_then(|ratios| finite_median(&ratios))
    }

    /// Whether the ratio's rounds are too far apart to say much.
    pub fn is_noisy(&self, cell: usize, contender: usize) -> bool {
        self.ratios(cell, contender).is_some_and(|ratios| spread(&ratios) > TOLERABLE_SPREAD)
    }

    fn ratios(&self, cell: usize, contender: usize) -> Option<Vec<f64>> {
        self.compare((cell, contender), (cell, 0), Measurement::cpu_per_delivery_ns)
    }

    /// A contender's value in one cell as a ratio to its value in another: the rounds' median.
    pub fn growth(
        &self,
        [from, to]: [usize; 2],
        contender: usize,
        value: fn(&Measurement) -> f64,
    ) -> Option<f64> {
        finite_median(&self.compare((to, contender), (from, contender), value)?)
    }

    /// The ratio of two (cell, contender) pairs, round by round; none unless every round could be
    /// measured.
    fn compare(
        &self,
        one: (usize, usize),
        other: (usize, usize),
        value: fn(&Measurement) -> f64,
    ) -> Option<Vec<f64>> {
        let [one, other] = [one, other].map(|(cell, contender)| &self.outcomes[cell][contender]);
        let ratio = |pair: (&Outcome, &Outcome)| match pair {
            (Ok(a), Ok(b)) => Some(value(a) / value(b)),
            _ => None,
        };
        one.iter().zip(other).map(ratio).collect()
    }

    /// The share of a contender's CPU time that was spent in user space, over all plain cells.
    pub fn user_share(&self, contender: usize) -> f64 {
        let ticks = self
            .plain_cells()
            .flat_map(|cell| self.measured(cell, contender))
            .fold([0, 0], |[user, all], m| {
                [user + m.user_ticks, all + m.user_ticks + m.system_ticks]
            });
        ticks[0] as f64 / ticks[1] as f64
    }

    pub fn peak_kib(&self, cell: usize, contender: usize) -> Option<u64> {
        self.measured(cell, contender).map(|m| m.peak_kib).max()
    }

    /// What went wrong with a contender in a cell, round by round.
    pub fn problems(&self, cell: usize, contender: usize) -> Vec<String> {
        let problem = |outcome: &Outcome| match outcome {
            Ok(measurement) if measurement.faults.any() => Some(measurement.faults.to_string()),
            Ok(_) => None,
            Err(error) => Some(error.clone()),
        };
        self.outcomes[cell][contender].iter().filter_map(problem).collect()
    }

    pub fn is_flawless(&self) -> bool {
        let mut outcomes = self.outcomes.iter().flatten().flatten();
        outcomes.all(|outcome| outcome.as_ref().is_ok_and(|m| !m.faults.any()))
    }
}

fn finite_median(values: &[f64]) -> Option<f64> {
    Some(quantile(values, 0.5)).filter(|median| median.is_finite())
}

/// How far the middle half of the values lies apart, as a share of their median.
fn spread(values: &[f64]) -> f64 {
    (quantile(values, 0.75) - quantile(values, 0.25)) / quantile(values, 0.5)
}

/// The value below which the share `q` of the values lies, between two of them in proportion.
/// NaN when there are none.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        let values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!([0.5, 0.25, 1.0].map(|q| quantile(&values, q)), [3.0, 2.0, 5.0]);
        assert_eq!(finite_median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(spread(&values), 2.0 / 3.0);
        assert_eq!(finite_median(&[]), None);
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let contender = "floor=floor {port}".parse().unwrap();
        let mut results = Results::new("a machine".into(), &[contender], &Scenario::Idle.cells());
        let measurement = Measurement { seconds: 0.1 + 0.2, cpu_ns: 7, ..Measurement::default() };
        results.outcomes[1][0] = vec![Ok(measurement), Err("a comma, and \"quotes\"".into())];
        let text = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
    }
}
