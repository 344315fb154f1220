//! The load that one measurement puts on a server.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// When the senders send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// Closed loop: each has up to this many lines on their way, and sends the next one when all
    /// recipients have received one.
    Closed(usize),
    /// Open loop: this many lines a second, from all senders together, whatever the server does.
    Open(u32),
}

/// The number of turns in which a contender is measured: enough for the contenders to be measured
/// close to each other in time, and few enough for a turn to be long beside its start and end.
const TURNS: u32 = 5;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// None for a plain cell.
    pub scenario: Option<Scenario>,
    pub clients: usize,
    pub senders: usize,
    pub bytes: usize,
    pub pace: Pace,
    /// Clients that send as much as the server takes; not counted in `senders`.
    pub flooders: usize,
    /// Clients that never read; not counted in `clients`.
    pub stalled: usize,
    /// The factor by which it is measured longer than usual.
    pub stretch: f64,
    /// A single turn begins with the first line; with more turns there is a warm-up before.
    pub turns: u32,
}

impl Cell {
    pub fn new(clients: usize, senders: usize, bytes: usize, pace: Pace) -> Self {
        let (scenario, flooders, stalled, stretch, turns) = (None, 0, 0, 1.0, TURNS);
        Self { scenario, clients, senders, bytes, pace, flooders, stalled, stretch, turns }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "N={} S={} B={}", self.clients, self.senders, self.bytes)?;
        match self.pace {
            Pace::Closed(window) => write!(f, " W={window}")?,
            Pace::Open(rate) => write!(f, " {rate} lines/s")?,
        }
        if self.flooders > 0 {
            write!(f, " and {} flooding", self.flooders)?;
        }
        if self.stalled > 0 {
            write!(f, " and {} stalled", self.stalled)?;
        }
        Ok(())
    }
}

/// What is measured beside the plain cells, each for one claim (`benches/README.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    Latency,
    /// The lines are long enough for the generator to check them faster than the server relays
    /// them; otherwise the latency would be that of the generator's own backlog.
    Flood,
    /// The lines are long, so that more piles up than a server may want to keep; the time is long,
    /// so that what follows outweighs that. It is one turn: a server that waits for the reader by
    /// the clock would otherwise do so during the turns of others.
    Stalled,
    Idle,
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        ValueEnum::from_str(name, false)
    }
}

impl Scenario {
    pub fn cells(self) -> Vec<Cell> {
        let cell = |clients, senders, bytes, pace| Cell {
            scenario: Some(self),
            ..Cell::new(clients, senders, bytes, pace)
        };
        match self {
            Self::Latency => [10, 100]
                .map(|clients| Cell { stretch: 4.0, ..cell(clients, 10, 32, Pace::Open(100)) })
                .into(),
            Self::Flood => {
                vec![Cell { flooders: 1, stretch: 2.0, ..cell(21, 20, 512, Pace::Open(200)) }]
            }
            Self::Floods => {
                let flood = |flooders: usize| Cell {
                    flooders,
                    stretch: 2.0,
                    ..cell(300 + flooders, 20, 512, Pace::Open(200))
                };
                [1, 10, 60].map(flood).into()
            }
            Self::Stalled => [0, 1]
                .map(|stalled| Cell {
                    stalled,
                    stretch: 4.0,
                    turns: 1,
                    ..cell(50, 1, 2048, Pace::Closed(16))
                })
                .into(),
            Self::Idle => [2, 1002].map(|clients| cell(clients, 2, 32, Pace::Closed(1))).into(),
        }
    }
}
