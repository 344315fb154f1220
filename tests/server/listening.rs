//! Where the server listens, and that it says so.

use crate::client::Client;
use crate::harness::{Server, USUAL_LIMIT, free_port};
use crate::installed::skip;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixDatagram;

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Starts a quiet server with a line for each address where it says that it listens.
fn listening(runner: &[&str], arguments: &[&str], count: usize) -> (Server, Vec<SocketAddr>) {
    let arguments = [&["--quiet"], arguments].concat();
    let server = Server::spawn_with_limit(runner, &arguments, USUAL_LIMIT);
    let lines = (0..count).map(|_| server.await_listening().expect("it listens"));
    let addresses = lines.map(|address| address.parse().expect("ADDRESS:PORT")).collect();
    (server, addresses)
}

/// Has a client at each address speak, and all others hear it.
fn make_one_room(server: Server, addresses: &[SocketAddr]) {
    let clients: Vec<_> = addresses.iter().map(|at| Client::connect(at.ip(), at.port())).collect();
    for (number, speaker) in clients.iter().enumerate() {
        // The first line shows that all are there: the last of them is accepted last.
        let line = format!("from {number}\n");
        if number == 0 {
            clients[clients.len() - 1].say("all here\n");
            clients[..clients.len() - 1].iter().for_each(|client| client.expect("all here\n"));
        }
        speaker.say(&line);
        for (other, client) in clients.iter().enumerate() {
            if other != number {
                client.expect(&line);
            }
        }
    }
    assert_eq!(server.stop().complaints, "");
}

#[test]
fn the_kernel_chooses_a_port_for_each_listener() {
    let wildcard: IpAddr =
        if has_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let (server, addresses) = listening(&[], &["0"], 1);
    assert_eq!(addresses[0].ip(), wildcard);
    let there = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addresses[0].port());
    make_one_room(server, &[there, there]);

    let binds = ["0", "-b127.0.0.1", "--bind", "127.0.0.2", "-b", "127.0.0.1"];
    let (server, addresses) = listening(&[], &binds, 2);
    assert_ne!(addresses[0].port(), addresses[1].port());
    make_one_room(server, &addresses);
}

#[test]
fn bound_to_addresses_it_listens_there_alone() {
    let bound: [IpAddr; 2] =
        [Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::new(127, 0, 0, 3).into()];
    let port = free_port();
    let arguments = ["--bind", "127.0.0.2", "--bind", "127.0.0.3", &port.to_string()];
    let (server, addresses) = listening(&[], &arguments, 2);
    assert_eq!(addresses, bound.map(|ip| SocketAddr::new(ip, port)));
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect_err("nobody listens there");
    make_one_room(server, &addresses);
}

#[test]
fn the_wildcard_addresses_can_be_bound_besides_each_other() {
    if !has_ipv6() {
        return skip("no IPv6");
    }
    for second in ["0.0.0.0", "127.0.0.1"] {
        let port = free_port().to_string();
        let (server, addresses) = listening(&[], &["--bind", "::", "--bind", second, &port], 2);
        let loopback: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        let there = loopback.map(|ip| SocketAddr::new(ip, addresses[0].port()));
        make_one_room(server, &there);
    }
    // Alone, that of IPv6 takes in IPv4.
    let (server, addresses) = listening(&[], &["--bind", "::", "0"], 1);
    let there = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addresses[0].port());
    make_one_room(server, &[there]);
}

