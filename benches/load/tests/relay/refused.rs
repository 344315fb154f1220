//! Brokers that do not take everything, and messages that are not as a relay's.

use crate::others::{client, run};
use anyhow::{Context, Result, ensure};
use load::rooms::{PATIENCE, Rooms, wait_until};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A broker with settings of its own, a server and its relay.
fn rooms(name: &str, settings: &str, options: &str) -> Result<(Rooms, u16)> {
    let mut rooms = Rooms::new(name)?;
    let broker = rooms.add_broker(|shipped| shipped + settings)?;
    rooms.add_server("")?;
    rooms.add_relay(&format!("{options} mqtt://127.0.0.1:{broker}/room"))?;
    Ok((rooms, broker))
}

fn publish(broker: u16, name: &str, options: &[&str]) -> Result<()> {
    let (port, topic) = (broker.to_string(), format!("chat/room/{name}"));
    let words = ["-p", &port, "-q", "1", "-V", "5", "-t", &topic];
    run("mosquitto_pub", &[&words[..], options].concat())?;
    Ok(())
}

#[test]
fn a_broker_that_wants_a_password_is_told() -> Result<()> {
    let (mut rooms, _) = rooms("password_wanted", "", "")?;
    let settings = rooms.folder.join("broker-0/mosquitto.conf");
    let text = fs::read_to_string(&settings)?;
    fs::write(&settings, text.replace("allow_anonymous true", "allow_anonymous false"))?;
    rooms.start_broker(0)?;
    rooms.relays[0].start()?;
    rooms.relays[0].wait_for("broker: Not authorized")?;
    Ok(())
}

#[test]
fn what_a_broker_does_not_let_us_publish_is_told() -> Result<()> {
    let (mut rooms, _) = rooms("may_not_publish", "acl_file rules\n", "")?;
    fs::write(rooms.folder.join("broker-0/rules"), "topic read chat/#\n")?;
    rooms.start_all()?;
    client(&rooms, 0)?.write_all(b"hello\n")?;
    rooms.relays[0].wait_for("broker refuses a message: Not authorized")?;
    rooms.relays[0].wait_for("lost: 1 lines of this server")?;
    Ok(())
}

/// The warnings that follow each other closely are held back.
#[test]
fn a_broker_with_narrow_limits_serves_as_well() -> Result<()> {
    let settings = "max_qos 0\nmax_packet_size 1000\n";
    let (mut rooms, _) = rooms("narrow_limits", settings, "")?;
    rooms.start_all()?;
    let mut speaker = client(&rooms, 0)?;
    speaker.write_all(b"hello\n")?;
    rooms.relays[0].wait_for("it has no QoS 1")?;
    wait_until("it is published", || Ok(rooms.relays[0].figure("lines_out")? == 1))?;
    for number in 1..=12 {
        speaker.write_all(format!("{:2000}\n", number).as_bytes())?;
        wait_until("it is refused", || Ok(rooms.relays[0].figure("lost_out")? == number))?;
    }
    rooms.relays[0].wait_for("broker refuses a message: ")?;
    Ok(())
}

#[test]
fn without_confirmations_the_relay_connects_again() -> Result<()> {
    let (mut rooms, _) = rooms("qos_0", "", "--qos 0")?;
    rooms.start_all()?;
    client(&rooms, 0)?.write_all(b"hello\n")?;
    wait_until("it is published", || Ok(rooms.relays[0].figure("lines_out")? == 1))?;
    rooms.brokers[0].end()?;
    rooms.relays[0].wait_for("broker: ")?;
    rooms.start_broker(0)?;
    rooms.relays[0].wait_for("broker: connected")?;
    Ok(())
}

#[test]
fn what_the_broker_has_not_confirmed_at_the_end_is_told() -> Result<()> {
    let (mut rooms, _) = rooms("not_confirmed", "", "")?;
    rooms.start_all()?;
    rooms.brokers[0].signal(Signal::STOP)?;
    client(&rooms, 0)?.write_all(b"hello\n")?;
    wait_until("it is handed over", || Ok(rooms.relays[0].figure("in_flight")? == 1))?;
    rooms.relays[0].end()?;
    rooms.relays[0].wait_for("not confirmed: 1 lines of this server")?;
    rooms.brokers[0].signal(Signal::CONT)
}

#[test]
fn what_the_broker_has_not_got_at_the_end_is_told() -> Result<()> {
    let (mut rooms, _) = rooms("not_published", "", "")?;
    rooms.start_all()?;
    rooms.brokers[0].kill()?;
    rooms.relays[0].wait_for("broker: Connection refused")?;
    client(&rooms, 0)?.write_all(b"hello\n")?;
    wait_until("it is spooled", || Ok(rooms.relays[0].figure("spooled_lines")? == 1))?;
    rooms.relays[0].end()?;
    rooms.relays[0].wait_for("lost: 1 lines of this server")?;
    Ok(())
}

