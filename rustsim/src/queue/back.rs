//! `back`: every cancel is behind us unless it can't be. The pessimist's bound: no model fills less.
//!
//! `P(ahead) = 0`. No parameters. Worked number: 70 ahead, 50 behind, cancel of 24: nothing moves; cancel of 60: 10 must be ahead.

use super::{Decay, QueueSpec};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Back;

impl Decay for Back {
    fn new(_: &QueueSpec) -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn probability_ahead(self, _ahead: f64, _behind: f64) -> f64 {
        0.0
    }
}
