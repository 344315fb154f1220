//! One room over many servers: brokers, servers, a relay for each server, and their clients.

use crate::cell::Cell;
use crate::contender::Server;
use crate::generator::Generator;
use crate::ledger::Ledger;
use crate::ports;
use crate::room::{self, SHORTEST_QUEUE};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Signal, kill_process};
use std::env;
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that must happen; not a requirement on speed.
pub const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(5);

/// The folder that `make` works in.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const ONE_BROKER: &str = include_str!("../../../packaging/mosquitto/chatserver.conf");
const LEAF: &str = include_str!("../../../packaging/mosquitto/chatserver-leaf.conf");

/// Waits until this is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let given_up = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < given_up, "in vain: {what}");
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// A program that can be started several times, always with the same log: what it writes on
/// standard error.
pub struct Program {
    name: String,
    folder: PathBuf,
    words: Vec<String>,
    variables: Vec<(String, String)>,
    running: Option<Server>,
    /// How much of the log has been searched.
    searched: usize,
}

impl Program {
    /// The command is split at spaces; no shell is involved.
    pub fn new(folder: &Path, name: &str, command: &str) -> Self {
        // It ends with the thread that has started it, whatever becomes of that.
        let words = format!("setpriv --pdeathsig KILL {command}");
        Self {
            name: name.into(),
            folder: folder.into(),
            words: words.split_whitespace().map(String::from).collect(),
            variables: Vec::new(),
            running: None,
            searched: 0,
        }
    }

    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    pub fn start(&mut self) -> Result<()> {
        let log = OpenOptions::new().append(true).create(true).open(self.log_file())?;
        let mut command = Command::new(&self.words[0]);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.args(&self.words[1..]).envs(variables).current_dir(&self.folder);
        self.running = Some(Server::start(&mut command, log.into())?);
        Ok(())
    }

    pub fn running(&self) -> &Server {
        self.running.as_ref().expect("it has been started")
    }

    /// The status of one that has ended by itself.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.running.as_mut().expect("it has been started").status()
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.running().pid(), signal)?)
    }

    pub fn kill(&mut self) -> Result<()> {
        self.running.take().expect("it has been started").kill()
    }

    /// Ends it in order.
    pub fn end(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.ended()?;
        Ok(())
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let mut running = self.running.take().expect("it has been started");
        let mut status = None;
        wait_until(&format!("{} ends", self.name), || {
            status = running.status()?;
            Ok(status.is_some())
        })?;
        Ok(status.expect("it has ended"))
    }

    /// Waits for a line with this text in the log, after the one that was waited for before.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        let mut line = String::new();
        wait_until(&format!("{} says '{text}'", self.name), || {
            for one in self.whole_lines()?[self.searched..].split_inclusive('\n') {
                self.searched += one.len();
                if one.contains(text) {
                    line = one.trim_end().into();
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        Ok(line)
    }

    /// A figure of its statistics. What stands before them in the log can be waited for later.
    pub fn figure(&self, name: &str) -> Result<usize> {
        let known = self.whole_lines()?.len();
        self.signal(Signal::USR1)?;
        let mut line = None;
        wait_until(&format!("{} tells its figures", self.name), || {
            let lines = self.whole_lines()?;
            line = lines[known..].lines().find(|line| line.contains("stats:")).map(String::from);
            Ok(line.is_some())
        })?;
        let line = line.expect("it has been found");
        let figure = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        figure
            .and_then(|figure| figure.parse().ok())
            .with_context(|| format!("no figure '{name}': {line}"))
    }

    /// The log without a line that is being written.
    fn whole_lines(&self) -> Result<String> {
        let mut log = self.log()?;
        log.truncate(log.rfind('\n').map_or(0, |end| end + 1));
        Ok(log)
    }

    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_file())?).into_owned())
    }

    /// The end of the log, each line with the program's name before it.
    fn last_lines(&self) -> String {
        let log = self.log().unwrap_or_else(|error| error.to_string());
        let lines = log.lines().rev().take(4).collect::<Vec<_>>().into_iter().rev();
        lines.map(|line| format!("{}: {line}\n", self.name)).collect()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }
}

/// Who is in the room. Client i is at server i modulo their number; the first ones send.
pub struct Rooms {
    pub folder: PathBuf,
    pub brokers: Vec<Program>,
    pub servers: Vec<Program>,
    pub relays: Vec<Program>,
    ports: Vec<u16>,
    /// The port of a proxy by which clients come.
    proxy: Option<u16>,
    broker_ports: Vec<u16>,
    /// The folder is ours for as long as this file is locked.
    _lock: File,
}