/// The relay gives a server that is stuck half a second.
#[test]
fn what_the_server_has_not_taken_at_the_end_is_told() -> Result<()> {
    const LINES: usize = 1000;
    const MESSAGES: usize = 12;
    let (mut rooms, broker) = rooms("not_taken", "", "")?;
    rooms.start_all()?;
    let listener = client(&rooms, 0)?;
    let file = rooms.folder.join("text");
    let line = "x".repeat(999);
    fs::write(&file, format!("{line}\n").repeat(LINES))?;
    let file = file.to_str().context("the folder's name is text")?;
    rooms.servers[0].signal(Signal::STOP)?;
    for _ in 0..MESSAGES {
        publish(broker, "somebody", &["-f", file])?;
    }
    // More than the kernel takes, and so much that the relay leaves the rest to the broker.
    wait_until("it waits", || Ok(rooms.relays[0].figure("queued_bytes")? > 256 << 10))?;
    let said = rooms.relays[0].figure("lines_in")?;
    let start = Instant::now();
    rooms.relays[0].end()?;
    ensure!(start.elapsed() >= Duration::from_millis(500), "the relay does not wait");
    let told = rooms.relays[0].wait_for("lost: ")?;
    let lost = told.split(' ').find_map(|word| word.parse::<usize>().ok());
    let lost = lost.with_context(|| format!("no number: {told}"))?;
    ensure!(told.ends_with(" lines of others"), "{told}");
    rooms.servers[0].signal(Signal::CONT)?;
    let mut lines = BufReader::new(listener).lines();
    for number in 0..said - lost {
        let heard = lines.next().context("the server has closed the connection")??;
        ensure!(heard == line, "{number} of {said} lines are there, and {lost} are told");
    }
    client(&rooms, 0)?.write_all(b"the last one\n")?;
    let heard = lines.next().context("the server has closed the connection")??;
    ensure!(heard.len() < line.len(), "more lines are told than are lost");
    Ok(())
}

/// What it is sent before that, it closes the connection without reading.
#[test]
fn what_a_full_server_gets_before_it_tells_so_is_told() -> Result<()> {
    let (mut rooms, broker) = rooms("told_late", "", "")?;
    let server = TcpListener::bind(rooms.address(0))?;
    set_socket_timeout(&server, Timeout::Recv, Some(PATIENCE))?;
    rooms.start_broker(0)?;
    rooms.relays[0].start()?;
    wait_until("it subscribes", || Ok(rooms.relays[0].log()?.contains("broker: connected")))?;
    let (newcomer, _) = server.accept()?;
    rooms.relays[0].wait_for("server: connected")?;
    publish(broker, "somebody", &["-m", "a line"])?;
    for (figure, wanted) in [("lines_in", 1), ("queued_bytes", 0)] {
        wait_until(figure, || Ok(rooms.relays[0].figure(figure)? == wanted))?;
    }
    let refuse = |mut newcomer: TcpStream| {
        newcomer.write_all(b"The room is full. Please come back later.\r\n")
    };
    refuse(newcomer)?;
    rooms.relays[0].wait_for("server: the room is full")?;
    rooms.relays[0].wait_for("lost: 1 lines of others")?;
    refuse(server.accept()?.0)?;
    let _next = server.accept()?;
    ensure!(rooms.relays[0].figure("lost_in")? == 1, "it is counted again");
    Ok(())
}

#[test]
fn a_broker_without_tls_does_not_answer_to_mqtts() -> Result<()> {
    let mut rooms = Rooms::new("no_ca")?;
    let broker = rooms.add_broker(|settings| settings)?;
    rooms.add_server("")?;
    rooms.add_relay(&format!("mqtts://127.0.0.1:{broker}/room"))?;
    rooms.relays[0].start()?;
    rooms.relays[0].wait_for("broker: it does not answer")?;
    Ok(())
}

