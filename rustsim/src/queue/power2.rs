//! `power2(n)`: `P(ahead) = 1 - b^n / (a + b)^n`, a lots ahead, b behind, n > 0.
//!
//! Source: the `PowerProb2` model of public backtesters, there written as the probability of "behind". With n > 1 cancels lean to the front.
//! Worked number: a = 70, b = 50, n = 2: 0.826389.

use super::{Decay, QueueSpec, check_range};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power2 {
    n: f64,
}

impl Decay for Power2 {
    fn new(spec: &QueueSpec) -> Result<Self> {
        Ok(Self {
            n: check_range("n", spec.n, f64::MIN_POSITIVE, 64.0)?,
        })
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        1.0 - libm::pow(behind / (ahead + behind), self.n)
    }
}
