//! Listening sockets that systemd has opened and passes to the server.

use crate::client::Client;
use crate::descriptors::flags;
use crate::failing_calls::tracer;
use crate::harness::{Ended, Server, USUAL_LIMIT, free_port, scratch};
use crate::injected::has_strace;
use crate::installed::{is_installed, skip};
use crate::stats::Stats;
use libc::{O_CLOEXEC, O_NONBLOCK, c_int};
use std::collections::BTreeMap;
use std::env;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net as unix;

/// A server that systemd-socket-activate starts, with a socket for each of these addresses. It is
/// started by the first client. `None`, and a note, where that cannot be.
fn activated(addresses: &[IpAddr], limit: u64) -> Option<(Server, u16)> {
    activated_with(addresses, &[], limit)
}

/// The same with arguments for the server.
fn activated_with(addresses: &[IpAddr], arguments: &[&str], limit: u64) -> Option<(Server, u16)> {
    if !is_installed("systemd-socket-activate") {
        skip("no systemd-socket-activate");
        return None;
    }
    if addresses.contains(&Ipv6Addr::LOCALHOST.into())
        && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err()
    {
        skip("no IPv6");
        return None;
    }
    // Somebody else on this machine may have taken the port meanwhile.
    let started = (0..20).find_map(|_| try_activated(addresses, arguments, limit));
    Some(started.expect("a port is free"))
}

/// The same on the next port; `None` where that is taken.
fn try_activated(addresses: &[IpAddr], arguments: &[&str], limit: u64) -> Option<(Server, u16)> {
    try_activated_under(&[], addresses, arguments, limit)
}

/// The same with another program that starts the server.
fn try_activated_under(
    starter: &[String],
    addresses: &[IpAddr],
    arguments: &[&str],
    limit: u64,
) -> Option<(Server, u16)> {
    let port = free_port();
    let sockets: Vec<_> =
        addresses.iter().map(|ip| SocketAddr::new(*ip, port).to_string()).collect();
    // Of the environment it hands on what it is told to; this one is for `make coverage`.
    let counted = env::var_os("LLVM_PROFILE_FILE").map(|_| ["-E", "LLVM_PROFILE_FILE"]);
    let runner: Vec<_> = ["systemd-socket-activate"]
        .into_iter()
        .chain(counted.into_iter().flatten())
        .chain(sockets.iter().flat_map(|socket| ["-l", socket]))
        .chain(starter.iter().map(String::as_str))
        .collect();
    let server = Server::spawn_with_limit(&runner, arguments, limit);
    for _ in addresses {
        let line = server.next_complaint();
        if line.contains("in use") {
            return None;
        }
        assert!(line.starts_with("Listening on "), "{line}");
    }
    Some((server, port))
}

/// Reads what systemd-socket-activate says when the first client comes.
fn is_started(server: &Server) {
    for wanted in ["Communication attempt on fd ", "Execing "] {
        let line = server.next_complaint();
        assert!(line.starts_with(wanted), "{line}");
    }
}

/// The same, and what the server then says about so many sockets.
fn is_listening(server: &Server, sockets: usize) {
    is_started(server);
    for _ in 0..sockets {
        server.await_listening().expect("it listens");
    }
}

/// A descriptor of the server's, also for this process.
pub(crate) fn duplicate(server: &Server, sd: usize) -> OwnedFd {
    let pid = server.pid();
    // SAFETY: the calls touch no memory, and what they return is checked, and is ours.
    unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        assert!(process >= 0, "{}", std::io::Error::last_os_error());
        let process = OwnedFd::from_raw_fd(process as c_int);
        let copy = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), sd, 0);
        assert!(copy >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(copy as c_int)
    }
}

fn option(socket: &OwnedFd, level: c_int, name: c_int) -> c_int {
    let mut value: c_int = -1;
    let mut size = libc::socklen_t::try_from(size_of_val(&value)).expect("a small number");
    // SAFETY: the kernel writes at most `size` bytes to `value`.
    let outcome = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), level, name, value, &mut size)
    };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
    value
}

