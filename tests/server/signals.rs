//! SIGHUP, and the server as the first process of a container.

use crate::client::Client;
use crate::harness::{PATIENCE, Server, USUAL_LIMIT, free_port};
use crate::injected::has_strace;
use crate::installed::skip;
use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;
use std::time::Instant;

#[test]
fn a_hangup_ends_it() {
    let server = Server::start();
    let client = server.join();
    server.pass();
    server.signal(SIGHUP);
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.complaints);
    assert_eq!(ended.transcript, "removing connection with sd 4 \n");
    client.expect_end();
}

#[test]
fn under_nohup_it_goes_on() {
    let server = Server::start_under(&["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""], &[]);
    let [one, two] = server.joins();
    for number in 0..50 {
        let line = format!("line {number}\n");
        server.signal(SIGHUP);
        one.say(&line);
        server.signal(SIGHUP);
        two.expect(&line);
    }
    assert_eq!(server.stop().complaints, "");
}

/// The first process of a container obeys the signals that it has handlers for, and no others.
#[test]
fn as_process_1_it_obeys_signals_and_leaves_no_zombies() {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let alone = ["unshare", "--pid", "--fork", "--kill-child"];
        let port = free_port();
        let server = Server::spawn_with_limit(&alone, &["--quiet", &port.to_string()], USUAL_LIMIT);
        if let Err(complaints) = server.await_listening() {
            return skip(&format!("no namespace of one's own: {complaints}"));
        }
        let children = server.proc(&format!("task/{}/children", server.pid()));
        let text = fs::read_to_string(children).expect("it runs");
        let pid: i32 = text.trim().parse().expect("one child");
        let namespaces = format!("/proc/{pid}/status");
        let status = fs::read_to_string(namespaces).expect("it runs");
        assert!(status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")));
        // A process whose parent ends becomes a child of process 1.
        let pid_text = pid.to_string();
        let orphan = ["--target", &pid_text, "--pid", "sh", "-c", "sleep 0.1 &"];
        let status = Command::new("nsenter").args(orphan).status().expect("nsenter can be run");
        assert!(status.success(), "{status}");
        let children = format!("/proc/{pid}/task/{pid}/children");
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&children).expect("it runs").is_empty() {
            assert!(Instant::now() < deadline, "a zombie stays");
            thread::yield_now();
        }
        // SAFETY: asks for it to be sent to a process that runs.
        assert_eq!(unsafe { libc::kill(pid, SIGUSR1) }, 0);
        assert!(server.next_complaint().contains("stats: "));
        Client::connect(Ipv4Addr::LOCALHOST.into(), port);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        assert_eq!(server.ended().status.code(), Some(0), "signal {signal}");
    }
}

/// Also before it listens, as during a slow lookup of a name: here strace sends the signal.
#[test]
fn as_process_1_it_obeys_signals_at_the_start() {
    if !has_strace() {
        return;
    }
    let alone = ["unshare", "--pid", "--fork", "--kill-child"];
    let probe = Server::spawn_with_limit(&alone, &["--version"], USUAL_LIMIT).ended();
    if !probe.status.success() {
        return skip("no namespace of one's own");
    }
    let strace = ["strace", "-D", "-qq", "-o", "/dev/null", "-e", "trace=listen"];
    let signal = ["-e", "inject=listen:signal=SIGTERM"];
    let runner = [&alone[..], &strace, &signal].concat();
    let ended = Server::spawn_with_limit(&runner, &["0"], USUAL_LIMIT).ended();
    assert_eq!(ended.status.code(), Some(128 + SIGTERM), "{}", ended.complaints);
    assert_eq!(ended.transcript, "");
}
