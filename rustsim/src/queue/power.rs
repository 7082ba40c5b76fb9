//! `power(n)`: cancels lean to the longer part of the queue, the more the larger n.
//!
//! `P(ahead) = a^n / (a^n + b^n)` with a lots ahead, b behind, n > 0 (Rigtorp 2013, "Estimating order queue position"). Evaluated as
//! `1 / (1 + (b/a)^n)`, which can't overflow. Symmetric in a and b, so it can't express a lean to the back at every position.
//! Worked number: a = 70, b = 50, n = 2: 0.662162.

use super::{Decay, QueueSpec, check_range};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    n: f64,
}

impl Decay for Power {
    fn new(spec: &QueueSpec) -> Result<Self> {
        Ok(Self {
            n: check_range("n", spec.n, f64::MIN_POSITIVE, 64.0)?,
        })
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        1.0 / (1.0 + libm::pow(behind / ahead, self.n))
    }
}