/// The options that the server sets on sockets: TCP_NODELAY, keepalive and SO_OOBINLINE.
fn options(server: &Server, sd: usize) -> [c_int; 7] {
    let socket = duplicate(server, sd);
    [
        option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY),
        option(&socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE),
        option(&socket, libc::SOL_SOCKET, libc::SO_OOBINLINE),
        option(&socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
        option(&socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
        option(&socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
        option(&socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    ]
}

#[test]
fn passed_sockets_of_ipv4_and_ipv6_make_one_room() {
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let Some((server, port)) = activated(&addresses, USUAL_LIMIT) else { return };
    let mut clients = addresses.map(|address| Client::connect(address, port));
    is_listening(&server, 2);
    for client in &mut clients {
        server.let_in(std::slice::from_mut(client));
    }
    let [four, six] = &clients;
    four.say("from 4\n");
    six.expect("from 4\n");
    six.say("from 6\n");
    four.expect("from 6\n");
    let wanted = O_NONBLOCK | O_CLOEXEC;
    for sd in [3, 4, 5, 6] {
        assert_eq!(flags(&server, sd) & wanted, wanted, "of descriptor {sd}");
    }
    let stats = Stats::of(&server);
    assert_eq!((stats.clients, stats.messages_out, stats.bytes_out), (2, 2, 14));
    server.stop();
    four.expect_end();
    six.expect_end();
}

/// The first client came before anybody could set up the listener.
#[test]
fn sockets_by_way_of_systemd_are_set_up_like_the_servers_own() {
    let own = Server::start();
    let client = own.join();
    let wanted = options(&own, client.sd);
    assert_eq!(wanted[..3], [1, 1, 1]);

    let Some((server, port)) = activated(&[Ipv4Addr::LOCALHOST.into()], USUAL_LIMIT) else {
        return;
    };
    let mut clients = [Client::connect(Ipv4Addr::LOCALHOST.into(), port)];
    server.let_in(&mut clients);
    for sd in [3, clients[0].sd] {
        assert_eq!(options(&server, sd), wanted, "of descriptor {sd}");
    }
    server.stop();
    own.stop();
}

/// Both have somebody to accept. When that fails at one listener, it would at the other as well.
#[test]
fn when_accepting_fails_at_one_socket_the_others_are_not_tried() {
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 2).into()];
    if !is_installed("systemd-socket-activate") || !has_strace() {
        return skip("no systemd-socket-activate, or no strace");
    }
    let (starter, log) = tracer("accept4,pselect6", &["-e", "inject=accept4:error=EMFILE"]);
    let started = (0..20).find_map(|_| try_activated_under(&starter, &addresses, &[], USUAL_LIMIT));
    let (server, port) = started.expect("a port is free");
    let _visitors = addresses.map(|ip| Client::connect(ip, port));
    for _ in 0..10 {
        server.pass();
    }
    server.stop();
    let text = log.read();
    let tries = text.split("pselect6(").map(|pass| pass.matches("accept4(").count());
    assert_eq!(tries.max(), Some(1), "{text}");
}

/// None of the listeners is watched while no client can be accepted.
#[test]
fn several_passed_sockets_without_descriptors_cost_nothing() {
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 2).into()];
    let Some((server, port)) = activated(&addresses, 10) else { return };
    let mut room: Vec<_> =
        addresses.iter().cycle().take(20).map(|ip| Client::connect(*ip, port)).collect();
    let waiting = room.split_off(5);
    for _ in &room {
        server.until(|line| line.starts_with("New incoming connection on sd "));
    }
    is_listening(&server, 2);
    assert!(server.next_complaint().ends_with("accept: Too many open files\n"));
    let (_, passes) = server.idle_second();
    assert!(passes <= 40, "{passes} passes");
    assert_eq!(Stats::of(&server).clients, 5);
    drop((room, waiting));
    server.wait_for_removals(20);
    server.stop();
}

