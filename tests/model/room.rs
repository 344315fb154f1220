//! Plays a sequence of steps, and compares the pools with the model after every one.

use super::calls::{self, PoolBox};
use super::direct_access::{self, Bits};
use super::model::{Model, NUMBERS, READ, WRITE};
use super::socket::{self, Socket};
use super::step::{Kind, Manners, POOLS, SEATS, Step, Text, Who};
use libc::{c_int, sighandler_t};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The default limit of the library.
const LIMIT: usize = 8 << 20;

/// Plays the steps in a room of their own, and leaves nothing behind.
pub(crate) fn play(steps: &[Step]) {
    let mut room = Room::open();
    for step in steps {
        room.play(*step);
        if !step.is_without_call() {
            room.check();
        }
    }
    room.close();
}

/// The pools and the descriptors. The limit and the numbers are the process's, so there is one
/// room at a time.
struct Room {
    pools: [PoolBox; POOLS],
    expected: Model,
    /// Where in the pattern the next text begins.
    said: usize,
    _alone: MutexGuard<'static, ()>,
}

static SIGPIPE_CAME: AtomicBool = AtomicBool::new(false);

extern "C" fn note_sigpipe(_: c_int) {
    SIGPIPE_CAME.store(true, Ordering::Relaxed);
}

impl Room {
    fn open() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        SIGPIPE_CAME.store(false, Ordering::Relaxed);
        // SAFETY: the handler does nothing but store a flag.
        unsafe { libc::signal(libc::SIGPIPE, note_sigpipe as *const () as sighandler_t) };
        calls::be_quiet();
        calls::set_max_queue(LIMIT);
        let pools = std::array::from_fn(|_| PoolBox::new());
        Self { pools, expected: Model::new(LIMIT), said: 0, _alone: alone }
    }

    fn text(&mut self, text: Text) -> Vec<u8> {
        let bytes = text.bytes(self.said);
        self.said += bytes.len();
        bytes
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Join(who, kind, name) => self.join(who, kind, name),
            Step::Leave(who, name) => self.leave(who, name),
            Step::Say(who, text) => self.say(who, text),
            Step::Chatter(who, count) => {
                (0..count).for_each(|_| self.say(who, Text { length: 1, line: 0 }));
            }
            Step::Shout(who, text) => {
                let text = self.text(text);
                let outcome = self.pools[who.pool].add_msg_in_capitals(NUMBERS[who.seat], &text);
                assert_eq!(outcome, self.expected.say(who, text.to_ascii_uppercase()));
            }
            Step::Feed(who, text) => self.feed(who, text),
            Step::EndLine(who) => self.feed(who, Text { length: 0, line: 0 }),
            Step::Receive(who, text) => self.receive(who, text),
            Step::EndInput(who) => self.receive(who, Text { length: 0, line: 0 }),
            Step::Fetch(who, count) => _ = (0..count).find(|_| self.fetch(who)),
            Step::Announce(who, text) => {
                let text = self.text(text);
                let outcome = self.pools[who.pool].say(NUMBERS[who.seat], &text);
                assert_eq!(outcome, self.expected.say(who, text));
            }
            Step::AnnounceToAll(pool, text) => {
                let text = self.text(text);
                let outcome = self.pools[pool].say(-1, &text);
                assert_eq!(outcome, self.expected.announce(pool, text));
            }
            Step::Tell(who, text) => {
                let text = self.text(text);
                let outcome = self.pools[who.pool].tell(NUMBERS[who.seat], &text);
                assert_eq!(outcome, self.expected.tell(who, text));
            }
            Step::Write(who, name) => self.write(who, name),
            Step::WriteAll(pool) => self.write_all(pool),
            Step::Cork(pool) => assert_eq!(self.pools[pool].cork(), self.expected.cork(pool)),
            Step::Uncork(pool) => self.uncork(pool),
            Step::Info(who) => self.info(who),
            Step::Limit(limit) => {
                calls::set_max_queue(limit);
                self.expected.limit = limit;
            }
            Step::Wrong(which) => {
                let (outcome, errno) = self.pools[0].wrong(which);
                assert_eq!(outcome, Err(errno), "wrong call {which}");
            }
            Step::Hear(seat, most) => {
                self.expected.sockets[seat].iter_mut().for_each(|socket| socket.hear(most));
            }
            Step::HangUp(seat) => {
                self.expected.sockets[seat].iter_mut().for_each(Socket::hang_up);
            }
            Step::Repeat(who, of) => self.repeat(who, of),
            Step::Pop(who) => self.pop(who),
            Step::TakeOut(who, manners) => self.take_out(who, manners),
            Step::Mark(who, set, is_in) => self.mark(who, set, is_in),
            Step::RebuildWriteSet(pool) => {
                self.expected.rebuild_write_set(pool);
                *direct_access::set_mut(&mut self.pools[pool], WRITE) =
                    self.expected.pools[pool].sets[WRITE];
            }
            Step::Count(who, nready) => {
                let real = self.pools[who.pool].get_mut();
                let expected = &mut self.expected.pools[who.pool];
                (real.maxfd, real.nready) = (NUMBERS[who.seat], nready);
                (expected.maxfd, expected.nready) = (NUMBERS[who.seat], nready);
            }
            Step::Listen(seat) => {
                let lone = self.expected.sockets[seat].as_mut();
                lone.filter(|socket| socket.kind == Kind::Lone)
                    .into_iter()
                    .for_each(Socket::listen);
            }
            Step::Abandon(pool) => self.abandon(pool),
            Step::StartOver(pool) => self.start_over(pool),
        }
    }

    /// A descriptor that is in neither pool is opened first. One that is in the other joins this
    /// one, too, perhaps closed already; but what may listen is in one pool alone, since what the
    /// library knows of it then depends on when it has asked.
    fn join(&mut self, who: Who, kind: Kind, name: u8) {
        let is_in = |pool: usize| self.expected.pools[pool].position(who.seat).is_some();
        let is_lone =
            self.expected.sockets[who.seat].as_ref().is_some_and(|it| it.kind == Kind::Lone);
        if is_lone && !is_in(who.pool) {
            return;
        }
        if !(0..POOLS).any(is_in) {
            self.expected.sockets[who.seat] = Some(Socket::open(kind, NUMBERS[who.seat]));
        }
        let outcome = self.pools[who.pool].add_conn(NUMBERS[who.seat], name);
        assert_eq!(outcome, self.expected.join(who));
    }

    fn leave(&mut self, who: Who, name: u8) {
        let outcome = self.pools[who.pool].remove_conn(NUMBERS[who.seat], name);
        assert_eq!(outcome, self.expected.leave(who));
        if outcome.is_ok() {
            self.check_closed(who.seat);
        }
    }

    fn check_closed(&mut self, seat: usize) {
        self.expected.sockets[seat].take().into_iter().for_each(Socket::check_closed);
    }

    fn say(&mut self, who: Who, text: Text) {
        let text = self.text(text);
        let outcome = self.pools[who.pool].add_msg(NUMBERS[who.seat], &text);
        assert_eq!(outcome, self.expected.say(who, text));
    }

    fn feed(&mut self, who: Who, text: Text) {
        let text = self.text(text);
        let outcome = self.pools[who.pool].feed(NUMBERS[who.seat], &text);
        assert_eq!(outcome, self.expected.feed(who, &text));
    }

    fn receive(&mut self, who: Who, text: Text) {
        let text = self.text(text);
        let outcome = self.pools[who.pool].receive(NUMBERS[who.seat], &text);
        assert_eq!(outcome, self.expected.receive(who, &text));
    }

    /// Fetches a line; true where there was none.
    fn fetch(&mut self, who: Who) -> bool {
        let line = self.pools[who.pool].next_line(NUMBERS[who.seat]);
        assert!(line == self.expected.next_line(who).as_deref().map_err(|errno| *errno));
        line.unwrap_or_default().is_empty()
    }

    fn write(&mut self, who: Who, name: u8) {
        let outcome = self.pools[who.pool].write_msg(NUMBERS[who.seat], name);
        assert_eq!(outcome, self.expected.write(who));
        if let Some(at) = self.expected.pools[who.pool].position(who.seat) {
            let conn = direct_access::conn(&mut self.pools[who.pool], at);
            assert!(!conn.write_msg_head.is_null() || conn.write_msg_tail.is_null());
        }
    }

    fn write_all(&mut self, pool: usize) {
        for seat in 0..SEATS {
            self.write(Who { pool, seat }, 0);
        }
    }

    fn uncork(&mut self, pool: usize) {
        assert_eq!(self.pools[pool].uncork(), self.expected.uncork(pool));
    }

    fn info(&mut self, who: Who) {
        let info = self.pools[who.pool].info(NUMBERS[who.seat]);
        let info =
            info.map(|info| (info.queued_bytes, info.queued_msgs, info.sent_bytes, info.cut_off));
        assert_eq!(info, self.expected.info(who));
    }

    /// Says the first message of a queue, from where it is; not to be done while corked.
    fn repeat(&mut self, who: Who, of: usize) {
        let pool = &self.expected.pools[who.pool];
        let Some(at) = pool.position(of).filter(|_| !pool.is_corked()) else { return };
        let Some(text) = pool.members[at].queue.front().cloned() else { return };
        let real = &mut self.pools[who.pool];
        let head = direct_access::conn(real, at).write_msg_head;
        // SAFETY: the queue has a first message; nobody changes it but the library.
        let bytes = direct_access::bytes(unsafe { &*head });
        assert_eq!(real.add_msg(NUMBERS[who.seat], bytes), self.expected.say(who, text));
    }

    fn pop(&mut self, who: Who) {
        if let Some(at) = self.expected.pools[who.pool].position(who.seat) {
            let wanted = self.expected.pools[who.pool].members[at].queue.pop_front();
            assert!(direct_access::first(&mut self.pools[who.pool], at) == wanted.as_deref());
            direct_access::pop(&mut self.pools[who.pool], at);
        }
    }

    /// Not to be done with a connection that may own memory that the program does not see.
    fn take_out(&mut self, who: Who, manners: Manners) {
        let pool = &self.expected.pools[who.pool];
        if let Some(at) = pool.position(who.seat).filter(|at| pool.may_lose(*at)) {
            direct_access::take_out(&mut self.pools[who.pool], at, manners);
            self.expected.take_out(who, at, manners);
            self.check_closed(who.seat);
        }
    }

    /// That the descriptor is out of `read_set` may be all that tells the library of a connection
    /// that is gone.
    fn mark(&mut self, who: Who, set: usize, is_in: bool) {
        let pool = &mut self.expected.pools[who.pool];
        let number = NUMBERS[who.seat];
        if set != READ || !direct_access::is_marked(&pool.uncounted, number) {
            direct_access::mark(&mut pool.sets[set], number, is_in);
            direct_access::mark(
                direct_access::set_mut(&mut self.pools[who.pool], set),
                number,
                is_in,
            );
        }
    }

    /// As `take_out`, with everyone; `init_pool` makes the pool new.
    fn abandon(&mut self, pool: usize) {
        if !self.expected.pools[pool].may_be_abandoned() {
            return;
        }
        let members = &self.expected.pools[pool].members;
        let seats: Vec<_> = members.iter().map(|member| member.seat).collect();
        direct_access::free_all(&mut self.pools[pool]);
        seats.into_iter().for_each(|seat| self.check_closed(seat));
        self.init(pool);
    }

    /// The loop at the end of many a program.
    fn start_over(&mut self, pool: usize) {
        while let Some(first) = self.expected.pools[pool].members.first() {
            self.leave(Who { pool, seat: first.seat }, 0);
        }
        self.check();
        self.init(pool);
    }

    fn init(&mut self, pool: usize) {
        self.pools[pool].init(1);
        self.expected.pools[pool] = Default::default();
    }

    /// What must hold after every step.
    fn check(&mut self) {
        assert!(!SIGPIPE_CAME.load(Ordering::Relaxed), "SIGPIPE was raised");
        for pool in 0..POOLS {
            self.check_fields(pool);
            self.check_lists(pool);
        }
        for socket in self.expected.sockets.iter().flatten() {
            assert_eq!(socket.arrived(), 0, "sent, and nobody said so");
        }
    }

    fn check_fields(&self, pool: usize) {
        let (real, expected) = (self.pools[pool].get(), &self.expected.pools[pool]);
        assert_eq!(real.maxfd, expected.maxfd, "maxfd");
        assert_eq!(real.nready, expected.nready, "nready");
        assert_eq!(real.nr_conns, expected.nr_conns, "nr_conns");
        let names = ["read_set", "ready_read_set", "write_set", "ready_write_set"];
        let sets = direct_access::sets(&self.pools[pool]).into_iter().zip(&expected.sets);
        for ((real, expected), name) in sets.zip(names) {
            let members =
                |set: &Bits| (0..1024).filter(|fd| direct_access::is_marked(set, *fd)).collect();
            if real != expected {
                let (real, expected): (Vec<_>, Vec<_>) = (members(real), members(expected));
                assert_eq!(real, expected, "{name}");
            }
        }
    }

    fn check_lists(&self, pool: usize) {
        let expected = &self.expected.pools[pool].members;
        let mut conns = direct_access::conns(&self.pools[pool]);
        for member in expected {
            let conn = conns.next().expect("the list has ended");
            // SAFETY: the walk leads to connections that are there.
            let conn = unsafe { &*conn };
            assert_eq!(conn.fd, NUMBERS[member.seat], "the order of the list");
            let mut before = std::ptr::null_mut();
            let mut msgs = direct_access::msgs(conn);
            for text in &member.queue {
                before = msgs.next().expect("the queue has ended");
                // SAFETY: likewise.
                let text_there = direct_access::bytes(unsafe { &*before });
                assert!(text_there == text, "the queue of {}", conn.fd);
            }
            assert!(msgs.next().is_none(), "the queue of {} goes on", conn.fd);
            assert!(member.queue.is_empty() || conn.write_msg_tail == before, "the tail");
        }
        assert!(conns.next().is_none(), "the list goes on");
    }

    /// Lets everyone hear the rest, and leave.
    fn close(&mut self) {
        for pool in 0..POOLS {
            self.uncork(pool);
        }
        let behind = (0..SEATS).filter(|seat| self.is_behind(*seat));
        behind.filter_map(|seat| self.expected.sockets[seat].as_ref()).for_each(Socket::widen);
        while (0..SEATS).any(|seat| self.is_behind(seat)) {
            for socket in self.expected.sockets.iter_mut().flatten() {
                socket.hear(usize::MAX);
            }
            (0..POOLS).for_each(|pool| self.write_all(pool));
            self.check();
        }
        for pool in 0..POOLS {
            self.start_over(pool);
            // What the library remembers of connections that were freed behind its back goes with
            // the first who joins: the next room is to find it as it was.
            assert_eq!(self.pools[pool].add_conn(NUMBERS[0], 0), Ok(()));
            assert_eq!(self.pools[pool].remove_conn(NUMBERS[0], 0), Ok(()));
        }
    }

    /// Whether something waits for a peer, here or in the kernel.
    fn is_behind(&self, seat: usize) -> bool {
        let mut members = self.expected.pools.iter().flat_map(|pool| &pool.members);
        members.any(|member| member.seat == seat && !member.queue.is_empty())
            || self.expected.sockets[seat].as_ref().is_some_and(Socket::has_unread)
    }
}

impl Drop for Room {
    /// Has the next room find the numbers free after a failure, too.
    fn drop(&mut self) {
        if std::thread::panicking() {
            NUMBERS.into_iter().filter(|number| socket::is_open(*number)).for_each(socket::close);
        }
    }
}
