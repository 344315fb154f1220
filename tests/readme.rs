//! What the README shows is so: its program is built with its own commands, and relays.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

#[path = "common/make.rs"]
mod make;

const README: &str = include_str!("../README.md");

/// A running program, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("the program can be ended");
    }
}

/// One after the other: a port that is free for one program is not for two at a time.
#[test]
fn example_relays_linked_either_way() {
    for command in 0..2 {
        relays(&build(command));
    }
}

/// Builds the README's program by the `which`-th of its two commands.
fn build(which: usize) -> PathBuf {
    make::all();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("build/readme").join(which.to_string());
    fs::create_dir_all(&folder).expect("a folder for the example");
    for name in ["build", "include"] {
        let link = folder.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(root.join(name), link).expect("a link to what is used");
    }
    let source = README.split("```c\n").nth(1).and_then(|rest| rest.split("```").next());
    fs::write(folder.join("chat.c"), source.expect("the README has a program")).expect("chat.c");
    let commands: Vec<_> =
        README.lines().map(str::trim).filter(|line| line.contains("-o chat chat.c")).collect();
    assert_eq!(commands.len(), 2, "the README links its program either way");
    let strict = format!("{} -Wall -Wextra -Wpedantic -Werror", commands[which]);
    let status = Command::new("sh").args(["-c", &strict]).current_dir(&folder).status();
    assert!(status.expect("sh can be run").success(), "not built by: {strict}");
    folder.join("chat")
}

fn relays(program: &Path) {
    let port = free_port();
    let mut command = Command::new(program);
    command.arg(port.to_string()).env_remove("LD_LIBRARY_PATH");
    let _running = Running(command.spawn().expect("the example can be run"));
    let (mut speaker, listener) = (connect(port), connect(port));
    let mut heard = String::new();
    let mut listener = BufReader::new(listener);
    // The listener may be let in only after the first words.
    for _ in 0..50 {
        speaker.write_all(b"hello\n").expect("the example takes a line");
        if listener.read_line(&mut heard).is_ok() {
            break;
        }
    }
    assert_eq!(heard, "hello\n");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Connects as soon as somebody listens.
fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => {
                let patience = Some(Duration::from_millis(200));
                stream.set_read_timeout(patience).expect("a time-out can be set");
                return stream;
            }
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("nobody listens on {port}: {error}"),
        }
    }
}