/// A server started by a shell after these commands.
fn after(shell: &str, arguments: &[&str]) -> Ended {
    let script = format!("{shell} exec \"$0\" \"$@\"");
    Server::spawn_with_limit(&["bash", "-c", &script], arguments, USUAL_LIMIT).ended()
}

#[test]
fn what_is_passed_and_is_of_no_use_is_named() {
    const NOT_LISTENING: &str = "server: passed descriptor 3: not a listening TCP socket\n";
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = other.local_addr().expect("it is bound").port();
    let connected = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; LISTEN_PID=$$ LISTEN_FDS=1");
    let cases = [
        (connected.as_str(), NOT_LISTENING),
        ("LISTEN_PID=$$ LISTEN_FDS=1", NOT_LISTENING),
        ("exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1", NOT_LISTENING),
        ("LISTEN_PID=$$ LISTEN_FDS=x", "server: LISTEN_FDS: not a number of sockets: 'x'\n"),
        ("LISTEN_PID=$$ LISTEN_FDS=-1", "server: LISTEN_FDS: not a number of sockets: '-1'\n"),
        ("LISTEN_PID=$$ LISTEN_FDS=1022", "server: LISTEN_FDS: not a number of sockets: '1022'\n"),
        ("LISTEN_PID=me LISTEN_FDS=1", "server: LISTEN_PID: not the number of a process: 'me'\n"),
    ];
    for (shell, complaint) in cases {
        let ended = after(shell, &[]);
        assert_eq!(ended.complaints, complaint, "{shell}");
        assert_eq!((ended.transcript.as_str(), ended.status.code()), ("", Some(1)), "{shell}");
    }
}

/// Every call on descriptor 3 fails once, up to that for the last option.
#[test]
fn a_passed_socket_that_cannot_be_set_up_is_said_to_be_of_no_use() {
    const CALLS: &str = "fcntl,getsockopt,setsockopt";
    if !is_installed("systemd-socket-activate") || !has_strace() {
        return skip("no systemd-socket-activate, or no strace");
    }
    let start = |inject: &[&str]| {
        let (starter, log) = tracer(CALLS, inject);
        let address = [Ipv4Addr::LOCALHOST.into()];
        let started = (0..20).find_map(|_| try_activated_under(&starter, &address, &[], 40));
        let (server, port) = started.expect("a port is free");
        (server, log, Client::connect(Ipv4Addr::LOCALHOST.into(), port))
    };
    let (sound, log, _visitor) = start(&[]);
    is_listening(&sound, 1);
    sound.stop();
    let log = log.read();
    let (set_up, _) = log.split_once("TCP_NODELAY").expect("the last option");
    let mut counts = BTreeMap::<_, usize>::new();
    let mut failures = 0;
    for line in set_up.lines() {
        let (call, arguments) = line.split_once('(').expect("a call");
        let count = counts.entry(call).or_default();
        *count += 1;
        if !arguments.starts_with("3, ") {
            continue;
        }
        println!("{line}");
        let (server, log, _visitor) =
            start(&["-e", &format!("inject={call}:error=ENOBUFS:when={count}")]);
        is_started(&server);
        let wanted = match call {
            "getsockopt" => "server: passed descriptor 3: not a listening TCP socket\n",
            _ => "server: passed descriptor: No buffer space available\n",
        };
        assert_eq!(server.next_complaint(), wanted);
        assert_eq!(server.ended().status.code(), Some(1));
        log.read();
        failures += 1;
    }
    assert_eq!(failures, 11, "{log}");
}

