//! How long messages take: one distribution per kind of message, given by mean, coefficient of variation and floor.
//!
//! `L = floor + X` with `E[X] = mean - floor` and `sd(X) = cv * (mean - floor)`; every family draws by inversion of one uniform, so that a
//! change of parameters moves a draw smoothly. Formulas: simulation-physics 6.1. A new family is one file with a `Family` and one line in
//! the table below.
//!
//! Known limit: draws of different messages are independent; the order of a session is kept by [`channel::FifoChannel`], load by
//! [`backlog::Backlog`].

pub mod backlog;
pub mod channel;
mod normal;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::Nanos;

/// Largest accepted mean: beyond a minute a replay says nothing about a market, and draws could leave the range of times.
const MEAN_NS_MAX: f64 = 60e9;
/// Accepted coefficients of variation; the numerics of every family are tested on this range.
const CV_RANGE: core::ops::RangeInclusive<f64> = 0.01..=10.0;

/// A latency model as it is written in the description of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencySpec {
    /// Name of the family.
    pub model: String,
    /// Mean of the whole latency, floor included.
    pub mean_ns: f64,
    /// Standard deviation over mean of the part above the floor; a constant ignores it.
    pub cv: f64,
    /// No message is faster than this.
    pub floor_ns: f64,
}

impl Default for LatencySpec {
    fn default() -> Self {
        Self {
            model: "constant".to_owned(),
            mean_ns: 0.0,
            cv: 0.5,
            floor_ns: 0.0,
        }
    }
}

impl LatencySpec {
    /// Checks every number.
    fn check(&self) -> Result<()> {
        check_range("mean_ns", self.mean_ns, 0.0..=MEAN_NS_MAX)?;
        check_range("floor_ns", self.floor_ns, 0.0..=MEAN_NS_MAX)?;
        check_range("cv", self.cv, CV_RANGE)?;
        if self.floor_ns > self.mean_ns {
            return Err(Error::Spec(format!(
                "floor_ns: found {}, allowed at most mean_ns = {}",
                self.floor_ns, self.mean_ns
            )));
        }
        Ok(())
    }
}

fn check_range(key: &str, found: f64, allowed: core::ops::RangeInclusive<f64>) -> Result<()> {
    // NaN is in no range.
    if allowed.contains(&found) {
        return Ok(());
    }
    Err(Error::Spec(format!(
        "{key}: found {found}, allowed {} to {}",
        allowed.start(),
        allowed.end()
    )))
}

/// One family of distributions.
trait Family {
    /// Builds the family from a checked spec with `mean > floor`.
    fn new(spec: &LatencySpec) -> Self;
    /// Returns the quantile, floor included, for `u` in (0, 1).
    fn quantile_ns(&self, u: f64) -> f64;
    /// Returns the quantile as draws use it: equal to [`Family::quantile_ns`] up to 1e-8 of its value.
    #[inline]
    fn draw_ns(&self, u: f64) -> f64 {
        self.quantile_ns(u)
    }
}

macro_rules! families {
    ($($name:literal => $module:ident::$family:ident,)+) => {
        $(mod $module;)+

        /// A latency distribution, ready to draw from.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum LatencyModel {
            $(#[doc = concat!("The family `", $name, "`.")] $family($module::$family),)+
        }

        impl LatencyModel {
            /// Names of all families, as they are written in a spec.
            pub const NAMES: &[&str] = &[$($name),+];

            fn family(spec: &LatencySpec) -> Result<Self> {
                match spec.model.as_str() {
                    $($name => Ok(Self::$family(Family::new(spec))),)+
                    other => Err(Error::Spec(format!("model: found {other:?}, allowed {}", Self::NAMES.join(", ")))),
                }
            }

            /// Returns the exact quantile in nanoseconds, unrounded, for `u` in (0, 1).
            #[must_use]
            pub fn quantile_ns(&self, u: f64) -> f64 {
                match self { $(Self::$family(family) => family.quantile_ns(u),)+ }
            }

            /// Returns the latency that the uniform `u` stands for, in whole nanoseconds.
            #[must_use]
            #[inline]
            #[expect(clippy::cast_possible_truncation, reason = "the spec bounds the mean, and a cast saturates")]
            pub fn sample_ns(&self, u: f64) -> Nanos {
                let latency_ns = match self { $(Self::$family(family) => family.draw_ns(u),)+ };
                latency_ns.round().max(0.0) as Nanos
            }
        }
    };
}

families! {
    "constant" => constant::Constant,
    "gamma" => gamma::Gamma,
    "lognormal" => lognormal::Lognormal,
    "pareto" => pareto::Pareto,
}

impl LatencyModel {
    /// Builds a model.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] names the key, what was found and what is allowed.
    pub fn build(spec: &LatencySpec) -> Result<Self> {
        spec.check()?;
        let model = Self::family(spec)?;
        // Nothing above the floor: every family is the constant.
        if spec.mean_ns > spec.floor_ns {
            Ok(model)
        } else {
            Ok(Self::Constant(Family::new(spec)))
        }
    }

    /// Returns the latency if it is the same for every message.
    #[must_use]
    pub fn is_constant(&self) -> Option<Nanos> {
        matches!(self, Self::Constant(_)).then(|| self.sample_ns(0.5))
    }
}

#[cfg(test)]
mod tests;
