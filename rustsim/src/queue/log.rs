//! `log`: `P(ahead) = 1 - ln(1 + b) / (ln(1 + a) + ln(1 + b))`, a lots ahead, b behind.
//!
//! Source: the `LogProb` model of public backtesters, there written as the probability of "behind". Depends on absolute sizes, so scaling all sizes changes
//! the result. Worked number: a = 70, b = 50: 0.520188.

use super::{Decay, QueueSpec};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log;

impl Decay for Log {
    fn new(_: &QueueSpec) -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        let (ahead, behind) = (libm::log1p(ahead), libm::log1p(behind));
        ahead / (ahead + behind)
    }
}
