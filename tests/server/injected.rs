//! What strace does to the running server's system calls, where that is more than a failure; for
//! failures see `torture`.

use crate::figures::Figures;
use crate::harness::Server;
use crate::installed::skip;
use crate::slow::relay;
use std::process::Command;
use std::thread;
use std::time::Duration;

pub(crate) fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("-V").output().is_ok();
    if !is_there {
        skip("no strace");
    }
    is_there
}

/// A server whose system calls fail as `injection` says, in strace's words. With -D the server is
/// still our own child.
fn server_with(injection: &str) -> Option<Server> {
    server_with_options(injection, &[])
}

fn server_with_options(injection: &str, options: &[&str]) -> Option<Server> {
    if !has_strace() {
        return None;
    }
    let (call, _) = injection.split_once(':').expect("CALL:error=...");
    let (trace, inject) = (format!("trace={call}"), format!("inject={injection}"));
    let strace = ["strace", "-D", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    Some(Server::start_under(&strace, options))
}

/// The call fails again and again, and the room chats on.
#[test]
fn accept_that_goes_on_failing_does_not_make_the_server_spin() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let Some(server) = server_with(&format!("accept4:error={error}:when=5+")) else { return };
        let [talker, listener] = server.joins();
        let _waiting = server.visitors(3);
        server.wait_for("MaxFd 5");
        server.passes_so_far();
        // This is the measurement itself: how often it tries in a second.
        thread::sleep(Duration::from_secs(1));
        let passes = server.passes_so_far();
        assert!(passes <= 40, "{error}: {passes} passes");
        talker.say("still here\n");
        listener.expect("still here\n");
        let complaints = server.stop().complaints;
        assert_eq!(complaints.lines().count(), 1, "{error}: {complaints}");
    }
}

/// The signal comes when the server has looked for one, and does not wait yet: with the transcript's
/// last line before the wait.
#[test]
fn signal_just_before_select_is_not_lost() {
    for signal in ["SIGINT", "SIGTERM"] {
        let Some(server) = server_with(&format!("write:signal={signal}:when=2")) else { return };
        let _room = server.visitors(1);
        let ended = server.ended();
        assert_eq!(ended.status.code(), Some(0), "{signal}");
    }
}

#[test]
fn question_just_before_select_is_answered_at_once() {
    let Some(server) = server_with("write:signal=SIGUSR1:when=2") else { return };
    let _room = server.crowd(1);
    assert_eq!(Figures::in_line(&server.next_complaint()).clients, 1);
    server.stop();
}

/// Select never waits until those who are held back may go on.
#[test]
fn however_many_signals_come_nobody_is_held_back_for_longer() {
    let few = ["--max-queue", "100000"];
    let Some(server) = server_with_options("pselect6:signal=SIGUSR1:when=10+", &few) else {
        return;
    };
    let [talker, listener, _stopped] = server.joins();
    relay(&talker, &listener, 8 << 20);
    server.stop();
}

/// As far as select can see the kernel would take more.
#[test]
fn send_that_goes_on_failing_does_not_make_the_server_spin() {
    for error in ["ENOBUFS", "ENOMEM"] {
        let Some(server) = server_with(&format!("sendto:error={error}:when=1+")) else { return };
        let [talker, _listener] = server.joins();
        talker.say("nobody hears this\n");
        server.wait_for_bytes(talker.sd, 18);
        server.pass();
        server.passes_so_far();
        // This is the measurement itself: how often it tries in a second.
        thread::sleep(Duration::from_secs(1));
        let passes = server.passes_so_far();
        assert!((5..=40).contains(&passes), "{error}: {passes} passes");
        server.stop();
    }
}
