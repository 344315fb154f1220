//! What a client receives.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

const READ_SIZE: usize = 64 * 1024;

#[derive(Clone, Default)]
pub struct Inbox {
    /// The start of a line whose end has not arrived yet.
    pub unfinished: Vec<u8>,
}

impl Inbox {
    /// Reads once, after the unfinished line, into a buffer that grows as needed; returns where the
    /// text ends. None when there is nothing to read.
    pub fn read(&self, mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let start = self.unfinished.len();
        if buffer.len() < start + READ_SIZE {
            buffer.resize(start + READ_SIZE, 0);
        }
        buffer[..start].copy_from_slice(&self.unfinished);
        match stream.read(&mut buffer[start..]) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed a connection")),
            Ok(count) => Ok(Some(start + count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what has no end yet.
    pub fn keep(&mut self, unfinished: &[u8]) {
        self.unfinished.clear();
        self.unfinished.extend_from_slice(unfinished);
    }
}
