//! What else a relay may meet.

use anyhow::{Context, Result, bail, ensure};
use load::rooms::{PATIENCE, Rooms, wait_until};
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const UNIT: &str = include_str!("../../../../packaging/systemd/chatserver-relay@.service.in");

/// A client that hears what the other says.
pub(crate) fn client(rooms: &Rooms, server: usize) -> Result<TcpStream> {
    let client = TcpStream::connect(rooms.address(server))?;
    client.set_read_timeout(Some(PATIENCE))?;
    Ok(client)
}

/// Says something until it is heard, and a last line then; returns what was heard before that.
fn heard(speaker: &mut TcpStream, listener: &mut TcpStream) -> Result<Vec<String>> {
    listener.set_nonblocking(true)?;
    wait_until("they hear each other", || {
        speaker.write_all(b"hello\n")?;
        Ok(listener.peek(&mut [0]).is_ok())
    })?;
    listener.set_nonblocking(false)?;
    listener.set_read_timeout(Some(PATIENCE))?;
    speaker.write_all(b"the last one\n")?;
    let mut lines = Vec::new();
    for line in BufReader::new(listener).lines() {
        match line? {
            last if last == "the last one" => return Ok(lines),
            line => lines.push(line),
        }
    }
    bail!("the server has closed the connection")
}

#[test]
fn a_room_that_is_full_is_not_told_to_the_others() -> Result<()> {
    let mut rooms = Rooms::new("room_full")?;
    let broker = rooms.add_broker(|settings| settings)?;
    for options in ["", "--max-clients 1"] {
        rooms.add_server(options)?;
        rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    }
    rooms.start_broker(0)?;
    rooms.start_server(0)?;
    rooms.start_server(1)?;
    let mut listener = client(&rooms, 0)?;
    let mut sitting = client(&rooms, 1)?;
    rooms.relays[0].start()?;
    // The one seat is taken for sure when somebody else is told so.
    let mut refused = String::new();
    wait_until("the room is full", || {
        refused.clear();
        client(&rooms, 1)?.read_to_string(&mut refused)?;
        Ok(refused.contains("full"))
    })?;
    rooms.relays[1].start()?;
    rooms.relays[1].wait_for("full")?;
    ensure!(UNIT.contains("\nTimeoutStartSec=infinity\n"), "systemd would end it here");
    sitting.write_all(b"nobody hears this elsewhere\n")?;
    drop(sitting);
    rooms.relays[1].wait_for("server: connected")?;
    // The relay has the one seat, so the speaker is at another server.
    rooms.add_server("")?;
    rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    rooms.start_server(2)?;
    rooms.relays[2].start()?;
    let lines = heard(&mut client(&rooms, 2)?, &mut listener)?;
    ensure!(lines.iter().all(|line| line == "hello"), "{lines:?}");
    Ok(())
}

