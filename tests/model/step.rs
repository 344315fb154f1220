//! One thing that a program or a peer does.

use std::sync::LazyLock;

/// How many descriptors take part. Few, so that they meet each other often.
pub(crate) const SEATS: usize = 6;

/// How many pools there are.
pub(crate) const POOLS: usize = 2;

/// The seats from here on may be in the second pool, too. The others never are: the library has a
/// shorter way for descriptors that it has never met in two pools, until the process ends.
const SHARED: usize = 3;

/// A pool, and one of the descriptors, which may be in it or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) pool: usize,
    pub(crate) seat: usize,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Pair,
    Pipe,
    /// A socket without a peer, which may start to listen.
    Lone,
}

/// A message, in short. The room decides where in a long pattern its bytes begin, so that no two
/// messages are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) length: usize,
    /// How often a line ends; 0 for never.
    pub(crate) line: usize,
}

impl Text {
    fn new(size: u8, style: u8) -> Self {
        let unit = [1, 1, 1, 67][usize::from(style % 4)];
        let line = [0, 1, 30, 900][usize::from(style / 4 % 4)];
        Self { length: usize::from(size) * unit, line }
    }

    pub(crate) fn bytes(self, start: usize) -> Vec<u8> {
        static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let byte = |at: usize| match (at * 7 + at / 251 * 13 + at / 65521) % 256 {
                0x0A => b' ',
                byte => byte as u8,
            };
            (0..8 << 20).map(byte).collect()
        });
        let start = start % (PATTERN.len() - self.length);
        let mut bytes = PATTERN[start..start + self.length].to_vec();
        if self.line > 0 {
            bytes.chunks_exact_mut(self.line).for_each(|line| line[self.line - 1] = b'\n');
        }
        bytes
    }
}

/// How thoroughly a program takes one connection out by itself. The header asks for either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Counts it off in `nr_conns`.
    pub(crate) counts: bool,
    /// Takes the descriptor out of `read_set` and `write_set`.
    pub(crate) clears: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    // The calls. The number says which of a function's names is used.
    Join(Who, Kind, u8),
    Leave(Who, u8),
    Say(Who, Text),
    /// So many messages of a byte.
    Chatter(Who, usize),
    /// `addMsg`.
    Shout(Who, Text),
    Feed(Who, Text),
    /// What a program does at the end of the file.
    EndLine(Who),
    Receive(Who, Text),
    /// The same for `chat_receive`.
    EndInput(Who),
    /// Fetches so many lines.
    Fetch(Who, usize),
    /// `chat_say`.
    Announce(Who, Text),
    /// The same with nobody left out.
    AnnounceToAll(usize, Text),
    Tell(Who, Text),
    Write(Who, u8),
    WriteAll(usize),
    Cork(usize),
    Uncork(usize),
    Info(Who),
    Limit(usize),
    /// A call that makes no sense.
    Wrong(u8),
    // The peers.
    Hear(usize, usize),
    HangUp(usize),
    // What programs do by themselves.
    /// Sends a message that is queued for a member, from its place in the queue.
    Repeat(Who, usize),
    /// Takes the first message out of a queue.
    Pop(Who),
    TakeOut(Who, Manners),
    /// Sets or clears a descriptor's bit in one of the four sets.
    Mark(Who, usize, bool),
    RebuildWriteSet(usize),
    /// Makes the descriptor `maxfd`, and writes `nready`.
    Count(Who, i32),
    Listen(usize),
    /// Frees everything by itself, without a call.
    Abandon(usize),
    /// Removes everyone, or has done so, and calls `init_pool` again.
    StartOver(usize),
}

impl Step {
    /// Whether it calls nothing of the library, so that nothing can differ from the model after it
    /// that did not before.
    pub(crate) fn is_without_call(self) -> bool {
        matches!(
            self,
            Self::Hear(..)
                | Self::HangUp(_)
                | Self::Pop(_)
                | Self::TakeOut(..)
                | Self::Mark(..)
                | Self::RebuildWriteSet(_)
                | Self::Count(..)
                | Self::Listen(_)
        )
    }

    /// Any four bytes are a step: what is done, by which member, and two details.
    fn decode([what, who, size, style]: [u8; 4]) -> Self {
        let seat = usize::from(who) % SEATS;
        let who = Who { pool: usize::from(who >= 192 && seat >= SHARED), seat };
        let text = Text::new(size, style);
        match what % 64 {
            0..6 if style < 160 => Self::Join(who, Kind::Pair, size),
            0..6 if style < 208 => Self::Join(who, Kind::Pipe, size),
            0..6 => Self::Join(who, Kind::Lone, size),
            6..9 => Self::Leave(who, size),
            9..13 => Self::Say(who, text),
            13..15 if style < 128 => Self::Announce(who, text),
            13..15 => Self::AnnounceToAll(who.pool, text),
            15 => Self::Chatter(who, usize::from(size) % 80),
            16..18 => Self::Shout(who, text),
            18..20 => Self::Feed(who, text),
            20..22 => Self::Receive(who, text),
            22 => Self::EndLine(who),
            23 => Self::EndInput(who),
            24..27 => Self::Tell(who, text),
            27..31 => Self::Write(who, size),
            31 => Self::Fetch(who, usize::from(size)),
            32..35 => Self::Cork(who.pool),
            35..38 => Self::Uncork(who.pool),
            38 => Self::Info(who),
            39..41 => Self::Limit([0, 1, 192, 2560, 20_000, 8 << 20][usize::from(size) % 6]),
            41 => Self::Wrong(size),
            42..47 => Self::Hear(who.seat, text.length),
            47 => Self::HangUp(who.seat),
            48..50 => Self::Repeat(who, usize::from(size) % SEATS),
            50..53 => Self::Pop(who),
            53..55 => Self::TakeOut(who, Manners { counts: size % 3 > 0, clears: size % 3 < 2 }),
            55..58 => Self::Mark(who, usize::from(size % 4), style % 2 == 1),
            58 => Self::RebuildWriteSet(who.pool),
            59 => Self::Count(who, i32::from(size)),
            60 => Self::Listen(who.seat),
            61 => Self::Abandon(who.pool),
            62 => Self::StartOver(who.pool),
            _ => Self::WriteAll(who.pool),
        }
    }
}

/// The steps that some bytes mean; what is left at the end means none.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Step> {
    let records = bytes.chunks_exact(4);
    records.map(|record| Step::decode(record.try_into().expect("four bytes"))).collect()
}
