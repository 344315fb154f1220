//! Ports for servers, of which no two test programs are given the same.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::process;
use std::sync::Mutex;

/// All are below the range from which Linux gives ports to clients, so that no client takes one,
/// not even while a server is started anew. tests/web/harness.js does the same.
const FIRST: u16 = 10_000;
const BLOCKS: u16 = 200;
const BLOCK: u16 = 100;

/// A hundred ports of our own, for as long as we have a UDP port with the number of the first.
struct Block {
    _claim: UdpSocket,
    ports: Range<u16>,
}

impl Block {
    fn claim() -> Self {
        let from = (process::id() % u32::from(BLOCKS)) as u16;
        let mut firsts = (0..BLOCKS).map(|number| FIRST + (from + number) % BLOCKS * BLOCK);
        let claim = |first| {
            let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, first)).ok()?;
            Some(Self { _claim: claim, ports: first..first + BLOCK })
        };
        firsts.find_map(claim).expect("some ports are nobody's")
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok()
        || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// A port that nobody listens on, and that no other test program is given while this one runs.
#[allow(unreachable_pub, reason = "the load generator exports it")]
pub fn free_port() -> u16 {
    static CLAIMED: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    let mut claimed = CLAIMED.lock().expect("no other has failed with it");
    loop {
        if let Some(port) =
            claimed.last_mut().and_then(|block| block.ports.find(|port| is_free(*port)))
        {
            return port;
        }
        claimed.push(Block::claim());
    }
}