#[test]
fn telnet_commands_from_the_broker_reach_nobody() -> Result<()> {
    let mut rooms = Rooms::new("telnet")?;
    let broker = rooms.add_broker(|settings| settings)?;
    for _ in 0..2 {
        rooms.add_server("")?;
        rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    }
    rooms.start_all()?;
    let (mut speaker, mut listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
    heard(&mut speaker, &mut listener)?;
    // What the relay of the first server publishes from now on is kept.
    let port = broker.to_string();
    let listen = ["-p", &port, "-i", "listener", "-c", "-q", "1", "-t", "chat/room/relay-0"];
    run("mosquitto_sub", &[&listen[..], &["-E"]].concat())?;
    let file = rooms.folder.join("text");
    fs::write(&file, b"so\xff\xf4\xff\xfd\x06me text\n")?;
    let file = file.to_str().context("the folder's name is text")?;
    run("mosquitto_pub", &["-p", &port, "-q", "1", "-t", "chat/room/somebody", "-f", file])?;
    let mut lines = BufReader::new(&mut speaker).lines();
    let line = lines.next().context("there is a line")??;
    ensure!(line == "some text", "{line:?}");
    // Had the server answered its relay, the answer would be in front of this.
    speaker.write_all(b"the last one\n")?;
    let published = run("mosquitto_sub", &[&listen[..], &["-C", "1", "-F", "%p"]].concat())?;
    ensure!(published == b"the last one\n\n", "{:?}", String::from_utf8_lossy(&published));
    Ok(())
}

/// What the program prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program).args(arguments).output()?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Checks what comes after what `heard` leaves unread.
fn hears_next(listener: &mut TcpStream, wanted: &str) -> Result<()> {
    let lines = BufReader::new(listener).lines();
    let line = lines.map_while(Result::ok).find(|line| line != "hello");
    ensure!(line.as_deref() == Some(wanted), "{line:?}");
    Ok(())
}

/// The broker forgets who has subscribed, and the one who has something to say connects first.
#[test]
fn a_relay_waits_until_the_others_have_subscribed_too() -> Result<()> {
    for (name, is_spooled) in [("subscribes_late", true), ("subscribes_late_quiet", false)] {
        let mut rooms = Rooms::start(name, 2, "")?;
        let (mut speaker, mut listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
        heard(&mut speaker, &mut listener)?;
        wait_until("all is acknowledged", || Ok(rooms.relays[0].figure("in_flight")? == 0))?;
        rooms.brokers[0].kill()?;
        let _ = fs::remove_file(rooms.folder.join("broker-0/mosquitto.db"));
        for relay in &mut rooms.relays {
            relay.wait_for("broker: connected")?;
            relay.wait_for("broker: ")?;
        }
        rooms.relays[1].signal(Signal::STOP)?;
        if is_spooled {
            speaker.write_all(b"the first one again\n")?;
            wait_until("it is spooled", || Ok(rooms.relays[0].figure("spooled_lines")? == 1))?;
        }
        rooms.start_broker(0)?;
        rooms.relays[0].wait_for("broker: connected")?;
        if !is_spooled {
            speaker.write_all(b"the first one again\n")?;
        }
        rooms.relays[1].signal(Signal::CONT)?;
        hears_next(&mut listener, "the first one again")?;
    }
    Ok(())
}

#[test]
fn what_is_spooled_outlives_the_server() -> Result<()> {
    for setting in ["PartOf=", "BindsTo=", "Requires="] {
        ensure!(!UNIT.lines().any(|line| line.starts_with(setting)), "{setting} ends the relay");
    }
    let mut rooms = Rooms::start("outlives_server", 2, "")?;
    let (mut speaker, mut listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
    heard(&mut speaker, &mut listener)?;
    rooms.brokers[0].end()?;
    speaker.write_all(b"the server crashes\n")?;
    wait_until("it is spooled", || Ok(rooms.relays[0].figure("spooled_lines")? == 1))?;
    rooms.servers[0].kill()?;
    rooms.relays[0].wait_for("server: connected")?;
    rooms.relays[0].wait_for("server: ")?;
    rooms.start_broker(0)?;
    hears_next(&mut listener, "the server crashes")
}

#[test]
fn what_comes_back_under_the_own_name_is_not_said_again() -> Result<()> {
    let mut rooms = Rooms::new("own_name")?;
    let broker = rooms.add_broker(|settings| settings)?;
    rooms.add_server("")?;
    rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    rooms.start_all()?;
    let mut listener = client(&rooms, 0)?;
    let port = broker.to_string();
    for (name, text) in [("relay-0", "said here before"), ("somebody", "said elsewhere")] {
        let topic = format!("chat/room/{name}");
        run("mosquitto_pub", &["-p", &port, "-q", "1", "-t", &topic, "-m", text])?;
    }
    let line = BufReader::new(&mut listener).lines().next().context("there is a line")??;
    ensure!(line == "said elsewhere", "{line:?}");
    ensure!(rooms.relays[0].figure("loops")? == 1, "it is not counted");
    Ok(())
}

#[test]
fn of_two_relays_with_the_same_id_one_gives_up_and_the_other_stays() -> Result<()> {
    one_gives_up(Rooms::start("same_id", 2, "")?)
}

/// As with `localhost` where that is ::1, too. The broker listens on 127.0.0.1 alone, and look-ups
/// put ::1 before that and 127.0.0.2 behind it.
#[test]
fn one_of_them_gives_up_also_where_the_broker_has_an_address_that_refuses() -> Result<()> {
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|it| it.success()) {
        println!("skipped: no namespaces");
        return Ok(());
    }
    for refusing in ["::1", "127.0.0.2"] {
        let mut rooms = Rooms::new("same_id_two_addresses")?;
        let broker = rooms.add_broker(|settings| settings)?;
        let hosts = format!("127.0.0.1 two-addresses\n{refusing} two-addresses\n");
        fs::write(rooms.folder.join("hosts"), hosts)?;
        let run = "mount --bind hosts /etc/hosts && exec \"$@\"";
        fs::write(rooms.folder.join("run.sh"), run)?;
        for number in 0..2 {
            rooms.add_server("")?;
            let broker = format!("mqtt://two-addresses:{broker}/room");
            let name = format!("relay-{number}");
            let relay = rooms.relay("unshare -rm sh run.sh", &name, number, &broker)?;
            rooms.relays.push(relay);
        }
        rooms.start_all()?;
        one_gives_up(rooms).with_context(|| format!("{refusing} refuses"))?;
    }
    Ok(())
}

/// Starts a twin of the first relay, while so much is said that both have something to publish all
/// the time.
fn one_gives_up(mut rooms: Rooms) -> Result<()> {
    let (mut speaker, listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
    let twin = rooms.twin(0);
    rooms.relays.push(twin);
    rooms.relays[2].start()?;
    let mut ended = None;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && speaker.write_all(b"hello\n").is_ok() {
                thread::sleep(Duration::from_micros(100));
            }
        });
        let waited = wait_until("one gives up", || {
            for number in [0, 2] {
                if let Some(status) = rooms.relays[number].status()? {
                    ended = Some((number, status));
                }
            }
            Ok(ended.is_some())
        });
        is_over.store(true, Ordering::Relaxed);
        waited
    })?;
    let (number, status) = ended.expect("one has ended");
    let log = rooms.relays[number].log()?;
    ensure!(log.contains("another relay has the name"), "{log}");
    let code = status.code().context("no signal has ended it")?;
    let prevented = UNIT.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    ensure!(prevented == Some(&code.to_string()), "systemd would start it again after {code}");
    speaker.write_all(b"the last one\n")?;
    let mut lines = BufReader::new(listener).lines().map_while(Result::ok);
    ensure!(lines.any(|line| line == "the last one"), "the other one has ended, too");
    // While it ends it would not answer.
    rooms.relays[2 - number].figure("uptime_s").context("the other one ends")?;
    Ok(())
}

