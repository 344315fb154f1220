//! One client: its connection and its state.

use crate::attack::Attack;
use fastrand::Rng;
use load::inbox::Inbox;
use load::line::Id;
use rustix::net::sockopt::set_socket_linger;
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind, Write};
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

pub struct Client {
    pub id: Id,
    pub stream: TcpStream,
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
    pub unsent: Vec<u8>,
    pub waits_to_write: bool,
}

impl Client {
    pub fn connect(address: SocketAddrV4, id: Id, mut rng: Rng) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if rng.bool() {
            socket.set_recv_buffer_size(NARROW_BUFFER)?;
            socket.set_tcp_mss(NARROW_SEGMENT)?;
        }
        socket.connect(&address.into())?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Self {
            id,
            stream: socket.into(),
            rng,
            attack: None,
            manner: Manner::AtOnce,
            stalls_until: None,
            quit_at: None,
            composed: 0,
            inbox: Inbox::default(),
            unsent: Vec::new(),
            waits_to_write: false,
        })
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Writes at most this many bytes; returns the number of lines that are complete with them.
    pub fn send(&mut self, most: usize) -> io::Result<u32> {
        let most = most.min(self.unsent.len());
        let count = match (&self.stream).write(&self.unsent[..most]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.waits_to_write = count < most;
        let written = self.unsent.drain(..count);
        Ok(written.filter(|byte| *byte == b'\n').count() as u32)
    }

    /// For a client whose connection has ended.
    pub fn give_up_sending(&mut self) {
        self.unsent.clear();
        self.waits_to_write = false;
    }

    /// Sends the beginning of a line, as much of it as the kernel takes.
    pub fn send_piece(&mut self, piece: &[u8]) {
        let _ = (&self.stream).write(piece);
    }

    pub fn stop_sending(&mut self, now: u64) -> io::Result<()> {
        (self.quit_at, self.stalls_until) = (Some(now), None);
        self.stream.shutdown(Shutdown::Write)
    }

    /// The connection will end with a reset.
    pub fn prepare_reset(&self) -> io::Result<()> {
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }
}
