//! Random numbers as a pure function of what they are for.
//!
//! A draw depends on the study's seed, the replication, its purpose, the moment it belongs to and its ordinal at that moment, and on
//! nothing else: no hidden state, no order of calls, no trial number. Two parameter sets that act at the same moment meet the same draw.
//! Philox is the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).

use crate::types::Nanos;

const ROUNDS: usize = 10;
const MULTIPLIER_32: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL_32: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const MULTIPLIER_64: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const WEYL_64: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];

/// Returns one Philox 4x32-10 block.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of a product are what the cipher works on"
)]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let product0 = u64::from(MULTIPLIER_32[0]) * u64::from(c0);
        let product1 = u64::from(MULTIPLIER_32[1]) * u64::from(c2);
        (c0, c2) = (
            (product1 >> 32) as u32 ^ c1 ^ k0,
            (product0 >> 32) as u32 ^ c3 ^ k1,
        );
        (c1, c3) = (product1 as u32, product0 as u32);
        k0 = k0.wrapping_add(WEYL_32[0]);
        k1 = k1.wrapping_add(WEYL_32[1]);
    }
    [c0, c1, c2, c3]
}

/// Returns one Philox 4x64-10 block.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of a product are what the cipher works on"
)]
pub fn philox4x64_10(counter: [u64; 4], key: [u64; 2]) -> [u64; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let product0 = u128::from(MULTIPLIER_64[0]) * u128::from(c0);
        let product1 = u128::from(MULTIPLIER_64[1]) * u128::from(c2);
        (c0, c2) = (
            (product1 >> 64) as u64 ^ c1 ^ k0,
            (product0 >> 64) as u64 ^ c3 ^ k1,
        );
        (c1, c3) = (product1 as u64, product0 as u64);
        k0 = k0.wrapping_add(WEYL_64[0]);
        k1 = k1.wrapping_add(WEYL_64[1]);
    }
    [c0, c1, c2, c3]
}

/// What a draw is for; purposes never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Way of a new order to the exchange.
    Place = 1,
    /// Way of a cancel to the exchange.
    Cancel = 2,
    /// Way of an amend to the exchange.
    Amend = 3,
    /// Way of a reply to the strategy.
    Report = 4,
    /// Way of market data to the strategy.
    Feed = 5,
    /// Where in the queue a recorded cancel falls.
    QueueDecay = 6,
    /// Whether a request is lost on its way.
    Loss = 7,
    /// Steps of the weather that latencies share; the time is the number of the step.
    Weather = 8,
    /// Steps between calm and stressed stretches; the time is the number of the step.
    Regime = 9,
    /// Whether a request is refused when it arrives.
    Refusal = 10,
}

/// All streams of one replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    key: [u64; 2],
}

impl Streams {
    /// Names the streams of one replication of a study.
    #[must_use]
    pub fn new(seed: u64, replication: u64) -> Self {
        Self {
            key: [seed, replication],
        }
    }

    /// Returns the uniform in the open interval (0, 1) for the `k`-th message of this purpose at this moment.
    ///
    /// The value is `(top 53 bits + 0.5) / 2^53`, less the last bit where that would round to 1.
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_sign_loss,
        reason = "the counter is the bit pattern of the time"
    )]
    pub fn uniform(&self, purpose: Purpose, at_ns: Nanos, k: u64) -> f64 {
        open_uniform(philox4x64_10([purpose as u64, at_ns as u64, k, 0], self.key)[0])
    }
}

/// Maps a random word to the open unit interval.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
pub(crate) fn open_uniform(word: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    (((word >> 11) as f64 + 0.5) * UNIT).min(1.0 - UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_4x32_gives_the_published_blocks() {
        let table = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in table {
            assert_eq!(
                philox4x32_10(counter, key),
                expected,
                "counter {counter:08x?} key {key:08x?}"
            );
        }
    }

    #[test]
    fn philox_4x64_gives_the_first_block_of_numpy() {
        let expected = [
            0x4f2f_4313_b553_6b09,
            0x5b61_7be3_219f_f32a,
            0x0972_9347_6f92_75cb,
            0xf63f_3bf4_962c_3942,
        ];
        assert_eq!(philox4x64_10([1, 0, 0, 0], [1, 2]), expected);
    }

    #[test]
    fn uniforms_stay_inside_the_open_interval() {
        assert!(open_uniform(0) > 0.0);
        assert!(open_uniform(u64::MAX) < 1.0);
        assert!((open_uniform(1 << 63) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_draw_depends_on_its_purpose_its_time_its_ordinal_and_its_key_only() {
        let streams = Streams::new(7, 0);
        let value = streams.uniform(Purpose::Place, 1_000, 0);
        for other in [
            streams.uniform(Purpose::Cancel, 1_000, 0),
            streams.uniform(Purpose::Place, 1_001, 0),
            streams.uniform(Purpose::Place, 1_000, 1),
            Streams::new(8, 0).uniform(Purpose::Place, 1_000, 0),
            Streams::new(7, 1).uniform(Purpose::Place, 1_000, 0),
        ] {
            assert!((value - other).abs() > 1e-12, "{value} {other}");
        }
        assert_eq!(
            value.to_bits(),
            Streams::new(7, 0)
                .uniform(Purpose::Place, 1_000, 0)
                .to_bits()
        );
    }
}