/// In which `a` and `b-c` are joined to the same text as `a-b` and `c`.
#[test]
fn names_with_hyphens_are_told_apart() -> Result<()> {
    let mut rooms = Rooms::new("hyphens")?;
    let broker = rooms.add_broker(|settings| settings)?.to_string();
    let rooms_and_names = [("a", "b-c"), ("a-b", "c")];
    for (number, (room, name)) in rooms_and_names.into_iter().enumerate() {
        rooms.add_server("")?;
        let broker = format!("mqtt://127.0.0.1:{broker}/{room}");
        rooms.relays.push(rooms.relay("", name, number, &broker)?);
    }
    rooms.start_all()?;
    for (number, (room, _)) in rooms_and_names.into_iter().enumerate() {
        let listener = client(&rooms, number)?;
        let topic = format!("chat/{room}/somebody");
        run("mosquitto_pub", &["-p", &broker, "-q", "1", "-t", &topic, "-m", room])?;
        let line = BufReader::new(listener).lines().next().context("there is a line")??;
        ensure!(line == room, "{line:?}");
    }
    for relay in &rooms.relays {
        ensure!(relay.figure("broker_reconnects")? == 0, "they throw each other out");
    }
    Ok(())
}

/// Somebody who had the relay's identifier has subscribed to another room, too.
#[test]
fn what_is_said_in_other_rooms_is_dropped() -> Result<()> {
    let mut rooms = Rooms::new("other_rooms")?;
    let broker = rooms.add_broker(|settings| settings)?.to_string();
    rooms.add_server("")?;
    rooms.add_relay(&format!("mqtt://127.0.0.1:{broker}/room"))?;
    rooms.start_broker(0)?;
    rooms.start_server(0)?;
    let session = ["-p", &broker, "-V", "5", "-x", "3600", "-c", "-i", "chat/room/relay-0"];
    run("mosquitto_sub", &[&session[..], &["-q", "1", "-t", "chat/other/+", "-E"]].concat())?;
    let publish =
        |topic, text| run("mosquitto_pub", &["-p", &broker, "-q", "1", "-t", topic, "-m", text]);
    publish("chat/other/somebody", "said in another room")?;
    let listener = client(&rooms, 0)?;
    rooms.relays[0].start()?;
    rooms.relays[0].wait_for("broker: connected")?;
    publish("chat/room/somebody", "said here")?;
    let line = BufReader::new(listener).lines().next().context("there is a line")??;
    ensure!(line == "said here", "{line:?}");
    Ok(())
}
