//! How long messages take: one distribution per kind of message.
//!
//! Most families are given by mean, coefficient of variation and floor: `L = floor + X` with `E[X] = mean - floor` and
//! `sd(X) = cv * (mean - floor)`. A shifted lognormal is given by floor, median and sigma, a measured distribution by a table of quantiles, a
//! distribution with several modes by its modes, recorded latencies by their rows, which draw nothing. Every other family draws by inversion of one uniform, so that a change of parameters moves a
//! draw smoothly. Formulas: simulation-physics 6.1. A new family is one file with a `Family` and one line in the table below.
//!
//! Draws of different messages are independent, unless a [`weather`] joins them; a [`regime`] gives stressed stretches their own model. The
//! order of a session is kept by [`channel::FifoChannel`], load by [`backlog::Backlog`].

pub mod backlog;
pub mod channel;
pub mod normal;
pub mod regime;
pub mod weather;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::Nanos;

/// Largest accepted mean: beyond a minute a replay says nothing about a market, and draws could leave the range of times.
const MEAN_NS_MAX: f64 = 60e9;
/// Accepted coefficients of variation; the numerics of every family are tested on this range.
const CV_RANGE: core::ops::RangeInclusive<f64> = 0.01..=10.0;

/// Accepted factors of measured latencies.
const SCALE_RANGE: core::ops::RangeInclusive<f64> = 1e-6..=1e3;
/// Accepted spread of the logarithm of a delay.
const SIGMA_RANGE: core::ops::RangeInclusive<f64> = 0.01..=5.0;

/// A latency model as it is written in the description of an exchange; a key that its family does not read is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencySpec {
    /// Name of the family.
    pub model: String,
    /// Mean of the whole latency, floor included.
    pub mean_ns: f64,
    /// Standard deviation over mean of the part above the floor; a constant ignores it.
    pub cv: f64,
    /// Added to what the distribution says, so that no message is faster than this; a mean includes it.
    pub floor_ns: f64,
    /// Median of the part above the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_ns: Option<f64>,
    /// Standard deviation of the logarithm of the part above the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// What measured or recorded latencies are multiplied by; 1 if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// File of recorded latencies, see `trace.rs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whose rows of that file these are: `place`, `cancel`, `amend`, `report` or `feed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Rising pairs (probability, latency in nanoseconds) from probability 0 to 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<(f64, f64)>,
    /// Parts of a mixture.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<ModeSpec>,
    /// What holds in stressed stretches, in place of the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stressed: Option<Box<LatencySpec>>,
}

/// One part of a mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeSpec {
    /// Share of the messages that take this part, relative to the other weights.
    pub weight: f64,
    /// How long they take; no mixture itself.
    pub latency: LatencySpec,
}

impl Default for LatencySpec {
    fn default() -> Self {
        Self {
            model: "constant".to_owned(),
            mean_ns: 0.0,
            cv: 0.5,
            floor_ns: 0.0,
            median_ns: None,
            sigma: None,
            scale: None,
            file: None,
            operation: None,
            quantiles: Vec::new(),
            modes: Vec::new(),
            stressed: None,
        }
    }
}

/// What a family is given by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Mean, coefficient of variation and floor.
    Mean,
    /// Floor, median and sigma.
    Median,
    /// A table of quantiles.
    Table,
    /// The parts of a mixture.
    Modes,
    /// Recorded rows.
    Rows,
}

impl LatencySpec {
    /// Checks every number that a family of this shape reads, and that no other is given.
    fn check(&self, shape: Shape) -> Result<()> {
        check_range("mean_ns", self.mean_ns, 0.0..=MEAN_NS_MAX)?;
        check_range("floor_ns", self.floor_ns, 0.0..=MEAN_NS_MAX)?;
        check_range("cv", self.cv, CV_RANGE)?;
        let given = [
            ("mean_ns", self.mean_ns != 0.0, shape == Shape::Mean),
            (
                "scale",
                self.scale.is_some(),
                matches!(shape, Shape::Table | Shape::Rows),
            ),
            ("file", self.file.is_some(), shape == Shape::Rows),
            ("operation", self.operation.is_some(), shape == Shape::Rows),
            (
                "median_ns",
                self.median_ns.is_some(),
                shape == Shape::Median,
            ),
            ("sigma", self.sigma.is_some(), shape == Shape::Median),
            (
                "quantiles",
                !self.quantiles.is_empty(),
                shape == Shape::Table,
            ),
            ("modes", !self.modes.is_empty(), shape == Shape::Modes),
        ];
        if let Some((key, ..)) = given
            .iter()
            .find(|(_, is_given, is_read)| *is_given && !is_read)
        {
            return Err(Error::Spec(format!(
                "{key}: the model {} does not read it",
                self.model
            )));
        }
        if shape == Shape::Mean && self.floor_ns > self.mean_ns {
            return Err(Error::Spec(format!(
                "floor_ns: found {}, allowed at most mean_ns = {}",
                self.floor_ns, self.mean_ns
            )));
        }
        Ok(())
    }

