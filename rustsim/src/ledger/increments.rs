//! Increments of the equity at a fixed interval, and the ratios made of them.
//!
//! Boundaries are the whole multiples of the interval after the first event; an increment is the equity at a boundary (everything of that very time included) less the
//! equity at the one before, the first from 0. With n increments: mean, standard deviation with n - 1, downside deviation = root mean square of the negative ones over
//! all n, Sharpe = mean / deviation, Sortino = mean / downside, all per interval, none annualised.
//! Worked: equity 0, 100, 250, 180, 90, 300, 260, 400, 350, 370: deviation 110.9554, Sharpe 0.370519, downside 43.588989, Sortino 0.943154.
//! Known limit: a partial interval at the end has no increment.

use crate::types::Nanos;

/// Interval of the increments: one minute.
const INTERVAL_NS: Nanos = 60_000_000_000;

/// Sums over the increments so far, in half minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Increments {
    /// The next boundary; none before the first event.
    boundary_ns: Option<Nanos>,
    /// Equity at the last boundary.
    last2: i64,
    /// Equity now.
    now2: i64,
    count: i64,
    sum2: i128,
    squares: i128,
    squares_down: i128,
}

impl Increments {
    /// Starts the clock at the first event; later calls change nothing.
    pub(super) fn start(&mut self, exch_ns: Nanos) {
        self.boundary_ns.get_or_insert(
            exch_ns
                .div_euclid(INTERVAL_NS)
                .saturating_add(1)
                .saturating_mul(INTERVAL_NS),
        );
    }

    /// Takes the equity from `exch_ns` on; `None` if a sum does not fit.
    #[inline]
    pub(super) fn sample(&mut self, exch_ns: Nanos, equity2: i64) -> Option<()> {
        if self.boundary_ns.is_some_and(|boundary| boundary < exch_ns) {
            self.settle(exch_ns.saturating_sub(1))?;
        }
        self.now2 = equity2;
        Some(())
    }

    /// Closes every interval that ends at or before `exch_ns`.
    pub(super) fn settle(&mut self, exch_ns: Nanos) -> Option<()> {
        let Some(boundary_ns) = self.boundary_ns.filter(|boundary| *boundary <= exch_ns) else {
            return Some(());
        };
        // The equity was constant since the last sample: the first interval has it all, the others nothing.
        let intervals = exch_ns.checked_sub(boundary_ns)? / INTERVAL_NS + 1;
        let increment2 = i128::from(self.now2) - i128::from(self.last2);
        let square = increment2.checked_mul(increment2)?;
        self.sum2 += increment2;
        self.squares = self.squares.checked_add(square)?;
        if increment2 < 0 {
            self.squares_down = self.squares_down.checked_add(square)?;
        }
        self.count += intervals;
        self.last2 = self.now2;
        self.boundary_ns = Some(boundary_ns.saturating_add(intervals.checked_mul(INTERVAL_NS)?));
        Some(())
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn count_f64(&self) -> f64 {
        self.count as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn mean(&self) -> f64 {
        ratio(self.sum2 as f64 / 2.0, self.count_f64())
    }

    /// Returns the standard deviation in minor units, 0 below two increments.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        // n * sum of squares less the squared sum is exact in integers as long as it fits.
        let n = i128::from(self.count);
        let spread = match (
            n.checked_mul(self.squares),
            self.sum2.checked_mul(self.sum2),
        ) {
            (Some(squares), Some(sum)) => (squares - sum) as f64,
            _ => self.count_f64() * self.squares as f64 - self.sum2 as f64 * self.sum2 as f64,
        };
        libm::sqrt(spread.max(0.0) / (self.count_f64() * (self.count_f64() - 1.0))) / 2.0
    }

    /// Returns the downside deviation in minor units.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn downside(&self) -> f64 {
        libm::sqrt(ratio(self.squares_down as f64, self.count_f64())) / 2.0
    }

    /// Returns mean over deviation, 0 without one.
    pub(super) fn sharpe(&self) -> f64 {
        ratio(self.mean(), self.deviation())
    }

    /// Returns mean over downside deviation, 0 without one.
    pub(super) fn sortino(&self) -> f64 {
        ratio(self.mean(), self.downside())
    }
}

fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 {
        numerator / denominator
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-6 * expected.abs(),
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn worked_example_of_the_ratios() {
        let mut increments = Increments::default();
        increments.start(0);
        for (minute, equity) in [0, 100, 250, 180, 90, 300, 260, 400, 350, 370]
            .into_iter()
            .enumerate()
        {
            increments
                .sample(i64::try_from(minute).unwrap() * INTERVAL_NS, 2 * equity)
                .unwrap();
        }
        increments.settle(9 * INTERVAL_NS).unwrap();
        assert_eq!(increments.count, 9);
        assert_near(increments.mean(), 370.0 / 9.0);
        assert_near(increments.deviation(), 110.955_4);
        assert_near(increments.sharpe(), 0.370_519);
        assert_near(increments.downside(), 43.588_989);
        assert_near(increments.sortino(), 0.943_154);
    }

    #[test]
    fn quiet_minutes_count_as_zero_increments() {
        let mut increments = Increments::default();
        increments.start(5);
        increments.sample(7, 10).unwrap();
        increments.settle(4 * INTERVAL_NS + 1).unwrap();
        assert_eq!((increments.count, increments.sum2), (4, 10));
    }
}
