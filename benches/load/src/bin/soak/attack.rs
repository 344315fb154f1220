//! Attackers among the crowd: they do what the server's bounds are there for. They are checked as
//! everybody is, and nothing they do may harm another client.

use crate::client::Manner;
use crate::crowd::{Crowd, MS};
use anyhow::Result;
use load::line::Id;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Sends much at once, leaves, and comes again as somebody else.
    Flood,
    /// Reads a little at a time, for ever.
    Trickle,
    /// Stops reading, and comes back at the same moment as the others who do.
    ComeBack,
    /// Sends empty lines, one at a time.
    OneByte,
}

const KINDS: [Attack; 4] = [Attack::Flood, Attack::Trickle, Attack::ComeBack, Attack::OneByte];
/// Some 40 KiB, too little to be taken for a heavy sender.
const FLOOD: usize = 200;
/// Attackers wait while so many bytes are on their way to one that keeps up. With a flood more,
/// that is enough for the server to hold senders, and less than its limit, so that nobody who reads
/// may be cut off, however busy the machine is.
const BACKLOG_LIMIT: usize = 128 * 1024;
/// Between two moments at which those who have stopped come back.
const COME_BACK: u64 = 2_000 * MS;

impl Crowd {
    /// What the next one who comes does: the kinds are equally many.
    pub fn next_attack(&self) -> Option<Attack> {
        let count = |kind| self.clients.values().filter(|it| it.attack == Some(kind)).count();
        let rarest = KINDS.into_iter().min_by_key(|kind| count(*kind))?;
        (KINDS.into_iter().map(count).sum::<usize>() < self.attackers).then_some(rarest)
    }

    /// An attacker's next action; returns the pause after it.
    pub fn attack(&mut self, id: Id) -> Result<u64> {
        if self.checker.backlog().max(self.checker.coming()) > BACKLOG_LIMIT {
            return Ok(10 * MS);
        }
        let is_in = self.checker.is_in(id);
        let now = self.now();
        let client = self.client(id);
        let pause = client.rng.u64(50 * MS..700 * MS);
        match client.attack.filter(|_| is_in) {
            Some(Attack::Flood) if client.composed as usize > FLOOD => self.leave(id)?,
            Some(Attack::Flood) => self.send_lines(id, FLOOD, Manner::AtOnce)?,
            Some(Attack::Trickle) => {
                self.read(id)?;
                if self.clients.contains_key(&id) {
                    self.stall_until(id, u64::MAX)?;
                }
            }
            Some(Attack::ComeBack) if client.stalls_until.is_none() => {
                let until = now - now % COME_BACK + COME_BACK;
                self.stall_until(id, until)?;
                return Ok(until - now);
            }
            Some(Attack::OneByte) => {
                client.compose_empty_line();
                self.checker.empty_lines += 1;
                self.send(id, usize::MAX)?;
                return Ok(10 * MS);
            }
            _ => self.send_lines(id, 1, Manner::AtOnce)?,
        }
        Ok(pause)
    }
}