impl Rooms {
    /// Nobody is in it yet. The logs go to build/rooms/NAME, for which this waits where another
    /// program has rooms of that name.
    pub fn new(name: &str) -> Result<Self> {
        let folder = Path::new(ROOT).canonicalize()?.join("build/rooms").join(name);
        fs::create_dir_all(folder.parent().expect("build/rooms"))?;
        let lock = File::create(folder.with_extension("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        // A broker that root starts writes as another user.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        let (brokers, servers, relays) = (Vec::new(), Vec::new(), Vec::new());
        let (ports, broker_ports) = (Vec::new(), Vec::new());
        Ok(Self { folder, brokers, servers, relays, ports, proxy: None, broker_ports, _lock: lock })
    }

    /// As many servers with their relays, and one broker, all of which run.
    pub fn start(name: &str, servers: usize, relay_options: &str) -> Result<Self> {
        let mut rooms = Self::new(name)?;
        let broker = rooms.add_broker(|settings| settings)?;
        for _ in 0..servers {
            rooms.add_server("")?;
            rooms.add_relay(&format!("{relay_options} mqtt://127.0.0.1:{broker}/room"))?;
        }
        rooms.start_all()?;
        Ok(rooms)
    }

    /// A broker with the settings as they are shipped, but for the port, and what `change` makes of
    /// them; returns the port.
    pub fn add_broker(&mut self, change: impl FnOnce(String) -> String) -> Result<u16> {
        let port = ports::free_port();
        self.add_broker_on(port, change)?;
        Ok(port)
    }

    pub fn add_broker_on(
        &mut self,
        port: u16,
        change: impl FnOnce(String) -> String,
    ) -> Result<()> {
        let name = format!("broker-{}", self.brokers.len());
        let settings = ONE_BROKER
            .replace("listener 1883", &format!("listener {port}"))
            .replace("listener 8883", &format!("listener {port} 127.0.0.1"));
        // Each has its data in a folder of its own, below this one.
        let data = self.folder.join(&name);
        fs::create_dir_all(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o777))?;
        fs::write(data.join("mosquitto.conf"), change(settings))?;
        let command = format!("{} -c mosquitto.conf", sbin("mosquitto"));
        self.brokers.push(Program::new(&data, &name, &command));
        self.broker_ports.push(port);
        Ok(())
    }

    /// The settings of one more leaf, whose middle is at this port.
    pub fn leaf(middle: u16, id: &str) -> String {
        let leaf = LEAF.replace("192.0.2.1:8883", &format!("127.0.0.1:{middle}"));
        leaf.replace("leaf-1", id)
    }

    /// Any other broker, which listens on this port.
    pub fn add_other_broker(&mut self, command: &str, port: u16) {
        let name = format!("broker-{}", self.brokers.len());
        self.brokers.push(Program::new(&self.folder, &name, command));
        self.broker_ports.push(port);
    }

    pub fn add_server(&mut self, options: &str) -> Result<u16> {
        let (name, port) = (format!("server-{}", self.servers.len()), ports::free_port());
        let root = Path::new(ROOT).canonicalize()?;
        let command =
            format!("{}/server --quiet {options} --bind 127.0.0.1 {port}", root.display());
        self.servers.push(Program::new(&self.folder, &name, &command));
        self.ports.push(port);
        Ok(port)
    }

    /// A relay for the server that was added last.
    pub fn add_relay(&mut self, options_and_broker: &str) -> Result<()> {
        let name = format!("relay-{}", self.relays.len());
        let relay = self.relay("", &name, self.ports.len() - 1, options_and_broker)?;
        self.relays.push(relay);
        Ok(())
    }

    /// A relay for this server, which does not run yet. The words of the runner, which may be none,
    /// stand before its command.
    pub fn relay(
        &self,
        runner: &str,
        name: &str,
        server: usize,
        options_and_broker: &str,
    ) -> Result<Program> {
        let program = relay_program()?;
        let port = self.ports.get(server).context("there is no such server")?;
        let command = format!(
            "{runner} {} --id {name} {options_and_broker} 127.0.0.1:{port}",
            program.display()
        );
        Ok(Program::new(&self.folder, name, &command))
    }

    pub fn start_all(&mut self) -> Result<()> {
        let outcome = self.try_start_all();
        self.explain(outcome)
    }

    fn try_start_all(&mut self) -> Result<()> {
        for number in 0..self.brokers.len() {
            self.start_broker(number)?;
        }
        for number in 0..self.servers.len() {
            self.start_server(number)?;
        }
        self.relays.iter_mut().try_for_each(Program::start)?;
        for relay in &self.relays {
            wait_until("a relay is connected", || {
                let log = relay.log()?;
                Ok(log.contains("server: connected") && log.contains("broker: connected"))
            })?;
        }
        Ok(())
    }

    /// Starts it, and waits until it listens.
    pub fn start_broker(&mut self, number: usize) -> Result<()> {
        self.brokers[number].start()?;
        let address = (Ipv4Addr::LOCALHOST, self.broker_ports[number]);
        wait_until("a broker listens", || Ok(TcpStream::connect(address).is_ok()))
    }

    /// Starts it, and waits until it listens.
    pub fn start_server(&mut self, number: usize) -> Result<()> {
        self.servers[number].start()?;
        self.servers[number].wait_for("listening on")?;
        Ok(())
    }

    /// Where a client of this server connects.
    pub fn address(&self, server: usize) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.proxy.unwrap_or(self.ports[server]))
    }

    /// From now on clients come by a proxy, which is about to listen on this port.
    pub fn come_by(&mut self, proxy: u16) -> Result<()> {
        self.proxy = Some(proxy);
        room::connect_first(self.address(0))?;
        Ok(())
    }

    /// Adds to a failure what the programs have logged last.
    pub fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            let programs = self.brokers.iter().chain(&self.servers).chain(&self.relays);
            let logs = programs.map(Program::last_lines).collect::<String>();
            anyhow!("{error:#}\n{}", logs.trim_end())
        })
    }

    /// A relay like this one.
    pub fn twin(&self, relay: usize) -> Program {
        let relay = &self.relays[relay];
        Program {
            name: format!("{}-twin", relay.name),
            folder: relay.folder.clone(),
            words: relay.words.clone(),
            variables: relay.variables.clone(),
            running: None,
            searched: 0,
        }
    }

    /// Connects the clients, as many to each server, and lets them talk until everybody has heard
    /// everybody.
    pub fn gather(&self, cell: &Cell) -> Result<Generator> {
        self.gather_apart(cell, 1)
    }

    /// The same for servers without relays, which are as many rooms.
    pub fn gather_apart(&self, cell: &Cell, rooms: usize) -> Result<Generator> {
        let servers = self.servers.len();
        let mut clients = Vec::new();
        for number in 0..cell.clients {
            if number % (SHORTEST_QUEUE * servers) == 0 {
                self.ports.iter().for_each(|port| room::wait_for_accept(*port));
            }
            let client = TcpStream::connect(self.address(number % servers))?;
            client.set_nodelay(true)?;
            client.set_nonblocking(true)?;
            // The connection ends with a reset, which leaves nothing behind in the kernel.
            set_socket_linger(&client, Some(Duration::ZERO))?;
            clients.push(client);
        }
        let mut generator = Generator::new(clients, cell)?;
        generator.ledger = generator.ledger.in_rooms(rooms);
        touch(&mut generator)?;
        generator.ledger.all_are_in();
        ensure!(!generator.ledger.faults().any(), "{}", generator.ledger.faults());
        Ok(generator)
    }
}

