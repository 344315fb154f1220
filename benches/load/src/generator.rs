//! Lets the speakers speak and everybody listen: one thread, one epoll.

use crate::cell::{Cell, Pace};
use crate::ledger::Ledger;
use crate::room::PATIENCE;
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
/// How many lines a speaker may have outstanding who does not wait for them.
const MOST_OUTSTANDING: usize = 1024;
/// How many bytes one who floods may have outstanding: more than kernel and server keep.
const FLOOD: usize = 16 << 20;
/// What is said at once at most, in bytes, so that it holds up nobody's listening.
const MOST_AT_ONCE: usize = 64 * 1024;

pub struct Generator {
    clients: Vec<TcpStream>,
    pub ledger: Ledger,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    speakers: Vec<Speaker>,
    /// How many of them, the first, speak in turn when the timer says so. The others do whenever
    /// they may.
    taking_turns: usize,
    turn: usize,
    timer: Option<Timer>,
    /// The start of a line whose end has not come yet, of each client.
    unfinished: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    clock: Instant,
    last_heard: u64,
}

/// What a speaker has yet to give to the kernel.
#[derive(Default)]
struct Speaker {
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
            Pace::Open(rate) => (MOST_OUTSTANDING, cell.senders, Some(Timer::new(rate)?)),
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
            speakers: windows.iter().map(|_| Speaker::default()).collect(),
            taking_turns,
            turn: 0,
            timer,
            unfinished: vec![Vec::new(); clients.len()],
            clients,
            buffer: vec![0; READ_SIZE],
            clock: Instant::now(),
            last_heard: 0,
        })
    }

    /// Keeps the speakers speaking for so long, and then listens until all has been heard by all.
    /// False when the room has come to a standstill before.
    pub fn run(&mut self, duration: Duration) -> io::Result<bool> {
        let start = self.now();
        let end = start + duration.as_nanos() as u64;
        self.last_heard = start;
        if let Some(timer) = &self.timer {
            timer.start()?;
        }
        loop {
            let now = self.now();
            if now < end {
                self.speak(now)?;
            } else if self.ledger.is_settled() {
                return Ok(true);
            }
            if !self.ledger.is_settled() && now > self.last_heard + PATIENCE.as_nanos() as u64 {
                return Ok(false);
            }
            self.wait(now < end)?;
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Those who do not wait for the timer.
    fn speak(&mut self, now: u64) -> io::Result<()> {
        for number in self.taking_turns..self.speakers.len() {
            let unsent = &mut self.speakers[number].unsent;
            if !unsent.is_empty() || self.ledger.room(number) == 0 {
                continue;
            }
            while self.ledger.room(number) > 0 && unsent.len() < MOST_AT_ONCE {
                self.ledger.say(number, now, unsent);
            }
            self.send(number)?;
        }
        Ok(())
    }

    /// The lines that are due in an open loop, one speaker after the other.
    fn speak_in_turn(&mut self, lines: u64, now: u64) -> io::Result<()> {
        for _ in 0..lines {
            let number = self.turn;
            self.turn = (self.turn + 1) % self.taking_turns;
            if self.ledger.room(number) > 0 {
                self.ledger.say(number, now, &mut self.speakers[number].unsent);
                self.send(number)?;
            }
        }
        Ok(())
    }

    /// Writes what is unsent, and has epoll tell when there is room for more of it.
    fn send(&mut self, number: usize) -> io::Result<()> {
        let speaker = &mut self.speakers[number];
        let mut client = &self.clients[number];
        match client.write(&speaker.unsent) {
            Ok(count) => drop(speaker.unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let has_more = number >= self.taking_turns && self.ledger.room(number) > 0;
        let must_wait = !speaker.unsent.is_empty() || has_more;
        if must_wait != speaker.waits_for_room {
            let out = if must_wait { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, client, data, EventFlags::IN | out)?;
            speaker.waits_for_room = must_wait;
        }
        Ok(())
    }

    /// Waits for something to happen, and sees to it.
    fn wait(&mut self, speaking: bool) -> io::Result<()> {
        let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let (number, flags) = (event.data.u64(), event.flags);
            if number == TIMER {
                let due = self.timer.as_ref().map_or(Ok(0), Timer::ticks)?;
                self.speak_in_turn(if speaking { due } else { 0 }, self.now())?;
                continue;
            }
            if flags.contains(EventFlags::OUT) {
                self.send(number as usize)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.listen(number as usize)?;
            }
        }
        self.events = events;
        Ok(())
    }

    /// Reads once for a client, and has it checked.
    fn listen(&mut self, number: usize) -> io::Result<()> {
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
        let heard = self.ledger.hear(number, &self.buffer[..end], now);
        unfinished.clear();
        unfinished.extend_from_slice(&self.buffer[heard..end]);
        self.last_heard = now;
        Ok(())
    }
}

/// Says when it is time for the next line of an open loop.
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

    /// Begins anew: what it has ticked while nobody listened is forgotten.
    fn start(&self) -> io::Result<()> {
        let setting = Itimerspec { it_interval: self.interval, it_value: self.interval };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &setting)?;
        Ok(())
    }

    /// How often it has ticked since it was last asked.
    fn ticks(&self) -> io::Result<u64> {
        let mut ticks = [0; 8];
        rustix::io::read(&self.fd, &mut ticks)?;
        Ok(u64::from_ne_bytes(ticks))
    }
}
