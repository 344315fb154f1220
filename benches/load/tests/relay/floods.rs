//! Much at once: what is beyond a bound is lost to somebody, told, and costs nobody else a line.

use anyhow::{Result, ensure};
use load::rooms::{PATIENCE, Rooms, wait_until};
use load::talk::{SERVERS, Talk, flood};
use rustix::process::Signal;
use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// More than the kernel keeps for a client that does not read, and less than the broker keeps for a
/// relay.
const MUCH: usize = 24_000;
const LITTLE: usize = 4_000;

/// Three servers with a broker; options for the first relay and for each server.
fn rooms(name: &str, relay: &str, servers: [&str; SERVERS]) -> Result<Rooms> {
    let mut rooms = Rooms::new(name)?;
    let broker = rooms.add_broker(|settings| settings)?;
    for (number, options) in servers.iter().enumerate() {
        rooms.add_server(options)?;
        let relay = if number == 0 { relay } else { "" };
        rooms.add_relay(&format!("{relay} mqtt://127.0.0.1:{broker}/room"))?;
    }
    rooms.start_all()?;
    Ok(rooms)
}

#[test]
fn a_relay_that_is_cut_off_comes_back_without_a_torn_line() -> Result<()> {
    let rooms = rooms("relay_is_cut_off", "", ["--max-queue 256K", "", ""])?;
    let mut talk = Talk::begin(rooms, &flood(MUCH))?;
    talk.during(|rooms| {
        rooms.relays[0].signal(Signal::STOP)?;
        rooms.servers[0].wait_for("cut off")?;
        rooms.relays[0].signal(Signal::CONT)
    })?;
    talk.check(|from, to| from == 0 && to != 0)?;
    for other in 1..SERVERS {
        ensure!(talk.lost(0, other)? > 0, "it was not cut off");
        ensure!(talk.rooms.relays[other].log()?.contains("may be lost"), "it is not told");
    }
    Ok(())
}

#[test]
fn an_overrun_spool_drops_the_oldest_and_counts_them() -> Result<()> {
    let mut talk = Talk::begin(rooms("spool_overruns", "--spool 1M", [""; 3])?, &flood(MUCH))?;
    // While they came together the spool was too small, too.
    let before = talk.figure(0, "lost_out")?;
    talk.during(|rooms| {
        rooms.brokers[0].end()?;
        rooms.relays[0].wait_for("lines of this server")?;
        thread::sleep(Duration::from_secs(1));
        rooms.start_broker(0)
    })?;
    talk.check(|from, to| from == 0 && to != 0)?;
    ensure!(talk.loss_is_told(1)? > 0, "nothing was lost");
    ensure!(talk.loss_is_told(2)? == talk.lost(0, 1)?, "one has lost more than the other");
    ensure!(talk.figure(0, "lost_out")? - before == talk.lost(0, 1)?, "the sender's relay differs");
    Ok(())
}

#[test]
fn one_reader_who_stops_in_a_flood_is_cut_off_and_nobody_else_loses_a_line() -> Result<()> {
    let rooms = rooms("reader_stops", "", ["", "--max-queue 1M", ""])?;
    let mut talk = Talk::begin(rooms, &flood(LITTLE))?;
    talk.during(|rooms| {
        let mut stopped = TcpStream::connect(rooms.address(1))?;
        rooms.servers[1].wait_for("cut off")?;
        stopped.set_read_timeout(Some(PATIENCE))?;
        // It gets what was sent before, and then the end.
        let mut buffer = vec![0; 1 << 16];
        wait_until("it is cut off", || Ok(!matches!(stopped.read(&mut buffer), Ok(1..))))
    })?;
    talk.nothing_is_lost()
}
