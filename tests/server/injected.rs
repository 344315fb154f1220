//! System calls that fail for long, or at the start, and signals at the worst moment, injected by
//! strace. `failing_calls` has every call of the loop fail.

use crate::failing_calls::{calls_before, server_under_strace};
use crate::harness::{PATIENCE, Server, USUAL_LIMIT, free_port, scratch};
use crate::installed::skip;
use crate::output::runners;
use crate::slow::relay;
use crate::stats::Stats;
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

pub(crate) fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("-V").output().is_ok();
    if !is_there {
        skip("no strace");
    }
    is_there
}

/// The command that has system calls fail as `injection` says, in strace's words; with a `path`,
/// only those on it. With -D the server is still our own child.
fn strace(injection: &str, path: Option<&str>) -> Option<Vec<String>> {
    if !has_strace() {
        return None;
    }
    let (call, _) = injection.split_once(':').expect("CALL:error=...");
    let (trace, inject) = (format!("trace={call}"), format!("inject={injection}"));
    let words = ["strace", "-D", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let filter = path.into_iter().flat_map(|path| ["-P", path]);
    Some(words.into_iter().chain(filter).map(str::to_owned).collect())
}

/// A server whose system calls fail.
fn server_with(injection: &str) -> Option<Server> {
    server_with_options(injection, &[])
}

fn server_with_options(injection: &str, options: &[&str]) -> Option<Server> {
    let strace = strace(injection, None)?;
    Some(Server::start_under(&strace.iter().map(String::as_str).collect::<Vec<_>>(), options))
}

/// The same, or what it logs when it does not start, without digits: the port differs each time.
fn try_start_with(injection: &str, path: Option<&str>) -> Option<Result<Server, String>> {
    let strace = strace(injection, path)?;
    let outcome = Server::try_start_under(&strace.iter().map(String::as_str).collect::<Vec<_>>());
    Some(outcome.map_err(|complaint| complaint.replace(|c: char| c.is_ascii_digit(), "")))
}

/// Checks that each line reaches both other clients.
fn chats(server: &Server, lines: usize) {
    let [sender, one, other] = server.joins();
    for number in 0..lines {
        let line = format!("line {number}\n");
        sender.say(&line);
        one.expect(&line);
        other.expect(&line);
    }
}

/// The call keeps failing, and the clients chat on.
#[test]
fn accept_that_goes_on_failing_does_not_make_the_server_spin() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let Some(server) = server_with(&format!("accept4:error={error}:when=5+")) else { return };
        let [sender, recipient] = server.joins();
        let _waiting = server.visitors(3);
        server.wait_for("MaxFd 5");
        let (_, passes) = server.idle_second();
        assert!(passes <= 40, "{error}: {passes} passes");
        sender.say("still here\n");
        recipient.expect("still here\n");
        let complaints = server.stop().complaints;
        assert_eq!(complaints.lines().count(), 1, "{error}: {complaints}");
    }
}

/// The signal comes between should_stop() and pselect(): with the write of the transcript.
#[test]
fn signal_just_before_select_is_not_lost() {
    for signal in ["SIGINT", "SIGTERM"] {
        let Some(server) = server_with(&format!("write:signal={signal}:when=3")) else { return };
        let _room = server.visitors(1);
        let ended = server.ended();
        assert_eq!(ended.status.code(), Some(0), "{signal}");
    }
}

#[test]
fn question_just_before_select_is_answered_at_once() {
    let Some(server) = server_with("write:signal=SIGUSR1:when=3") else { return };
    let _room = server.crowd(1);
    assert_eq!(Stats::in_line(&server.next_complaint()).clients, 1);
    server.stop();
}

/// A signal interrupts every select(), so that no wait ends by its timeout.
#[test]
fn however_many_signals_come_nobody_is_held_back_for_longer() {
    let few = ["--max-queue", "100000"];
    let Some(server) = server_with_options("pselect6:signal=SIGUSR1:when=10+", &few) else {
        return;
    };
    let [sender, recipient, _stopped] = server.joins();
    relay(&sender, &recipient, 8 << 20);
    server.stop();
}

/// Select reports the socket writable all the same.
#[test]
fn send_that_goes_on_failing_does_not_make_the_server_spin() {
    for error in ["ENOBUFS", "ENOMEM", "EAGAIN"] {
        let Some(server) = server_with(&format!("sendto:error={error}:when=1+")) else { return };
        let [sender, _recipient] = server.joins();
        sender.say("nobody hears this\n");
        server.wait_for_bytes(sender.sd, 18);
        // It goes on trying.
        for _ in 0..5 {
            server.pass();
        }
        let (_, passes) = server.idle_second();
        assert!(passes <= 40, "{error}: {passes} passes");
        server.stop();
    }
}

