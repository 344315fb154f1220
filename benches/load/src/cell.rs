//! What one measurement puts on a server.

use std::fmt;

/// How the speakers go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each has so many lines on their way, and says one more when all have heard one.
    Closed(usize),
    /// So many lines a second, from all of them together, whatever the server does.
    Open(u32),
}

/// In how many turns a contender is measured: enough for the contenders to be measured close to each
/// other in time, and few enough for a turn to be long beside its beginning and its end.
const TURNS: u32 = 5;

#[derive(Clone, Debug)]
pub struct Cell {
    pub clients: usize,
    pub speakers: usize,
    pub bytes: usize,
    pub pace: Pace,
    /// Clients that say as much as the server takes; not among `speakers`.
    pub flooders: usize,
    /// Clients that never read; not among `clients`.
    pub stalled: usize,
    /// How many times as long as usual it is measured.
    pub stretch: f64,
    /// In how many turns. A single one begins with the first line; more have a warm-up before.
    pub turns: u32,
}

impl Cell {
    pub fn new(clients: usize, speakers: usize, bytes: usize, pace: Pace) -> Self {
        Self { clients, speakers, bytes, pace, flooders: 0, stalled: 0, stretch: 1.0, turns: TURNS }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "N={} S={} B={}", self.clients, self.speakers, self.bytes)?;
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

/// What is measured beside the plain cells, each for one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Ten speakers who say a hundred lines a second in all, among themselves and with ninety who
    /// listen: how long a line is on its way when there is no load to speak of.
    Latency,
    /// Twenty who chat, two hundred lines a second in all, while one more floods the room: how long
    /// they wait for each other's lines. These are long enough for checking them to be faster than
    /// the server is, or the time would be that of the generator's own backlog.
    Flood,
    /// The same room without and with a reader who has stopped for good. The lines are long, for
    /// more to pile up than a server may want to keep; and so is the time, for what follows to
    /// outweigh that. It is one turn, or a server that waits for the reader might do so while others
    /// have theirs.
    Stalled,
    /// A pair in conversation, alone and with a thousand others who say nothing.
    Idle,
}

impl Scenario {
    pub const ALL: [Self; 4] = [Self::Latency, Self::Flood, Self::Stalled, Self::Idle];

    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Flood => "flood",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
        }
    }

    pub fn cells(self) -> Vec<Cell> {
        match self {
            Self::Latency => [10, 100]
                .map(|clients| Cell { stretch: 4.0, ..Cell::new(clients, 10, 32, Pace::Open(100)) })
                .into(),
            Self::Flood => {
                vec![Cell { flooders: 1, stretch: 2.0, ..Cell::new(21, 20, 512, Pace::Open(200)) }]
            }
            Self::Stalled => [0, 1]
                .map(|stalled| Cell {
                    stalled,
                    stretch: 4.0,
                    turns: 1,
                    ..Cell::new(50, 1, 2048, Pace::Closed(16))
                })
                .into(),
            Self::Idle => {
                [2, 1002].map(|clients| Cell::new(clients, 2, 32, Pace::Closed(1))).into()
            }
        }
    }
}
