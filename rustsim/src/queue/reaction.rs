//! Reaction: others cancel elsewhere in the queue because we stand in it.
//!
//! The odds `p / (1 - p)` that a cancel is ahead are multiplied by `1 - kappa own / (L + own)`, `own` lots of ours resting at the level, `L` displayed by
//! others before the cancel. `kappa` in [-1, 1]: above 0 cancels ahead get rarer, we wait longer; 0 is no reaction. A scenario, never a fitted truth.
//! Source: simulation-physics 9.4. Worked: 70 ahead, 50 behind, `uniform`, 30 own lots, kappa 0.5: factor 0.9, odds 1.4 to 1.26, p 0.583333 to 0.557522.
//! `back` and `front` stay what they are: their odds are 0 and infinite.

use crate::types::Lots;

/// A factor on the odds that a cancel is ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reaction(Option<f64>);

impl Reaction {
    /// Nobody minds us.
    pub const NONE: Self = Self(None);

    /// Returns the reaction to `own` lots beside `level` displayed ones.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "lots fit f64")]
    pub fn new(kappa: f64, own: Lots, level: Lots) -> Self {
        // Exactly nothing without kappa, so that no rounding changes a result.
        if kappa == 0.0 || own <= 0 {
            return Self::NONE;
        }
        Self(Some(1.0 - kappa * own as f64 / (level + own) as f64))
    }

    /// Returns the probability after the reaction.
    #[must_use]
    #[inline]
    pub fn apply(self, probability: f64) -> f64 {
        match self.0 {
            None => probability,
            Some(factor) => {
                let ahead = probability * factor;
                ahead / (ahead + (1.0 - probability))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_example_of_the_reaction() {
        let p = 70.0 / 120.0;
        for (kappa, own, expected) in [
            (0.5, 30, 0.557_522),
            (-0.5, 30, 0.606_299),
            (1.0, 120, 0.411_765),
            (0.0, 30, p),
        ] {
            let found = Reaction::new(kappa, own, 120).apply(p);
            assert!((found - expected).abs() < 1e-6, "{kappa} {own}: {found}");
        }
    }

    #[test]
    fn certain_cancels_stay_certain_and_the_rest_moves_with_kappa() {
        for kappa in [-1.0, -0.3, 0.7, 1.0] {
            let reaction = Reaction::new(kappa, 50, 10);
            assert!(reaction.apply(0.0) <= 0.0);
            assert!(reaction.apply(1.0) >= 1.0);
            for p in [0.01, 0.5, 0.99] {
                let found = reaction.apply(p);
                assert!((0.0..=1.0).contains(&found));
                assert_eq!(found < p, kappa > 0.0);
            }
        }
    }

    #[test]
    fn scaling_all_sizes_changes_nothing() {
        for scale in [1, 7, 1_000] {
            let found = Reaction::new(0.4, 3 * scale, 12 * scale).apply(0.3);
            assert!((found - Reaction::new(0.4, 3, 12).apply(0.3)).abs() < 1e-15);
        }
    }
}
