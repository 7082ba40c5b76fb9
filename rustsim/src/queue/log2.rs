//! `log2`: `P(ahead) = 1 - ln(1 + b) / ln(1 + a + b)`, a lots ahead, b behind.
//!
//! Source: the `LogProb2` model of public backtesters, there written as the probability of "behind". Depends on absolute sizes. Worked number: a = 70, b = 50: 0.180151.

use super::{Decay, QueueSpec};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log2;

impl Decay for Log2 {
    fn new(_: &QueueSpec) -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        1.0 - libm::log1p(behind) / libm::log1p(ahead + behind)
    }
}
