//! All measurements, and the comparisons between them.

use crate::cell::{Cell, Scenario};
use crate::measure::Measurement;
use crate::stats::{median, spread};
use std::ops::Range;

/// A measurement, or the reason why there is none.
pub type Outcome = Result<Measurement, String>;

/// The widest that the middle half of a ratio's rounds may be. Beyond it, five rounds cannot tell a
/// difference of one in twenty, which is what matters here, from chance.
pub const TOLERABLE_SPREAD: f64 = 0.1;

#[derive(Default)]
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
    /// Adds the outcome of the next round of this contender in this cell.
    pub fn add(&mut self, cell: &Cell, contender: &str, outcome: Outcome) {
        let cell = position_or_add(&mut self.cells, cell);
        let contender = position_or_add(&mut self.contenders, &contender.to_string());
        grow(&mut self.outcomes, cell);
        grow(&mut self.outcomes[cell], contender);
        self.outcomes[cell][contender].push(outcome);
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

fn position_or_add<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) -> usize {
    list.iter().position(|known| known == item).unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    })
}

/// Makes room for this index.
fn grow<T: Default>(list: &mut Vec<T>, index: usize) {
    if list.len() <= index {
        list.resize_with(index + 1, T::default);
    }
}

fn finite_median(values: &[f64]) -> Option<f64> {
    Some(median(values)).filter(|median| median.is_finite())
}
