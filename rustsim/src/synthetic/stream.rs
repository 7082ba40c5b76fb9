//! Named streams of uniforms, one per part of the market.

use crate::rng::{open_uniform, philox4x64_10};

/// Parts that draw; adding a draw to one shifts no other.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Part {
    Times = 1,
    Signs = 2,
    Fair = 3,
    Place = 4,
    Lots = 5,
    Cancel = 6,
}

// Keeps these counters apart from those of a replay with the same seed.
const ROOM: u64 = 0x5359_4E54;

/// One stream: the blocks 0, 1, 2 ... of its key, word after word.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    key: [u64; 2],
    part: u64,
    block: u64,
    words: [u64; 4],
    used: usize,
}

impl Stream {
    pub(super) fn new(seed: u64, part: Part) -> Self {
        Self {
            key: [seed, 0],
            part: part as u64,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    /// Returns the next uniform in the open interval (0, 1).
    pub(super) fn next(&mut self) -> f64 {
        if self.used == 4 {
            self.words = philox4x64_10([self.block, self.part, 0, ROOM], self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        open_uniform(self.words[self.used - 1])
    }

    /// Returns an integer in `0..bound`; `bound` is small, so the bias of scaling is of no account.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 <= u * bound < bound < 2^32"
    )]
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((self.next() * bound as f64) as usize).min(bound.saturating_sub(1))
    }
}
