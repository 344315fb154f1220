//! Sends and receives for all clients of a room: one thread, one epoll.

use load::cell::{Cell, Pace};
use load::inbox::Inbox;
use load::ledger::Ledger;
use load::room::TIMEOUT;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SECOND: u64 = 1_000_000_000;
/// The number of lines on their way per sender in an open loop.
const OUTSTANDING_LIMIT: usize = 1024;
/// The number of bytes on their way per flooder: more than kernel and server keep.
const FLOOD: usize = 16 << 20;
/// The most bytes that are written at once, so that reading is not held up.
const CHUNK: usize = 64 * 1024;

pub struct Generator {
    clients: Vec<TcpStream>,
    pub ledger: Ledger,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    senders: Vec<Sender>,
    /// The number of senders, the first ones, that take turns in an open loop. The others send
    /// whenever they may.
    taking_turns: usize,
    turn: usize,
    /// The nanoseconds between lines in an open loop, and when the next one is due.
    interval: u64,
    due: u64,
    /// By client.
    inboxes: Vec<Inbox>,
    buffer: Vec<u8>,
    clock: Instant,
    last_received: u64,
}

/// What a sender still has to write.
#[derive(Default)]
struct Sender {
    unsent: Vec<u8>,
    waits_for_room: bool,
}

impl Generator {
    pub fn new(clients: Vec<TcpStream>, cell: &Cell) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (number, client) in clients.iter().enumerate() {
            epoll::add(&epoll, client, EventData::new_u64(number as u64), EventFlags::IN)?;
        }
        let (window, taking_turns, interval) = match cell.pace {
            Pace::Closed(window) => (window, 0, u64::MAX),
            Pace::Open(rate) => (OUTSTANDING_LIMIT, cell.senders, SECOND / u64::from(rate)),
        };
        let windows =
            [vec![window; cell.senders], vec![FLOOD / cell.bytes; cell.flooders]].concat();
        Ok(Self {
            ledger: Ledger::new(clients.len(), &windows, cell.senders, cell.bytes),
            epoll,
            events: Vec::with_capacity(clients.len()),
            senders: windows.iter().map(|_| Sender::default()).collect(),
            taking_turns,
            turn: 0,
            interval,
            due: 0,
            inboxes: vec![Inbox::default(); clients.len()],
            clients,
            buffer: Vec::new(),
            clock: Instant::now(),
            last_received: 0,
        })
    }

    /// Sends for this long, and then receives until every line has reached every recipient. False
    /// when the room comes to a standstill before that.
    pub fn run(&mut self, duration: Duration) -> io::Result<bool> {
        let start = self.now();
        let end = start + duration.as_nanos() as u64;
        self.last_received = start;
        self.due = start.saturating_add(self.interval);
        loop {
            let now = self.now();
            self.send_in_turn(now, end)?;
            if now < end {
                self.send_lines(now)?;
            } else if self.ledger.is_settled() {
                return Ok(true);
            }
            if !self.ledger.is_settled() && now > self.last_received + TIMEOUT.as_nanos() as u64 {
                return Ok(false);
            }
            let next = if now < end { self.due.min(end) } else { u64::MAX };
            self.wait(Duration::from_nanos(next - now).min(TIMEOUT))?;
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// For the senders that do not take turns.
    fn send_lines(&mut self, now: u64) -> io::Result<()> {
        for number in self.taking_turns..self.senders.len() {
            let unsent = &mut self.senders[number].unsent;
            if !unsent.is_empty() || self.ledger.room(number) == 0 {
                continue;
            }
            while self.ledger.room(number) > 0 && unsent.len() < CHUNK {
                self.ledger.next_line(number, now, unsent);
            }
            self.send(number)?;
        }
        Ok(())
    }

    /// The lines of an open loop that are due before `end`, one sender after the other.
    fn send_in_turn(&mut self, now: u64, end: u64) -> io::Result<()> {
        while self.due <= now && self.due < end {
            self.due += self.interval;
            let number = self.turn;
            self.turn = (self.turn + 1) % self.taking_turns;
            if self.ledger.room(number) > 0 {
                self.ledger.next_line(number, now, &mut self.senders[number].unsent);
                self.send(number)?;
            }
        }
        Ok(())
    }

    /// Writes what is unsent, and has epoll report when there is room for the rest.
    fn send(&mut self, number: usize) -> io::Result<()> {
        let sender = &mut self.senders[number];
        let mut client = &self.clients[number];
        match client.write(&sender.unsent) {
            Ok(count) => drop(sender.unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let has_more = number >= self.taking_turns && self.ledger.room(number) > 0;
        let must_wait = !sender.unsent.is_empty() || has_more;
        if must_wait != sender.waits_for_room {
            let out = if must_wait { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, client, data, EventFlags::IN | out)?;
            sender.waits_for_room = must_wait;
        }
        Ok(())
    }

    /// Waits for events, and handles them.
    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).expect("a short time");
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let (number, flags) = (event.data.u64() as usize, event.flags);
            if flags.contains(EventFlags::OUT) {
                self.send(number)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(number)?;
            }
        }
        self.events = events;
        Ok(())
    }

    /// Reads once for a client, and checks what came.
    fn read(&mut self, number: usize) -> io::Result<()> {
        let inbox = &mut self.inboxes[number];
        let Some(end) = inbox.read(&self.clients[number], &mut self.buffer)? else { return Ok(()) };
        let now = self.clock.elapsed().as_nanos() as u64;
        let received = self.ledger.receive(number, &self.buffer[..end], now);
        inbox.keep(&self.buffer[received..end]);
        self.last_received = now;
        Ok(())
    }
}
