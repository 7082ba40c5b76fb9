//! Empirical latency: a measured distribution as a table of its quantiles.

use crate::error::{Error, Result};

use super::{Family, LatencySpec, MEAN_NS_MAX, check_range};

const ENTRIES_MAX: usize = 1_001;

/// Inverts the table linearly: `L = floor + scale (L0 + (u - p0) (L1 - L0) / (p1 - p0))` between `(p0, L0)` and `(p1, L1)`.
///
/// Says nothing beyond its first and last entry; the last decides how slow the slowest message is.
/// Worked number: entries (0, 10), (0.5, 20), (1, 100) give 36 at u 0.6; with floor 5 and scale 2 it is 77.
#[derive(Clone, Debug, PartialEq)]
pub struct Empirical {
    table: Box<[(f64, f64)]>,
    floor_ns: f64,
    scale: f64,
}

impl Family for Empirical {
    const SHAPE: super::Shape = super::Shape::Table;

    fn new(spec: &LatencySpec) -> Result<Self> {
        let table = &spec.quantiles;
        let wrong = |message: String| Err(Error::Spec(format!("quantiles: {message}")));
        if !(2..=ENTRIES_MAX).contains(&table.len()) {
            return wrong(format!("found {} entries, allowed 2 to {ENTRIES_MAX}", table.len()));
        }
        #[expect(clippy::float_cmp, reason = "the ends of the table are stated, not computed")]
        if table[0].0 != 0.0 || table[table.len() - 1].0 != 1.0 {
            return wrong("expected probabilities from 0 to 1".to_owned());
        }
        for (entry, pair) in table.windows(2).enumerate() {
            // Written so that NaN fails.
            if !(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1) {
                return wrong(format!("entry {} does not rise above the one before", entry + 1));
            }
        }
        for &(_, latency_ns) in table {
            check_range("quantiles", latency_ns, 0.0..=MEAN_NS_MAX)?;
        }
        Ok(Self {
            table: table.clone().into_boxed_slice(),
            floor_ns: spec.floor_ns,
            scale: spec.scale()?,
        })
    }

    fn quantile_ns(&self, u: f64) -> f64 {
        let right = self.table.partition_point(|&(p, _)| p < u).clamp(1, self.table.len() - 1);
        let ((p0, low), (p1, high)) = (self.table[right - 1], self.table[right]);
        self.floor_ns + self.scale * (low + (u - p0) * (high - low) / (p1 - p0))
    }
}
