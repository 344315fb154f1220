//! Heavy senders wait for slow readers, who can cause only so much of it.

use crate::client::Client;
use crate::harness::Server;
use crate::stats::Stats;
use libc::SIGUSR1;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// So many bytes in lines, less than makes a heavy sender of somebody.
fn a_little_less_than_much() -> Vec<u8> {
    let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
    line.repeat(63)
}

/// One reader pauses for two seconds, while `flood` goes on until it is told to stop. Both hear the
/// same.
fn a_pause_beside(flood: impl Fn(u16, &AtomicBool) + Sync) {
    let server = Server::start_with(&["--quiet"]);
    let [speaker, recipient, pausing] = server.quiet_joins();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(server.port, &is_over));
        let steady = scope.spawn(|| recipient.hear_until(b"over\n"));
        scope.spawn(|| speaker.hear_until(b"over indeed\n"));
        // The pause is what is tried.
        thread::sleep(Duration::from_secs(2));
        is_over.store(true, Ordering::Relaxed);
        let late = scope.spawn(|| pausing.hear_until(b"over\n"));
        flooding.join().expect("it stops");
        // Visitors are accepted in order, so when this one has come and gone, all have come.
        let last = Client::connect(Ipv4Addr::LOCALHOST.into(), server.port);
        last.fall_silent();
        last.ignore_all();
        while clients(&server) > 3 {}
        speaker.say("over\n");
        let (late, steady) = (late.join().expect("all of it"), steady.join().expect("all of it"));
        recipient.say("over indeed\n");
        assert!(late == steady, "{} and {} bytes", late.len(), steady.len());
        assert!(late.len() > 2 << 20, "{} bytes are no flood", late.len());
    });
    let complaints = server.stop().complaints;
    assert!(!complaints.contains("cut off"), "{complaints}");
}

/// How many clients there are, whatever else is logged.
fn clients(server: &Server) -> u64 {
    server.signal(SIGUSR1);
    loop {
        let line = server.next_complaint();
        if line.contains("stats: ") {
            return Stats::in_line(&line).clients;
        }
    }
}

/// Sends the same again and again, and reads what comes.
fn keep_saying(client: &Client, text: &[u8], is_over: &AtomicBool) {
    thread::scope(|scope| {
        scope.spawn(|| client.ignore_all());
        while !is_over.load(Ordering::Relaxed) && client.try_say(text).is_ok() {}
        client.fall_silent();
    });
}

#[test]
fn who_pauses_for_two_seconds_beside_a_flood_loses_nothing() {
    a_pause_beside(|port, is_over| {
        let flooder = Client::connect(Ipv4Addr::LOCALHOST.into(), port);
        keep_saying(&flooder, &a_little_less_than_much(), is_over);
    });
}

/// What a client has sent is not forgotten by its connecting again.
#[test]
fn nor_beside_one_who_floods_and_connects_again_and_again() {
    a_pause_beside(|port, is_over| {
        let text = a_little_less_than_much();
        for _ in 0..500 {
            let mut flooder = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
            flooder.write_all(&text).expect("the kernel takes it");
            if is_over.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}

/// Each of them sends less than makes a heavy sender.
#[test]
fn nor_beside_a_crowd_that_floods_together() {
    a_pause_beside(|port, is_over| {
        let crowd: Vec<_> =
            (0..100).map(|_| Client::connect(Ipv4Addr::LOCALHOST.into(), port)).collect();
        let text = a_little_less_than_much();
        thread::scope(|scope| {
            for flooder in &crowd {
                scope.spawn(|| keep_saying(flooder, &text, is_over));
            }
        });
    });
}

/// It takes 1.8 MiB a second for ever, and so is always behind.
#[test]
fn who_trickles_holds_nobody_for_ever() {
    let server = Server::start_with(&["--quiet"]);
    let [flooder, trickling] = server.quiet_joins();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| keep_saying(&flooder, &a_little_less_than_much(), &is_over));
        scope.spawn(|| {
            while trickling.hear(18 << 10).len() == 18 << 10 {
                thread::sleep(Duration::from_millis(10));
            }
        });
        server.wait_for_complaint("cut off: too far behind the others");
        is_over.store(true, Ordering::Relaxed);
    });
    server.stop();
}

/// Each of them reads nothing, and comes again as soon as it is cut off.
#[test]
fn who_stops_reading_again_and_again_holds_senders_once() {
    let server = Server::start_with(&["--quiet"]);
    let [flooder, recipient] = server.quiet_joins();
    let is_over = AtomicBool::new(false);
    let times: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| keep_saying(&flooder, &a_little_less_than_much(), &is_over));
        scope.spawn(|| recipient.ignore_all());
        let times = (0..6).map(|_| {
            let start = Instant::now();
            let _stopped = Client::connect_narrow(server.port);
            server.wait_for_complaint("cut off: too far behind the others");
            start.elapsed()
        });
        let times = times.collect();
        is_over.store(true, Ordering::Relaxed);
        recipient.fall_silent();
        times
    });
    let shortest = times.iter().min().expect("some");
    assert!(times[0] > *shortest + Duration::from_secs(1), "{times:?}");
    server.stop();
}

/// They all send at once, and little each.
#[test]
fn a_small_limit_cuts_off_nobody_who_reads() {
    const FLOODERS: usize = 60;
    let server = Server::start_with(&["--max-queue", "65536"]);
    let flooders = server.crowd(FLOODERS);
    let mut readers: Vec<_> = (0..3).map(|_| Client::connect_narrow(server.port)).collect();
    server.let_in(&mut readers);
    let text = &a_little_less_than_much()[..24 << 10];
    server.pause();
    flooders.iter().for_each(|flooder| flooder.say(text));
    server.resume();
    thread::scope(|scope| {
        for flooder in &flooders {
            scope.spawn(|| flooder.ignore_all());
        }
        let all = FLOODERS * text.len();
        let heard = readers.iter().map(|reader| scope.spawn(move || reader.hear(all).len()));
        for heard in heard.collect::<Vec<_>>() {
            assert_eq!(heard.join().expect("it reads"), all);
        }
        flooders.iter().for_each(Client::hang_up);
    });
    let complaints = server.stop().complaints;
    assert!(!complaints.contains("cut off"), "{complaints}");
}

/// Nothing is relayed of a line until it ends, and these end all at once.
#[test]
fn lines_that_were_held_back_cut_off_nobody_who_reads() {
    const SENDERS: usize = 80;
    const LINE: usize = 64 << 10;
    let server = Server::start_with(&["--max-queue", "1M"]);
    let senders = server.crowd(SENDERS);
    let mut readers = [Client::connect_narrow(server.port)];
    server.let_in(&mut readers);
    for sender in &senders {
        sender.say(vec![b'x'; LINE - 1]);
        server.wait_for_bytes(sender.sd, LINE - 1);
    }
    server.pause();
    senders.iter().for_each(|sender| sender.say("\n"));
    server.resume();
    thread::scope(|scope| {
        for sender in &senders {
            scope.spawn(|| sender.ignore_all());
        }
        let heard = readers[0].hear(SENDERS * LINE).len();
        senders.iter().for_each(Client::hang_up);
        assert_eq!(heard, SENDERS * LINE);
    });
    let complaints = server.stop().complaints;
    assert!(!complaints.contains("cut off"), "{complaints}");
}
