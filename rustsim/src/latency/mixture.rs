//! Mixture latency: messages that take one of several ways.

use crate::error::{Error, Result};

use super::{Family, LatencyModel, LatencySpec};

const MODES_MAX: usize = 8;

/// `L = floor + X`: takes mode `k` with probability `w_k` and draws `X` from it with what is left of the same uniform, `(u - sum of w before k) / w_k`.
///
/// For two regimes of a path, such as a fast normal mode and a rare slow one; which message takes which mode is independent.
/// Worked number: constant 10 with weight 3 and constant 100 with weight 1 give 10 at u 0.7 and 100 at u 0.8.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Upper end of the uniforms of each mode, its share, and its distribution.
    modes: Box<[(f64, f64, LatencyModel)]>,
    floor_ns: f64,
}

impl Family for Mixture {
    const SHAPE: super::Shape = super::Shape::Modes;

    fn new(spec: &LatencySpec) -> Result<Self> {
        if !(1..=MODES_MAX).contains(&spec.modes.len()) {
            return Err(Error::Spec(format!(
                "modes: found {}, allowed 1 to {MODES_MAX}",
                spec.modes.len()
            )));
        }
        let total: f64 = spec.modes.iter().map(|mode| mode.weight).sum();
        let mut modes = Vec::with_capacity(spec.modes.len());
        let mut below = 0.0;
        for (number, mode) in spec.modes.iter().enumerate() {
            // Written so that NaN fails.
            if !(mode.weight > 0.0 && mode.weight <= 1e9) {
                return Err(Error::Spec(format!(
                    "modes[{number}].weight: found {}, allowed above 0 and at most 1e9",
                    mode.weight
                )));
            }
            if mode.latency.model == "mixture" {
                return Err(Error::Spec(format!("modes[{number}]: a mode is no mixture itself")));
            }
            if mode.latency.model == "trace" {
                return Err(Error::Spec(format!(
                    "modes[{number}]: recorded latencies draw nothing, so they are no mode"
                )));
            }
            let model = LatencyModel::build(&mode.latency)
                .map_err(|error| Error::Spec(format!("modes[{number}].latency: {error}")))?;
            let share = mode.weight / total;
            below += share;
            modes.push((below, share, model));
        }
        Ok(Self {
            modes: modes.into_boxed_slice(),
            floor_ns: spec.floor_ns,
        })
    }

    fn quantile_ns(&self, u: f64) -> f64 {
        let (model, u) = self.mode(u);
        self.floor_ns + model.quantile_ns(u)
    }

    #[inline]
    fn draw_ns(&self, u: f64) -> f64 {
        let (model, u) = self.mode(u);
        self.floor_ns + model.draw_ns(u)
    }
}

impl Mixture {
    /// Returns the mode of `u` and the uniform within it, kept inside (0, 1).
    fn mode(&self, u: f64) -> (&LatencyModel, f64) {
        let last = self.modes.len() - 1;
        let k = self.modes.partition_point(|&(top, ..)| top <= u).min(last);
        let (top, share, model) = &self.modes[k];
        let inner = (u - (top - share)) / share;
        (model, inner.clamp(f64::EPSILON / 4.0, 1.0 - f64::EPSILON / 2.0))
    }
}
