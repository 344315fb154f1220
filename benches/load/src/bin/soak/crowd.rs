//! The clients together: one thread, one epoll, and an agenda of who does something next.

use crate::client::{Client, Manner};
use crate::dice::Dice;
use crate::line::{HEADER, Id};
use crate::register::Register;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const MS: u64 = 1_000_000;
/// How long nothing at all may happen while something should. A kernel short of memory for TCP drops
/// what it has no room for, and tries again after longer and longer pauses.
const PATIENCE: Duration = Duration::from_secs(60);
/// What may be on its way to those who keep up, in bytes, before anybody says more: less than any
/// limit for slow readers, so that only who stalls is cut off.
const MOST_ON_THE_WAY: usize = 48 * 1024;
/// One who waits to be cut off reads on when so much has been said: more than the limit, and the
/// kernel's buffers.
const ENOUGH_TO_BE_CUT_OFF: usize = 1 << 20;
/// Newcomers at a time, so that they do not wait for each other in the kernel.
const COME_AT_ONCE: usize = 8;

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub lines: u64,
    pub stalls: u64,
    pub cut_off: u64,
    pub resets: u64,
    pub quits: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Everybody does as they like.
    Lively,
    /// Everybody reads, and says only what they have begun to.
    Quiet,
}

pub struct Crowd {
    address: SocketAddrV4,
    seed: u64,
    size: usize,
    mood: Mood,
    clients: HashMap<Id, Client>,
    pub register: Register,
    pub counts: Counts,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    agenda: BinaryHeap<Reverse<(u64, Id)>>,
    clock: Instant,
    buffer: Vec<u8>,
}

