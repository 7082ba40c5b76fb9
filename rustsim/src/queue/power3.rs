//! `power3(n)`: `P(ahead) = (a / (a + b))^n`, a lots ahead, b behind; with n > 1 cancels lean to the back.
//!
//! Source: the `PowerProb3` model of public backtesters, there written as the probability of "behind". Worked number: a = 70, b = 50, n = 3: 0.198495.

use super::{Decay, QueueSpec, check_range};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power3 {
    n: f64,
}

impl Decay for Power3 {
    fn new(spec: &QueueSpec) -> Result<Self> {
        Ok(Self {
            n: check_range("n", spec.n, 1.0, 64.0)?,
        })
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        libm::pow(ahead / (ahead + behind), self.n)
    }
}
