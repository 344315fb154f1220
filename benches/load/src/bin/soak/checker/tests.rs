//! A planted fault of every kind.

use super::*;

/// Three clients, each known to be in. One is a telnet user.
fn room() -> Checker {
    let mut room = Checker::new(7);
    let ids = [0, 1, 2].map(|_| room.join());
    assert_eq!(ids.map(|id| room.lines.end_in_crlf(id)), [false, true, false]);
    let first = ids.map(|id| room.send(id));
    for id in ids {
        for other in ids.into_iter().filter(|other| *other != id) {
            room.get(id, &first[other as usize]);
        }
    }
    assert_eq!(room.unsettled(), None);
    room
}

impl Checker {
    fn line(&self, id: Id, number: u32) -> Vec<u8> {
        self.lines.line(id, number)
    }

    fn send(&mut self, id: Id) -> Vec<u8> {
        let line = self.line(id, self.senders[&id].sent);
        self.sent(id, 1);
        line
    }

    fn get(&mut self, id: Id, text: &[u8]) {
        assert_eq!(self.receive(id, text), Ok(text.len()));
    }

    fn get_wrong(&mut self, id: Id, text: &[u8]) -> Wrong {
        self.receive(id, text).expect_err("something is wrong").wrong
    }
}

#[test]
fn all_is_settled_when_everybody_has_received_everything() {
    let mut room = room();
    let [a, b] = [room.send(0), room.send(1)];
    room.get(2, &[&b[..], &a].concat());
    room.get(0, &b);
    assert!(room.unsettled().is_some());
    room.get(1, &a);
    assert_eq!((room.unsettled(), room.deliveries), (None, 6 + 4));
}

#[test]
fn an_unfinished_line_is_left_for_later() {
    let mut room = room();
    for sender in [0, 1] {
        let line = room.send(sender);
        for end in 0..line.len() {
            assert_eq!(room.receive(2, &line[..end]), Ok(0));
            assert!(room.is_beginning(2, &line[..end]));
        }
        room.get(2, &line);
    }
    assert!(!room.is_beginning(2, b"x"));
}

#[test]
fn each_fault_of_a_line_is_reported() {
    let mut room = room();
    let [a1, a2, b1] = [room.send(0), room.send(0), room.send(1)];
    let mixed = [&a1[..HEADER + 3], &b1, &a1[HEADER + 3..]].concat();
    let mut changed = a1.clone();
    changed[HEADER + 1] ^= 1;
    assert_eq!(room.get_wrong(0, &a1), Wrong::Echoed);
    for (text, wrong) in [
        (a2.clone(), Wrong::Lost),
        ([b1.clone(), room.line(1, 2)].concat(), Wrong::NeverSent),
        (b1, Wrong::Doubled),
        (mixed, Wrong::Torn),
        (changed, Wrong::Torn),
        (a1[1..].to_vec(), Wrong::Torn),
    ] {
        assert_eq!(room.get_wrong(2, &text), wrong);
    }
    room.get(2, &[a1, a2].concat());
}

#[test]
fn a_newcomer_may_begin_anywhere_while_it_connects() {
    for begins_with in 0..3 {
        let mut room = room();
        let received_before = room.send(0);
        room.get(1, &received_before);
        let newcomer = room.join();
        let lines = [room.send(0), room.send(0), room.send(0)];
        let hello = room.send(newcomer);
        assert_eq!(room.get_wrong(newcomer, &received_before), Wrong::Stale);
        room.get(1, &hello);
        for line in &lines[begins_with..] {
            room.get(newcomer, line);
        }
        assert_eq!(room.owed(newcomer), 0);
    }
}

#[test]
fn a_newcomer_must_receive_what_is_sent_once_it_is_in() {
    let mut room = room();
    let newcomer = room.join();
    let hello = room.send(newcomer);
    room.get(1, &hello);
    let [first, second] = [room.send(0), room.send(0)];
    assert_eq!(room.owed(newcomer), first.len() + second.len());
    assert_eq!(room.get_wrong(newcomer, &second), Wrong::Lost);
    room.get(newcomer, &[first, second].concat());
}

#[test]
fn the_last_lines_before_a_reset_may_be_lost_for_all_alike() {
    let mut room = room();
    let lines = [room.send(0), room.send(0)];
    room.abort(0);
    assert_eq!(room.unsettled(), None);
    room.get(1, &lines[0]);
    assert!(room.unsettled().is_some());
    room.get(2, &lines[0]);
    assert_eq!(room.unsettled(), None);
}