impl Crowd {
    pub fn new(address: SocketAddrV4, seed: u64) -> io::Result<Self> {
        Ok(Self {
            address,
            seed,
            size: 0,
            mood: Mood::Quiet,
            clients: HashMap::new(),
            register: Register::new(seed),
            counts: Counts::default(),
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

    /// Has so many clients come, talk, stall and go for so long.
    pub fn live(&mut self, size: usize, duration: Duration) -> Outcome {
        (self.size, self.mood) = (size, Mood::Lively);
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Has so many clients in the room, and waits until everybody is known to be in and has heard
    /// everything.
    pub fn settle(&mut self, size: usize) -> Outcome {
        (self.size, self.mood) = (size, Mood::Quiet);
        let mut heard = self.register.deliveries();
        let mut heard_at = Instant::now();
        loop {
            self.step()?;
            self.hear_known_pieces()?;
            let unsettled = match self.register.unsettled() {
                _ if self.clients.len() < size => "not everybody has come".into(),
                Some(why) => why,
                None => break,
            };
            if heard != self.register.deliveries() {
                (heard, heard_at) = (self.register.deliveries(), Instant::now());
            }
            if heard_at.elapsed() > PATIENCE {
                return Err(format!("{unsettled}, and nobody hears anything more").into());
            }
        }
        self.register.forget();
        Ok(())
    }

    /// Sends everybody away, each in its way.
    pub fn empty(&mut self) -> Outcome {
        (self.size, self.mood) = (0, Mood::Quiet);
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            self.leave(id)?;
        }
        while !self.clients.is_empty() {
            self.step()?;
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Lets newcomers in, waits for something to happen or to be due, and sees to it.
    fn step(&mut self) -> Outcome {
        for _ in 0..self.size.saturating_sub(self.clients.len()).min(COME_AT_ONCE) {
            self.come()?;
        }
        let next = self.agenda.peek().map_or(0, |Reverse((due, _))| *due);
        let wait = next.saturating_sub(self.now()).min(100 * MS);
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait as i64 };
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            self.see_to(event.data.u64() as Id, event.flags)?;
        }
        self.events = events;
        let now = self.now();
        while self.agenda.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Reverse((_, id)) = self.agenda.pop().expect("there is a next one");
            if let Some(pause) = self.wake(id)? {
                self.agenda.push(Reverse((self.now() + pause, id)));
            }
        }
        Ok(())
    }

    fn come(&mut self) -> Outcome {
        let id = self.register.join();
        let dice = Dice::new(self.seed, u64::from(id));
        let client = Client::connect(self.address, id, dice)?;
        epoll::add(&self.epoll, &client.stream, EventData::new_u64(id.into()), EventFlags::IN)?;
        self.agenda.push(Reverse((self.now(), id)));
        self.clients.insert(id, client);
        Ok(())
    }

    fn see_to(&mut self, id: Id, flags: EventFlags) -> Outcome {
        if flags.contains(EventFlags::OUT) {
            self.send(id, usize::MAX)?;
        }
        let has_ended = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if has_ended {
            self.read_again(id)?;
        }
        if has_ended || flags.contains(EventFlags::IN) { self.read(id) } else { Ok(()) }
    }

    /// Does what a client has to do next; answers how long it takes a rest after that, unless it
    /// is gone.
    fn wake(&mut self, id: Id) -> Outcome<Option<u64>> {
        let now = self.now();
        let Some(client) = self.clients.get(&id) else { return Ok(None) };
        if let Some(since) = client.quit_at {
            if now - since > PATIENCE.as_nanos() as u64 {
                return Err(format!("client {id} has said its last, and is not let go").into());
            }
            return Ok(Some(100 * MS));
        }
        let has_to_read = self.mood == Mood::Quiet || self.register.owed(id) > ENOUGH_TO_BE_CUT_OFF;
        if client.stalls_until.is_some_and(|until| now >= until || has_to_read) {
            self.read_again(id)?;
        }
        if self.clients[&id].has_unsent() {
            return self.go_on_sending(id).map(Some);
        }
        match self.mood {
            Mood::Quiet if self.register.is_in(id) => Ok(Some(50 * MS)),
            Mood::Quiet => self.say(id, 1, Manner::AtOnce).map(|()| Some(200 * MS)),
            Mood::Lively if self.register.backlog() > MOST_ON_THE_WAY => Ok(Some(10 * MS)),
            Mood::Lively => self.act(id),
        }
    }

    fn go_on_sending(&mut self, id: Id) -> Outcome<u64> {
        let client = self.client(id);
        let (most, pause) = match client.manner {
            _ if client.waits_to_write => return Ok(20 * MS),
            Manner::AtOnce => (usize::MAX, 5 * MS),
            Manner::ByteByByte => (1, MS / 2),
            Manner::InPieces => {
                (client.dice.within(1..3000) as usize, client.dice.within(MS..100 * MS))
            }
        };
        self.send(id, most)?;
        Ok(pause)
    }

    /// Something new, as the dice have it. The first thing is to be heard.
    fn act(&mut self, id: Id) -> Outcome<Option<u64>> {
        let is_in = self.register.is_in(id);
        let client = self.client(id);
        let pause = client.dice.within(50 * MS..700 * MS);
        match client.dice.within(0..32) {
            0..5 if is_in => self.leave(id)?,
            5..8 if is_in && client.stalls_until.is_none() => self.stall(id)?,
            8 => self.say(id, 20, Manner::AtOnce)?,
            9..11 => self.say(id, 1, Manner::ByteByByte)?,
            11..15 => self.say(id, 2, Manner::InPieces)?,
            _ => self.say(id, 1, Manner::AtOnce)?,
        }
        Ok(Some(pause))
    }

    fn say(&mut self, id: Id, lines: usize, manner: Manner) -> Outcome {
        let client = self.clients.get_mut(&id).expect("it is here");
        for _ in 0..lines {
            let number = client.made_up;
            client.take(|out| self.register.lines.write(id, number, out));
        }
        client.manner = manner;
        self.go_on_sending(id).map(|_| ())
    }

    fn send(&mut self, id: Id, most: usize) -> Outcome {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        match client.send(most) {
            Ok(lines) => {
                self.counts.lines += u64::from(lines);
                self.register.say(id, lines);
                self.watch(id)?;
            }
            // What the server has sent before shows whether it may have ended the connection.
            Err(error) if is_end(&error) => {
                client.give_up_sending();
                self.read_again(id)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Has it read nothing for a while, one time in three until it may be cut off.
    fn stall(&mut self, id: Id) -> Outcome {
        let now = self.now();
        let client = self.client(id);
        let most = if client.dice.one_in(3) { 15_000 } else { 1_500 };
        client.stalls_until = Some(now + client.dice.within(50 * MS..most * MS));
        self.counts.stalls += 1;
        self.register.fall_behind(id);
        self.watch(id)
    }

    fn read_again(&mut self, id: Id) -> Outcome {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        client.stalls_until = None;
        self.register.catch_up(id);
        self.watch(id)
    }

    /// Has epoll tell what it is to know of a client.
    fn watch(&self, id: Id) -> Outcome {
        let client = &self.clients[&id];
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, client.stalls_until.is_none());
        flags.set(EventFlags::OUT, client.waits_to_write);
        Ok(epoll::modify(&self.epoll, &client.stream, EventData::new_u64(id.into()), flags)?)
    }

    fn read(&mut self, id: Id) -> Outcome {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        let end = match client.read(&mut self.buffer) {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(()),
            Err(error) if is_end(&error) => return self.has_ended(id, &error),
            Err(error) => return Err(error.into()),
        };
        let heard = self.register.hear(id, &self.buffer[..end])?;
        client.unfinished.clear();
        client.unfinished.extend_from_slice(&self.buffer[heard..end]);
        Ok(())
    }

    /// Looks again at what seemed to be unfinished: that it is the last of somebody who has gone
    /// may have come out since.
    fn hear_known_pieces(&mut self) -> Outcome {
        for client in self.clients.values_mut().filter(|client| !client.unfinished.is_empty()) {
            let heard = self.register.hear(client.id, &client.unfinished)?;
            client.unfinished.drain(..heard);
        }
        Ok(())
    }

    /// The server has ended a connection. It may once it has been told to, or when the client is
    /// behind.
    fn has_ended(&mut self, id: Id, error: &io::Error) -> Outcome {
        let client = self.clients.remove(&id).expect("it has just read");
        let is_behind = self.register.is_behind(id);
        if !self.register.is_beginning(&client.unfinished) {
            return Err(format!("what client {id} hears ends with something torn").into());
        }
        let is_in_order = error.kind() == ErrorKind::UnexpectedEof;
        if client.quit_at.is_some() && (is_in_order || is_behind) {
            self.register.leave(id);
        } else if is_behind {
            self.counts.cut_off += 1;
            self.register.abort(id);
        } else {
            return Err(format!("client {id} has kept up, and is sent away: {error}").into());
        }
        Ok(())
    }

    /// Ends a client's connection in one way or another; some have just begun a line.
    fn leave(&mut self, id: Id) -> Outcome {
        let mut client = self.clients.remove(&id).expect("it is here");
        let way = client.dice.within(0..8);
        let mut piece = Vec::new();
        if matches!(way, 0 | 4) && !client.has_unsent() {
            self.register.lines.write(id, client.made_up, &mut piece);
            piece.truncate(client.dice.within(HEADER as u64 + 1..piece.len() as u64) as usize);
        }
        let is_sent = client.send_piece(&piece).is_ok();
        if way < 4 && is_sent && !client.has_unsent() {
            match client.stop_talking(self.now()) {
                Ok(()) => return self.wait_for_end(client, piece.len()),
                Err(error) if !self.register.is_behind(id) => return Err(error.into()),
                Err(_) => {}
            }
        }
        // The others vanish, most with a reset even where they have read everything.
        if way < 7 {
            client.prepare_reset()?;
        }
        self.counts.resets += 1;
        self.register.abort(id);
        Ok(())
    }

    /// It has said its last, a piece of a line perhaps, and reads until the server ends the
    /// connection as well.
    fn wait_for_end(&mut self, client: Client, piece: usize) -> Outcome {
        let id = client.id;
        self.counts.quits += 1;
        self.register.quit(id, piece);
        self.clients.insert(id, client);
        self.watch(id)
    }

    fn client(&mut self, id: Id) -> &mut Client {
        self.clients.get_mut(&id).expect("it is here")
    }
}

fn is_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
