//! The programs that people chat with: nc, ncat, socat and telnet.

use crate::harness::{PATIENCE, Server};
use crate::installed::{is_installed, skip};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// A program that is in the room; killed when dropped.
pub(crate) struct Tool {
    name: &'static str,
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Receiver<String>,
}

impl Tool {
    /// Starts the program called `name`, and waits until it is in the room. `None` where the
    /// machine does not have it.
    pub(crate) fn start(name: &'static str, server: &Server) -> Option<Self> {
        let tool = Self::run(name, command(name, server.port)?, server);
        if name == "telnet" {
            tool.shows("Trying 127.0.0.1...");
            tool.shows("Connected to 127.0.0.1.");
            tool.shows("Escape character is '^]'.");
        }
        Some(tool)
    }

    /// Runs this command, and waits until it is in the room.
    pub(crate) fn run(name: &'static str, mut command: Command, server: &Server) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it can be run");
        let keyboard = child.stdin.take();
        let screen = screen_of(child.stdout.take().expect("it is piped"));
        let tool = Self { name, child, keyboard, screen };
        server.until(|line| line.starts_with("New incoming connection on sd "));
        tool
    }

    /// Any bytes, which may be keys that show nothing.
    pub(crate) fn presses(&self, keys: &[u8]) {
        self.keyboard.as_ref().expect("open").write_all(keys).expect("it reads");
    }

    pub(crate) fn types(&self, text: &str) {
        self.presses(text.as_bytes());
        // A terminal shows what is typed; a pipe does not.
        if self.name == "telnet" {
            self.shows(text.trim_end());
        }
    }

    /// Waits for the next line on the screen.
    pub(crate) fn shows(&self, wanted: &str) {
        let line = self.screen.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("{} does not show it: {error}", self.name));
        assert_eq!(line.trim_end_matches(['\r', '\n']), wanted, "on the screen of {}", self.name);
    }

    /// Waits for a line on the screen that ends like this.
    pub(crate) fn shows_in_the_end(&self, wanted: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(wanted) {
            line = self.screen.recv_timeout(PATIENCE).unwrap_or_else(|error| {
                panic!("{} does not show {wanted:?}, but {line:?}: {error}", self.name)
            });
        }
    }

    /// No more input: `nc -N` and its like end their half of the connection then.
    fn hang_up(&mut self) {
        self.keyboard = None;
    }

    /// Waits until the program has ended, and answers what more it has shown.
    fn rest(&mut self) -> String {
        self.hang_up();
        let mut rest = String::new();
        while let Ok(line) = self.screen.recv_timeout(PATIENCE) {
            rest += &line;
        }
        rest
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that a program shows, which may hold any bytes.
fn screen_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8_lossy(&line.expect("it can be read")).into_owned();
            if sender.send(line + "\n").is_err() {
                return;
            }
        }
    });
    receiver
}

/// How to run the program called `name`; `None`, and a note, where the machine does not have it.
fn command(name: &'static str, port: u16) -> Option<Command> {
    let address = "127.0.0.1";
    let words = match name {
        "nc" => format!("{} -N {address} {port}", openbsd_nc()?),
        "ncat" => format!("ncat {address} {port}"),
        "socat" => format!("socat - TCP:{address}:{port}"),
        // It wants a terminal.
        "telnet" => "script -qec".into(),
        _ => unreachable!("{name} is not among the tools"),
    };
    let mut words = words.split(' ');
    let program = words.next().expect("the program comes first");
    for needed in [name, program] {
        if !is_installed(needed) {
            skip(&format!("no {needed}"));
            return None;
        }
    }
    let mut command = Command::new(program);
    command.args(words);
    if name == "telnet" {
        // A shell that waits for telnet dies of the key for SIGQUIT, and takes the terminal away.
        command.arg(format!("exec telnet {address} {port}")).arg("/dev/null");
    }
    // Its messages in the language that is expected here.
    command.env("LC_ALL", "C");
    Some(command)
}

/// The name of OpenBSD's nc; others do not know -N.
fn openbsd_nc() -> Option<&'static str> {
    let is_openbsd = |name: &&str| {
        let help = Command::new(name).arg("-h").stdin(Stdio::null()).output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stderr).contains("OpenBSD"))
    };
    let found = ["nc", "nc.openbsd"].into_iter().find(is_openbsd);
    if found.is_none() {
        skip("no nc of OpenBSD's");
    }
    found
}

#[test]
fn all_tools_chat_in_one_room() {
    let server = Server::start();
    let watcher = server.join();
    let names = ["nc", "ncat", "socat", "telnet"];
    let mut tools: Vec<_> = names.iter().filter_map(|name| Tool::start(name, &server)).collect();
    for round in 1..=2 {
        for sender in &tools {
            let said = format!("{} says hello, {round}", sender.name);
            sender.types(&format!("{said}\n"));
            for other in tools.iter().filter(|other| other.name != sender.name) {
                other.shows(&said);
            }
            let line_end = if sender.name == "telnet" { "\r\n" } else { "\n" };
            watcher.expect(said + line_end);
        }
        watcher.say("to all\n");
        for tool in &tools {
            tool.shows("to all");
        }
    }
    server.stop();
    for tool in &mut tools {
        let farewell = match tool.name {
            "telnet" => "Connection closed by foreign host.\r\n",
            _ => "",
        };
        assert_eq!(tool.rest(), farewell, "{}", tool.name);
    }
}

/// The text of `printf 'last words' | nc -N` arrives, and its line gets an end.
fn leaves_in_the_middle_of_a_line(name: &'static str) {
    let server = Server::start();
    let watcher = server.join();
    let Some(mut tool) = Tool::start(name, &server) else { return };
    watcher.say("hello\n");
    tool.shows("hello");
    tool.types("a line\nlast words");
    watcher.expect("a line\n");
    tool.hang_up();
    watcher.expect("last words\n");
    server.wait_for_removals(1);
    assert_eq!(tool.rest(), "");
    server.stop();
    watcher.expect_end();
}

#[test]
fn nc_leaves_in_the_middle_of_a_line() {
    leaves_in_the_middle_of_a_line("nc");
}

#[test]
fn ncat_leaves_in_the_middle_of_a_line() {
    leaves_in_the_middle_of_a_line("ncat");
}

#[test]
fn socat_leaves_in_the_middle_of_a_line() {
    leaves_in_the_middle_of_a_line("socat");
}
