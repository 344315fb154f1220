//! One client: its connection and its state.

use crate::attack::Attack;
use crate::outbox::Outbox;
use crate::telnet::{OptionCommand, Telnet};
use crate::websocket::WebSocket;
use fastrand::Rng;
use load::inbox::Inbox;
use load::line::Id;
use rustix::net::sockopt::set_socket_linger;
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{self, Write};
use std::mem;
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

/// A narrow client has small buffers in the kernel, so that what it does not read soon piles up in
/// the server.
const NARROW_BUFFER: usize = 4096;
const NARROW_SEGMENT: u32 = 536;

/// The way in which lines are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    AtOnce,
    InPieces,
    ByteByByte,
}

/// How it speaks with the server.
pub enum Protocol {
    Plain,
    Telnet(Telnet),
    WebSocket(WebSocket),
}

pub struct Client {
    pub id: Id,
    pub stream: TcpStream,
    protocol: Protocol,
    pub rng: Rng,
    pub attack: Option<Attack>,
    pub manner: Manner,
    /// It does not read until then.
    pub stalls_until: Option<u64>,
    /// When it closed its side of the connection.
    pub quit_at: Option<u64>,
    /// The number of lines it has composed, sent or not.
    pub composed: u32,
    pub inbox: Inbox,
    /// When something was last read.
    pub read_at: u64,
    unsent: Outbox,
    pub waits_to_write: bool,
}

impl Client {
    pub fn plain(address: SocketAddrV4, id: Id, rng: Rng) -> io::Result<Self> {
        Self::connect(address, id, rng, |_| Ok(Protocol::Plain))
    }

    pub fn telnet(address: SocketAddrV4, id: Id, rng: Rng) -> io::Result<Self> {
        Self::connect(address, id, rng, |_| Ok(Protocol::Telnet(Telnet::default())))
    }

    /// The address is lighttpd's.
    pub fn web(address: SocketAddrV4, id: Id, rng: Rng) -> io::Result<Self> {
        Self::connect(address, id, rng, |stream| WebSocket::open(stream).map(Protocol::WebSocket))
    }

    fn connect(
        address: SocketAddrV4,
        id: Id,
        mut rng: Rng,
        begin: impl FnOnce(&TcpStream) -> io::Result<Protocol>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if rng.bool() {
            socket.set_recv_buffer_size(NARROW_BUFFER)?;
            socket.set_tcp_mss(NARROW_SEGMENT)?;
        }
        socket.connect(&address.into())?;
        socket.set_tcp_nodelay(true)?;
        let stream = socket.into();
        let protocol = begin(&stream)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            id,
            stream,
            protocol,
            rng,
            attack: None,
            manner: Manner::AtOnce,
            stalls_until: None,
            quit_at: None,
            composed: 0,
            inbox: Inbox::default(),
            read_at: 0,
            unsent: Outbox::default(),
            waits_to_write: false,
        })
    }

    /// What is known of it, and the kernel's lines about both ends of its connection: proc_net(5).
    pub fn describe(&self) -> io::Result<String> {
        let port = format!(":{:04X} ", self.stream.local_addr()?.port());
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default()).concat();
        let sockets: Vec<_> = tables.lines().filter(|line| line.contains(&port)).collect();
        Ok(format!(
            "client {}: composed {} lines, {} bytes not sent, stalls until {:?}, quit at {:?}, \
             last read at {}, {} bytes to read, {} bytes of a line\n{}",
            self.id,
            self.composed,
            self.unsent.len(),
            self.stalls_until,
            self.quit_at,
            self.read_at,
            rustix::io::ioctl_fionread(&self.stream)?,
            self.inbox.unfinished.len(),
            sockets.join("\n"),
        ))
    }

    pub fn is_by_web(&self) -> bool {
        matches!(self.protocol, Protocol::WebSocket(_))
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// What is sent for a line.
    fn encode(&mut self, line: &[u8]) -> Vec<u8> {
        match &mut self.protocol {
            Protocol::Plain => line.to_vec(),
            Protocol::Telnet(telnet) => telnet.encode(line, &mut self.rng),
            Protocol::WebSocket(web) => web.encode(line),
        }
    }

    pub fn compose(&mut self, line: &[u8]) {
        let wire = self.encode(line);
        self.unsent.push_line(&wire);
        self.composed += 1;
    }

    pub fn compose_empty_line(&mut self) {
        let wire = match &mut self.protocol {
            Protocol::WebSocket(web) => web.encode(b"\n"),
            _ => b"\n".to_vec(),
        };
        self.unsent.push(&wire);
    }

    /// The answers to the telnet commands among what was composed since the last time.
    pub fn take_answers(&mut self) -> Vec<OptionCommand> {
        match &mut self.protocol {
            Protocol::Telnet(telnet) => mem::take(&mut telnet.answers),
            _ => Vec::new(),
        }
    }

    /// Writes at most this many bytes; returns the number of lines that are complete with them.
    pub fn send(&mut self, most: usize) -> io::Result<u32> {
        let most = most.min(self.unsent.len());
        let (count, lines) = self.unsent.send(&self.stream, most)?;
        self.waits_to_write = count < most;
        Ok(lines)
    }

    /// Reads once; the buffer then has the unfinished line and, after it, what was read. Returns
    /// where that ends, or None when there is nothing to read.
    pub fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let end = self.inbox.read(&self.stream, buffer)?;
        let (Some(end), Protocol::WebSocket(web)) = (end, &mut self.protocol) else {
            return Ok(end);
        };
        let start = self.inbox.unfinished.len();
        let text = web.decode(&buffer[start..end])?;
        self.unsent.push(&web.replies());
        buffer.truncate(start);
        buffer.extend(text);
        Ok(Some(buffer.len()))
    }

    /// For a client whose connection has ended.
    pub fn give_up_sending(&mut self) {
        self.unsent.clear();
        self.waits_to_write = false;
    }

    /// Sends the beginning of a line, as much of it as the kernel takes.
    pub fn send_part(&mut self, line: &[u8]) {
        let wire = self.encode(line);
        let most = self.rng.usize(..wire.len().max(1));
        let _ = (&self.stream).write(&wire[..most]);
    }

    pub fn stop_sending(&mut self, now: u64) -> io::Result<()> {
        (self.quit_at, self.stalls_until) = (Some(now), None);
        let Protocol::WebSocket(web) = &mut self.protocol else {
            return self.stream.shutdown(Shutdown::Write);
        };
        self.unsent.push(&web.close());
        self.send(usize::MAX).map(|_| ())
    }

    /// The connection will end with a reset.
    pub fn prepare_reset(&self) -> io::Result<()> {
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }
}