    /// Returns the mean of the part above the floor.
    fn mean_above_ns(&self) -> f64 {
        self.mean_ns - self.floor_ns
    }

    /// Returns the factor of what was measured.
    fn scale(&self) -> Result<f64> {
        let scale = self.scale.unwrap_or(1.0);
        check_range("scale", scale, SCALE_RANGE)?;
        Ok(scale)
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

fn required(key: &str, value: Option<f64>) -> Result<f64> {
    value.ok_or_else(|| Error::Spec(format!("{key}: missing")))
}

/// One family of distributions.
trait Family: Sized {
    /// What it is given by.
    const SHAPE: Shape = Shape::Mean;
    /// Builds the family from a spec whose common numbers are checked; if given by its mean, with `mean > floor`.
    fn new(spec: &LatencySpec) -> Result<Self>;
    /// Returns the latency, floor included, that the uniform `u` in (0, 1) stands for: the quantile, but for a mixture.
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

            fn shape(name: &str) -> Result<Shape> {
                match name {
                    $($name => Ok(<$module::$family as Family>::SHAPE),)+
                    other => Err(Self::unknown(other)),
                }
            }

            fn unknown(name: &str) -> Error {
                Error::Spec(format!("model: found {name:?}, allowed {}", Self::NAMES.join(", ")))
            }

            fn family(spec: &LatencySpec) -> Result<Self> {
                match spec.model.as_str() {
                    $($name => Ok(Self::$family(Family::new(spec)?)),)+
                    other => Err(Self::unknown(other)),
                }
            }

            /// Returns the exact latency in nanoseconds, unrounded, that `u` in (0, 1) stands for: the quantile, but for a mixture.
            #[must_use]
            pub fn quantile_ns(&self, u: f64) -> f64 {
                match self { $(Self::$family(family) => family.quantile_ns(u),)+ }
            }

            #[inline]
            fn draw_ns(&self, u: f64) -> f64 {
                match self { $(Self::$family(family) => family.draw_ns(u),)+ }
            }
        }
    };
}

families! {
    "constant" => constant::Constant,
    "gamma" => gamma::Gamma,
    "lognormal" => lognormal::Lognormal,
    "pareto" => pareto::Pareto,
    "uniform" => uniform::Uniform,
    "shifted_lognormal" => shifted_lognormal::ShiftedLognormal,
    "empirical" => empirical::Empirical,
    "mixture" => mixture::Mixture,
    "trace" => trace::Trace,
}

impl LatencyModel {
    /// Builds the models of calm and of stressed stretches; the second is there if the spec has one.
    ///
    /// # Errors
    ///
    /// As [`LatencyModel::build`].
    pub(crate) fn build_both(spec: &LatencySpec) -> Result<(Self, Option<Self>)> {
        let calm = LatencySpec {
            stressed: None,
            ..spec.clone()
        };
        let stressed = spec.stressed.as_deref().map(Self::build).transpose();
        let stressed = stressed.map_err(|error| Error::Spec(format!("stressed: {error}")))?;
        let calm = Self::build(&calm)?;
        if [Some(&calm), stressed.as_ref()]
            .into_iter()
            .flatten()
            .any(|model| model.trace().is_some() && stressed.is_some())
        {
            return Err(Error::Spec(
                "stressed: recorded latencies have their own stressed stretches, so a trace has no such part and is none"
                    .to_owned(),
            ));
        }
        Ok((calm, stressed))
    }

    /// Builds a model of one stretch.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] names the key, what was found and what is allowed.
    pub fn build(spec: &LatencySpec) -> Result<Self> {
        let shape = Self::shape(&spec.model)?;
        spec.check(shape)?;
        if spec.stressed.is_some() {
            return Err(Error::Spec(
                "stressed: only a kind of message has stretches".to_owned(),
            ));
        }
        // Nothing above the floor: every family is the constant.
        if shape == Shape::Mean && spec.mean_ns <= spec.floor_ns {
            return Ok(Self::Constant(Family::new(spec)?));
        }
        Self::family(spec)
    }

    /// Returns the latency that the uniform `u` stands for, in whole nanoseconds.
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the spec bounds the mean, and a cast saturates"
    )]
    pub fn sample_ns(&self, u: f64) -> Nanos {
        self.draw_ns(u).round().max(0.0) as Nanos
    }

    /// Returns the quantiles of several uniforms; a trace sorts its rows once for all of them.
    #[must_use]
    pub fn quantiles_ns(&self, uniforms: &[f64]) -> Vec<f64> {
        if let Self::Trace(trace) = self {
            return trace.quantiles_ns(uniforms);
        }
        uniforms.iter().map(|&u| self.quantile_ns(u)).collect()
    }

    /// Returns the recorded latencies, if the model is such: they are functions of the time and draw nothing.
    pub(crate) fn trace(&self) -> Option<&trace::Trace> {
        match self {
            Self::Trace(trace) => Some(trace),
            _ => None,
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
