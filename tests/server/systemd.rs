//! The server as a systemd service: readiness, the journal, and the units.

use crate::client::Client;
use crate::harness::{PATIENCE, Server, USUAL_LIMIT, free_port, pass_on, scratch};
use crate::installed::{is_installed, skip};
use crate::stats::Stats;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net as unix;
use std::path::Path;
use std::process::Command;

/// The service manager is notified when clients can connect, and not before.
#[test]
fn readiness_is_told() {
    let folder = scratch("ready");
    let path = folder.join("notify");
    let by_path = unix::UnixDatagram::bind(&path).expect("a socket");
    let abstract_name = format!("chatserver-{}", std::process::id());
    let address = unix::SocketAddr::from_abstract_name(&abstract_name).expect("a name");
    let by_name = unix::UnixDatagram::bind_addr(&address).expect("a socket");
    for (manager, name) in
        [(by_path, path.display().to_string()), (by_name, format!("@{abstract_name}"))]
    {
        manager.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let variable = format!("NOTIFY_SOCKET={name}");
        let port = free_port();
        let arguments = ["--quiet", &port.to_string()];
        let server = Server::spawn_with_limit(&["env", &variable], &arguments, USUAL_LIMIT);
        let mut word = [0; 100];
        let length = manager.recv(&mut word).expect("it is told");
        assert_eq!(&word[..length], b"READY=1");
        server.await_listening().expect("it has said so before");
        Client::connect(Ipv4Addr::LOCALHOST.into(), port);
        assert_eq!(server.stop().complaints, "");
    }
}

/// Clients can connect all the same.
#[test]
fn a_manager_that_cannot_be_told_is_named() {
    let nobody = scratch("nobody").join("notify").display().to_string();
    let too_long = "x".repeat(200);
    let missing = " NOTIFY_SOCKET: No such file or directory\n";
    for (name, complaint) in [(nobody, missing), (too_long, " NOTIFY_SOCKET: File name too long\n")]
    {
        let variable = format!("NOTIFY_SOCKET={name}");
        let port = free_port();
        let arguments = ["--quiet", &port.to_string()];
        let server = Server::spawn_with_limit(&["env", &variable], &arguments, USUAL_LIMIT);
        server.await_listening().expect("it listens");
        let line = server.next_complaint();
        assert!(line.ends_with(complaint), "{line}");
        Client::connect(Ipv4Addr::LOCALHOST.into(), port);
        server.stop();
    }
}

#[test]
fn a_server_without_a_port_is_not_ready() {
    let folder = scratch("not-ready");
    let path = folder.join("notify");
    let manager = unix::UnixDatagram::bind(&path).expect("a socket");
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let arguments = ["--bind", "203.0.113.1", "5555"];
    let ended = Server::spawn_with_limit(&["env", &variable], &arguments, USUAL_LIMIT).ended();
    assert_eq!(ended.status.code(), Some(1));
    manager.set_nonblocking(true).expect("a socket");
    assert!(manager.recv(&mut [0; 100]).is_err(), "it says to be ready");
}

/// The journal adds the time itself, and reads a priority in its place.
#[test]
fn lines_for_the_journal_have_a_priority_and_no_time() {
    let script = "JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr) exec \"$0\" \"$@\"";
    let runner = ["sh", "-c", script];
    // It has descriptors for a listener and four clients, and logs that a fifth cannot be accepted.
    let server = Server::spawn_with_limit(&runner, &[&free_port().to_string()], 8);
    server.pass();
    assert!(server.next_complaint().starts_with("<6>listening on "));
    let _room = server.crowd(4);
    let _waiting = server.visitors(1);
    assert_eq!(server.next_complaint(), "<4>accept: Too many open files\n");
    server.signal(libc::SIGUSR1);
    let line = server.next_complaint();
    assert!(line.starts_with("<6>stats: clients=4 "), "{line}");
    server.stop();
}

#[test]
fn lines_for_others_than_the_journal_have_the_time() {
    let runner = ["env", "JOURNAL_STREAM=1:1"];
    let server = Server::spawn_with_limit(&runner, &["--quiet", "0"], USUAL_LIMIT);
    let line = server.next_complaint();
    let (time, text) = line.split_once(' ').expect("the time comes first");
    assert!(time.len() == 25 && &time[10..11] == "T", "{line}");
    assert!(text.starts_with("listening on "), "{line}");
    server.stop();
}

