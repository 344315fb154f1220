//! One client: its connection, and what it has decided to do.

use crate::dice::Dice;
use crate::line::Id;
use rustix::net::sockopt::set_socket_linger;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

const READ_SIZE: usize = 64 * 1024;
/// What the kernel keeps for a narrow client: little, so that what it does not read piles up in the
/// server before long.
const NARROW_BUFFER: usize = 4096;
const NARROW_SEGMENT: u32 = 536;

/// How what is to be said goes to the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    AtOnce,
    InPieces,
    ByteByByte,
}

pub struct Client {
    pub id: Id,
    pub stream: TcpStream,
    pub dice: Dice,
    pub manner: Manner,
    /// Until when it does not read.
    pub stalls_until: Option<u64>,
    /// Since when its own side of the connection is closed.
    pub quit_at: Option<u64>,
    /// How many lines it has made up.
    pub made_up: u32,
    /// The start of a line whose end has not come yet.
    pub unfinished: Vec<u8>,
    unsent: Vec<u8>,
    /// The lengths of the lines in `unsent`, of which the first may have begun.
    lengths: VecDeque<usize>,
    begun: usize,
    pub waits_to_write: bool,
}

impl Client {
    pub fn connect(address: SocketAddrV4, id: Id, mut dice: Dice) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if dice.one_in(2) {
            socket.set_recv_buffer_size(NARROW_BUFFER)?;
            socket.set_tcp_mss(NARROW_SEGMENT)?;
        }
        socket.connect(&address.into())?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Self {
            id,
            stream: socket.into(),
            dice,
            manner: Manner::AtOnce,
            stalls_until: None,
            quit_at: None,
            made_up: 0,
            unfinished: Vec::new(),
            unsent: Vec::new(),
            lengths: VecDeque::new(),
            begun: 0,
            waits_to_write: false,
        })
    }

    /// Takes a line to send.
    pub fn take(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.unsent.len();
        write(&mut self.unsent);
        self.lengths.push_back(self.unsent.len() - start);
        self.made_up += 1;
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Writes so many bytes at most; answers how many whole lines have gone with that.
    pub fn send(&mut self, most: usize) -> io::Result<u32> {
        let most = most.min(self.unsent.len());
        let count = match (&self.stream).write(&self.unsent[..most]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.waits_to_write = count < most;
        self.unsent.drain(..count);
        self.begun += count;
        let mut lines = 0;
        while self.lengths.front().is_some_and(|length| *length <= self.begun) {
            self.begun -= self.lengths.pop_front().expect("there is a first one");
            lines += 1;
        }
        Ok(lines)
    }

    /// Nobody listens any more.
    pub fn give_up_sending(&mut self) {
        self.unsent.clear();
        self.lengths.clear();
        self.waits_to_write = false;
    }

    /// Sends all of this, or fails.
    pub fn send_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        match (&self.stream).write(piece)? {
            count if count == piece.len() => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }

    pub fn stop_talking(&mut self, now: u64) -> io::Result<()> {
        (self.quit_at, self.stalls_until) = (Some(now), None);
        self.stream.shutdown(Shutdown::Write)
    }

    /// So that the end of the connection is a reset.
    pub fn prepare_reset(&self) -> io::Result<()> {
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }

    /// Reads once, behind what is unfinished, into a buffer that grows as needed; answers where
    /// the text ends there. None when nothing is there after all.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let start = self.unfinished.len();
        if buffer.len() < start + READ_SIZE {
            buffer.resize(start + READ_SIZE, 0);
        }
        buffer[..start].copy_from_slice(&self.unfinished);
        match (&self.stream).read(&mut buffer[start..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(Some(start + count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
