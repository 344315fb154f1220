//! Brokers, relays and servers that end, are killed, or are stuck for a while.

use anyhow::{Result, ensure};
use load::rooms::{Program, Rooms};
use load::talk::{SERVERS, Talk, chat};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

fn stuck(program: &Program, seconds: u32) -> Result<()> {
    program.signal(Signal::STOP)?;
    thread::sleep(SECOND * seconds);
    program.signal(Signal::CONT)
}

#[test]
fn nothing_is_lost_when_the_broker_restarts() -> Result<()> {
    let mut talk = Talk::start("broker_restarts")?;
    talk.during(|rooms| {
        rooms.brokers[0].end()?;
        thread::sleep(SECOND);
        rooms.start_broker(0)
    })?;
    for relay in 0..SERVERS {
        ensure!(talk.figure(relay, "loops")? == 0, "a relay gets its own messages");
    }
    talk.nothing_is_lost()
}

#[test]
fn what_is_lost_with_a_killed_broker_is_told() -> Result<()> {
    let mut talk = Talk::start("broker_is_killed")?;
    talk.during(|rooms| {
        rooms.brokers[0].kill()?;
        thread::sleep(SECOND);
        rooms.start_broker(0)
    })?;
    talk.losses_are_told()
}

#[test]
fn nothing_is_lost_when_the_broker_is_stuck() -> Result<()> {
    broker_is_stuck(5)
}

#[test]
fn nothing_is_lost_when_the_broker_is_stuck_for_longer_than_the_keepalive() -> Result<()> {
    broker_is_stuck(19)
}

fn broker_is_stuck(seconds: u32) -> Result<()> {
    let mut talk = Talk::start(&format!("broker_is_stuck_{seconds}"))?;
    talk.during(|rooms| stuck(&rooms.brokers[0], seconds))?;
    talk.nothing_is_lost()
}

#[test]
fn nothing_is_lost_when_a_relay_is_stuck() -> Result<()> {
    let mut talk = Talk::start("relay_is_stuck")?;
    talk.during(|rooms| stuck(&rooms.relays[0], 5))?;
    talk.nothing_is_lost()
}

#[test]
fn nothing_is_lost_when_a_server_is_stuck() -> Result<()> {
    let mut talk = Talk::start("server_is_stuck")?;
    talk.during(|rooms| stuck(&rooms.servers[0], 5))?;
    talk.nothing_is_lost()
}

#[test]
fn what_is_said_while_a_relay_is_away_waits_for_it() -> Result<()> {
    relay_is_killed(2 * SECOND)
}

#[test]
fn a_killed_relay_may_come_back_at_once() -> Result<()> {
    relay_is_killed(MOMENT)
}

/// What is said at its server is lost to the others, which their relays cannot count.
fn relay_is_killed(pause: Duration) -> Result<()> {
    let mut talk = Talk::start(&format!("relay_is_killed_{}", pause.as_millis()))?;
    talk.during(|rooms| {
        rooms.relays[0].kill()?;
        thread::sleep(pause);
        rooms.relays[0].start()
    })?;
    talk.check(|from, to| from == 0 && to != 0 || to == 0 && from != 0)?;
    for other in 1..SERVERS {
        ensure!(talk.rooms.relays[other].log()?.contains("may be lost"), "it is not told");
    }
    Ok(())
}

#[test]
fn the_others_chat_on_when_a_server_is_killed() -> Result<()> {
    let mut talk = Talk::start("server_is_killed")?;
    talk.during(|rooms| {
        rooms.servers[0].kill()?;
        rooms.servers[0].start()
    })?;
    talk.check(|from, to| from == 0 || to == 0)?;
    for other in 1..SERVERS {
        ensure!(talk.rooms.relays[other].log()?.contains("may be lost"), "it is not told");
    }
    Ok(())
}

#[test]
fn broker_servers_and_relays_start_in_any_order() -> Result<()> {
    let mut rooms = Rooms::new("any_order")?;
    let broker = rooms.add_broker(|settings| settings)?;
    for _ in 0..SERVERS {
        rooms.add_server("")?;
        rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    }
    // A relay, a server, a relay, the broker, two servers, a relay.
    rooms.relays[0].start()?;
    rooms.servers[1].start()?;
    rooms.relays[1].start()?;
    thread::sleep(SECOND);
    rooms.start_broker(0)?;
    rooms.start_server(0)?;
    rooms.start_server(2)?;
    rooms.relays[2].start()?;
    let mut talk = Talk::begin(rooms, &chat())?;
    talk.go_on()?;
    talk.nothing_is_lost()
}