/// Messages of other programs: with a stamp that is none, with other properties, without a text,
/// with a telnet command alone, with a long name, and too long.
#[test]
fn odd_messages_are_said_or_dropped() -> Result<()> {
    let (mut rooms, broker) = rooms("odd_messages", "", "")?;
    rooms.start_all()?;
    let lines = BufReader::new(client(&rooms, 0)?).lines();
    let property = ["-D", "publish", "user-property", "n"];
    let stamped = |stamp, text| [&property[..], &[stamp, "-m", text]].concat();
    publish(broker, "empty", &["-n"])?;
    let file = rooms.folder.join("text");
    let file_name = file.to_str().context("the folder's name is text")?;
    fs::write(&file, b"\xff\xf4")?;
    publish(broker, "command", &["-f", file_name])?;
    publish(broker, "no-number", &stamped("x", "one"))?;
    publish(broker, "two-numbers", &stamped("1.2", "two"))?;
    let typed = ["-D", "publish", "content-type", "text/plain", "-m", "three"];
    publish(broker, "typed", &typed)?;
    publish(broker, &"x".repeat(80), &["-m", "four"])?;
    // The second one would go on in the line of the first, which is in pieces.
    fs::write(&file, "y".repeat(70_000))?;
    publish(broker, "pieces", &[&property[..], &["1.1.0", "-f", file_name]].concat())?;
    publish(broker, "other", &["-m", "six"])?;
    fs::write(&file, "z".repeat((1 << 20) + 1))?;
    publish(broker, "long", &["-f", file_name])?;
    rooms.relays[0].wait_for("long: dropped: a message is too long")?;
    let heard = lines.take(6).collect::<Result<Vec<_>, _>>()?;
    let pieces = "y".repeat(70_000);
    ensure!(heard == ["one", "two", "three", "four", &pieces, "six"], "{heard:?}");
    Ok(())
}

/// A part of a long line has been sent to a server that is killed: the next one does not get the
/// rest of it. The length is odd, lest what the kernel takes end with a line.
#[test]
fn a_server_that_is_killed_within_a_line_gets_no_torn_line() -> Result<()> {
    const LENGTH: usize = (1 << 20) - 11;
    let (mut rooms, broker) = rooms("within_a_line", "", "")?;
    rooms.start_all()?;
    let file = rooms.folder.join("text");
    fs::write(&file, "x".repeat(LENGTH - 1) + "\n")?;
    rooms.servers[0].signal(Signal::STOP)?;
    for _ in 0..8 {
        let file = file.to_str().context("the folder's name is text")?;
        publish(broker, "somebody", &["-f", file])?;
    }
    // More than the kernel takes.
    wait_until("a part waits", || Ok(rooms.relays[0].figure("queued_bytes")? > 0))?;
    rooms.servers[0].kill()?;
    rooms.start_server(0)?;
    let mut lines = BufReader::new(client(&rooms, 0)?).lines();
    publish(broker, "somebody", &["-m", "the last one"])?;
    loop {
        match lines.next().context("the server has closed the connection")?? {
            line if line == "the last one" => return Ok(()),
            line => ensure!(line == "x".repeat(LENGTH - 1), "{} bytes", line.len()),
        }
    }
}

/// The new server does not get the rest of a line that has come in pieces.
#[test]
fn a_server_that_is_killed_between_two_pieces_gets_no_torn_line() -> Result<()> {
    let (mut rooms, broker) = rooms("between_pieces", "", "")?;
    rooms.start_all()?;
    let file = rooms.folder.join("text");
    let file_name = file.to_str().context("the folder's name is text")?;
    let say = |stamp, text: String| {
        fs::write(&file, text)?;
        let stamp = ["-D", "publish", "user-property", "n", stamp];
        publish(broker, "somebody", &[&stamp[..], &["-f", file_name]].concat())
    };
    let mut listener = client(&rooms, 0)?;
    say("1.1.0", "a".repeat(70_000))?;
    listener.read_exact(&mut [0])?;
    wait_until("it is sent", || Ok(rooms.relays[0].figure("queued_bytes")? == 0))?;
    rooms.servers[0].kill()?;
    rooms.relays[0].wait_for("lost: 1 lines of others")?;
    rooms.start_server(0)?;
    let mut lines = BufReader::new(client(&rooms, 0)?).lines();
    say("1.2.0", "b".repeat(70_000))?;
    publish(broker, "other", &["-m", "said between them"])?;
    say("1.3.0", "c\nd\n".into())?;
    for wanted in ["said between them", "d"] {
        let line = lines.next().context("the server has closed the connection")??;
        ensure!(line == wanted, "{} bytes begin with {}", line.len(), &line[..1]);
    }
    ensure!(rooms.relays[0].figure("lost_in")? == 1, "it is not counted");
    Ok(())
}

