//! What a client still has to send.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;

#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// Where the lines among them end, counted from the first byte that was ever put in.
    line_ends: VecDeque<usize>,
    sent: usize,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A line is complete with its last byte.
    pub fn push_line(&mut self, bytes: &[u8]) {
        self.push(bytes);
        self.line_ends.push_back(self.sent + self.bytes.len());
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes at most this many bytes; returns how many the kernel took, and how many lines are
    /// complete with them.
    pub fn send(&mut self, mut stream: &TcpStream, most: usize) -> io::Result<(usize, u32)> {
        let count = match stream.write(&self.bytes[..most.min(self.bytes.len())]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.bytes.drain(..count);
        self.sent += count;
        let lines = self.line_ends.partition_point(|end| *end <= self.sent);
        self.line_ends.drain(..lines);
        Ok((count, lines as u32))
    }
}
