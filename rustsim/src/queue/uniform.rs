//! `uniform`: every displayed lot is equally likely to be the one cancelled.
//!
//! `P(ahead) = a / (a + b)` with a lots ahead, b behind; equal to `power` with n = 1 (Cont, Stoikov, Talreja 2010: independent cancels at
//! equal rates). Too optimistic where cancels lean to the back of the queue, as measured on index futures. Worked number: 70 / 120 = 0.583333.

use super::{Decay, QueueSpec};
use crate::error::Result;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uniform;

impl Decay for Uniform {
    fn new(_: &QueueSpec) -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        ahead / (ahead + behind)
    }
}
