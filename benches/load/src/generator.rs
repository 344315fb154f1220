//! Sends and receives for all clients of a room: one thread, one epoll.

use crate::cell::{Cell, Pace};
use crate::ledger::Ledger;
use crate::room::TIMEOUT;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const READ_SIZE: usize = 64 * 1024;
/// The timer's place among the clients' numbers.
const TIMER: u64 = u64::MAX;
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
    /// The number of senders, the first ones, that take turns at the timer's ticks. The others send
    /// whenever they may.
    taking_turns: usize,
    turn: usize,
    timer: Option<Timer>,
    /// For each client, the start of a line whose end has not arrived yet.
    unfinished: Vec<Vec<u8>>,
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
        let (window, taking_turns, timer) = match cell.pace {
            Pace::Closed(window) => (window, 0, None),
            Pace::Open(rate) => (OUTSTANDING_LIMIT, cell.senders, Some(Timer::new(rate)?)),
        };
        let windows =
            [vec![window; cell.senders], vec![FLOOD / cell.bytes; cell.flooders]].concat();
        if let Some(timer) = &timer {
            epoll::add(&epoll, &timer.fd, EventData::new_u64(TIMER), EventFlags::IN)?;
        }
        Ok(Self {
            ledger: Ledger::new(clients.len(), &windows, cell.senders, cell.bytes),
            epoll,
            events: Vec::with_capacity(clients.len() + 1),
            senders: windows.iter().map(|_| Sender::default()).collect(),
            taking_turns,
            turn: 0,
            timer,
            unfinished: vec![Vec::new(); clients.len()],
            clients,
            buffer: vec![0; READ_SIZE],
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
        if let Some(timer) = &self.timer {
            timer.start()?;
        }
        loop {
            let now = self.now();
            if now < end {
                self.send_lines(now)?;
            } else if self.ledger.is_settled() {
                return Ok(true);
            }
            if !self.ledger.is_settled() && now > self.last_received + TIMEOUT.as_nanos() as u64 {
                return Ok(false);
            }
            self.wait(now < end)?;
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// For the senders that do not wait for the timer.
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

    /// The lines that are due in an open loop, one sender after the other.
    fn send_in_turn(&mut self, lines: u64, now: u64) -> io::Result<()> {
        for _ in 0..lines {
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
    fn wait(&mut self, sending: bool) -> io::Result<()> {
        let timeout = Timespec { tv_sec: TIMEOUT.as_secs() as i64, tv_nsec: 0 };
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let (number, flags) = (event.data.u64(), event.flags);
            if number == TIMER {
                let due = self.timer.as_ref().map_or(Ok(0), Timer::ticks)?;
                self.send_in_turn(if sending { due } else { 0 }, self.now())?;
                continue;
            }
            if flags.contains(EventFlags::OUT) {
                self.send(number as usize)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(number as usize)?;
            }
        }
        self.events = events;
        Ok(())
    }

    /// Reads once for a client, and checks what came.
    fn read(&mut self, number: usize) -> io::Result<()> {
        let unfinished = &mut self.unfinished[number];
        let start = unfinished.len();
        if self.buffer.len() < start + READ_SIZE {
            self.buffer.resize(start + READ_SIZE, 0);
        }
        self.buffer[..start].copy_from_slice(unfinished);
        let end = match (&self.clients[number]).read(&mut self.buffer[start..]) {
            Ok(0) => return Err(io::Error::other("it closed a connection")),
            Ok(count) => start + count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = self.clock.elapsed().as_nanos() as u64;
        let received = self.ledger.receive(number, &self.buffer[..end], now);
        unfinished.clear();
        unfinished.extend_from_slice(&self.buffer[received..end]);
        self.last_received = now;
        Ok(())
    }
}

/// The clock of an open loop.
struct Timer {
    fd: OwnedFd,
    interval: Timespec,
}

impl Timer {
    /// Ticks so many times a second, once it is started.
    fn new(rate: u32) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let interval =
            Timespec::try_from(Duration::from_secs(1) / rate).map_err(io::Error::other)?;
        Ok(Self { fd, interval })
    }

    /// Starts anew: earlier ticks are forgotten.
    fn start(&self) -> io::Result<()> {
        let setting = Itimerspec { it_interval: self.interval, it_value: self.interval };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &setting)?;
        Ok(())
    }

    /// The number of ticks since the last call.
    fn ticks(&self) -> io::Result<u64> {
        let mut ticks = [0; 8];
        rustix::io::read(&self.fd, &mut ticks)?;
        Ok(u64::from_ne_bytes(ticks))
    }
}
