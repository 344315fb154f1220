//! A client with time-outs, so that a test fails rather than hangs.

use super::child::PATIENCE;
use libc::c_int;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

pub(crate) struct Client {
    /// The server's descriptor for this client, once it is in the room.
    pub(crate) sd: usize,
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: IpAddr, port: u16) -> Self {
        let stream = TcpStream::connect_timeout(&(address, port).into(), PATIENCE)
            .expect("the server listens");
        Self::on(stream)
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        // Every call of `say` is a packet.
        stream.set_nodelay(true).expect("a connected socket");
        Self { sd: usize::MAX, stream }
    }

    /// A client for which the kernel holds little, and takes it in small segments.
    pub(crate) fn connect_narrow(port: u16) -> Self {
        let address = libc::sockaddr_in {
            sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("a small number"),
            sin_port: port.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
            sin_zero: [0; 8],
        };
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: the descriptor is a new one, and nobody else's.
        let stream = unsafe { TcpStream::from_raw_fd(libc::socket(libc::AF_INET, kind, 0)) };
        set_option(&stream, libc::SOL_SOCKET, libc::SO_RCVBUF, &4096);
        set_option(&stream, libc::IPPROTO_TCP, libc::TCP_MAXSEG, &1460);
        // SAFETY: the struct is as large as it is said to be, and the kernel copies it.
        let outcome = unsafe {
            let (fd, at) = (stream.as_raw_fd(), (&raw const address).cast());
            libc::connect(fd, at, size(&address))
        };
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
        Self::on(stream)
    }

    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) {
        self.try_say(bytes.as_ref()).expect("the server takes it");
    }

    pub(crate) fn try_say(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    /// Sends bytes of which the last is urgent, as telnet's Synch is.
    pub(crate) fn say_urgently(&self, bytes: &[u8]) {
        let (fd, flags) = (self.stream.as_raw_fd(), libc::MSG_OOB | libc::MSG_NOSIGNAL);
        // SAFETY: the bytes can be read.
        let count = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
        assert_eq!(usize::try_from(count), Ok(bytes.len()), "{}", io::Error::last_os_error());
    }

    /// Shuts down sending, and can still receive.
    pub(crate) fn fall_silent(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it was connected");
    }

    /// Reads once, and again if interrupted.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.stream).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// The next `count` bytes; fewer when the connection ends or nothing comes.
    pub(crate) fn hear(&self, count: usize) -> Vec<u8> {
        let mut heard = vec![0; count];
        let mut length = 0;
        while length < count {
            match self.read(&mut heard[length..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        heard.truncate(length);
        heard
    }

    /// All bytes up to `end`, which must be the last thing sent.
    pub(crate) fn hear_until(&self, end: &[u8]) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while !heard.ends_with(end) {
            let count = self.read(&mut buffer).expect("it comes in time");
            assert!(count > 0, "the connection ends before {}", excerpt(end));
            heard.extend_from_slice(&buffer[..count]);
        }
        heard
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub(crate) fn expect(&self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let heard = self.hear(wanted.len());
        if heard != wanted {
            let at = heard.iter().zip(wanted).take_while(|(heard, wanted)| heard == wanted).count();
            panic!(
                "of {} bytes {} have come, and from byte {at} on it is {} and not {}",
                wanted.len(),
                heard.len(),
                excerpt(&heard[at..]),
                excerpt(&wanted[at..]),
            );
        }
    }

    /// Checks that the server has closed the connection and sent nothing more.
    #[track_caller]
    pub(crate) fn expect_end(&self) {
        let mut heard = [0; 100];
        match self.read(&mut heard) {
            Ok(0) => {}
            Ok(count) => panic!("unexpected: {}", excerpt(&heard[..count])),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no end: {error}"),
        }
    }

    /// Reads until this line has come so many times, among others.
    pub(crate) fn hear_lines(&self, count: usize, wanted: &str) {
        let mut lines = BufReader::new(&self.stream).lines();
        for _ in 0..count {
            while lines.next().expect("a line").expect("it comes in time") != wanted {}
        }
    }

    /// Ends the connection in both directions.
    pub(crate) fn hang_up(&self) {
        // It may have ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads and discards until the connection ends.
    pub(crate) fn ignore_all(&self) {
        let mut buffer = vec![0; 1 << 16];
        while matches!(self.read(&mut buffer), Ok(1..)) {}
    }

    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        set_option(&self.stream, libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    }
}

fn size<T>(_: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a small struct")
}

fn set_option<T>(stream: &TcpStream, level: c_int, name: c_int, value: &T) {
    // SAFETY: the value is as large as it is said to be, and the kernel copies it.
    let outcome = unsafe {
        let (fd, at) = (stream.as_raw_fd(), ptr::from_ref(value).cast());
        libc::setsockopt(fd, level, name, at, size(value))
    };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
}

/// Connects so many clients to a server without a transcript. Connections are accepted in order, so
/// when the last client is heard, all are in.
pub(crate) fn quiet_crowd(port: u16, count: usize) -> Vec<Client> {
    let clients: Vec<_> =
        (0..count).map(|_| Client::connect(Ipv4Addr::LOCALHOST.into(), port)).collect();
    let (last, others) = clients.split_last().expect("a crowd");
    last.say("all here\n");
    for other in others {
        other.expect("all here\n");
    }
    clients
}

fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(60)];
    format!("\"{}\"{}", shown.escape_ascii(), if shown.len() < bytes.len() { "..." } else { "" })
}
