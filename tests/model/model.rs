//! The model: what every queue, set and counter must be.
//!
//! It asks the kernel one thing alone, how much has arrived at a peer (`Socket::send`), since
//! only the kernel knows. All else follows from the headers.

use super::calls::Outcome;
use super::direct_access::{Bits, mark};
use super::line;
use super::socket::Socket;
use super::step::{Manners, POOLS, SEATS, Who};
use libc::{c_int, c_uint};
use std::collections::VecDeque;

/// The descriptor of each seat: at the borders of the words of a set, and at its end.
pub(crate) const NUMBERS: [c_int; SEATS] = [63, 128, 1023, 64, 127, 1022];

/// A batch of so many bytes is delivered at once.
const BATCH: usize = 4 << 20;

/// What has been held back is joined to the last message where both together are no longer.
const JOINED: usize = 16 << 10;

pub(crate) const READ: usize = 0;
pub(crate) const WRITE: usize = 2;

/// Where in the batch of a corked pool a member's own messages are.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    Nowhere,
    AtTheEnd,
    /// Others have sent something since.
    Before,
}

pub(crate) struct Member {
    pub(crate) seat: usize,
    pub(crate) queue: VecDeque<Vec<u8>>,
    /// How many bytes the kernel has taken.
    sent: usize,
    pub(crate) cut_off: bool,
    /// What was sent to it while the pool is corked, and has yet to be delivered.
    pending: Vec<u8>,
    own: Own,
    /// Whole lines that it has sent, and that have not been fetched.
    ready: VecDeque<u8>,
    line: Vec<u8>,
    /// It has been given to `chat_feed` or `chat_receive`.
    fed: bool,
}

#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) members: Vec<Member>,
    pub(crate) sets: [Bits; 4],
    pub(crate) maxfd: c_int,
    pub(crate) nready: c_int,
    pub(crate) nr_conns: c_uint,
    corked: bool,
    batch: usize,
    /// It has been corked since it last was empty.
    was_corked: bool,
    /// The members that were taken out of the list and not counted off.
    pub(crate) uncounted: Bits,
}

pub(crate) struct Model {
    pub(crate) pools: [Pool; POOLS],
    pub(crate) sockets: [Option<Socket>; SEATS],
    pub(crate) limit: usize,
}

/// What a message of this length counts against the limit.
fn charge(length: usize) -> usize {
    length.max(64)
}

fn total(queue: &VecDeque<Vec<u8>>) -> usize {
    queue.iter().map(Vec::len).sum()
}

/// Sends what is queued for a seat, and counts it.
fn send(socket: &mut Option<Socket>, queue: &mut VecDeque<Vec<u8>>, sent: &mut usize) -> Outcome {
    match socket {
        Some(socket) => {
            let before = total(queue);
            socket.send(queue)?;
            *sent += before - total(queue);
            Ok(())
        }
        None if queue.is_empty() => Ok(()),
        None => {
            queue.clear();
            Err(libc::EBADF)
        }
    }
}

impl Member {
    fn has_room(&self, length: usize, limit: usize) -> bool {
        let waiting: usize = self.queue.iter().map(|text| charge(text.len())).sum();
        limit == 0 || waiting == 0 || waiting + charge(length) <= limit
    }
}

impl Pool {
    pub(crate) fn position(&self, seat: usize) -> Option<usize> {
        self.members.iter().position(|member| member.seat == seat)
    }

    pub(crate) fn is_corked(&self) -> bool {
        self.corked
    }

    /// Whether a program may free all connections by itself: none of them owns memory that it
    /// cannot see, and the batch would be lost with the last one.
    pub(crate) fn may_be_abandoned(&self) -> bool {
        !self.was_corked && !self.members.iter().any(|member| member.fed)
    }

    /// Likewise for one of them.
    pub(crate) fn may_lose(&self, at: usize) -> bool {
        (!self.was_corked || self.members.len() > 1) && !self.members[at].fed
    }

    fn mark(&mut self, set: usize, seat: usize, is_in: bool) {
        mark(&mut self.sets[set], NUMBERS[seat], is_in);
    }

    /// The highest descriptor in `read_set` or in the list.
    fn highest(&self) -> c_int {
        let word = (0..16).rev().find(|word| self.sets[READ][*word] != 0);
        let marked = word.map(|word| word as c_int * 64 + self.sets[READ][word].ilog2() as c_int);
        marked.max(self.members.iter().map(|member| NUMBERS[member.seat]).max()).unwrap_or(0)
    }

    /// The list has become shorter; with the last connection the cork goes.
    fn forget(&mut self, at: usize) {
        self.members.remove(at);
        if self.members.is_empty() {
            (self.corked, self.was_corked, self.batch) = (false, false, 0);
        }
    }
}

