//! Clients that send at the same time, in packets cut at random: each line arrives once and whole.

use crate::client::Client;
use crate::harness::Server;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

const CLIENTS: usize = 6;
const LINES: usize = 150;
/// The longest line: above the server's buffer.
const LONGEST: usize = 6000;

/// Random numbers, the same for the same seed (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = usize::try_from(self.0 >> 33).expect("31 bits");
        number % bound
    }

    /// Any byte but a newline.
    fn byte(&mut self) -> u8 {
        match u8::try_from(self.below(256)).expect("8 bits") {
            b'\n' => b' ',
            byte => byte,
        }
    }
}

/// The seed of CHAT_SEED, or a new one; printed either way.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let given = std::env::var("CHAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(u64::from(now.subsec_nanos()) + 1);
    println!("the same again with CHAT_SEED={seed}");
    seed
}

/// The lines that a client sends, which begin with its number. Most are short, as in a chat.
fn lines(sender: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut line = |_| {
        let longest = if dice.below(4) == 0 { LONGEST } else { 80 };
        let mut line = vec![u8::try_from(sender).expect("few clients")];
        let length = dice.below(longest);
        line.extend((0..length).map(|_| dice.byte()));
        line.push(b'\n');
        line
    };
    (0..LINES).map(&mut line).collect()
}

/// Sends it all in pieces of random size.
fn say_in_pieces(client: &Client, bytes: &[u8], dice: &mut Dice) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let longest = [3, 50, 5000, 50_000][dice.below(4)];
        let (piece, next) = rest.split_at((1 + dice.below(longest)).min(rest.len()));
        client.say(piece);
        rest = next;
    }
}

/// Checks that each other client's lines came once, whole, and in order.
fn check(recipient: usize, heard: &[u8], said: &[Vec<Vec<u8>>]) {
    let mut next = [0; CLIENTS];
    for line in heard.split_inclusive(|byte| *byte == b'\n') {
        let sender = usize::from(line[0]);
        assert!(sender < CLIENTS && sender != recipient, "{recipient} got a line of {sender}");
        let wanted = said[sender].get(next[sender]);
        assert!(
            wanted.is_some_and(|wanted| wanted == line),
            "{recipient} got another line than line {} of {sender}",
            next[sender],
        );
        next[sender] += 1;
    }
    for (sender, heard) in next.into_iter().enumerate().filter(|(sender, _)| *sender != recipient) {
        assert_eq!(heard, LINES, "lines of {sender} that {recipient} got");
    }
}

#[test]
fn everyone_hears_every_other_line_once_whole_and_in_order() {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let said: Vec<_> = (0..CLIENTS).map(|sender| lines(sender, &mut dice)).collect();
    let texts: Vec<_> = said.iter().map(|lines| lines.concat()).collect();
    let total: usize = texts.iter().map(Vec::len).sum();

    let server = Server::start();
    let clients = server.crowd(CLIENTS);
    thread::scope(|scope| {
        for (at, client) in clients.iter().enumerate() {
            let (text, said) = (&texts[at], &said);
            let mut dice = Dice::new(seed + 1 + u64::try_from(at).expect("few clients"));
            scope.spawn(move || say_in_pieces(client, text, &mut dice));
            scope.spawn(move || check(at, &client.hear(total - text.len()), said));
        }
    });
    server.stop();
    for client in &clients {
        client.expect_end();
    }
}
