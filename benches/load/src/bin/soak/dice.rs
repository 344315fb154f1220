//! Numbers that look random, and are the same for the same seed: SplitMix64.

use std::ops::Range;

pub struct Dice(u64);

impl Dice {
    /// Dice of their own for each number, all determined by the seed.
    pub fn new(seed: u64, number: u64) -> Self {
        Self(scramble(seed ^ scramble(number)))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }

    /// True one time in so many.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.within(0..count) == 0
    }
}

fn scramble(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
