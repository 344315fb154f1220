//! A planted fault of every kind.

use super::*;

/// A room with three clients, each known to be in.
struct Room(Checker);

impl Room {
    fn new() -> Self {
        let mut room = Self(Checker::new(7));
        for id in 0..3 {
            assert_eq!(room.0.join(), id);
        }
        let first = [0, 1, 2].map(|id| room.send(id));
        for id in 0..3 {
            let of_others: Vec<u8> = first
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != id)
                .flat_map(|(_, line)| line.clone())
                .collect();
            room.receive(id as Id, &of_others);
        }
        assert_eq!(room.0.unsettled(), None);
        room
    }

    fn line(&self, id: Id, number: u32) -> Vec<u8> {
        let mut line = Vec::new();
        self.0.lines.write(id, number, &mut line);
        line
    }

    fn send(&mut self, id: Id) -> Vec<u8> {
        let line = self.line(id, self.0.senders[&id].sent);
        self.0.sent(id, 1);
        line
    }

    fn receive(&mut self, id: Id, text: &[u8]) {
        assert_eq!(self.0.receive(id, text), Ok(text.len()));
    }

    fn receives_wrong(&mut self, id: Id, text: &[u8]) -> Wrong {
        self.0.receive(id, text).expect_err("something is wrong").wrong
    }
}

#[test]
fn all_is_settled_when_everybody_has_received_everything() {
    let mut room = Room::new();
    let [a, b] = [room.send(0), room.send(1)];
    room.receive(2, &[&b[..], &a].concat());
    room.receive(0, &b);
    assert!(room.0.unsettled().is_some());
    room.receive(1, &a);
    assert_eq!((room.0.unsettled(), room.0.deliveries()), (None, 6 + 4));
}

#[test]
fn an_unfinished_line_is_left_for_later() {
    let mut room = Room::new();
    let line = room.send(0);
    for end in 0..line.len() {
        assert_eq!(room.0.receive(1, &line[..end]), Ok(0));
        assert!(room.0.is_beginning(&line[..end]));
    }
    assert!(!room.0.is_beginning(b"x"));
}

#[test]
fn each_fault_of_a_line_is_reported() {
    let mut room = Room::new();
    let [a1, a2, b1] = [room.send(0), room.send(0), room.send(1)];
    assert_eq!(room.receives_wrong(0, &a1), Wrong::Echoed);
    assert_eq!(room.receives_wrong(2, &a2), Wrong::Lost);
    let unsaid = room.line(1, 2);
    assert_eq!(room.receives_wrong(2, &[&b1[..], &unsaid].concat()), Wrong::NeverSent);
    assert_eq!(room.receives_wrong(2, &b1), Wrong::Doubled);
    let mixed = [&a1[..HEADER + 3], &b1, &a1[HEADER + 3..]].concat();
    assert_eq!(room.receives_wrong(2, &mixed), Wrong::Torn);
    let mut changed = a1.clone();
    changed[HEADER + 1] ^= 1;
    assert_eq!(room.receives_wrong(2, &changed), Wrong::Torn);
    assert_eq!(room.receives_wrong(2, &a1[1..]), Wrong::Torn);
    room.receive(2, &[a1, a2].concat());
}

#[test]
fn a_newcomer_may_begin_anywhere_while_it_connects() {
    for begins_with in 0..3 {
        let mut room = Room::new();
        let received_before = room.send(0);
        room.receive(1, &received_before);
        let newcomer = room.0.join();
        let lines = [room.send(0), room.send(0), room.send(0)];
        let hello = room.send(newcomer);
        assert_eq!(room.receives_wrong(newcomer, &received_before), Wrong::Stale);
        room.receive(1, &hello);
        for line in &lines[begins_with..] {
            room.receive(newcomer, line);
        }
        assert_eq!(room.0.owed(newcomer), 0);
    }
}

#[test]
fn a_newcomer_must_receive_what_is_sent_once_it_is_in() {
    let mut room = Room::new();
    let newcomer = room.0.join();
    let hello = room.send(newcomer);
    room.receive(1, &hello);
    let [first, second] = [room.send(0), room.send(0)];
    assert_eq!(room.0.owed(newcomer), first.len() + second.len());
    assert_eq!(room.receives_wrong(newcomer, &second), Wrong::Lost);
    room.receive(newcomer, &[first, second].concat());
}

#[test]
fn the_last_lines_before_a_reset_may_be_lost_for_all_alike() {
    let mut room = Room::new();
    let lines = [room.send(0), room.send(0)];
    room.0.abort(0);
    assert_eq!(room.0.unsettled(), None);
    room.receive(1, &lines[0]);
    assert!(room.0.unsettled().is_some());
    room.receive(2, &lines[0]);
    assert_eq!(room.0.unsettled(), None);
}

#[test]
fn the_last_line_before_a_reset_may_break_off() {
    let mut room = Room::new();
    let [line, other] = [room.line(0, 1), room.send(1)];
    let broken = [&line[..HEADER + 5], &other].concat();
    let changed = [&line[..HEADER + 4], b"?", &other].concat();
    assert_eq!(room.receives_wrong(2, &broken), Wrong::Torn);
    room.0.abort(0);
    assert_eq!(room.receives_wrong(2, &changed), Wrong::Torn);
    room.receive(2, &broken);
    assert_eq!(room.0.unsettled(), None);
    let within_header = [&line[..3], &room.send(1)].concat();
    room.receive(2, &within_header);
}

#[test]
fn every_line_before_an_orderly_end_must_be_received() {
    let mut room = Room::new();
    let [line, next, other] = [room.send(0), room.line(0, 2), room.send(1)];
    room.0.quit(0);
    room.0.leave(0);
    assert_eq!(room.0.owed(1), line.len());
    room.receive(1, &line);
    assert_eq!(room.0.owed(1), 0);
    let broken = [&line, &next[..HEADER + 5], &other].concat();
    assert_eq!(room.receives_wrong(2, &broken), Wrong::Torn);
}

#[test]
fn lines_of_a_client_that_is_behind_are_not_relied_on() {
    let mut room = Room::new();
    let [a, b] = [room.send(1), room.send(1)];
    room.0.stop_reading(2);
    let sent = room.send(2);
    assert_eq!((room.0.owed(0), room.0.backlog()), (a.len() + b.len(), a.len() + b.len()));
    room.receive(2, &[a, b].concat());
    assert!(!room.0.is_behind(2));
    assert_eq!(room.0.owed(1), sent.len());
}

#[test]
fn the_last_line_of_a_client_that_is_behind_may_break_off() {
    let mut room = Room::new();
    let [line, other] = [room.line(0, 1), room.send(2)];
    room.0.stop_reading(0);
    room.receive(1, &[&line[..HEADER + 5], &other].concat());
}

#[test]
fn a_client_that_has_left_is_forgotten_the_second_time() {
    let mut room = Room::new();
    let line = room.send(0);
    room.0.abort(0);
    room.0.forget();
    room.receive(1, &line);
    room.0.forget();
    assert_eq!(room.receives_wrong(2, &line), Wrong::NeverSent);
}
