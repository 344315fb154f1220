//! Sends and receives for all clients of a room: one thread, one epoll.

use crate::cell::{Cell, Pace};
use crate::inbox::Inbox;
use crate::ledger::Ledger;
use crate::room::TIMEOUT;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::net::sockopt;
use rustix::time::Timespec;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SECOND: u64 = 1_000_000_000;
/// The number of lines on their way per sender in an open loop.
const OUTSTANDING_LIMIT: usize = 1024;
/// The number of bytes on their way per flooder: more than kernel and server keep.
const FLOOD: usize = 16 << 20;
/// How long it waits at most where somebody else says when it is over.
const PASS: Duration = Duration::from_millis(10);
/// The nanoseconds between two lines of one who waits for lines that may be lost.
const NUDGE: u64 = SECOND / 5;
/// A new connection is probed when nothing has come for so long.
const PROBE: Duration = Duration::from_secs(1);
/// The most bytes that are written at once, so that reading is not held up.
const CHUNK: usize = 64 * 1024;

pub struct Generator {
    clients: Vec<TcpStream>,
    pub ledger: Ledger,
    epoll: OwnedFd,
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
    /// Where those come back to whose connection ends; without, that is an error.
    addresses: Option<Vec<SocketAddr>>,
    away: Vec<usize>,
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
            senders: windows.iter().map(|_| Sender::default()).collect(),
            taking_turns,
            turn: 0,
            interval,
            due: 0,
            inboxes: vec![Inbox::default(); clients.len()],
            addresses: None,
            away: Vec::new(),
            clients,
            buffer: Vec::new(),
            clock: Instant::now(),
            last_received: 0,
        })
    }

    /// Sends for this long, and then receives until every line has reached every recipient. False
    /// when the room comes to a standstill before that.
    pub fn run(&mut self, duration: Duration) -> io::Result<bool> {
        let mut events = self.events();
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
            self.wait(&mut events, Duration::from_nanos(next - now).min(TIMEOUT))?;
        }
    }

    /// Clients whose connection ends come back to the same server from now on.
    pub fn come_back(&mut self) -> io::Result<()> {
        let addresses: io::Result<_> = self.clients.iter().map(TcpStream::peer_addr).collect();
        self.addresses = Some(addresses?);
        Ok(())
    }

    /// Sends and receives until it is over, which is asked for at least every ten milliseconds,
    /// whatever is lost meanwhile.
    pub fn run_until(&mut self, is_over: impl Fn(&Ledger) -> bool) -> io::Result<()> {
        let mut events = self.events();
        self.due = self.now().saturating_add(self.interval);
        let mut nudge = self.now() + NUDGE;
        while !is_over(&self.ledger) {
            let now = self.now();
            self.send_in_turn(now, u64::MAX)?;
            self.send_lines(now)?;
            if now > nudge {
                self.send_spare_lines(now)?;
                nudge = now + NUDGE;
            }
            self.wait(&mut events, Duration::from_nanos(self.due.saturating_sub(now)).min(PASS))?;
            self.bring_back()?;
        }
        Ok(())
    }

    /// Receives until it is over.
    pub fn listen_until(&mut self, is_over: impl Fn(&Ledger) -> bool) -> io::Result<()> {
        let mut events = self.events();
        while !is_over(&self.ledger) {
            self.wait(&mut events, PASS)?;
        }
        Ok(())
    }

    fn events(&self) -> Vec<epoll::Event> {
        Vec::with_capacity(self.clients.len())
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// For the senders that do not take turns.
    fn send_lines(&mut self, now: u64) -> io::Result<()> {
        for number in self.taking_turns..self.senders.len() {
            let unsent = &mut self.senders[number].unsent;
            let is_away = self.away.contains(&number);
            if !unsent.is_empty() || self.ledger.room(number) == 0 || is_away {
                continue;
            }
            while self.ledger.room(number) > 0 && unsent.len() < CHUNK {
                self.ledger.next_line(number, now, unsent);
            }
            self.send(number)?;
        }
        Ok(())
    }

    /// A line of each sender that waits for others to arrive, which may be lost.
    fn send_spare_lines(&mut self, now: u64) -> io::Result<()> {
        for number in 0..self.senders.len() {
            let must_wait = self.ledger.room(number) == 0 && self.ledger.has_spare_room(number);
            if must_wait && !self.away.contains(&number) {
                self.ledger.next_line(number, now, &mut self.senders[number].unsent);
                self.send(number)?;
            }
        }
        Ok(())
    }

    /// The lines of an open loop that are due before `end`, one sender after the other.
    fn send_in_turn(&mut self, now: u64, end: u64) -> io::Result<()> {
        while self.due <= now && self.due < end {
            self.due += self.interval;
            let number = self.turn;
            self.turn = (self.turn + 1) % self.taking_turns;
            if self.ledger.room(number) > 0 && !self.away.contains(&number) {
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
            Err(error) => return self.lose(number, error),
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
    fn wait(&mut self, events: &mut Vec<epoll::Event>, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).expect("a short time");
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
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
        Ok(())
    }

    /// Reads once for a client, and checks what came.
    fn read(&mut self, number: usize) -> io::Result<()> {
        let inbox = &mut self.inboxes[number];
        let end = match inbox.read(&self.clients[number], &mut self.buffer) {
            Ok(None) => return Ok(()),
            Ok(Some(end)) => end,
            Err(error) => return self.lose(number, error),
        };
        let now = self.clock.elapsed().as_nanos() as u64;
        let received = self.ledger.receive(number, &self.buffer[..end], now);
        inbox.keep(&self.buffer[received..end]);
        self.last_received = now;
        Ok(())
    }

    /// A client's connection has ended. What it had not sent or received of a line is dropped.
    fn lose(&mut self, number: usize, error: io::Error) -> io::Result<()> {
        if self.addresses.is_none() {
            return Err(error);
        }
        if !self.away.contains(&number) {
            epoll::delete(&self.epoll, &self.clients[number])?;
            self.inboxes[number].keep(&[]);
            self.away.push(number);
        }
        Ok(())
    }

    /// Connects those again whose server is there again.
    fn bring_back(&mut self) -> io::Result<()> {
        for number in mem::take(&mut self.away) {
            let addresses = self.addresses.as_ref().expect("they come back");
            let Ok(client) = TcpStream::connect(addresses[number]) else {
                self.away.push(number);
                continue;
            };
            client.set_nonblocking(true)?;
            client.set_nodelay(true)?;
            // Of a server that is being killed, the kernel may take a connection and then forget
            // it without a word. Its probes find that out.
            sockopt::set_socket_keepalive(&client, true)?;
            sockopt::set_tcp_keepidle(&client, PROBE)?;
            epoll::add(&self.epoll, &client, EventData::new_u64(number as u64), EventFlags::IN)?;
            self.clients[number] = client;
            if let Some(sender) = self.senders.get_mut(number) {
                *sender = Sender::default();
            }
        }
        Ok(())
    }
}
