//! Two servers with a client each, and a broker. One server has a sound relay; what becomes of the
//! other one's is the test.

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

/// What the log says of an allocation that fails.
const FAILS: &str = "(an allocation fails)";

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
    faults: impl Iterator<Item = Fault> + Send,
    check: impl Fn(&Fault, Outcome) -> Result<()> + Sync,
) -> Result<()> {
    let faults = Mutex::new(faults);
    let next = || faults.lock().expect("nobody panics").next();
    let run = |number: usize| {
        let mut scene = None;
        while let Some(fault) = next() {
            if scene.is_none() {
                scene = Some(Scene::new(&format!("{name}-{number}"))?);
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
    /// How many lines it has said in this run, how many of the other's it has heard, and the number
    /// of the last one of those.
    said: usize,
    heard: usize,
    last: usize,
    half_a_line: Vec<u8>,
}

impl Client {
    fn new(name: &'static str, rooms: &Rooms, server: usize) -> Result<Self> {
        let stream = TcpStream::connect(rooms.address(server))?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, name, said: 0, heard: 0, last: 0, half_a_line: Vec::new() })
    }

    fn say(&mut self, run: usize) -> Result<()> {
        self.said += 1;
        self.stream.write_all(format!("{} {run} {}\n", self.name, self.said).as_bytes())?;
        Ok(())
    }

    /// Checks what has come: whole lines of the other client, in order, none twice. Those of an
    /// earlier run may be late.
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
            ensure!(speaker != self.name && of_run <= run, "torn, or an own line: {line:?}");
            if of_run == run {
                ensure!(number > self.last, "line {number} after line {}", self.last);
                (self.last, self.heard) = (number, self.heard + 1);
            }
        }
        Ok(())
    }
}

struct Scene {
    rooms: Rooms,
    broker: u16,
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
    fn new(name: &str) -> Result<Self> {
        let mut rooms = Rooms::new(name)?;
        let broker = rooms.add_broker(|settings| settings)?;
        rooms.add_server("")?;
        rooms.add_server("")?;
        rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
        rooms.start_all()?;
        let (ann, ben) = (Client::new("ann", &rooms, 0)?, Client::new("ben", &rooms, 1)?);
        Ok(Self { rooms, broker, runs: 0, before: 0, ann, ben })
    }

    fn run(&mut self, fault: &Fault) -> Result<Outcome> {
        let broker = format!("mqtt://127.0.0.1:{}/room", self.broker);
        let mut relay = self.rooms.relay(&fault.runner, &fault.name, 0, &broker)?;
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
        outcome.with_context(|| format!("{}: {failed}:\n{log}", fault.name))?;
        Ok(Outcome { trace, failed })
    }

    fn forget(&mut self) {
        for client in [&mut self.ann, &mut self.ben] {
            (client.said, client.heard, client.last) = (0, 0, 0);
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
        if self.talk_through_a_restart()? {
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
        if is_running && has_no_memory {
            self.server_is_heard()?;
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
        self.scene.rooms.relays[0].wait_for("refused")?;
        self.scene.rooms.start_broker(0)?;
        self.talk()
    }

    fn is_connected(&mut self) -> Result<bool> {
        let mut is_over = false;
        wait_until("it is connected", || {
            is_over = self.is_over()?;
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

    /// Whether the relays tell of as many lines as are missing that they are lost.
    fn losses_of_ann_are_told(&self) -> Result<bool> {
        let missing = self.scene.ann.said - self.scene.ben.heard;
        let (own, others) = (self.relay.log()?, self.scene.rooms.relays[0].log()?);
        let (others, name) = (&others[self.scene.before..], &self.fault.name);
        let told = count(&own, "lost: ", " lines of this server")
            + count(&own, "not confirmed: ", " lines of this server")
            + count(others, &format!("{name}: lost: "), " lines");
        Ok(missing <= told || others.contains(&format!("{name}: lines may be lost")))
    }

    fn losses_of_ben_are_told(&self) -> Result<bool> {
        let missing = self.scene.ben.said - self.scene.ann.heard;
        let log = self.relay.log()?;
        let told = count(&log, "relay-0: lost: ", " lines");
        Ok(missing <= told || log.contains("relay-0: dropped: "))
    }
}

/// The sum of the numbers that stand between these words, at the ends of lines.
fn count(log: &str, before: &str, after: &str) -> usize {
    let number = |line: &str| line.split_once(before)?.1.strip_suffix(after)?.parse::<usize>().ok();
    log.lines().filter_map(number).sum()
}

/// Whether something in the log is neither a success nor told by what makes the calls fail.
fn has_complaint(log: &str) -> bool {
    let is_none = |line: &str| {
        line.contains(FAILS) || line.ends_with(": connected") || line.contains("stats: ")
    };
    log.lines().any(|line| !is_none(line))
}
