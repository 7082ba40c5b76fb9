//! Shifted lognormal latency, by what is easily read off measurements: shift, median above it, and sigma.

use crate::error::Result;

use super::{Family, LatencySpec, MEAN_NS_MAX, SIGMA_RANGE, check_range, normal, required};

/// `L = floor + median exp(sigma Z)`: the lognormal family by other parameters, whose mean is `floor + median exp(sigma^2 / 2)`.
///
/// Follows the tail of measured order latencies through a broker where a gamma or a lognormal without shift falls short.
/// Worked numbers: floor 174, median 27.8, sigma 1.26 (milliseconds: live order confirmations) has p50/p95/p99 201.8/394.8/695.1.
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftedLognormal {
    floor_ns: f64,
    median_ns: f64,
    sigma: f64,
}

impl Family for ShiftedLognormal {
    const SHAPE: super::Shape = super::Shape::Median;

    fn new(spec: &LatencySpec) -> Result<Self> {
        let median_ns = required("median_ns", spec.median_ns)?;
        let sigma = required("sigma", spec.sigma)?;
        check_range("median_ns", median_ns, 1e-3..=MEAN_NS_MAX)?;
        check_range("sigma", sigma, SIGMA_RANGE)?;
        Ok(Self {
            floor_ns: spec.floor_ns,
            median_ns,
            sigma,
        })
    }

    fn quantile_ns(&self, u: f64) -> f64 {
        self.floor_ns + self.median_ns * libm::exp(self.sigma * normal::quantile(u))
    }
}
