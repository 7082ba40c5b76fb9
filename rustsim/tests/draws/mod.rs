//! Random numbers of tests.

/// `SplitMix64`: enough for test data, and no dependency on the streams under test.
#[derive(Debug)]
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn int(&mut self, bound: i32) -> i32 {
        i32::try_from(self.below(u64::from(bound.unsigned_abs()))).expect("below an i32")
    }
}
