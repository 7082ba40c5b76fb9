//! Pareto latency: a power-law tail.

use crate::error::Result;

use super::{Family, LatencySpec};

/// `L = floor + x_m (1 - u)^(-1/alpha)` with `alpha = 1 + sqrt(1 + 1/v^2)` and `x_m = m (alpha - 1) / alpha`, where `m = mean - floor` and
/// `v = cv` (Pareto type I).
///
/// Never faster than `floor + x_m`, and with the heaviest tail of the families: third and higher moments may not exist.
/// Worked numbers: m 5000, v 0.5 has alpha 3.236068, `x_m` 3454.915 and p50/p99 4280.2/14337.4.
#[derive(Clone, Debug, PartialEq)]
pub struct Pareto {
    floor_ns: f64,
    scale_ns: f64,
    alpha: f64,
}

impl Family for Pareto {
    fn new(spec: &LatencySpec) -> Result<Self> {
        let alpha = 1.0 + libm::sqrt(1.0 + 1.0 / (spec.cv * spec.cv));
        let scale_ns = spec.mean_above_ns() * (alpha - 1.0) / alpha;
        Ok(Self {
            floor_ns: spec.floor_ns,
            scale_ns,
            alpha,
        })
    }

    fn quantile_ns(&self, u: f64) -> f64 {
        self.floor_ns + self.scale_ns * libm::exp(-libm::log1p(-u) / self.alpha)
    }
}
