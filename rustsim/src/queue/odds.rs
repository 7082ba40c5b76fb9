//! `odds(alpha, beta)`: `P(ahead) = 1 / (1 + exp(-(alpha + beta ln(a / b))))`, a lots ahead, b behind.
//!
//! A logistic regression on the log-odds of the position: (0, 1) is `uniform`, (0, n) is `power(n)`, alpha < 0 leans cancels to the back. Fit it to the market
//! and the granularity of the feed; the shape differs between markets. Worked number: a = 70, b = 50, alpha = -1.81, beta = 0.59: 0.166383.

use super::{Decay, QueueSpec, check_range};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    alpha: f64,
    beta: f64,
}

impl Decay for Odds {
    fn new(spec: &QueueSpec) -> Result<Self> {
        Ok(Self {
            alpha: check_range("alpha", spec.alpha, -50.0, 50.0)?,
            beta: check_range("beta", spec.beta, 0.0, 50.0)?,
        })
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        1.0 / (1.0 + libm::exp(-(self.alpha + self.beta * libm::log(ahead / behind))))
    }
}
