//! Two servers with a client each, and a broker. One server has a sound relay; what becomes of the
//! other one's is the test.
//!
//! Where the broker is reached with TLS, one outcome is not the relay's fault: OpenSSL sets itself
//! up at the first connection, once, and does not do again what fails then. Seen in its version
//! 3.0: below OPENSSL_init_crypto() and OSSL_LIB_CTX_get0_global_default(), which pthread_once()
//! guards; in the first EVP_KEYMGMT_fetch(), RAND_get0_primary() and
//! OSSL_DECODER_CTX_new_for_pkey() of a process; and in CRYPTO_get_ex_new_index(), which
//! libmosquitto 2.0 calls once, and keeps what it returns. From then on no connection succeeds. So
//! a relay that has never had one may go on without it, if it tells that TLS fails, hears its
//! server, and ends as it is told.

use anyhow::{Context, Result, bail, ensure};
use load::rooms::{PATIENCE, Program, Rooms, wait_until};
use rustix::process::Signal;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// So many scenes at a time, which mostly wait.
const SCENES: usize = 6;

/// So long a relay tries to connect again after TLS has failed at first: some five times.
const SETUP: Duration = Duration::from_secs(5);

/// What the log says of an allocation that fails.
const FAILS: &str = "(an allocation fails)";

/// What is between the relays.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// A broker as on one machine.
    Plain,
    /// The same with --qos 0: the broker confirms nothing.
    Unconfirmed,
    /// A broker that has MQTT 3.1.1 only. What is lost is not told, and lines may come twice.
    Old,
    /// A broker with TLS, which is found by its name; and a user with a password.
    Secured,
}

/// What happens to the relay in a run.
pub struct Fault {
    /// The relay's, which no other run of the scene has.
    pub name: String,
    /// The words in front of the relay's command.
    pub runner: String,
    pub variable: Option<(&'static str, String)>,
    /// A file in the scene's folder that tells what has failed; else the log does.
    pub trace: Option<String>,
    /// It goes on failing to the end.
    pub for_good: bool,
    /// The log is among what fails.
    pub hits_log: bool,
    /// So many descriptors may stay open, because of what fails.
    pub kept: usize,
}

/// What becomes of a run.
pub struct Outcome {
    /// The trace, or the log where there is none.
    pub trace: String,
    /// The lines of it that tell what has failed; empty for nothing.
    pub failed: String,
}

pub fn run_all(
    name: &str,
    kind: Kind,
    faults: impl Iterator<Item = Fault> + Send,
    check: impl Fn(&Fault, Outcome) -> Result<()> + Sync,
) -> Result<()> {
    let faults = Mutex::new(faults);
    let next = || faults.lock().expect("nobody panics").next();
    let run = |number: usize| {
        let mut scene = None;
        while let Some(fault) = next() {
            if scene.is_none() {
                scene = Scene::new(&format!("{name}-{number}"), kind)?;
            }
            // A tool is missing, which has been told.
            if scene.is_none() {
                break;
            }
            check(&fault, scene.as_mut().expect("it is there").run(&fault)?)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..SCENES).map(|number| scope.spawn(move || run(number))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("nobody panics"))
    })
}

/// A client of one of the servers.
struct Client {
    stream: TcpStream,
    name: &'static str,
    /// How many lines it has said in this run, how many of the other's it has heard, and the
    /// numbers of the first and the last one of those.
    said: usize,
    heard: usize,
    first: usize,
    last: usize,
    half_a_line: Vec<u8>,
    /// Lines may come twice.
    may_repeat: bool,
}

impl Client {
    fn new(name: &'static str, rooms: &Rooms, server: usize, may_repeat: bool) -> Result<Self> {
        let stream = TcpStream::connect(rooms.address(server))?;
        stream.set_nonblocking(true)?;
        let half_a_line = Vec::new();
        let (said, heard, first, last) = (0, 0, 0, 0);
        Ok(Self { stream, name, said, heard, first, last, half_a_line, may_repeat })
    }

    fn say(&mut self, run: usize) -> Result<()> {
        self.said += 1;
        self.stream.write_all(format!("{} {run} {}\n", self.name, self.said).as_bytes())?;
        Ok(())
    }