impl Model {
    pub(crate) fn new(limit: usize) -> Self {
        Self { pools: Default::default(), sockets: Default::default(), limit }
    }

    fn find(&self, Who { pool, seat }: Who) -> Result<usize, c_int> {
        self.pools[pool].position(seat).ok_or(libc::ENOENT)
    }

    /// Whether messages are queued for a member.
    fn takes(&self, pool: usize, at: usize) -> bool {
        let member = &self.pools[pool].members[at];
        !member.cut_off && !self.sockets[member.seat].as_ref().is_some_and(|it| it.listening)
    }

    pub(crate) fn join(&mut self, Who { pool, seat }: Who) -> Outcome {
        let pool = &mut self.pools[pool];
        if pool.position(seat).is_some() {
            return Err(libc::EEXIST);
        }
        pool.members.push(Member {
            seat,
            queue: VecDeque::new(),
            sent: 0,
            cut_off: false,
            pending: Vec::new(),
            own: Own::Nowhere,
            ready: VecDeque::new(),
            line: Vec::new(),
            fed: false,
        });
        pool.mark(READ, seat, true);
        mark(&mut pool.uncounted, NUMBERS[seat], false);
        pool.maxfd = pool.maxfd.max(NUMBERS[seat]);
        pool.nr_conns += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self, who: Who) -> Outcome {
        let at = self.find(who)?;
        let pool = &mut self.pools[who.pool];
        pool.forget(at);
        pool.nr_conns -= 1;
        for set in 0..4 {
            pool.mark(set, who.seat, false);
        }
        if NUMBERS[who.seat] >= pool.maxfd {
            pool.maxfd = pool.highest();
        }
        Ok(())
    }

    /// Queues some text for a member, or cuts it off: only when there is no room after the queue
    /// has been sent as far as the kernel takes it. It may join the last message, unless that is
    /// the first one, too.
    fn queue(&mut self, pool: usize, at: usize, text: Vec<u8>, may_join: bool) {
        let Self { pools, sockets, limit } = self;
        let pool = &mut pools[pool];
        let member = &mut pool.members[at];
        let socket = &mut sockets[member.seat];
        let (seat, mut has_room) = (member.seat, member.has_room(text.len(), *limit));
        if !has_room {
            // If the peer is gone, the next write_msg reports it.
            let _ = send(socket, &mut member.queue, &mut member.sent);
            has_room = member.has_room(text.len(), *limit);
        }
        if has_room {
            let may_join = may_join && member.queue.len() > 1;
            match member.queue.back_mut().filter(|_| may_join) {
                Some(last) if last.len() + text.len() <= JOINED => last.extend(text),
                _ => member.queue.push_back(text),
            }
        } else {
            member.cut_off = true;
            member.queue.clear();
            socket.iter_mut().for_each(Socket::shut);
        }
        pool.mark(WRITE, seat, has_room);
    }

    /// Queues some text for everyone but the speaker, who need not be in the pool.
    pub(crate) fn say(&mut self, who: Who, text: Vec<u8>) -> Outcome {
        if text.is_empty() {
            return Ok(());
        }
        if self.pools[who.pool].corked {
            self.gather(who, &text);
            return Ok(());
        }
        for at in 0..self.pools[who.pool].members.len() {
            if self.pools[who.pool].members[at].seat != who.seat && self.takes(who.pool, at) {
                self.queue(who.pool, at, text.clone(), false);
            }
        }
        Ok(())
    }

    /// Holds some text back. A sender that sends again after others have is first delivered theirs.
    fn gather(&mut self, who: Who, text: &[u8]) {
        if let Some(at) = self.pools[who.pool].position(who.seat) {
            if self.pools[who.pool].members[at].own == Own::Before {
                self.deliver(who.pool, at);
            }
        }
        let pool = &mut self.pools[who.pool];
        for member in &mut pool.members {
            if member.seat == who.seat {
                member.own = Own::AtTheEnd;
                continue;
            }
            member.pending.extend(text);
            if member.own == Own::AtTheEnd {
                member.own = Own::Before;
            }
        }
        pool.batch += text.len();
        if pool.batch >= BATCH {
            self.deliver_all(who.pool);
        }
    }

    fn deliver_all(&mut self, pool: usize) {
        for at in 0..self.pools[pool].members.len() {
            self.deliver(pool, at);
        }
        self.pools[pool].batch = 0;
    }

