//! All clients together: one thread, one epoll, and an agenda of their next actions.

use crate::checker::Checker;
use crate::client::{Client, Manner};
use anyhow::{Context, Result, bail, ensure};
use load::line::{Id, seeded};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

pub const MS: u64 = 1_000_000;
/// The longest time without any progress. A kernel short of memory for TCP drops what it has no
/// room for, and tries again after longer and longer pauses.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Clients send nothing more while this many bytes are on their way to one that keeps up: less than
/// any limit for slow readers, so that only clients that stall are cut off.
const BACKLOG_LIMIT: usize = 48 * 1024;
/// A client that stalls in order to be cut off reads on when it is this many bytes behind: more
/// than the limit and the kernel's buffers.
const ENOUGH_TO_BE_CUT_OFF: usize = 1 << 20;
/// Newcomers at a time, so that the accept queue does not overflow.
const COME_AT_ONCE: usize = 8;

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub lines: u64,
    pub stalls: u64,
    pub cut_off: u64,
    pub resets: u64,
    pub quits: u64,
    pub web: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Clients act at random.
    Active,
    /// All clients read, and send only the rest of what they have begun.
    Quiet,
}

pub struct Crowd {
    address: SocketAddrV4,
    /// lighttpd's, where it is installed.
    web: Option<SocketAddrV4>,
    seed: u64,
    size: usize,
    /// So many of them are attackers.
    pub attackers: usize,
    mode: Mode,
    pub clients: HashMap<Id, Client>,
    pub checker: Checker,
    pub counts: Counts,
    /// How long this process has been away from the clients at most.
    longest_absence: u64,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    agenda: BinaryHeap<Reverse<(u64, Id)>>,
    clock: Instant,
    buffer: Vec<u8>,
}

