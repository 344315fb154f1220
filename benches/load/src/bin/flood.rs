//! The latency of those who chat while others send as much as the server takes, in a room of many
//! who listen. Nobody but one listener looks at what comes, so that the tool is not what limits.

use anyhow::{Result, ensure};
use clap::Parser;
use load::contender::Contender;
use load::{machine, ports, room};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CHATTERERS: usize = 20;
/// The pause between two of their lines.
const PAUSE: Duration = Duration::from_millis(5);
const LINE: usize = 512;

/// Measures the latency of ordinary senders while others flood the room
#[derive(Parser)]
struct Options {
    /// How many flood it, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,10,60")]
    flooders: Vec<usize>,
    /// How many only listen
    #[arg(long, default_value_t = 300)]
    listeners: usize,
    /// How long each time
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Starts a server, with {port} where its port belongs
    #[arg(value_parser = |text: &str| format!("server={text}").parse::<Contender>())]
    command: Contender,
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::allow_descriptors()?;
    println!("flooders  median ms  99 % ms  longest ms  MB/s to each");
    for flooders in &options.flooders {
        let port = ports::free_port();
        let mut server = options.command.start(port)?;
        let duration = Duration::from_secs(options.seconds);
        let (mut latencies, bytes) = measure(port, *flooders, options.listeners, duration)?;
        ensure!(server.end()?.success(), "the server has not ended with success");
        latencies.sort();
        ensure!(!latencies.is_empty(), "no line has arrived");
        let last = latencies.len() - 1;
        let at = |percent: usize| latencies[last * percent / 100].as_secs_f64() * 1e3;
        let rate = bytes as f64 / 1e6 / duration.as_secs_f64();
        println!("{flooders:8}  {:9.1}  {:7.1}  {:10.1}  {rate:12.1}", at(50), at(99), at(100));
    }
    Ok(())
}

/// The latencies of the lines that have arrived, and how many bytes one client has received.
fn measure(
    port: u16,
    flooders: usize,
    listeners: usize,
    duration: Duration,
) -> Result<(Vec<Duration>, usize)> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let ear = room::connect_first(address)?;
    let connect = |_| TcpStream::connect(address);
    let others: Vec<_> =
        (0..CHATTERERS + flooders + listeners).map(connect).collect::<Result<_, _>>()?;
    let (start, is_over) = (Instant::now(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| discard(&others, &is_over).expect("it can be read"));
        for flooder in &others[CHATTERERS..CHATTERERS + flooders] {
            scope.spawn(|| flood(flooder));
        }
        let chatting = scope.spawn(|| chat(&others[..CHATTERERS], start, &is_over));
        let heard = scope.spawn(|| listen(&ear, start));
        thread::sleep(duration);
        is_over.store(true, Ordering::Relaxed);
        chatting.join().expect("it ends");
        others.iter().chain([&ear]).for_each(|client| _ = client.shutdown(Shutdown::Both));
        Ok(heard.join().expect("it ends"))
    })
}

/// Reads from all, without copying.
fn discard(clients: &[TcpStream], is_over: &AtomicBool) -> Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, client) in clients.iter().enumerate() {
        epoll::add(&epoll, client, EventData::new_u64(number as u64), EventFlags::IN)?;
    }
    let mut events = Vec::with_capacity(clients.len());
    let mut buffer = vec![0; 1 << 20];
    let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    while !is_over.load(Ordering::Relaxed) {
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&wait))?;
        for event in events.drain(..) {
            let client = &clients[event.data.u64() as usize];
            let _ = recv(client, &mut buffer[..], RecvFlags::TRUNC | RecvFlags::DONTWAIT);
        }
    }
    Ok(())
}

fn flood(mut client: &TcpStream) {
    let text = [[b'x'; LINE - 1].as_slice(), b"\n"].concat().repeat(32);
    while client.write_all(&text).is_ok() {}
}

/// One after the other says what time it is.
fn chat(clients: &[TcpStream], start: Instant, is_over: &AtomicBool) {
    for mut client in clients.iter().cycle() {
        let line = format!("@{}\n", start.elapsed().as_nanos());
        if is_over.load(Ordering::Relaxed) || client.write_all(line.as_bytes()).is_err() {
            return;
        }
        thread::sleep(PAUSE);
    }
}

fn listen(client: &TcpStream, start: Instant) -> (Vec<Duration>, usize) {
    let mut lines = BufReader::with_capacity(1 << 18, client);
    let (mut latencies, mut bytes, mut line) = (Vec::new(), 0, Vec::new());
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        if let Some(sent) = line.strip_prefix(b"@") {
            let sent = String::from_utf8_lossy(sent).trim_end().parse().map(Duration::from_nanos);
            latencies.extend(sent.map(|sent| start.elapsed() - sent));
        }
        bytes += line.len();
        line.clear();
    }
    (latencies, bytes)
}
