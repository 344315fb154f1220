//! What else a relay may meet.

use anyhow::{Result, ensure};
use load::rooms::{PATIENCE, Program, Rooms, wait_until};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// A client that hears what the other says.
fn client(rooms: &Rooms, server: usize) -> Result<TcpStream> {
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
    anyhow::bail!("the server has closed the connection")
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
    let text = b"so\xff\xf4\xff\xfd\x06me text\n";
    fs::write(rooms.folder.join("text"), text)?;
    let status = Command::new("mosquitto_pub")
        .args(["-V", "5", "-q", "1", "-t", "chat/room/somebody", "-f"])
        .arg(rooms.folder.join("text"))
        .args(["-p", &broker.to_string()])
        .status()?;
    ensure!(status.success(), "mosquitto_pub fails");
    let mut lines = BufReader::new(&mut listener);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    ensure!(line == b"some text\n", "{:?}", String::from_utf8_lossy(&line));
    // Had the server answered its relay, it would be heard before this.
    speaker.write_all(b"the last one\n")?;
    line.clear();
    lines.read_until(b'\n', &mut line)?;
    ensure!(line == b"the last one\n", "{:?}", String::from_utf8_lossy(&line));
    Ok(())
}

#[test]
fn of_two_relays_with_the_same_id_one_gives_up() -> Result<()> {
    let mut rooms = Rooms::start("same_id", 1, "")?;
    let twin = rooms.twin(0);
    rooms.relays.push(twin);
    rooms.relays[1].start()?;
    let mut ended = None;
    wait_until("one gives up", || {
        for number in 0..2 {
            if let Some(status) = rooms.relays[number].status()? {
                ended = Some((number, status));
            }
        }
        Ok(ended.is_some())
    })?;
    let (number, status) = ended.expect("one has ended");
    ensure!(!status.success(), "it ends with success");
    let says: fn(&Program) -> Result<String> = Program::log;
    ensure!(
        says(&rooms.relays[number])?.contains("another relay has the name"),
        "it does not say why"
    );
    Ok(())
}
