//! Several brokers, other brokers, and one port for several servers: with the settings as they are
//! shipped, but for addresses, ports and folders.

use anyhow::{Result, ensure};
use load::cell::{Cell, Pace};
use load::ports;
use load::rooms::{Program, Rooms, sbin};
use load::talk::{SERVERS, Talk, chat};
use std::fs;
use std::thread;
use std::time::Duration;

const HAPROXY: &str = include_str!("../../../../packaging/haproxy/chatserver.conf");

/// A server with a relay for each of the brokers.
fn add_servers(rooms: &mut Rooms, brokers: &[u16]) -> Result<()> {
    for broker in brokers {
        rooms.add_server("")?;
        rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    }
    rooms.start_all()
}

/// The leaves keep what waits for the middle; what is on its way at that moment may be lost. With
/// MQTT 5 mosquitto's bridges have no session, so that the middle keeps nothing for a leaf.
#[test]
fn what_is_lost_when_the_middle_of_a_star_of_brokers_restarts_is_told() -> Result<()> {
    let mut rooms = Rooms::new("star")?;
    let middle = rooms.add_broker(|settings| settings)?;
    let leaf = |id| move |settings: String| settings + &Rooms::leaf(middle, id);
    let leaves = [rooms.add_broker(leaf("leaf-1"))?, rooms.add_broker(leaf("leaf-2"))?];
    add_servers(&mut rooms, &[middle, leaves[0], leaves[1]])?;
    let mut talk = Talk::begin(rooms, &chat())?;
    talk.during(|rooms| {
        rooms.brokers[0].end()?;
        thread::sleep(Duration::from_secs(1));
        rooms.start_broker(0)
    })?;
    talk.losses_are_told()
}

#[test]
fn a_ring_of_brokers_repeats_nothing_in_the_room() -> Result<()> {
    let mut rooms = Rooms::new("ring")?;
    // Ports have to be known before the brokers are there.
    let ports = [ports::free_port(), ports::free_port(), ports::free_port()];
    for number in 0..3 {
        let leaf = Rooms::leaf(ports[(number + 1) % 3], &format!("leaf-{number}"));
        rooms.add_broker_on(ports[number], |settings| settings + &leaf)?;
    }
    add_servers(&mut rooms, &ports)?;
    // A few lines: each goes round until the brokers end.
    let cell = Cell::new(2 * SERVERS, SERVERS, 64, Pace::Open(6));
    let mut talk = Talk::begin(rooms, &cell)?;
    talk.during(|rooms| {
        for relay in &mut rooms.relays {
            relay.wait_for("a ring of bridges?")?;
        }
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    for relay in &talk.rooms.relays {
        let loops = relay.log()?.matches("a ring of bridges?").count();
        ensure!(loops == 1, "{loops} lines of a loop");
    }
    talk.nothing_is_lost()
}

#[test]
fn a_broker_without_mqtt_5_serves_as_well() -> Result<()> {
    let mut rooms = Rooms::new("nats")?;
    let Some(port) = rooms.add_old_broker()? else { return Ok(()) };
    add_servers(&mut rooms, &[port, port])?;
    let mut talk = Talk::begin(rooms, &Cell::new(8, 4, 64, Pace::Open(60)))?;
    talk.go_on()?;
    talk.nothing_is_lost()
}

#[test]
fn what_is_said_while_a_broker_with_tls_is_away_for_a_moment_arrives() -> Result<()> {
    let mut rooms = Rooms::new("tls")?;
    let broker = rooms.add_secured_broker(|settings| settings)?;
    let folder = rooms.folder.display().to_string();
    for number in 0..SERVERS {
        rooms.add_server("")?;
        let broker = format!("mqtts://relay-{number}@localhost:{broker}/room");
        rooms.add_relay(&format!("--ca {folder}/ca.pem {broker}"))?;
        rooms.relays[number].set_variable("CHATSERVER_RELAY_PASSWORD", "secret");
    }
    rooms.start_all()?;
    let mut talk = Talk::begin(rooms, &chat())?;
    talk.during(|rooms| {
        rooms.brokers[0].end()?;
        thread::sleep(Duration::from_millis(500));
        rooms.start_broker(0)
    })?;
    talk.nothing_is_lost()
}

#[test]
fn one_port_leads_to_the_server_with_a_seat() -> Result<()> {
    const SEATS: usize = 10;
    let mut rooms = Rooms::new("haproxy")?;
    let broker = rooms.add_broker(|settings| settings)?;
    let port = ports::free_port();
    let mut settings =
        HAPROXY.replace(":5555", &format!(":{port}")).replace("maxconn 1015", "maxconn 10");
    for number in 0..SERVERS {
        // The seats, and those for the relay, the check and the operator.
        let server = rooms.add_server(&format!("--max-clients {}", SEATS + 5))?;
        settings = settings.replace(&format!(":{}", 5551 + number), &format!(":{server}"));
        rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    }
    fs::write(rooms.folder.join("haproxy.conf"), settings)?;
    rooms.start_all()?;
    let command = format!("{} -f haproxy.conf", sbin("haproxy"));
    let mut haproxy = Program::new(&rooms.folder, "haproxy", &command);
    haproxy.start()?;
    rooms.come_by(port)?;
    // All seats are taken, and whoever says something is heard by all.
    let mut talk =
        Talk::begin(rooms, &Cell::new(SEATS * SERVERS, SEATS * SERVERS, 64, Pace::Open(60)))?;
    talk.go_on()?;
    talk.nothing_is_lost()
}