    /// Checks what has come: whole lines of the other client, in order, none twice. Those of an
    /// earlier run may be late, and own ones come back with them: their relay had another name.
    fn hear(&mut self, run: usize) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the server has thrown {} out", self.name),
                Ok(count) => self.half_a_line.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let end = self.half_a_line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = self.half_a_line.drain(..end).collect();
        for line in String::from_utf8(lines)?.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let [speaker, of_run, number] = words[..] else { bail!("a torn line: {line:?}") };
            let (of_run, number): (usize, usize) = (of_run.parse()?, number.parse()?);
            let is_late = of_run < run;
            ensure!(is_late || of_run == run, "a torn line: {line:?}");
            ensure!(is_late || speaker != self.name, "an own line: {line:?}");
            if of_run == run && (number > self.last || !self.may_repeat) {
                ensure!(number > self.last, "line {number} after line {}", self.last);
                self.first = if self.heard == 0 { number } else { self.first };
                (self.last, self.heard) = (number, self.heard + 1);
            }
        }
        Ok(())
    }
}

fn set_password(relay: &mut Program, kind: Kind) {
    if kind == Kind::Secured {
        relay.set_variable("CHATSERVER_RELAY_PASSWORD", "secret");
    }
}

struct Scene {
    rooms: Rooms,
    kind: Kind,
    /// The words of the relays' commands that are the same for both.
    relay: String,
    /// How many runs there have been, and the length of the sound relay's log before this one.
    runs: usize,
    before: usize,
    ann: Client,
    ben: Client,
}

/// A run in progress.
struct Run<'a> {
    scene: &'a mut Scene,
    relay: Program,
    fault: &'a Fault,
}

impl Scene {
    /// Returns None where the broker is not installed.
    fn new(name: &str, kind: Kind) -> Result<Option<Self>> {
        let mut rooms = Rooms::new(name)?;
        let broker = match kind {
            Kind::Plain | Kind::Unconfirmed => Some(rooms.add_broker(|settings| settings)?),
            Kind::Old => rooms.add_old_broker()?,
            // A relay of any name may take part, as no other broker lets it.
            Kind::Secured => Some(rooms.add_secured_broker(|settings| {
                let lines = settings.lines();
                let lines = lines.filter(|line| !line.contains("/relays."));
                lines.chain(["allow_anonymous true", ""]).collect::<Vec<_>>().join("\n")
            })?),
        };
        let Some(broker) = broker else { return Ok(None) };
        let plain = format!("mqtt://127.0.0.1:{broker}/room");
        let relay = match kind {
            Kind::Plain | Kind::Old => plain,
            Kind::Unconfirmed => format!("--qos 0 {plain}"),
            Kind::Secured => {
                let ca = rooms.folder.join("ca.pem");
                format!("--ca {} mqtts://user@localhost:{broker}/room", ca.display())
            }
        };
        rooms.add_server("")?;
        rooms.add_server("")?;
        rooms.add_relay(&relay)?;
        set_password(&mut rooms.relays[0], kind);
        rooms.start_all()?;
        let may_repeat = kind == Kind::Old;
        let ann = Client::new("ann", &rooms, 0, may_repeat)?;
        let ben = Client::new("ben", &rooms, 1, may_repeat)?;
        Ok(Some(Self { rooms, kind, relay, runs: 0, before: 0, ann, ben }))
    }

    fn run(&mut self, fault: &Fault) -> Result<Outcome> {
        let mut relay = self.rooms.relay(&fault.runner, &fault.name, 0, &self.relay)?;
        set_password(&mut relay, self.kind);
        if let Some((name, value)) = &fault.variable {
            relay.set_variable(name, value);
        }
        relay.start()?;
        self.runs += 1;
        self.before = self.rooms.relays[0].log()?.len();
        self.forget();
        let mut run = Run { scene: self, relay, fault };
        let outcome = run.play();
        let (log, trace, failed) = (run.relay.log()?, run.trace()?, run.failed()?);
        let (ann, ben) = (&self.ann, &self.ben);
        let lines = format!(
            "{} of {} lines from ann, {} of {} from ben",
            ben.heard, ann.said, ann.heard, ben.said
        );
        outcome.with_context(|| format!("{}: {lines}; {failed}:\n{log}", fault.name))?;
        Ok(Outcome { trace, failed })
    }

    fn forget(&mut self) {
        for client in [&mut self.ann, &mut self.ben] {
            (client.said, client.heard, client.first, client.last) = (0, 0, 0, 0);
        }
    }

    fn both_hear(&mut self) -> Result<()> {
        self.ann.hear(self.runs)?;
        self.ben.hear(self.runs)
    }
}

