//! `odds_size(alpha, beta, gamma)`: `P(ahead) = 1 / (1 + exp(-(alpha + beta ln(a / b) + gamma m)))`, a lots ahead, b behind; m is 1 if the cancel is as
//! large as an order that is known to stand behind ([`super::Sizes`]), else 0.
//!
//! A cancel of a size that joined after us is likely that order, so a fitted gamma is negative. The sizes mean something only where one change of a level is one
//! order: on images and summed updates use `odds`. Worked numbers: a = 70, b = 50, alpha = -1.81, beta = 0.59, gamma = -2: 0.166383 with m = 0, 0.026301 with m = 1.

use super::{Decay, QueueSpec, check_range};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OddsSize {
    alpha: f64,
    beta: f64,
    gamma: f64,
}

impl Decay for OddsSize {
    const READS_SIZES: bool = true;

    fn new(spec: &QueueSpec) -> Result<Self> {
        Ok(Self {
            alpha: check_range("alpha", spec.alpha, -50.0, 50.0)?,
            beta: check_range("beta", spec.beta, 0.0, 50.0)?,
            gamma: check_range("gamma", spec.gamma, -50.0, 50.0)?,
        })
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        self.probability_of_size(ahead, behind, false)
    }

    #[inline]
    fn probability_of_size(self, ahead: f64, behind: f64, is_size_behind: bool) -> f64 {
        let shift = if is_size_behind { self.gamma } else { 0.0 };
        1.0 / (1.0 + libm::exp(-(self.alpha + self.beta * libm::log(ahead / behind) + shift)))
    }
}
