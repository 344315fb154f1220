//! Servers that form one room, their clients, and what has become of what these say.

use crate::cell::{Cell, Pace};
use crate::generator::Generator;
use crate::ledger::Faults;
use crate::rooms::{self, Rooms};
use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::Duration;

pub const SERVERS: usize = 3;
/// Eight clients at each server, two of whom talk. A sender may have 1,024 lines on their way: what
/// it says in half a minute.
pub fn chat() -> Cell {
    Cell::new(8 * SERVERS, 2 * SERVERS, 64, Pace::Open(120))
}

/// One sender, at the first server, with so many lines on their way, of 512 bytes; two clients at
/// each server.
pub fn flood(lines: usize) -> Cell {
    Cell::new(2 * SERVERS, 1, 512, Pace::Closed(lines))
}

pub struct Talk {
    pub rooms: Rooms,
    pub crowd: Generator,
    clients: usize,
    senders: usize,
    /// The lost lines that each relay has counted while they came together.
    lost_before: Vec<usize>,
}

impl Talk {
    /// Three servers, one broker, and an ordinary chat.
    pub fn start(name: &str) -> Result<Self> {
        Self::begin(Rooms::start(name, SERVERS, "")?, &chat())
    }

    /// Waits until everybody has heard everybody.
    pub fn begin(rooms: Rooms, cell: &Cell) -> Result<Self> {
        let mut crowd = rooms.explain(rooms.gather(cell))?;
        crowd.come_back()?;
        let lost_before =
            rooms.relays.iter().map(|relay| relay.figure("lost_in")).collect::<Result<_>>()?;
        Ok(Self { rooms, crowd, clients: cell.clients, senders: cell.senders, lost_before })
    }

    /// Something happens while they talk. Afterwards all hear each other again, and every line has
    /// arrived or is known to be lost.
    pub fn during(&mut self, act: impl FnOnce(&mut Rooms) -> Result<()>) -> Result<()> {
        let outcome = rooms::talk_while(&mut self.crowd, || act(&mut self.rooms));
        self.rooms.explain(outcome)
    }

    /// Nothing happens.
    pub fn go_on(&mut self) -> Result<()> {
        self.during(|_| {
            thread::sleep(Duration::from_secs(1));
            Ok(())
        })
    }

    /// Lines from a server to another may be lost where it is said so, and nothing else may be
    /// wrong.
    pub fn check(&self, may_lose: impl Fn(usize, usize) -> bool) -> Result<()> {
        self.rooms.explain(self.find_faults(may_lose))
    }

    fn find_faults(&self, may_lose: impl Fn(usize, usize) -> bool) -> Result<()> {
        let faults = Faults { lost: 0, ..self.crowd.ledger.faults() };
        ensure!(!faults.any(), "{faults}");
        for recipient in 0..self.clients {
            for sender in (0..self.senders).filter(|sender| *sender != recipient) {
                let lost = self.crowd.ledger.lost(recipient, sender);
                let (from, to) = (sender % self.servers(), recipient % self.servers());
                ensure!(
                    lost == 0 || may_lose(from, to),
                    "{lost} lines of client {sender}, at server {from}, are lost to client \
                     {recipient}, at server {to}"
                );
            }
        }
        Ok(())
    }

    pub fn nothing_is_lost(&self) -> Result<()> {
        self.check(|_, _| false)
    }

    /// How many lines each client at one server has lost of those that were said at another.
    pub fn lost(&self, from: usize, to: usize) -> Result<usize> {
        let at = |count, server| (server..count).step_by(self.servers());
        let of_recipient = |recipient| {
            at(self.senders, from).map(|sender| self.crowd.ledger.lost(recipient, sender)).sum()
        };
        let mut lost = at(self.clients, to).map(of_recipient);
        let first = lost.next().context("there are clients")?;
        ensure!(lost.all(|other| other == first), "clients at server {to} lose different lines");
        Ok(first)
    }

    /// What is lost to the clients of a server is what its relay says.
    pub fn loss_is_told(&self, to: usize) -> Result<usize> {
        let others = (0..self.servers()).filter(|from| *from != to);
        let lost = others.map(|from| self.lost(from, to)).sum::<Result<usize>>()?;
        let told = self.figure(to, "lost_in")? - self.lost_before[to];
        ensure!(lost == told, "{lost} lines are lost at server {to}, and its relay says {told}");
        Ok(lost)
    }

    /// Between the servers lines may be lost, but each relay says how many.
    pub fn losses_are_told(&self) -> Result<()> {
        self.check(|from, to| from != to)?;
        (0..self.servers()).try_for_each(|to| self.loss_is_told(to).map(drop))
    }

    /// A figure of a relay's statistics.
    pub fn figure(&self, relay: usize, name: &str) -> Result<usize> {
        self.rooms.relays[relay].figure(name)
    }

    fn servers(&self) -> usize {
        self.rooms.servers.len()
    }
}
