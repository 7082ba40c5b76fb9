//! Sums of one model over ghosts: how well it places cancels, how far it is from the true position, how often it fills rightly.

use serde::Serialize;
use std::collections::BTreeMap;

/// Bins of a calibration table.
pub const BINS: usize = 10;

/// One bin of a calibration table: what was said, and what came true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// How often.
    pub count: u64,
    /// Sum of the probabilities said.
    pub said: f64,
    /// How often it came true.
    pub came: u64,
}

impl Bin {
    fn add(&mut self, said: f64, came: bool) {
        self.count += 1;
        self.said += said;
        self.came += u64::from(came);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.said += other.said;
        self.came += other.came;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a probability times the number of bins"
)]
fn bin(probability: f64) -> usize {
    ((probability * BINS as f64) as usize).min(BINS - 1)
}

/// Cancels of one ghost, as one model places them.
#[derive(Clone, Debug, Default)]
pub(super) struct CancelSums {
    count: u64,
    loss: f64,
    impossible: u64,
    brier: f64,
    bins: [Bin; BINS],
}

impl CancelSums {
    pub(super) fn add(&mut self, probability: f64, is_ahead: bool) {
        let right = if is_ahead {
            probability
        } else {
            1.0 - probability
        };
        self.count += 1;
        if right > 0.0 {
            self.loss -= libm::log(right);
        } else {
            self.impossible += 1;
        }
        self.brier += (1.0 - right) * (1.0 - right);
        self.bins[bin(probability)].add(probability, is_ahead);
    }
}

/// What is resampled: sums over the ghosts that joined in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Block {
    /// Cancels with a loss.
    pub cancels: u64,
    /// Sum of their losses.
    pub loss: f64,
    /// Ghosts.
    pub ghosts: u64,
    /// Sum of their mean absolute position errors.
    pub error_abs: f64,
}

/// Everything about one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Cancels placed.
    pub cancels: u64,
    /// Sum of `-ln` of the probability of what happened, where that is not 0.
    pub loss: f64,
    /// How often the impossible happened: probability 0.
    pub impossible: u64,
    /// Sum of squared differences.
    pub brier: f64,
    /// Probability that a cancel is ahead, and whether it was.
    pub bins: [Bin; BINS],
    /// Ghosts with rows.
    pub ghosts: u64,
    /// Sum over ghosts of the mean of `|estimate - truth| / ahead at join`.
    pub error_abs: f64,
    /// The same with the sign: negative is too optimistic.
    pub error: f64,
    /// Ghosts with random paths.
    pub episodes: u64,
    /// Sum of squared differences of fill probability and fill.
    pub fill_brier: f64,
    /// Sum of losses of the same, the probability clipped to `[1/2N, 1 - 1/2N]`.
    pub fill_loss: f64,
    /// Sum of the probability of fills that did not happen.
    pub false_fills: f64,
    /// Sum of the missing probability of fills that happened.
    pub missed_fills: f64,
    /// Fill probability, and fill.
    pub fill_bins: [Bin; BINS],
    /// Paths filled where truth is filled too.
    pub both_filled: u64,
    /// Sum of their absolute differences of fill time in seconds.
    pub fill_time_abs_s: f64,
    /// By number of the stretch of time.
    pub blocks: BTreeMap<i64, Block>,
}

impl Score {
    pub(super) fn add_cancels(&mut self, block: i64, sums: &CancelSums) {
        self.cancels += sums.count;
        self.loss += sums.loss;
        self.impossible += sums.impossible;
        self.brier += sums.brier;
        for (bin, other) in self.bins.iter_mut().zip(&sums.bins) {
            bin.merge(other);
        }
        let block = self.blocks.entry(block).or_default();
        block.cancels += sums.count;
        block.loss += sums.loss;
    }

    pub(super) fn add_position(&mut self, block: i64, error_abs: f64, error: f64) {
        self.ghosts += 1;
        self.error_abs += error_abs;
        self.error += error;
        let block = self.blocks.entry(block).or_default();
        block.ghosts += 1;
        block.error_abs += error_abs;
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of replications are small"
    )]
    pub(super) fn add_fills(&mut self, filled: usize, replications: usize, is_filled: bool) {
        let share = filled as f64 / replications as f64;
        let truth = f64::from(u8::from(is_filled));
        let edge = 0.5 / replications as f64;
        let clipped = share.clamp(edge, 1.0 - edge);
        self.episodes += 1;
        self.fill_brier += (share - truth) * (share - truth);
        self.fill_loss -= libm::log(if is_filled { clipped } else { 1.0 - clipped });
        self.false_fills += share * (1.0 - truth);
        self.missed_fills += (1.0 - share) * truth;
        self.fill_bins[bin(share)].add(share, is_filled);
    }

    #[expect(clippy::cast_precision_loss, reason = "horizons are minutes")]
    pub(super) fn add_fill_time(&mut self, late_ns: i64) {
        self.both_filled += 1;
        self.fill_time_abs_s += (late_ns as f64 / 1e9).abs();
    }
}
