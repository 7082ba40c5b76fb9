//! Model `l3`: rows say which order lost lots, so whether a cancel was ahead is known and not a chance.
//!
//! The rules are in `matching/joins.rs` (`docs/semantics.md` section 4). What is left to a chance here is a cancel of lots without a name, which
//! rested before the tape began: they stand in front, p = 1. Worked number: 70 ahead, 50 behind, cancel of 24: 46 remain ahead if it was an order ahead, else 70.

use super::{Decay, Mode, QueueSpec};
use crate::error::{Error, Result};

/// The model; it has no parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L3;

impl Decay for L3 {
    fn new(spec: &QueueSpec) -> Result<Self> {
        if spec.mode == Mode::Sampled {
            return Err(Error::Spec(
                "queue.mode: expected \"expected\", found \"sampled\": l3 draws nothing".into(),
            ));
        }
        Ok(Self)
    }

    fn probability_ahead(self, _: f64, _: f64) -> f64 {
        1.0
    }
}