impl Crowd {
    pub fn new(
        address: SocketAddrV4,
        web: Option<SocketAddrV4>,
        seed: u64,
        attackers: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            address,
            web,
            seed,
            size: 0,
            attackers,
            mode: Mode::Quiet,
            clients: HashMap::new(),
            checker: Checker::new(seed),
            counts: Counts::default(),
            longest_absence: 0,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(256),
            agenda: BinaryHeap::new(),
            clock: Instant::now(),
            buffer: Vec::new(),
        })
    }

    pub fn size(&self) -> usize {
        self.clients.len()
    }

    /// Keeps this many clients connecting, sending, stalling and leaving for this long.
    pub fn live(&mut self, size: usize, duration: Duration) -> Result<()> {
        (self.size, self.mode) = (size, Mode::Active);
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Waits until this many clients are known to be in and have received everything.
    pub fn settle(&mut self, size: usize) -> Result<()> {
        (self.size, self.mode) = (size, Mode::Quiet);
        let mut received = self.checker.deliveries;
        let mut received_at = Instant::now();
        loop {
            self.step()?;
            let unsettled = self.checker.unsettled();
            if unsettled.is_none() && self.clients.len() >= size {
                break;
            }
            if received != self.checker.deliveries {
                (received, received_at) = (self.checker.deliveries, Instant::now());
            }
            if received_at.elapsed() >= TIMEOUT {
                let (id, why) = unsettled.context("not everybody has come")?;
                let state = self.clients.get(&id).map(Client::describe).transpose()?;
                bail!("{why}, and nobody receives anything more; {}", state.unwrap_or_default());
            }
        }
        self.checker.forget();
        Ok(())
    }

    /// Has all clients leave, each in its way.
    pub fn empty(&mut self) -> Result<()> {
        (self.size, self.mode) = (0, Mode::Quiet);
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            self.leave(id)?;
        }
        while !self.clients.is_empty() {
            self.step()?;
        }
        Ok(())
    }

    pub fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Connects newcomers, waits for the next event or action, and handles it.
    fn step(&mut self) -> Result<()> {
        for _ in 0..self.size.saturating_sub(self.clients.len()).min(COME_AT_ONCE) {
            self.come()?;
        }
        let next = self.agenda.peek().map_or(0, |Reverse((due, _))| *due);
        let began = self.now();
        let wait = next.saturating_sub(began).min(100 * MS);
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait as i64 };
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            self.handle(event.data.u64() as Id, event.flags)?;
        }
        self.events = events;
        let now = self.now();
        while self.agenda.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Reverse((_, id)) = self.agenda.pop().expect("there is a next one");
            if let Some(pause) = self.wake(id)? {
                self.agenda.push(Reverse((self.now() + pause, id)));
            }
        }
        self.longest_absence = self.longest_absence.max((self.now() - began).saturating_sub(wait));
        Ok(())
    }

    fn come(&mut self) -> Result<()> {
        let id = self.checker.join();
        let mut client = self.connect(id)?;
        client.attack = self.next_attack();
        epoll::add(&self.epoll, &client.stream, EventData::new_u64(id.into()), EventFlags::IN)?;
        self.agenda.push(Reverse((self.now(), id)));
        self.clients.insert(id, client);
        Ok(())
    }

    /// Half of the crowd are telnet users, and a fifth of the others come by WebSocket.
    fn connect(&mut self, id: Id) -> io::Result<Client> {
        let mut rng = seeded(self.seed, u64::from(id));
        if self.checker.lines.end_in_crlf(id) {
            return Client::telnet(self.address, id, rng);
        }
        match self.web.filter(|_| rng.u8(0..5) == 0) {
            Some(web) => {
                self.counts.web += 1;
                Client::web(web, id, rng)
            }
            None => Client::plain(self.address, id, rng),
        }
    }

    fn handle(&mut self, id: Id, flags: EventFlags) -> Result<()> {
        if flags.contains(EventFlags::OUT) {
            self.send(id, usize::MAX)?;
        }
        let has_ended = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if has_ended {
            self.read_again(id)?;
        }
        if has_ended || flags.contains(EventFlags::IN) { self.read(id) } else { Ok(()) }
    }

    /// A client's next action; returns the pause after it, unless the client has left.
    fn wake(&mut self, id: Id) -> Result<Option<u64>> {
        let now = self.now();
        let Some(client) = self.clients.get(&id) else { return Ok(None) };
        if let Some(since) = client.quit_at {
            let in_time = now - since < TIMEOUT.as_nanos() as u64;
            ensure!(in_time, "client {id} has quit, and its connection is not ended");
            return Ok(Some(100 * MS));
        }
        let has_to_read = self.mode == Mode::Quiet || self.checker.owed(id) > ENOUGH_TO_BE_CUT_OFF;
        let is_attacker = client.attack.is_some();
        if client.stalls_until.is_some_and(|until| now >= until || has_to_read) {
            self.read_again(id)?;
        }
        if self.clients[&id].has_unsent() {
            return self.go_on_sending(id).map(Some);
        }
        match self.mode {
            Mode::Quiet if self.checker.is_in(id) => Ok(Some(50 * MS)),
            Mode::Quiet => self.send_lines(id, 1, Manner::AtOnce).map(|()| Some(200 * MS)),
            Mode::Active if is_attacker => self.attack(id).map(Some),
            Mode::Active if self.checker.backlog() > BACKLOG_LIMIT => Ok(Some(10 * MS)),
            Mode::Active => self.act(id),
        }
    }

    fn go_on_sending(&mut self, id: Id) -> Result<u64> {
        let client = self.client(id);
        let (most, pause) = match client.manner {
            _ if client.waits_to_write => return Ok(20 * MS),
            Manner::AtOnce => (usize::MAX, 5 * MS),
            Manner::ByteByByte => (1, MS / 2),
            Manner::InPieces => (client.rng.usize(1..3000), client.rng.u64(MS..100 * MS)),
        };
        self.send(id, most)?;
        Ok(pause)
    }

    /// A random action. Until the client is known to be in, it sends lines.
    fn act(&mut self, id: Id) -> Result<Option<u64>> {
        let is_in = self.checker.is_in(id);
        let client = self.client(id);
        let pause = client.rng.u64(50 * MS..700 * MS);
        match client.rng.u8(0..32) {
            0..5 if is_in => self.leave(id)?,
            5..8 if is_in && client.stalls_until.is_none() => self.stall(id)?,
            8 => self.send_lines(id, 20, Manner::AtOnce)?,
            9..11 => self.send_lines(id, 1, Manner::ByteByByte)?,
            11..15 => self.send_lines(id, 2, Manner::InPieces)?,
            _ => self.send_lines(id, 1, Manner::AtOnce)?,
        }
        Ok(Some(pause))
    }

    pub fn send_lines(&mut self, id: Id, lines: usize, manner: Manner) -> Result<()> {
        let client = self.clients.get_mut(&id).expect("it is here");
        for _ in 0..lines {
            client.compose(&self.checker.lines.line(id, client.composed));
        }
        self.checker.expect_answers(id, client.take_answers());
        client.manner = manner;
        self.go_on_sending(id).map(|_| ())
    }

    pub fn send(&mut self, id: Id, most: usize) -> Result<()> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        match client.send(most) {
            Ok(lines) => {
                self.counts.lines += u64::from(lines);
                self.checker.sent(id, lines);
                self.watch(id)?;
            }
            // Reading will show whether the server may have ended the connection.
            Err(error) if is_end(&error) => {
                client.give_up_sending();
                self.read_again(id)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Stops reading for a while, one time in three for long enough to be cut off.
    fn stall(&mut self, id: Id) -> Result<()> {
        let now = self.now();
        let client = self.client(id);
        let most = if client.rng.u8(0..3) == 0 { 15_000 } else { 1_500 };
        let until = now + client.rng.u64(50 * MS..most * MS);
        self.stall_until(id, until)
    }

    pub fn stall_until(&mut self, id: Id, until: u64) -> Result<()> {
        self.client(id).stalls_until = Some(until);
        self.counts.stalls += 1;
        self.checker.stop_reading(id);
        self.watch(id)
    }

    fn read_again(&mut self, id: Id) -> Result<()> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        client.stalls_until = None;
        self.checker.catch_up(id);
        self.watch(id)
    }

    /// Registers the events that matter for a client.
    fn watch(&self, id: Id) -> Result<()> {
        let client = &self.clients[&id];
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, client.stalls_until.is_none());
        flags.set(EventFlags::OUT, client.waits_to_write);
        Ok(epoll::modify(&self.epoll, &client.stream, EventData::new_u64(id.into()), flags)?)
    }

    pub fn read(&mut self, id: Id) -> Result<()> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        let end = match client.receive(&mut self.buffer) {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(()),
            Err(error) if is_end(&error) => return self.has_ended(id, &error),
            Err(error) => return Err(error.into()),
        };
        client.read_at = self.clock.elapsed().as_nanos() as u64;
        let received = self.checker.receive(id, &self.buffer[..end])?;
        client.inbox.keep(&self.buffer[received..end]);
        Ok(())
    }

    /// The server has ended a connection. It may do so when the client has quit or is behind.
    fn has_ended(&mut self, id: Id, error: &io::Error) -> Result<()> {
        let client = self.clients.remove(&id).expect("it has just read");
        let is_behind = self.checker.is_behind(id);
        let is_whole = self.checker.is_beginning(id, &client.inbox.unfinished);
        ensure!(is_whole, "what client {id} receives ends with something torn");
        let is_in_order = error.kind() == ErrorKind::UnexpectedEof;
        if client.quit_at.is_some() && (is_in_order || is_behind || client.is_by_web()) {
            self.checker.leave(id);
        } else if is_behind {
            self.counts.cut_off += 1;
            self.checker.abort(id);
        } else {
            let (owed, read) = (self.checker.owed(id), (self.now() - client.read_at) / MS);
            let absence = self.longest_absence / MS;
            bail!(
                "client {id} has kept up, and is cut off: {error}; {owed} bytes were on their way, \
                 {read} ms after it last read; this test was never away for more than {absence} ms"
            );
        }
        Ok(())
    }

    /// Ends a client's connection in one way or another; some have just begun a line.
    pub fn leave(&mut self, id: Id) -> Result<()> {
        let mut client = self.clients.remove(&id).expect("it is here");
        let way = client.rng.u8(0..8);
        if way < 4 && !client.has_unsent() {
            match client.stop_sending(self.now()) {
                Ok(()) => return self.wait_for_end(client),
                Err(error) if !self.checker.is_behind(id) => return Err(error.into()),
                Err(_) => {}
            }
        }
        if way == 4 && !client.has_unsent() {
            client.send_part(&self.checker.lines.line(id, client.composed));
        }
        // The others disconnect, most with a reset even if they have read everything.
        if way < 7 {
            client.prepare_reset()?;
        }
        self.counts.resets += 1;
        self.checker.abort(id);
        Ok(())
    }

    /// The client has quit, and reads until the server ends the connection as well.
    fn wait_for_end(&mut self, client: Client) -> Result<()> {
        let id = client.id;
        self.counts.quits += 1;
        // When a WebSocket is closed, lighttpd drops what it has not passed on.
        if client.is_by_web() {
            self.checker.quit_abruptly(id);
        } else {
            self.checker.quit(id);
        }
        self.clients.insert(id, client);
        self.watch(id)
    }

    pub fn client(&mut self, id: Id) -> &mut Client {
        self.clients.get_mut(&id).expect("it is here")
    }
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (came, deliveries) = (self.checker.came, self.checker.deliveries);
        let Counts { lines, stalls, cut_off, resets, quits, web } = self.counts;
        let answers = self.checker.answers;
        write!(f, "{came} in all, {web} by WebSocket, {answers} telnet requests answered; ")?;
        write!(f, "{lines} lines sent, {deliveries} correct deliveries; ")?;
        write!(
            f,
            "{resets} resets, {quits} closed in order, {stalls} stalls, {cut_off} cut off; "
        )?;
        write!(f, "longest absence {} ms", self.longest_absence / MS)
    }
}

fn is_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