/// systemd-analyze finds the units correct, and the service confined.
#[test]
fn units_are_sound_and_the_service_is_confined() {
    if !is_installed("systemd-analyze") {
        return skip("no systemd-analyze");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = scratch("units");
    // Any program will do.
    std::os::unix::fs::symlink("/bin/true", folder.join("chatserver")).expect("a link");
    for name in ["chatserver.service", "chatserver.socket"] {
        let unit = fs::read_to_string(root.join("packaging/systemd").join(format!("{name}.in")));
        let unit = unit.expect("the unit").replace("@BINDIR@", folder.to_str().expect("text"));
        fs::write(folder.join(name), unit).expect("the unit can be written");
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.join(name), mode).expect("it is ours");
    }
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        let output = command.args(arguments).current_dir(&folder).output().expect("it can be run");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let verify = ["verify", "--man=no", "./chatserver.service", "./chatserver.socket"];
    assert_eq!(analyze(&verify), (true, String::new()));
    // Its scale goes from 0 to 100; what it calls "OK" ends at 50.
    let arguments = ["security", "--offline=true", "--threshold=15", "./chatserver.service"];
    let (confined, opinion) = analyze(&arguments);
    assert!(confined, "{opinion}");
}

/// The system calls of this one of systemd's sets.
fn calls_in(set: &str) -> BTreeSet<String> {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["syscall-filter", set]).output().expect("it can be run");
    let text = String::from_utf8(output.stdout).expect("text");
    let entries = text.lines().filter_map(|line| line.strip_prefix("    "));
    let entries = entries.filter(|entry| !entry.starts_with('#'));
    entries
        .flat_map(|entry| match entry.starts_with('@') {
            true => calls_in(entry),
            false => BTreeSet::from([entry.to_owned()]),
        })
        .collect()
}

/// The system calls that the unit allows: the sets of its lines, without those after a ~.
fn calls_allowed() -> BTreeSet<String> {
    let unit = include_str!("../../packaging/systemd/chatserver.service.in");
    let mut allowed = BTreeSet::new();
    for sets in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        match sets.strip_prefix('~') {
            None => sets.split(' ').for_each(|set| allowed.extend(calls_in(set))),
            Some(sets) => {
                let denied: BTreeSet<_> = sets.split(' ').flat_map(calls_in).collect();
                allowed.retain(|call| !denied.contains(call));
            }
        }
    }
    allowed
}

/// From the first instruction of the server to its last, through everything it can do.
#[test]
fn the_unit_allows_what_the_server_calls() {
    for tool in ["systemd-analyze", "strace"] {
        if !is_installed(tool) {
            return skip(&format!("no {tool}"));
        }
    }
    let folder = scratch("calls");
    let (trace, notify) = (folder.join("trace"), folder.join("notify"));
    let _manager = unix::UnixDatagram::bind(&notify).expect("a socket");
    let variable = format!("NOTIFY_SOCKET={}", notify.display());
    let trace_name = trace.to_str().expect("text");
    let runner = ["env", &variable, "strace", "-D", "-qq", "-o", trace_name];
    let arguments = ["--max-queue", "100000", &free_port().to_string()];
    let server = Server::spawn_with_limit(&runner, &arguments, USUAL_LIMIT);
    server.pass();
    server.await_listening().expect("it listens");
    let [sender, recipient, stalled] = server.joins();
    let burst = "a line for a queue\n".repeat(500_000);
    pass_on(&sender, &recipient, burst.as_bytes());
    assert!(server.next_complaint().contains("cut off"));
    Stats::of(&server);
    drop(stalled);
    server.stop();

    let allowed = calls_allowed();
    assert!(allowed.len() > 100 && !allowed.contains("setuid"), "{allowed:?}");
    let trace = fs::read_to_string(trace).expect("a trace");
    let calls = trace.lines().filter_map(|line| line.split_once('(')).map(|(call, _)| call);
    let calls: BTreeSet<_> = calls.filter(|call| !call.starts_with(['-', '+'])).collect();
    assert!(calls.contains("pselect6") && calls.contains("exit_group"), "{calls:?}");
    let denied: Vec<_> = calls.into_iter().filter(|call| !allowed.contains(*call)).collect();
    assert!(denied.is_empty(), "not allowed: {denied:?}");
}