    /// Delivers what has been held back for a member: to the kernel where nothing is queued, and
    /// what the kernel does not take to the queue. A peer that is gone gets nothing.
    fn deliver(&mut self, pool: usize, at: usize) {
        let takes = self.takes(pool, at);
        let member = &mut self.pools[pool].members[at];
        member.own = Own::Nowhere;
        let pending = std::mem::take(&mut member.pending);
        if pending.is_empty() || !takes {
            return;
        }
        let mut rest = VecDeque::from([pending]);
        if member.queue.is_empty() {
            let _ = send(&mut self.sockets[member.seat], &mut rest, &mut member.sent);
        }
        for text in rest {
            self.queue(pool, at, text, true);
        }
    }

    pub(crate) fn tell(&mut self, who: Who, text: Vec<u8>) -> Outcome {
        let at = self.find(who)?;
        if text.is_empty() || !self.takes(who.pool, at) {
            return Ok(());
        }
        if self.pools[who.pool].corked {
            self.deliver(who.pool, at);
        }
        if !self.pools[who.pool].members[at].cut_off {
            self.queue(who.pool, at, text, false);
        }
        Ok(())
    }

    pub(crate) fn feed(&mut self, who: Who, bytes: &[u8]) -> Outcome {
        let at = self.find(who)?;
        let member = &mut self.pools[who.pool].members[at];
        member.fed = true;
        let mut said = line::assemble(&mut member.line, bytes);
        // What has not been fetched goes before it.
        if bytes.is_empty() || !said.is_empty() {
            let mut ready = Vec::from(std::mem::take(&mut member.ready));
            ready.append(&mut said);
            said = ready;
        }
        self.say(who, said)
    }

    pub(crate) fn receive(&mut self, who: Who, bytes: &[u8]) -> Outcome {
        let at = self.find(who)?;
        let member = &mut self.pools[who.pool].members[at];
        member.fed = true;
        let lines = line::assemble(&mut member.line, bytes);
        member.ready.extend(lines);
        Ok(())
    }

    /// The next line; nothing where there is none.
    pub(crate) fn next_line(&mut self, who: Who) -> Result<Vec<u8>, c_int> {
        let at = self.find(who)?;
        let ready = &mut self.pools[who.pool].members[at].ready;
        let length = line::first(ready.make_contiguous());
        Ok(ready.drain(..length).collect())
    }

    /// Queues some text for everyone, the seat included.
    pub(crate) fn announce(&mut self, pool: usize, text: Vec<u8>) -> Outcome {
        self.say(Who { pool, seat: SEATS }, text)
    }

    pub(crate) fn write(&mut self, who: Who) -> Outcome {
        let at = self.find(who)?;
        let pool = &mut self.pools[who.pool];
        let Member { queue, sent, cut_off, .. } = &mut pool.members[at];
        let outcome = match cut_off {
            true => Err(libc::ENOBUFS),
            false => send(&mut self.sockets[who.seat], queue, sent),
        };
        if queue.is_empty() {
            pool.mark(WRITE, who.seat, false);
        }
        outcome
    }

    pub(crate) fn cork(&mut self, pool: usize) -> Outcome {
        let pool = &mut self.pools[pool];
        if !pool.members.is_empty() {
            (pool.corked, pool.was_corked) = (true, true);
        }
        Ok(())
    }

    pub(crate) fn uncork(&mut self, pool: usize) -> Outcome {
        if self.pools[pool].corked {
            self.deliver_all(pool);
            self.pools[pool].corked = false;
        }
        Ok(())
    }

    /// How many bytes and messages are queued, how many bytes were sent, and the cut-off's errno.
    pub(crate) fn info(&self, who: Who) -> Result<(usize, usize, usize, c_int), c_int> {
        let member = &self.pools[who.pool].members[self.find(who)?];
        let cut_off = if member.cut_off { libc::ENOBUFS } else { 0 };
        Ok((total(&member.queue), member.queue.len(), member.sent, cut_off))
    }

    /// A program has taken out a connection by itself.
    pub(crate) fn take_out(&mut self, Who { pool, seat }: Who, at: usize, manners: Manners) {
        let pool = &mut self.pools[pool];
        pool.forget(at);
        if manners.counts {
            pool.nr_conns -= 1;
        } else {
            mark(&mut pool.uncounted, NUMBERS[seat], true);
        }
        if manners.clears {
            pool.mark(READ, seat, false);
            pool.mark(WRITE, seat, false);
        }
    }

    /// The write set holds those for whom something waits.
    pub(crate) fn rebuild_write_set(&mut self, pool: usize) {
        let pool = &mut self.pools[pool];
        pool.sets[WRITE] = Bits::default();
        for at in 0..pool.members.len() {
            if !pool.members[at].queue.is_empty() {
                pool.mark(WRITE, pool.members[at].seat, true);
            }
        }
    }
}
