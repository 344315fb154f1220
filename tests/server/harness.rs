//! ./server as a child process, and the transcript that it writes.

use crate::client::{self, Client};
use crate::folders::root;
use crate::program::{Program, set_apart};
use crate::{make, valgrind};
use libc::{SIGCONT, SIGINT, SIGSTOP};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, io};

pub(crate) use crate::child::{PATIENCE, lines_of, pipe};
pub(crate) use crate::folders::scratch;
pub(crate) use crate::ports::free_port;
pub(crate) use crate::program::Ended;

/// The limit on descriptors that a server usually has.
pub(crate) const USUAL_LIMIT: u64 = 1024;

/// The descriptor of the server's listener; clients come after it.
pub(crate) const LISTENER: usize = 3;

/// What the server reads at a time, in bytes.
pub(crate) const READ_SIZE: usize = 16 * 1024;

/// A server that is waiting in select.
pub(crate) struct Server {
    pub(crate) port: u16,
    program: Program,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with these options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_on_a_free_port(&[], options, USUAL_LIMIT)
    }

    /// A server that another program starts, such as strace.
    pub(crate) fn start_under(runner: &[&str], options: &[&str]) -> Self {
        Self::start_on_a_free_port(runner, options, USUAL_LIMIT)
    }

    /// The same, or what it logs when it does not start.
    pub(crate) fn try_start_under(runner: &[&str]) -> Result<Self, String> {
        Self::try_on_a_free_port(runner, &[], USUAL_LIMIT)
    }

    /// A server that may have so many descriptors.
    pub(crate) fn start_with_limit(limit: u64) -> Self {
        Self::start_on_a_free_port(&[], &[], limit)
    }

    fn start_on_a_free_port(runner: &[&str], options: &[&str], limit: u64) -> Self {
        Self::try_on_a_free_port(runner, options, limit)
            .unwrap_or_else(|complaints| panic!("the server does not start: {complaints}"))
    }

    fn try_on_a_free_port(runner: &[&str], options: &[&str], limit: u64) -> Result<Self, String> {
        for _ in 0..20 {
            match Self::try_start(runner, options, free_port(), limit) {
                Err(complaints) if complaints.contains("in use") => {}
                outcome => return outcome,
            }
        }
        panic!("no port is free");
    }

    /// A server on `port`, or what it logs when it does not start.
    pub(crate) fn try_start(
        runner: &[&str],
        options: &[&str],
        port: u16,
        limit: u64,
    ) -> Result<Self, String> {
        let number = port.to_string();
        let arguments: Vec<_> = options.iter().copied().chain([number.as_str()]).collect();
        let server = Self::spawn_with_limit(runner, &arguments, limit);
        server.await_listening()?;
        if !options.contains(&"--quiet") {
            assert_eq!(server.pass(), "Waiting on select()...\nMaxFd 3\n");
        }
        Ok(server)
    }

    /// Waits until the server says where it listens, and returns that: or else its complaints.
    pub(crate) fn await_listening(&self) -> Result<String, String> {
        let mut complaints = String::new();
        loop {
            match self.complaints.recv_timeout(PATIENCE) {
                Ok(line) => match line.trim_end().split_once("listening on ") {
                    Some((_, address)) => return Ok(address.to_owned()),
                    None => complaints += &line,
                },
                Err(RecvTimeoutError::Disconnected) => return Err(complaints),
                Err(RecvTimeoutError::Timeout) => panic!("it does not listen: {complaints}"),
            }
        }
    }

    /// A server with these arguments, with which it may not start.
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_with_limit(&[], arguments, USUAL_LIMIT)
    }

    /// The same with a limit on descriptors, started by another program where one is given.
    pub(crate) fn spawn_with_limit(runner: &[&str], arguments: &[&str], limit: u64) -> Self {
        let program = Program::start(command(runner, limit).args(arguments));
        // The port comes last.
        let port = arguments.last().and_then(|port| port.parse().ok()).unwrap_or(0);
        Self { port, program }
    }

    /// The transcript up to where the server waits again.
    pub(crate) fn pass(&self) -> String {
        self.until(|line| line.starts_with("MaxFd "))
    }

    /// Waits for this line.
    pub(crate) fn wait_for(&self, wanted: &str) {
        self.until(|line| line.trim_end_matches('\n') == wanted);
    }

    /// Waits until at least so many bytes have come in from `sd`, in any number of reads.
    pub(crate) fn wait_for_bytes(&self, sd: usize, count: usize) {
        let suffix = format!(" bytes received from sd {sd}\n");
        let mut received = 0;
        while received < count {
            let text = self.until(|line| line.ends_with(&suffix));
            let line = text.lines().next_back().expect("a line was waited for");
            let number = line.split(' ').next().expect("the number comes first");
            received += number.parse::<usize>().expect("a number of bytes");
        }
    }

    /// Waits until so many more clients are gone, and the server is waiting again.
    pub(crate) fn wait_for_removals(&self, count: usize) {
        for _ in 0..count {
            self.until(|line| line.starts_with("removing connection with sd "));
        }
        self.pass();
    }

    /// Skips the transcript up to now. Returns the number of passes in it.
    pub(crate) fn passes_so_far(&self) -> usize {
        self.transcript.try_iter().filter(|line| line.starts_with("MaxFd ")).count()
    }

    /// A client that the server has accepted.
    pub(crate) fn join(&self) -> Client {
        let [client] = self.joins();
        client
    }

    pub(crate) fn joins<const COUNT: usize>(&self) -> [Client; COUNT] {
        let Ok(clients) = self.crowd(COUNT).try_into() else { panic!("as many as asked for") };
        clients
    }

    /// So many clients, all accepted.
    pub(crate) fn crowd(&self, count: usize) -> Vec<Client> {
        let mut clients = self.visitors(count);
        self.let_in(&mut clients);
        clients
    }

    /// So many clients, all accepted by a server with --quiet.
    pub(crate) fn quiet_crowd(&self, count: usize) -> Vec<Client> {
        client::quiet_crowd(self.port, count)
    }

    pub(crate) fn quiet_joins<const COUNT: usize>(&self) -> [Client; COUNT] {
        let Ok(clients) = self.quiet_crowd(COUNT).try_into() else {
            panic!("as many as asked for")
        };
        clients
    }

    /// So many clients, connected but perhaps not yet accepted.
    pub(crate) fn visitors(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| Client::connect(Ipv4Addr::LOCALHOST.into(), self.port)).collect()
    }

    /// Waits until these, in the order in which they connected, are accepted.
    pub(crate) fn let_in(&self, visitors: &mut [Client]) {
        const LET_IN: &str = "New incoming connection on sd ";
        for visitor in visitors {
            let text = self.until(|line| line.starts_with(LET_IN));
            let (_, sd) = text.trim_end().rsplit_once(' ').expect("the line ends in a number");
            visitor.sd = sd.parse().expect("a descriptor");
        }
    }

    /// Stops the server, until `resume`.
    pub(crate) fn pause(&self) {
        self.signal(SIGSTOP);
        let mut status = 0;
        // SAFETY: it is our child, and the status is ours to write. It is only stopped, so there
        // is still something for the last wait.
        let outcome = unsafe { libc::waitpid(self.pid(), &mut status, libc::WUNTRACED) };
        assert!(outcome == self.pid() && libc::WIFSTOPPED(status), "the server has ended");
    }

    pub(crate) fn resume(&self) {
        self.signal(SIGCONT);
    }

    /// Lets the server have no more memory than it has now, or lifts the limit.
    pub(crate) fn limit_memory(&self, is_limited: bool) {
        let most = if is_limited { 0 } else { libc::RLIM_INFINITY };
        let limit = libc::rlimit { rlim_cur: most, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the limit is read, and nothing is written.
        let outcome =
            unsafe { libc::prlimit(self.pid(), libc::RLIMIT_AS, &limit, std::ptr::null_mut()) };
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
    }

    /// Waits for this on standard error.
    pub(crate) fn wait_for_complaint(&self, complaint: &str) {
        let next = || self.complaints.recv_timeout(PATIENCE).expect("the server complains");
        while !next().contains(complaint) {}
    }

    /// Ends the server with SIGINT, and checks that all went well.
    pub(crate) fn stop(self) -> Ended {
        self.signal(SIGINT);
        let ended = self.ended();
        assert!(ended.status.success(), "{}\n{}", ended.status, ended.complaints);
        assert_eq!(valgrind::open_descriptors(&ended.complaints), [""; 0], "{}", ended.complaints);
        ended
    }

    /// Waits for the server, which has been told to end.
    pub(crate) fn ended(self) -> Ended {
        self.program.ended()
    }

    /// Closes the pipe of the transcript: printing the next line fails.
    pub(crate) fn close_transcript(&mut self) {
        self.program.transcript = mpsc::channel().1;
    }

    /// The path of a file in the server's /proc directory.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// The CPU time that the server has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("the server runs");
        let (_, fields) = stat.rsplit_once(") ").expect("the name is in parentheses");
        // utime and stime are the fields 14 and 15; those that are left begin with the third.
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>());
        let ticks: u64 = ticks.map(|field| field.expect("a number of ticks")).sum();
        // SAFETY: asks for a constant.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Duration::from_millis(ticks * 1000 / u64::try_from(per_second).expect("ticks a second"))
    }

    /// The CPU time and the number of passes in a second of a server that has nothing to do.
    pub(crate) fn idle_second(&self) -> (Duration, usize) {
        let (start, before) = (Instant::now(), self.cpu_time());
        self.passes_so_far();
        // This is the measurement itself, not a wait for something to happen.
        thread::sleep(Duration::from_secs(1));
        let (cpu, passes) = (self.cpu_time() - before, self.passes_so_far());
        // On a busy machine it takes longer.
        let time = start.elapsed();
        let milliseconds = usize::try_from(time.as_millis()).expect("some seconds");
        (cpu.div_f64(time.as_secs_f64()), (passes * 1000).div_ceil(milliseconds))
    }

    /// The server's open descriptors.
    pub(crate) fn descriptors(&self) -> Vec<usize> {
        let entries = fs::read_dir(self.proc("fd")).expect("the server runs");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
        let numbers = names.map(|name| name.expect("text").parse::<usize>().expect("a number"));
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Deref for Server {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

/// A server with these options, a sender and a recipient.
pub(crate) fn pair(options: &[&str]) -> (Server, Client, Client) {
    let server = Server::start_with(options);
    let [sender, recipient] = server.joins();
    (server, sender, recipient)
}

/// Has `sender` send `bytes` while `recipient` reads them.
pub(crate) fn pass_on(sender: &Client, recipient: &Client, bytes: &[u8]) {
    thread::scope(|scope| {
        scope.spawn(|| sender.say(bytes));
        recipient.expect(bytes);
    });
}

/// ./server, up to date, with at most `limit` descriptors and nothing of the tests' own.
///
/// `SERVER` names another program in its place, such as one built with sanitizers, and
/// `SERVER_RUNNER` is put in front of it where a test has no runner of its own.
pub(crate) fn command(runner: &[&str], limit: u64) -> Command {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        make::all();
        may_open(0);
        let name = env::var_os("SERVER").unwrap_or("server".into());
        root().join(name)
    });
    let usual = env::var("SERVER_RUNNER").unwrap_or_default();
    let usual: Vec<_> = usual.split_whitespace().collect();
    let runner = if runner.is_empty() { &usual[..] } else { runner };
    let mut command = match runner {
        [] => Command::new(&*PROGRAM),
        [first, others @ ..] => {
            let mut command = Command::new(first);
            command.args(others).arg(&*PROGRAM);
            command
        }
    };
    set_apart(&mut command, limit);
    command
}

/// Whether this process may have so many descriptors; raises its limit as far as it can go.
pub(crate) fn may_open(count: u64) -> bool {
    static LIMIT: LazyLock<u64> = LazyLock::new(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the struct is ours, and the kernel is done with it when a call returns.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
        limit.rlim_cur
    });
    *LIMIT >= count
}
