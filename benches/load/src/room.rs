//! The clients of a server, from connecting until everybody is known to be in.

use crate::cell::Cell;
use anyhow::{Result, bail, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The limit for what usually takes milliseconds.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest accept queue among the contenders. With one client more, the kernel may leave it
/// unanswered for a second.
pub const SHORTEST_QUEUE: usize = 8;

const PROBE: &[u8] = b"is anybody there?\n";
const LAST_PROBE: &str = "so let us begin";

pub struct Room {
    pub clients: Vec<TcpStream>,
    /// Clients that never read.
    pub stalled: Vec<TcpStream>,
}

impl Room {
    /// Connects everybody, and waits until the server has let them in.
    pub fn open(port: u16, cell: &Cell) -> Result<Self> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut clients = vec![connect_first(address)?];
        let connect = |_| TcpStream::connect(address);
        // Servers accept clients in order: when the last one is in, so are these.
        let stalled = (0..cell.stalled).map(connect).collect::<Result<_, _>>()?;
        for number in 1..cell.clients {
            if number % SHORTEST_QUEUE == 0 {
                wait_for_accept(port);
            }
            clients.push(connect(number)?);
        }
        gather(&mut clients)?;
        for client in &clients {
            client.set_nodelay(true)?;
            client.set_nonblocking(true)?;
            // The connection ends with a reset, which leaves nothing behind in the kernel.
            rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO))?;
        }
        Ok(Self { clients, stalled })
    }
}

/// Whether the server has cut off these clients, which do not read: after what it had sent, there
/// is an EOF or a reset.
pub fn are_cut_off(stalled: &mut [TcpStream]) -> bool {
    let mut buffer = vec![0; 1 << 16];
    stalled.iter_mut().all(|client| {
        let _ = client.set_read_timeout(Some(Duration::from_millis(200)));
        loop {
            match client.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    })
}

/// Connects as soon as the server listens.
pub fn connect_first(address: SocketAddrV4) -> Result<TcpStream> {
    let given_up = Instant::now() + TIMEOUT;
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                ensure!(Instant::now() < given_up, "it does not listen");
                thread::sleep(Duration::from_millis(2));
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Gives the server time to accept the clients that wait.
pub fn wait_for_accept(port: u16) {
    let given_up = Instant::now() + TIMEOUT;
    while waiting_for_accept(port) > 0 && Instant::now() < given_up {
        thread::sleep(Duration::from_micros(50));
    }
}

/// The number of clients that wait to be accepted: for a listening socket, /proc has it in the
/// column of the bytes to be read.
fn waiting_for_accept(port: u16) -> u64 {
    const LISTENING: &str = "0A";
    let address = format!(":{port:04X}");
    let queue = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields.get(3) == Some(&LISTENING) && fields[1].ends_with(&address);
        is_it.then(|| u64::from_str_radix(fields.get(4)?.split_once(':')?.1, 16).ok())?
    };
    let files = ["/proc/net/tcp", "/proc/net/tcp6"];
    files.map(|file| first_page(file).lines().filter_map(queue).sum::<u64>()).iter().sum()
}

/// The listening sockets come first, so that this suffices, however many others there are.
fn first_page(file: &str) -> String {
    let mut page = [0; 4096];
    let count = File::open(file).and_then(|mut file| file.read(&mut page)).unwrap_or(0);
    String::from_utf8_lossy(&page[..count]).into_owned()
}

/// The first client sends until the last one receives something; then all receive a last line.
fn gather(clients: &mut [TcpStream]) -> Result<()> {
    let (first, others) = clients.split_first_mut().expect("a room has clients");
    let last = others.last_mut().expect("a room has at least two clients");
    let given_up = Instant::now() + TIMEOUT;
    last.set_read_timeout(Some(Duration::from_millis(10)))?;
    loop {
        first.write_all(PROBE)?;
        match last.peek(&mut [0]) {
            Ok(0) => bail!("it closed a connection at once"),
            Ok(_) => break,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => ensure!(Instant::now() < given_up, "nobody receives anything"),
        }
    }
    first.write_all(format!("{LAST_PROBE}\n").as_bytes())?;
    others.iter_mut().try_for_each(wait_for_last_probe)
}

fn wait_for_last_probe(client: &mut TcpStream) -> Result<()> {
    client.set_read_timeout(Some(TIMEOUT))?;
    let mut lines = BufReader::new(client).lines().map_while(Result::ok);
    ensure!(lines.any(|line| line == LAST_PROBE), "a client is not accepted");
    Ok(())
}
