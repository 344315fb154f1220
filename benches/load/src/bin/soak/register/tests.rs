//! Every kind of fault, planted.

use super::*;

/// A room with three in it, each known to be in, and what each of them says next.
struct Room(Register);

impl Room {
    fn new() -> Self {
        let mut room = Self(Register::new(7));
        for id in 0..3 {
            assert_eq!(room.0.join(), id);
        }
        let first = [0, 1, 2].map(|id| room.say(id));
        for id in 0..3 {
            let of_others: Vec<u8> = first
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != id)
                .flat_map(|(_, line)| line.clone())
                .collect();
            room.hear(id as Id, &of_others);
        }
        assert_eq!(room.0.unsettled(), None);
        room
    }

    fn line(&self, id: Id, number: u32) -> Vec<u8> {
        let mut line = Vec::new();
        self.0.lines.write(id, number, &mut line);
        line
    }

    fn say(&mut self, id: Id) -> Vec<u8> {
        let line = self.line(id, self.0.speakers[&id].said);
        self.0.say(id, 1);
        line
    }

    fn hear(&mut self, id: Id, text: &[u8]) {
        assert_eq!(self.0.hear(id, text), Ok(text.len()));
    }

    fn hears_wrong(&mut self, id: Id, text: &[u8]) -> Wrong {
        self.0.hear(id, text).expect_err("something is wrong").wrong
    }
}

#[test]
fn all_is_settled_when_everybody_has_heard_everything() {
    let mut room = Room::new();
    let [a, b] = [room.say(0), room.say(1)];
    room.hear(2, &[&b[..], &a].concat());
    room.hear(0, &b);
    assert!(room.0.unsettled().is_some());
    room.hear(1, &a);
    assert_eq!((room.0.unsettled(), room.0.deliveries()), (None, 6 + 4));
}

#[test]
fn an_unfinished_line_is_left_for_later() {
    let mut room = Room::new();
    let line = room.say(0);
    for end in 0..line.len() {
        assert_eq!(room.0.hear(1, &line[..end]), Ok(0));
        assert!(room.0.is_beginning(&line[..end]));
    }
    assert!(!room.0.is_beginning(b"x"));
}

#[test]
fn what_is_wrong_with_a_line_is_told() {
    let mut room = Room::new();
    let [a1, a2, b1] = [room.say(0), room.say(0), room.say(1)];
    assert_eq!(room.hears_wrong(0, &a1), Wrong::Echoed);
    assert_eq!(room.hears_wrong(2, &a2), Wrong::Lost);
    let unsaid = room.line(1, 2);
    assert_eq!(room.hears_wrong(2, &[&b1[..], &unsaid].concat()), Wrong::Unsaid);
    assert_eq!(room.hears_wrong(2, &b1), Wrong::Doubled);
    let mixed = [&a1[..HEADER + 3], &b1, &a1[HEADER + 3..]].concat();
    assert_eq!(room.hears_wrong(2, &mixed), Wrong::Torn);
    let mut changed = a1.clone();
    changed[HEADER + 1] ^= 1;
    assert_eq!(room.hears_wrong(2, &changed), Wrong::Torn);
    assert_eq!(room.hears_wrong(2, &a1[1..]), Wrong::Torn);
    room.hear(2, &[a1, a2].concat());
}

#[test]
fn a_newcomer_may_begin_anywhere_while_it_comes() {
    for begins_with in 0..3 {
        let mut room = Room::new();
        let heard_before = room.say(0);
        room.hear(1, &heard_before);
        let newcomer = room.0.join();
        let lines = [room.say(0), room.say(0), room.say(0)];
        let hello = room.say(newcomer);
        assert_eq!(room.hears_wrong(newcomer, &heard_before), Wrong::Stale);
        room.hear(1, &hello);
        for line in &lines[begins_with..] {
            room.hear(newcomer, line);
        }
        assert_eq!(room.0.owed(newcomer), 0);
    }
}

