//! Everything that was measured, and what can be said of it.

use crate::cell::{Cell, Scenario};
use crate::contender::Contender;
use crate::measure::Measurement;
use crate::stats::{median, spread};
use std::ops::Range;

/// A measurement, or why there is none.
pub type Outcome = Result<Measurement, String>;

/// The middle half of the rounds' ratios may lie so far apart. Beyond that, a difference of one in
/// twenty, which is what matters here, cannot be told from chance by five rounds.
pub const TOLERABLE_SPREAD: f64 = 0.1;

pub struct Results {
    pub machine: String,
    pub cores_are_one: bool,
    /// The first is the reference.
    pub contenders: Vec<Contender>,
    pub missing: Vec<Contender>,
    /// The plain cells, and then those of the scenarios.
    pub cells: Vec<Cell>,
    pub nr_plain: usize,
    pub scenarios: Vec<(Scenario, Range<usize>)>,
    /// By cell, by contender, by round.
    pub outcomes: Vec<Vec<Vec<Outcome>>>,
}

impl Results {
    pub fn new(
        contenders: Vec<Contender>,
        missing: Vec<Contender>,
        plain: Vec<Cell>,
        scenarios: &[Scenario],
    ) -> Self {
        let nr_plain = plain.len();
        let mut cells = plain;
        let scenarios = scenarios.iter().map(|scenario| {
            let first = cells.len();
            cells.extend(scenario.cells());
            (*scenario, first..cells.len())
        });
        let scenarios = scenarios.collect();
        let outcomes = vec![vec![Vec::new(); contenders.len()]; cells.len()];
        Self {
            machine: String::new(),
            cores_are_one: false,
            contenders,
            missing,
            cells,
            nr_plain,
            scenarios,
            outcomes,
        }
    }

    /// The cells that are measured together: each plain one by itself, and those of a scenario.
    pub fn groups(&self) -> Vec<Range<usize>> {
        let plain = (0..self.nr_plain).map(|cell| cell..cell + 1);
        plain.chain(self.scenarios.iter().map(|(_, cells)| cells.clone())).collect()
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

    /// Whether the ratio's rounds lie too far apart to say much.
    pub fn is_noisy(&self, cell: usize, contender: usize) -> bool {
        self.ratios(cell, contender).is_some_and(|ratios| spread(&ratios) > TOLERABLE_SPREAD)
    }

    fn ratios(&self, cell: usize, contender: usize) -> Option<Vec<f64>> {
        self.compare((cell, contender), (cell, 0), Measurement::cpu_per_delivery_ns)
    }

    /// What a contender has in one cell as a ratio to what it has in another: the median of the
    /// rounds.
    pub fn growth(
        &self,
        [from, to]: [usize; 2],
        contender: usize,
        value: fn(&Measurement) -> f64,
    ) -> Option<f64> {
        finite_median(&self.compare((to, contender), (from, contender), value)?)
    }

    /// What one cell and contender have as a ratio to what others have, round by round; none unless
    /// every round could be measured.
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

    /// What share of a contender's time was its own, and not the kernel's, over all plain cells.
    pub fn user_share(&self, contender: usize) -> f64 {
        let ticks = (0..self.nr_plain)
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
    Some(median(values)).filter(|median| median.is_finite())
}