/// Lets them talk until everybody has heard of everybody what was said after this call, and then
/// waits until nothing is on its way.
pub fn touch(generator: &mut Generator) -> Result<()> {
    let lines = generator.ledger.sent();
    let given_up = Instant::now() + PATIENCE;
    let is_late = || Instant::now() > given_up;
    generator.run_until(|ledger| is_late() || ledger.first_to_wait(&lines).is_none())?;
    if let Some((recipient, sender)) = generator.ledger.first_to_wait(&lines) {
        bail!("client {recipient} hears nothing of client {sender}");
    }
    generator.listen_until(|ledger| is_late() || ledger.is_settled())?;
    ensure!(generator.ledger.is_settled(), "something is on its way for ever");
    Ok(())
}

/// Runs the generator while somebody does something, and then until all hear each other again.
pub fn talk_while<T>(generator: &mut Generator, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let is_over = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        let talk = scope.spawn(|| {
            let is_over = |_: &Ledger| is_over.load(Ordering::Relaxed);
            generator.run_until(is_over)
        });
        let outcome = act();
        is_over.store(true, Ordering::Relaxed);
        talk.join().expect("the generator does not panic").map(|()| outcome)
    })??;
    touch(generator)?;
    Ok(outcome)
}

/// The relay: the one that `make` builds, unless the environment has another.
pub fn relay_program() -> Result<PathBuf> {
    let root = Path::new(ROOT).canonicalize()?;
    Ok(root.join(env::var("RELAY").unwrap_or("relay".into())))
}

/// Where a program is that only root has in the PATH.
pub fn sbin(program: &str) -> String {
    let in_sbin = format!("/usr/sbin/{program}");
    if File::open(&in_sbin).is_ok() { in_sbin } else { program.into() }
}