#[test]
fn what_fails_at_the_start_is_said() {
    for (injection, path, complaint) in [
        ("rt_sigprocmask:error=EPERM:when=1", None, "signals: Operation not permitted"),
        ("rt_sigaction:error=EPERM:when=1", None, "signals: Operation not permitted"),
        ("rt_sigaction:error=EPERM:when=2", None, "signals: Operation not permitted"),
        ("rt_sigaction:error=EPERM:when=10", None, "signals: Operation not permitted"),
        ("socket:error=EMFILE:when=2", None, "server: cannot listen on port : Too many open files"),
        (
            "listen:error=EOPNOTSUPP",
            None,
            "server: cannot listen on port : Operation not supported",
        ),
        ("bind:error=EACCES", None, "server: cannot listen on port : Permission denied"),
        ("dup2:error=EBUSY", None, "standard output or error: Device or resource busy"),
    ] {
        let Some(outcome) = try_start_with(injection, path) else { return };
        assert_eq!(outcome.err(), Some(format!("{complaint}\n")), "{injection}");
    }
}

#[test]
fn a_standard_descriptor_that_cannot_be_opened_is_said_to_be_missing() {
    let Some(strace) = strace("openat:error=EMFILE", Some("/dev/null")) else { return };
    for closed in ["<&-", ">&-"] {
        let script = format!("exec \"$0\" \"$@\" {closed}");
        let shell = ["sh", "-c", &script];
        let runner: Vec<_> = strace.iter().map(String::as_str).chain(shell).collect();
        let outcome = Server::try_start_under(&runner);
        assert_eq!(outcome.err().as_deref(), Some("/dev/null: Too many open files\n"), "{closed}");
    }
}

/// The signal that comes with the connection is pending when the server looks, and then stays so.
#[test]
fn a_signal_that_is_not_let_in_comes_while_the_server_waits() {
    if !has_strace() {
        return;
    }
    let first = calls_before("rt_sigprocmask", "pselect6") + 1;
    let fails = format!("inject=rt_sigprocmask:error=EPERM:when={first}+");
    let comes = "inject=accept4:signal=SIGUSR1:when=1";
    let calls = "rt_sigprocmask,accept4";
    let (server, log) = server_under_strace(calls, &["-e", &fails, "-e", comes]);
    let _room = server.crowd(1);
    assert_eq!(Stats::in_line(&server.next_complaint()).clients, 1);
    chats(&server, 3);
    server.stop();
    assert!(log.read().contains("(INJECTED)"), "rt_sigprocmask has not failed");
}

/// The server knows less then, or a descriptor stays open, since strace closes none that it has
/// fail. The dynamic linker's calls come before the first rt_sigaction().
#[test]
fn calls_that_need_not_succeed_may_fail() {
    if !has_strace() {
        return;
    }
    for (call, error, start) in [
        ("prlimit64", "EPERM", "rt_sigaction"),
        ("getsockname", "ENOBUFS", "rt_sigaction"),
        ("close", "EINTR", "pselect6"),
        ("close", "EIO", "pselect6"),
    ] {
        let first = calls_before(call, start) + 1;
        let inject = format!("inject={call}:error={error}:when={first}+");
        let (server, log) = server_under_strace(call, &["-e", &inject]);
        let [_there, leaver] = server.joins();
        drop(leaver);
        server.wait_for_removals(1);
        chats(&server, 3);
        server.stop();
        assert!(log.read().contains("INJECTED"), "{call} has never failed by {error}");
    }
}

/// It cannot be seen whether both outputs are one: each gets what is for it.
#[test]
fn outputs_of_which_nothing_is_known_stay_two() {
    if !has_strace() {
        return;
    }
    let first = calls_before("%fstat", "rt_sigaction") + 1;
    let Some(server) = server_with(&format!("%fstat:error=EOVERFLOW:when={first}+")) else {
        return;
    };
    chats(&server, 3);
    server.stop();
}