/// The relay takes a line that does not end for what it is.
#[test]
fn a_long_line_goes_on_in_pieces() -> Result<()> {
    let rooms = Rooms::start("long_line", 2, "")?;
    let (mut speaker, listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
    let long = "x".repeat(200_000);
    speaker.write_all(format!("{long}\n").as_bytes())?;
    let line = BufReader::new(listener).lines().next().context("there is a line")??;
    ensure!(line == long, "{} bytes", line.len());
    ensure!(rooms.relays[1].figure("lost_in")? == 0, "something is told to be lost");
    Ok(())
}

#[test]
fn a_long_line_stays_whole_after_its_relay_has_started_again() -> Result<()> {
    let mut rooms = Rooms::start("long_line_first", 2, "")?;
    let (mut speaker, listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
    let mut lines = BufReader::new(listener).lines();
    let mut hear = || lines.next().context("the server has closed the connection")?.context("text");
    speaker.write_all(b"hello\n")?;
    ensure!(hear()? == "hello", "something else is heard");
    rooms.relays[0].end()?;
    rooms.relays[0].start()?;
    rooms.relays[0].wait_for("server: connected")?;
    rooms.relays[0].wait_for("server: connected")?;
    let long = "x".repeat(200_000);
    speaker.write_all(format!("{long}\n").as_bytes())?;
    let line = hear()?;
    ensure!(line == long, "{} bytes", line.len());
    Ok(())
}

/// Where a piece ends between two bytes FF, the second one and the next byte look like a command.
#[test]
fn a_long_line_arrives_byte_for_byte() -> Result<()> {
    let rooms = Rooms::start("bytes", 2, "")?;
    let (mut speaker, listener) = (client(&rooms, 0)?, client(&rooms, 1)?);
    let mut listener = BufReader::new(listener);
    let pairs = [b"x", &[0xFF; 140_000][..]].concat();
    let pairs_and_text = b"\xff\xff\xfa".repeat(40_000);
    for line in [pairs, pairs_and_text, b"bob".into()] {
        let line = [&line, &b"\n"[..]].concat();
        speaker.write_all(&line)?;
        let mut heard = Vec::new();
        listener.read_until(b'\n', &mut heard)?;
        ensure!(heard == line, "{} of {} bytes", heard.len(), line.len());
    }
    Ok(())
}

/// Neither one that a piece breaks off, nor one without its end, nor one that the line end is in.
#[test]
fn a_telnet_command_costs_no_other_line() -> Result<()> {
    let (mut rooms, broker) = rooms("command_in_pieces", "", "")?;
    rooms.start_all()?;
    let mut lines = BufReader::new(client(&rooms, 0)?).lines();
    let file = rooms.folder.join("text");
    let file_name = file.to_str().context("the folder's name is text")?;
    let piece = "a".repeat(70_000);
    for (stamp, text) in [
        ("1.1.0", [piece.as_bytes(), b"\xff"].concat()),
        ("1.2.0", b"\xff\xfa b\nbob\nalice\xff\xfd\nbob\n".into()),
        ("1.3.4", b"carl\n".into()),
    ] {
        fs::write(&file, text)?;
        let stamp = ["-D", "publish", "user-property", "n", stamp];
        publish(broker, "somebody", &[&stamp[..], &["-f", file_name]].concat())?;
    }
    for wanted in [&piece, "bob", "alice", "bob", "carl"] {
        let line = lines.next().context("the server has closed the connection")??;
        ensure!(line == wanted, "{} bytes begin with {:?}", line.len(), line.get(..1));
    }
    Ok(())
}

/// A piece of a line is followed by another, by one after a gap, by one of a new epoch with the
/// rest of that line, and by one of the epoch before.
#[test]
fn pieces_that_do_not_follow_each_other_are_lines_of_their_own() -> Result<()> {
    let (mut rooms, broker) = rooms("apart", "", "")?;
    rooms.start_all()?;
    let mut lines = BufReader::new(client(&rooms, 0)?).lines();
    let file = rooms.folder.join("text");
    let file_name = file.to_str().context("the folder's name is text")?;
    let piece = |letter: &str| letter.repeat(70_000);
    for (stamp, text) in [
        ("1.1.0", piece("a")),
        ("1.2.0", piece("b")),
        ("1.4.0", piece("c")),
        ("2.1.0", piece("d")),
        ("2.2.0", "e\n".into()),
        ("2.3.1", piece("f")),
        ("1.5.0", "g\n".into()),
    ] {
        fs::write(&file, text)?;
        let stamp = ["-D", "publish", "user-property", "n", stamp];
        publish(broker, "somebody", &[&stamp[..], &["-f", file_name]].concat())?;
    }
    let wanted = [piece("a") + &piece("b"), piece("c"), piece("d") + "e", piece("f"), "g".into()];
    for wanted in wanted {
        let line = lines.next().context("the server has closed the connection")??;
        ensure!(line == wanted, "{} bytes begin with {}", line.len(), &line[..1]);
    }
    Ok(())
}
