//! Counts of integers of any size in little memory: exact below 256, otherwise to 8 significant bits.

use serde::Serialize;
use std::collections::BTreeMap;

/// Bits of a value that its bin keeps; the rest is rounded to the middle of the bin (off by at most 0.4 %).
const BITS_KEPT: u32 = 8;

/// How often values occurred.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Number of values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_squares: f64,
    /// Smallest value; 0 without values.
    pub min: i64,
    /// Largest value; 0 without values.
    pub max: i64,
    /// Counts by bin, named by its middle.
    pub bins: BTreeMap<i64, u64>,
}

impl Histogram {
    /// Counts a value `weight` times.
    #[allow(clippy::cast_precision_loss, reason = "statistics, not accounts")]
    pub fn add(&mut self, value: i64, weight: u64) {
        if weight == 0 {
            return;
        }
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        self.count = self.count.saturating_add(weight);
        self.sum += value as f64 * weight as f64;
        self.sum_squares += (value as f64).powi(2) * weight as f64;
        let bin = self.bins.entry(bin_of(value)).or_default();
        *bin = bin.saturating_add(weight);
    }
}

fn bin_of(value: i64) -> i64 {
    let size = value.unsigned_abs();
    let drop = (u64::BITS - size.leading_zeros()).saturating_sub(BITS_KEPT);
    if drop == 0 {
        return value;
    }
    let middle = ((size >> drop) << drop) + (1 << (drop - 1));
    let middle = i64::try_from(middle).unwrap_or(i64::MAX);
    if value < 0 { -middle } else { middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_exact_and_large_ones_within_half_a_percent() {
        let mut counts = Histogram::default();
        for value in [-255, 0, 3, 255] {
            counts.add(value, 2);
        }
        assert_eq!(
            counts.bins.keys().copied().collect::<Vec<_>>(),
            [-255, 0, 3, 255]
        );
        assert_eq!((counts.count, counts.min, counts.max), (8, -255, 255));
        for value in [
            256,
            1_000,
            125_000_000,
            -125_000_000,
            i64::MAX,
            i64::MIN + 1,
        ] {
            let off = i128::from(bin_of(value)) - i128::from(value);
            assert!(
                off.abs() * 250 <= i128::from(value).abs(),
                "{value} is {off} off"
            );
        }
    }
}