/// The socket, or what is sent by it, fails once, or for good.
#[test]
fn readiness_is_told_when_the_kernel_lets_it() {
    let folder = scratch("told-late");
    let manager = UnixDatagram::bind(folder.join("notify")).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let variable = format!("NOTIFY_SOCKET={}", folder.join("notify").display());
    let start = |injection: &str| {
        let strace = strace(injection, None)?;
        let strace = strace.iter().map(String::as_str);
        let runner: Vec<_> = ["env", &variable].into_iter().chain(strace).collect();
        Some(Server::start_under(&runner, &["--quiet"]))
    };
    // Two sockets are for listening.
    for injection in [
        "sendto:error=EAGAIN:when=1",
        "sendto:error=ENOBUFS:when=1",
        "sendto:error=ENOMEM:when=1",
        "socket:error=EMFILE:when=3",
        "socket:error=ENFILE:when=3",
    ] {
        println!("{injection}");
        let Some(server) = start(injection) else { return };
        let mut word = [0; 100];
        let length = manager.recv(&mut word).expect("it is told");
        assert_eq!(&word[..length], b"READY=1", "{injection}");
        assert_eq!(server.stop().complaints, "", "{injection}");
    }
    let server = start("sendto:error=ECONNREFUSED").expect("strace was there above");
    let complaint = server.next_complaint();
    assert!(complaint.ends_with(" NOTIFY_SOCKET: Connection refused\n"), "{complaint}");
    server.stop();
}

#[test]
fn a_client_that_cannot_be_told_why_is_turned_away_all_the_same() {
    for error in ["ENOBUFS", "EPIPE"] {
        let injection = format!("sendto:error={error}:when=1");
        let Some(server) = server_with_options(&injection, &["--max-clients", "1"]) else { return };
        let _inside = server.join();
        let visitors = server.visitors(2);
        visitors[0].expect_end();
        visitors[1].expect("The room is full. Please come back later.\r\n");
        visitors[1].expect_end();
        server.stop();
    }
}

/// The server does not start unless each of the listener's options can be set, but for
/// TCP_USER_TIMEOUT, which not every kernel has.
#[test]
fn an_option_that_cannot_be_set_is_said_to_be_missing() {
    // One of them is for IPv6.
    let options = if TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() { 9 } else { 8 };
    for number in 1..=options {
        let injection = format!("setsockopt:error=ENOPROTOOPT:when={number}");
        let Some(strace) = strace(&injection, None) else { return };
        let runner: Vec<_> = strace.iter().map(String::as_str).collect();
        let port = free_port();
        let server = Server::spawn_with_limit(&runner, &[&port.to_string()], USUAL_LIMIT);
        let complaint = server.next_complaint();
        if number == options - 2 {
            assert!(complaint.ends_with(" TCP_USER_TIMEOUT: Protocol not available\n"));
            server.await_listening().expect("it starts all the same");
            server.stop();
        } else {
            let wanted = format!("server: cannot listen on port {port}: Protocol not available\n");
            assert_eq!(complaint, wanted, "option {number}");
            assert_eq!(server.ended().status.code(), Some(1));
        }
    }
}

#[test]
fn without_ipv6_there_is_ipv4() {
    let Some(server) = server_with("socket:error=EAFNOSUPPORT:when=1") else { return };
    chats(&server, 3);
    assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, server.port)).is_err());
    server.stop();
}

/// An output that cannot be opened anew has a process of its own, without which nothing starts.
#[test]
fn an_output_that_cannot_be_opened_anew_is_written_by_a_process() {
    let Some(outcome) = try_start_with("openat:error=EACCES", Some("/proc/self/fd/1")) else {
        return;
    };
    let server = outcome.expect("the server starts");
    chats(&server, 3);
    server.stop();
    let Some(&nobody) = runners().last().filter(|runner| !runner.is_empty()) else { return };
    let few = ["bash", "-c", "ulimit -u 0; exec \"$0\" \"$@\""];
    let strace = strace("socketpair:error=EMFILE", None).expect("it was there above");
    let strace: Vec<_> = strace.iter().map(String::as_str).collect();
    for (runner, why) in [(&few[..], "Resource temp"), (&strace, "Too many open files")] {
        let outcome = Server::try_start_under(&[nobody, runner].concat());
        let complaint = format!("standard output or error: {why}");
        assert!(outcome.is_err_and(|complaints| complaints.starts_with(&complaint)));
    }
}

#[test]
fn select_that_fails_for_good_ends_the_server() {
    let Some(server) = server_with("pselect6:error=ENOMEM:when=2") else { return };
    let visitors = server.visitors(1);
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.complaints.ends_with(" select: Cannot allocate memory\n"),
        "{}",
        ended.complaints
    );
    visitors[0].expect_end();
}