#[test]
fn the_last_line_before_a_reset_may_break_off() {
    let mut room = room();
    let [line, other] = [room.line(0, 1), room.send(1)];
    let broken = [&line[..HEADER + 5], &other].concat();
    let changed = [&line[..HEADER + 4], b"?", &other].concat();
    assert_eq!(room.get_wrong(2, &broken), Wrong::Torn);
    room.abort(0);
    assert_eq!(room.get_wrong(2, &changed), Wrong::Torn);
    room.get(2, &broken);
    assert_eq!(room.unsettled(), None);
    let within_header = [&line[..3], &room.send(1)].concat();
    room.get(2, &within_header);
}

#[test]
fn every_line_before_an_orderly_end_must_be_received() {
    let mut room = room();
    let [line, next, other] = [room.send(0), room.line(0, 2), room.send(1)];
    room.quit(0);
    room.leave(0);
    assert_eq!(room.owed(1), line.len());
    room.get(1, &line);
    assert_eq!(room.owed(1), 0);
    let broken = [&line, &next[..HEADER + 5], &other].concat();
    assert_eq!(room.get_wrong(2, &broken), Wrong::Torn);
}

#[test]
fn lines_of_a_client_that_is_behind_are_not_relied_on() {
    let mut room = room();
    let [a, b] = [room.send(1), room.send(1)];
    room.stop_reading(2);
    let sent = room.send(2);
    let promised = a.len() + b.len();
    assert_eq!((room.owed(0), room.backlog()), (promised, promised + sent.len()));
    room.get(2, &[a, b].concat());
    assert!(!room.is_behind(2));
    assert_eq!(room.owed(1), sent.len());
}

#[test]
fn the_last_line_of_a_client_that_is_behind_may_break_off() {
    let mut room = room();
    let [line, other] = [room.line(0, 1), room.send(2)];
    room.stop_reading(0);
    room.get(1, &[&line[..HEADER + 5], &other].concat());
}

/// The server has given the line its end, and its sender, cut off, sends that as well.
#[test]
fn a_line_that_the_server_has_ended_is_not_received() {
    let mut room = room();
    room.stop_reading(0);
    let line = room.line(0, 1);
    assert_eq!(room.receive(1, &line), Ok(0));
    room.sent(0, 1);
    let next = room.send(2);
    room.get(1, &[line, next].concat());
    assert_eq!(room.owed(2), 0);
}

#[test]
fn a_client_that_has_left_is_forgotten_the_second_time() {
    let mut room = room();
    let line = room.send(0);
    room.abort(0);
    room.forget();
    room.get(1, &line);
    room.forget();
    assert_eq!(room.get_wrong(2, &line), Wrong::NeverSent);
}

#[test]
fn empty_lines_are_received_as_often_as_they_were_sent() {
    let mut room = room();
    room.empty_lines = 3;
    let line = room.send(0);
    room.get(1, &[b"\n", &line[..], b"\n\n"].concat());
    assert_eq!(room.get_wrong(1, b"\n"), Wrong::NeverSent);
    let (first, second) = line.split_at(line.len() / 2);
    assert_eq!(room.get_wrong(2, &[first, b"\n", second, b"@"].concat()), Wrong::Torn);
}

#[test]
fn nobody_receives_a_telnet_command_of_another() {
    let mut room = room();
    let line = room.send(1);
    let (first, second) = line.split_at(HEADER + 3);
    assert_eq!(room.get_wrong(0, &[IAC, 246]), Wrong::Command);
    assert_eq!(room.get_wrong(0, &[first, &[IAC, 246], second].concat()), Wrong::Torn);
    room.get(0, &line);
}

#[test]
fn telnet_commands_are_answered_in_order_between_lines() {
    const WONT: [u8; 3] = [IAC, 252, START];
    const DONT: [u8; 3] = [IAC, 254, 1];
    let mut room = room();
    room.expect_answers(1, vec![WONT, DONT]);
    assert_eq!(room.receive(1, &WONT[..2]), Ok(0));
    assert!(room.is_beginning(1, &WONT[..2]));
    assert!(!room.is_beginning(2, &WONT[..2]));
    assert_eq!(room.get_wrong(1, &DONT), Wrong::Command);
    let line = room.send(0);
    let (first, second) = line.split_at(HEADER + 3);
    room.get(2, &line);
    assert_eq!(room.get_wrong(1, &[first, &WONT, second].concat()), Wrong::Torn);
    room.get(1, &[&WONT[..], &line].concat());
    assert!(room.unsettled().is_some());
    room.get(1, &DONT);
    assert_eq!((room.unsettled(), room.answers), (None, 2));
    assert_eq!(room.get_wrong(1, &DONT), Wrong::Command);
}
