//! Lets the speakers speak and everybody listen: one thread, one epoll.

use crate::cell::Pace;
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

pub struct Generator {
    clients: Vec<TcpStream>,
    pub ledger: Ledger,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    speakers: Vec<Speaker>,
    pace: Pace,
    timer: Option<OwnedFd>,
    /// Whose turn it is in an open loop.
    turn: usize,
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
    pub fn new(
        clients: Vec<TcpStream>,
        speakers: usize,
        bytes: usize,
        pace: Pace,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (number, client) in clients.iter().enumerate() {
            epoll::add(&epoll, client, EventData::new_u64(number as u64), EventFlags::IN)?;
        }
        let (window, timer) = match pace {
            Pace::Closed(window) => (window, None),
            Pace::Open(_) => {
                let clock = TimerfdClockId::Monotonic;
                (MOST_OUTSTANDING, Some(timerfd_create(clock, TimerfdFlags::CLOEXEC)?))
            }
        };
        if let Some(timer) = &timer {
            epoll::add(&epoll, timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        }
        Ok(Self {
            ledger: Ledger::new(clients.len(), speakers, bytes, window),
            epoll,
            events: Vec::with_capacity(clients.len() + 1),
            speakers: (0..speakers).map(|_| Speaker::default()).collect(),
            pace,
            timer,
            turn: 0,
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
        self.start_timer()?;
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

    /// Has the timer of an open loop tick from now on, and forget what it ticked while nobody listened.
    fn start_timer(&self) -> io::Result<()> {
        if let (Pace::Open(rate), Some(timer)) = (self.pace, &self.timer) {
            let pause = Duration::from_secs(1) / rate;
            let pause = Timespec::try_from(pause).map_err(io::Error::other)?;
            let setting = Itimerspec { it_interval: pause, it_value: pause };
            timerfd_settime(timer, TimerfdTimerFlags::empty(), &setting)?;
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// In a closed loop; in an open one, the timer says when.
    fn speak(&mut self, now: u64) -> io::Result<()> {
        if !matches!(self.pace, Pace::Closed(_)) {
            return Ok(());
        }
        for number in 0..self.speakers.len() {
            let speaker = &mut self.speakers[number];
            let room = if speaker.unsent.is_empty() { self.ledger.room(number) } else { 0 };
            for _ in 0..room {
                self.ledger.say(number, now, &mut speaker.unsent);
            }
            if room > 0 {
                self.send(number)?;
            }
        }
        Ok(())
    }

    /// The lines that are due in an open loop, one speaker after the other.
    fn speak_in_turn(&mut self, lines: u64, now: u64) -> io::Result<()> {
        for _ in 0..lines {
            let number = self.turn;
            self.turn = (self.turn + 1) % self.speakers.len();
            if self.ledger.room(number) > 0 {
                self.ledger.say(number, now, &mut self.speakers[number].unsent);
                self.send(number)?;
            }
        }
        Ok(())
    }

    /// Writes what is unsent, and has epoll tell when there is room for what is left.
    fn send(&mut self, number: usize) -> io::Result<()> {
        let speaker = &mut self.speakers[number];
        let mut client = &self.clients[number];
        match client.write(&speaker.unsent) {
            Ok(count) => drop(speaker.unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let must_wait = !speaker.unsent.is_empty();
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
                let due = self.ticks()?;
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

    /// How often the timer has ticked since it was last asked.
    fn ticks(&self) -> io::Result<u64> {
        let mut ticks = [0; 8];
        let timer = self.timer.as_ref().expect("only a timer ticks");
        rustix::io::read(timer, &mut ticks)?;
        Ok(u64::from_ne_bytes(ticks))
    }
}