impl Run<'_> {
    /// They talk, the broker restarts, and they talk again; and the relay ends.
    fn play(&mut self) -> Result<()> {
        let goes_well = self.talk_through_a_restart()?;
        if goes_well {
            wait_until("what is lost is told", || {
                Ok(self.losses_of_ann_are_told()? && self.losses_of_ben_are_told()?)
            })?;
        }
        // What fails at the start is told before the relay has ended.
        wait_until("it ends, or goes on", || {
            let goes_on = self.fault.hits_log || self.relay.log()?.contains(" server: ");
            Ok(goes_on || self.relay.status()?.is_some())
        })?;
        let is_running = self.relay.status()?.is_none();
        // Where all memory is gone, it hears its server all the same.
        let has_no_memory = self.fault.for_good && self.fault.trace.is_none();
        if is_running && (has_no_memory || self.cannot_set_up_tls()?) {
            self.server_is_heard()?;
        }
        if is_running && goes_well {
            self.no_descriptor_is_lost()?;
        }
        if is_running {
            self.relay.signal(Signal::TERM)?;
        }
        let status = self.relay.ended()?;
        let log = self.relay.log()?;
        // It may have been about to end, since select() has failed.
        let failure = i32::from(!is_running || log.contains("select: "));
        ensure!(status.code() == Some(failure), "it has ended: {status}");
        ensure!(is_running || self.fault.hits_log || has_complaint(&log), "nothing is told");
        if is_running && has_no_memory {
            wait_until("what is lost is told at the end", || {
                self.scene.both_hear()?;
                self.losses_of_ann_are_told()
            })?;
        }
        Ok(())
    }

    /// Compares with the sound relay, which is connected as this one is, or will be in a moment.
    fn no_descriptor_is_lost(&self) -> Result<()> {
        let count = |relay: &Program| -> Result<usize> {
            let pid = relay.running().pid().as_raw_nonzero();
            Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
        };
        wait_until("no more descriptors are open than in the sound relay", || {
            let sound = count(&self.scene.rooms.relays[0])?;
            Ok(count(&self.relay)? <= sound + self.fault.kept)
        })
    }

    /// Waits until the relay has heard what its server's client says, and accounts for that.
    fn server_is_heard(&mut self) -> Result<()> {
        self.scene.ann.say(self.scene.runs)?;
        wait_until("it hears its server", || {
            // In the order in which a line goes backwards, so that none is counted twice.
            let mut lines = 0;
            for figure in ["lost_out", "lines_out", "spooled_lines"] {
                lines += self.relay.figure(figure)?;
            }
            Ok(lines >= self.scene.ann.said)
        })
    }

    /// Returns false where that does not succeed, because of the fault.
    fn talk_through_a_restart(&mut self) -> Result<bool> {
        if self.fault.hits_log {
            // What is said before the relay is there does not count.
            if !self.talk()? {
                return Ok(false);
            }
            self.scene.forget();
        } else if !self.is_connected()? {
            return Ok(false);
        }
        if !self.talk()? {
            return Ok(false);
        }
        // Three times within 5 s, the sound relay would take a restart for another of its name.
        self.scene.rooms.brokers[0].end()?;
        // With TLS libmosquitto does not see that, and so the relay gives up after a second.
        let is_secured = self.scene.kind == Kind::Secured;
        let is_away = if is_secured { "it does not answer" } else { "refused" };
        self.scene.rooms.relays[0].wait_for(is_away)?;
        self.scene.rooms.start_broker(0)?;
        self.talk()
    }

    fn is_connected(&mut self) -> Result<bool> {
        let mut is_over = false;
        let begun = Instant::now();
        wait_until("it is connected", || {
            is_over = self.is_over()? || begun.elapsed() > SETUP && self.cannot_set_up_tls()?;
            let log = self.relay.log()?;
            Ok(is_over || (log.contains("server: connected") && log.contains("broker: connected")))
        })?;
        Ok(!is_over)
    }

    /// One after the other says something until the other has heard what was said last. So the
    /// relay does the same in each run.
    fn talk(&mut self) -> Result<bool> {
        Ok(self.is_heard(|scene| (&mut scene.ann, &mut scene.ben))?
            && self.is_heard(|scene| (&mut scene.ben, &mut scene.ann))?)
    }

    fn is_heard(&mut self, pair: fn(&mut Scene) -> (&mut Client, &mut Client)) -> Result<bool> {
        let given_up = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(200);
        let run = self.scene.runs;
        while Instant::now() < given_up {
            pair(self.scene).0.say(run)?;
            let next = Instant::now() + pause;
            while Instant::now() < next {
                let (speaker, hearer) = pair(self.scene);
                hearer.hear(run)?;
                if hearer.last == speaker.said {
                    return Ok(true);
                }
                if self.is_over()? {
                    return Ok(false);
                }
                thread::sleep(Duration::from_millis(3));
            }
            pause *= 2;
        }
        let (speaker, hearer) = pair(self.scene);
        bail!("{} has heard {} of {} lines", hearer.name, hearer.heard, speaker.said);
    }

    /// Whether OpenSSL has not been able to set itself up, as the head of this file tells.
    fn cannot_set_up_tls(&self) -> Result<bool> {
        let log = self.relay.log()?;
        let is_told = log.contains("broker: A TLS error occurred.");
        Ok(is_told && !log.contains("broker: connected") && log.contains("server: connected"))
    }

    /// Whether the relay has ended, or has told what fails for good.
    fn is_over(&mut self) -> Result<bool> {
        if self.relay.status()?.is_some() {
            return Ok(true);
        }
        let is_told = || {
            let log = self.relay.log()?;
            let after = match self.fault.trace {
                None => log.split_once(FAILS).map_or("", |(_, after)| after),
                Some(_) => &log,
            };
            Ok(has_complaint(after) && !self.failed()?.is_empty())
        };
        if self.fault.for_good { is_told() } else { Ok(false) }
    }

    fn trace(&self) -> Result<String> {
        match &self.fault.trace {
            None => self.relay.log(),
            Some(trace) => Ok(fs::read_to_string(self.scene.rooms.folder.join(trace))?),
        }
    }

    fn failed(&self) -> Result<String> {
        let trace = self.trace()?;
        let lines = trace.lines().filter(|line| line.contains(FAILS) || line.contains("INJECTED"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Whether the relays tell of as many lines as are missing that they are lost, if they can.
    fn losses_of_ann_are_told(&self) -> Result<bool> {
        if self.scene.kind == Kind::Old {
            return Ok(true);
        }
        let missing = self.scene.ann.said - self.scene.ben.heard;
        let (own, others) = (self.relay.log()?, self.scene.rooms.relays[0].log()?);
        let (others, name) = (&others[self.scene.before..], &self.fault.name);
        // Before the first line that the sound relay hears it does not know this one. The end of
        // its connection to the server is told.
        let unknown = if loses_server(&own) { self.scene.ben.first.saturating_sub(1) } else { 0 };
        let told = count(&own, "lost: ", " lines of this server")
            + count(&own, "not confirmed: ", " lines of this server")
            + count(others, &format!("{name}: lost: "), " lines")
            + unknown;
        Ok(missing <= told || others.contains(&format!("{name}: lines may be lost")))
    }

    fn losses_of_ben_are_told(&self) -> Result<bool> {
        if self.scene.kind == Kind::Old {
            return Ok(true);
        }
        let missing = self.scene.ben.said - self.scene.ann.heard;
        let log = self.relay.log()?;
        let told = count(&log, "relay-0: lost: ", " lines");
        // Unconfirmed messages are lost with a connection. The first message that arrives does not
        // show what came before it, but the end of the connection is told.
        let is_cut = self.scene.kind == Kind::Unconfirmed && log.contains("broker: Out of memory.");
        Ok(missing <= told || is_cut || log.contains("relay-0: dropped: "))
    }
}

/// The sum of the numbers that stand between these words, at the ends of lines.
fn count(log: &str, before: &str, after: &str) -> usize {
    let number = |line: &str| line.split_once(before)?.1.strip_suffix(after)?.parse::<usize>().ok();
    log.lines().filter_map(number).sum()
}

/// Whether the log tells that the server's connection has ended.
fn loses_server(log: &str) -> bool {
    log.lines().any(|line| line.contains(" server: ") && !line.ends_with(": connected"))
}

/// Whether something in the log is neither a success nor told by what makes the calls fail.
fn has_complaint(log: &str) -> bool {
    let is_none = |line: &str| {
        line.contains(FAILS)
            || line.ends_with(": connected")
            || line.contains("stats: ")
            || line.contains("it has no MQTT 5")
    };
    log.lines().any(|line| !is_none(line))
}