/// A Unix socket listens, too.
#[test]
fn a_passed_socket_that_is_not_of_tcp_is_refused() {
    if !is_installed("systemd-socket-activate") {
        return skip("no systemd-socket-activate");
    }
    let folder = scratch("not-tcp");
    let path = folder.join("socket");
    let name = path.to_str().expect("text");
    let runner = ["systemd-socket-activate", "-l", name];
    let server = Server::spawn_with_limit(&runner, &[], USUAL_LIMIT);
    server.next_complaint();
    let _client = unix::UnixStream::connect(&path).expect("it listens");
    let ended = server.ended();
    let complaint = "server: passed descriptor 3: not a listening TCP socket\n";
    assert!(ended.complaints.ends_with(complaint), "{}", ended.complaints);
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn sockets_that_are_passed_to_another_process_do_not_count() {
    let usage = "Usage: server <port>\n";
    for shell in ["LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_FDS=1", "LISTEN_PID=$$", "LISTEN_FDS=0"] {
        let ended = after(&format!("export {shell};"), &[]);
        assert_eq!(ended.transcript, usage, "{shell}: {}", ended.complaints);
    }
}

/// Another process may listen at the same socket, and have a seat.
#[test]
fn newcomers_at_a_passed_socket_wait_while_the_room_is_full() {
    let arguments = ["--max-clients", "2"];
    let addresses = [Ipv4Addr::LOCALHOST.into()];
    let Some((server, port)) = activated_with(&addresses, &arguments, USUAL_LIMIT) else { return };
    let mut room = [(); 3].map(|()| Client::connect(Ipv4Addr::LOCALHOST.into(), port));
    server.let_in(&mut room[..2]);
    server.wait_for_complaint("accept: the room is full");
    server.pass();
    assert_eq!(server.idle_second().1, 0);

    let [first, second, third] = &mut room;
    first.hang_up();
    server.let_in(std::slice::from_mut(third));
    third.say("at last\n");
    second.expect("at last\n");
    server.wait_for_complaint("accept: the room is full");
    assert_eq!(Stats::of(&server).refused, 0);
    server.stop();
}

/// As a relay does, which is to have its seat before the clients come.
#[test]
fn beside_a_passed_socket_there_may_be_another() {
    let other = free_port();
    let text = other.to_string();
    let arguments = ["--max-clients", "2", "--bind", "127.0.0.1", &text];
    let addresses = [Ipv4Addr::LOCALHOST.into()];
    let Some((server, port)) = activated_with(&addresses, &arguments, USUAL_LIMIT) else { return };
    let mut public = Client::connect(Ipv4Addr::LOCALHOST.into(), port);
    is_listening(&server, 2);
    server.let_in(std::slice::from_mut(&mut public));
    let mut private = Client::connect(Ipv4Addr::LOCALHOST.into(), other);
    server.let_in(std::slice::from_mut(&mut private));
    private.say("hello\n");
    public.expect("hello\n");

    let refused = Client::connect(Ipv4Addr::LOCALHOST.into(), other);
    refused.expect("The room is full. Please come back later.\r\n");
    refused.expect_end();
    server.stop();
}

#[test]
fn beside_a_passed_socket_all_addresses_of_ipv6_hold_no_ipv4() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip("no IPv6");
    }
    let other = free_port();
    let arguments = ["--bind", "::", &other.to_string()];
    let addresses = [Ipv4Addr::LOCALHOST.into()];
    let Some((server, port)) = activated_with(&addresses, &arguments, USUAL_LIMIT) else { return };
    let _first = Client::connect(Ipv4Addr::LOCALHOST.into(), port);
    is_listening(&server, 2);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, other)).is_err());
    assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, other)).is_ok());
    server.stop();
}

#[test]
fn beside_passed_sockets_an_address_needs_a_port_and_a_port_an_address() {
    for arguments in [&["5555"][..], &["--bind", "127.0.0.1"]] {
        let addresses = [Ipv4Addr::LOCALHOST.into()];
        let Some((server, port)) = activated_with(&addresses, arguments, USUAL_LIMIT) else {
            return;
        };
        // The server that is started for this client ends at once, and may reset the connection.
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        is_started(&server);
        let ended = server.ended();
        let complaint =
            ": sockets to listen on have been passed: another needs --bind and a port\n";
        assert!(ended.complaints.ends_with(complaint), "{}", ended.complaints);
        assert_eq!(ended.status.code(), Some(1));
    }
}