#[test]
fn a_newcomer_must_hear_what_is_said_once_it_is_in() {
    let mut room = Room::new();
    let newcomer = room.0.join();
    let hello = room.say(newcomer);
    room.hear(1, &hello);
    let [first, second] = [room.say(0), room.say(0)];
    assert_eq!(room.0.owed(newcomer), first.len() + second.len());
    assert_eq!(room.hears_wrong(newcomer, &second), Wrong::Lost);
    room.hear(newcomer, &[first, second].concat());
}

#[test]
fn the_end_of_who_resets_may_be_lost_for_all_alike() {
    let mut room = Room::new();
    let lines = [room.say(0), room.say(0)];
    room.0.abort(0);
    assert_eq!(room.0.unsettled(), None);
    room.hear(1, &lines[0]);
    assert!(room.0.unsettled().is_some());
    room.hear(2, &lines[0]);
    assert_eq!(room.0.unsettled(), None);
}

#[test]
fn the_last_line_of_who_resets_may_break_off_for_all_alike() {
    let mut room = Room::new();
    let [line, other] = [room.line(0, 1), room.say(1)];
    room.0.abort(0);
    let piece = &line[..HEADER + 5];
    room.hear(2, &[piece, &other].concat());
    assert!(room.0.unsettled().is_some());
    assert_eq!(room.0.hear(1, &piece[..HEADER + 4]), Ok(0));
    room.hear(1, piece);
    assert_eq!(room.0.unsettled(), None);
    let mut room = Room::new();
    let [line, other] = [room.line(0, 1), room.say(1)];
    assert_eq!(room.hears_wrong(2, &[piece, &other].concat()), Wrong::Torn);
    room.0.abort(0);
    room.hear(2, &[piece, &other].concat());
    let again = room.line(2, 1);
    assert_eq!(room.hears_wrong(1, &[&line[..HEADER + 6], &again].concat()), Wrong::Torn);
}

#[test]
fn all_must_be_heard_of_who_leaves_in_order() {
    let mut room = Room::new();
    let [whole, next] = [room.say(0), room.line(0, 2)];
    let piece = &next[..HEADER + 5];
    room.0.quit(0, piece.len());
    room.0.leave(0);
    assert_eq!(room.0.owed(1), whole.len() + piece.len());
    room.hear(1, &[&whole, piece].concat());
    assert_eq!(room.0.owed(1), 0);
    let other = room.say(1);
    let shorter = [&whole, &piece[..HEADER + 4], &other].concat();
    assert_eq!(room.hears_wrong(2, &shorter), Wrong::Torn);
}

#[test]
fn nobody_counts_on_who_is_behind() {
    let mut room = Room::new();
    let [a, b] = [room.say(1), room.say(1)];
    room.0.fall_behind(2);
    let said = room.say(2);
    assert_eq!((room.0.owed(0), room.0.backlog()), (a.len() + b.len(), a.len() + b.len()));
    room.hear(2, &[a, b].concat());
    assert!(!room.0.is_behind(2));
    assert_eq!(room.0.owed(1), said.len());
}

#[test]
fn the_last_piece_of_who_may_have_been_cut_off_is_for_those_before_it() {
    let mut room = Room::new();
    room.0.fall_behind(0);
    let newcomer = room.0.join();
    let hello = room.say(newcomer);
    room.hear(1, &hello);
    let [line, other] = [room.line(0, 1), room.say(2)];
    room.hear(1, &[&line[..HEADER + 5], &other].concat());
    room.hear(newcomer, &other);
    assert_eq!(room.0.owed(newcomer), 0);
    assert_eq!(room.0.owed(2), HEADER + 5 + hello.len());
}

#[test]
fn who_has_gone_is_forgotten_the_second_time() {
    let mut room = Room::new();
    let line = room.say(0);
    room.0.abort(0);
    room.0.forget();
    room.hear(1, &line);
    room.0.forget();
    assert_eq!(room.hears_wrong(2, &line), Wrong::Unsaid);
}