/// Each address of each name, and none twice.
#[test]
fn a_name_stands_for_all_its_addresses() {
    if !has_ipv6() {
        return skip("no IPv6");
    }
    let hosts =
        "printf '127.0.0.1 room\\n::1 room\\n127.0.0.2 annex\\n127.0.0.1 annex\\n' >$0.hosts
        mount --bind $0.hosts /etc/hosts 2>/dev/null || exit 77; rm $0.hosts; exec \"$@\"";
    let name = std::env::temp_dir().join(format!("chatserver-{}", std::process::id()));
    let runner = ["unshare", "--mount", "sh", "-c", hosts, name.to_str().expect("text")];
    let port = free_port().to_string();
    let probe = Server::spawn_with_limit(&runner, &["--version"], USUAL_LIMIT).ended();
    if !probe.status.success() {
        return skip("no namespace of one's own");
    }
    let arguments = ["-b", "room", "-b", "annex", "-b", "room", &port];
    let (server, mut addresses) = listening(&runner, &arguments, 3);
    let wanted: [IpAddr; 3] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv4Addr::new(127, 0, 0, 2).into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    addresses.sort_unstable();
    assert_eq!(addresses.iter().map(SocketAddr::ip).collect::<Vec<_>>(), wanted);
    make_one_room(server, &addresses);
}

#[test]
fn an_address_that_fails_is_named() {
    let cases: [(&[&str], &str); 3] = [
        (&["--bind", "203.0.113.1"], "server: cannot listen on port 5555 of 203.0.113.1: "),
        (
            &["-b", "127.0.0.1", "-b", "203.0.113.1"],
            "server: cannot listen on port 5555 of 203.0.113.1: ",
        ),
        (&["--bind", "no address"], "server: no address: "),
    ];
    for (options, complaint) in cases {
        let ended = Server::spawn(&[options, &["5555"]].concat()).ended();
        // Somebody may have the port of the other address.
        let other = "server: cannot listen on port 5555 of 127.0.0.1: ";
        let starts = |start| ended.complaints.starts_with(start);
        assert!(starts(complaint) || starts(other), "{}", ended.complaints);
        assert_eq!((ended.status.code(), ended.transcript.as_str()), (Some(1), ""));
    }
    if ("localhost", 0).to_socket_addrs().is_err() {
        return skip("localhost has no address");
    }
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let ended = Server::spawn(&["--bind", "localhost", &port.to_string()]).ended();
    let reason = format!("server: cannot listen on port {port} of localhost (127.0.0.1): ");
    assert!(ended.complaints.starts_with(&reason), "{}", ended.complaints);
}

#[test]
fn the_limit_on_descriptors_is_raised_as_far_as_select_can_use_it() {
    for (soft, hard, wanted) in [(64, 4096, 1024), (64, 500, 500), (2000, 4096, 2000)] {
        let limits = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
        let runner = ["bash", "-c", &limits];
        let arguments = ["--quiet", "0"];
        let server = Server::spawn_with_limit(&runner, &arguments, 4096);
        server.await_listening().expect("it listens");
        let limits = std::fs::read_to_string(server.proc("limits")).expect("it runs");
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let soft = line.expect("a line").split_whitespace().nth(3).expect("a number");
        assert_eq!(soft, wanted.to_string());
        server.stop();
    }
}

/// A service manager that does not read has a queue full of messages.
#[test]
fn a_manager_that_does_not_read_is_told_later() {
    let path = crate::harness::scratch("busy-manager").join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("a socket");
    let queued = (0..).take_while(|_| other.send_to(b"x", &path).is_ok()).count();
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let (server, addresses) = listening(&["env", &variable], &["--bind", "127.0.0.1", "0"], 1);
    let clients = [0; 2].map(|_| Client::connect(addresses[0].ip(), addresses[0].port()));
    clients[1].say("hello\n");
    clients[0].expect("hello\n");
    let mut word = [0; 100];
    for _ in 0..queued {
        assert_eq!(manager.recv(&mut word).expect("it is there"), 1);
    }
    manager.set_read_timeout(Some(crate::harness::PATIENCE)).expect("a timeout");
    let length = manager.recv(&mut word).expect("it is told");
    assert_eq!(&word[..length], b"READY=1");
    clients[1].say("and again\n");
    clients[0].expect("and again\n");
    manager.set_nonblocking(true).expect("a socket");
    assert!(manager.recv(&mut word).is_err(), "it is told once");
    assert_eq!(server.stop().complaints, "");
}
