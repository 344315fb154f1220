//! A client's end of a WebSocket.

use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::protocol::Role;
use tungstenite::{Error as WebError, Message};

/// With an origin that `packaging/lighttpd/chatserver.conf` has.
const REQUEST: &[u8] = b"GET /room HTTP/1.1\r\n\
    Host: localhost\r\n\
    Origin: http://localhost:8080\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: bm9ib2R5IGNoZWNrcyBpdA==\r\n\
    \r\n";
/// How long a busy lighttpd may take to let one in.
const TIMEOUT: Duration = Duration::from_secs(60);

/// It encodes and decodes, and leaves sending and reading to the client.
pub struct WebSocket(Box<tungstenite::WebSocket<Wire>>);

impl WebSocket {
    /// Has lighttpd let a client in.
    pub fn open(mut stream: &TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(REQUEST)?;
        let head = read_head(stream)?;
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(Error::other(String::from_utf8_lossy(&head)));
        }
        let wire = Wire::default();
        let socket = tungstenite::WebSocket::from_raw_socket(wire, Role::Client, None);
        Ok(Self(Box::new(socket)))
    }

    /// A frame with this text; nothing once the connection is ending.
    pub fn encode(&mut self, text: &[u8]) -> Vec<u8> {
        let _ = self.0.send(Message::binary(text.to_vec()));
        self.replies()
    }

    pub fn close(&mut self) -> Vec<u8> {
        let _ = self.0.close(None);
        let _ = self.0.flush();
        self.replies()
    }

    /// The text in what lighttpd has sent.
    pub fn decode(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.get_mut().incoming.extend(bytes);
        let mut text = Vec::new();
        loop {
            match self.0.read() {
                Ok(Message::Binary(part)) => text.extend_from_slice(&part),
                Ok(_) | Err(WebError::ConnectionClosed) => {}
                Err(WebError::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(WebError::AlreadyClosed) => break,
                Err(error) => return Err(Error::other(error)),
            }
        }
        Ok(text)
    }

    /// The frames that answer what was decoded.
    pub fn replies(&mut self) -> Vec<u8> {
        mem::take(&mut self.0.get_mut().outgoing)
    }
}

/// Reads the head of an answer. Frames may follow, so that nothing is read beyond its end.
fn read_head(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(head)
}

/// What stands in for the connection.
#[derive(Default)]
struct Wire {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.incoming.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
