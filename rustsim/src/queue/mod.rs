//! `QueueDecay`: how the volume ahead of a resting order shrinks when lots of its level are cancelled.
//!
//! A model answers one question: the probability that a cancel is ahead, given `a` lots ahead and `b` behind. What follows from the answer
//! (feasible range, expected or sampled mode) is the same for all models and lives here.
//! To add a model: a file with its formula, and one line in the table below.

mod reaction;
mod sizes;

pub use reaction::Reaction;
pub use sizes::Sizes;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::{AHEAD_ONE, AHEAD_SHIFT};

/// How the probability becomes a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The expected part of every cancel is ahead (fractions of a lot are kept).
    #[default]
    Expected,
    /// Each cancel falls ahead or behind by a draw.
    Sampled,
}

/// Queue model as a study describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSpec {
    /// One of [`QueueDecay::NAMES`].
    pub model: String,
    /// Exponent of the power models.
    pub n: f64,
    /// Intercept of the odds models.
    pub alpha: f64,
    /// Slope of the odds models.
    pub beta: f64,
    /// What a known size behind adds to the log-odds of `odds_size`.
    pub gamma: f64,
    /// Expected or sampled.
    pub mode: Mode,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            model: "uniform".into(),
            n: 2.0,
            alpha: 0.0,
            beta: 1.0,
            gamma: 0.0,
            mode: Mode::Expected,
        }
    }
}

/// A cancel at a level where an own order rests; lots in 1/2^20.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cancel {
    /// Market lots ahead of the order.
    pub ahead: i64,
    /// Lots of the level before the cancel.
    pub level: i64,
    /// Lots that left.
    pub cancelled: i64,
    /// Whether an order of this size is known to be behind, for models that read sizes.
    pub is_size_behind: bool,
    /// What others make of our orders at the level.
    pub reaction: Reaction,
}

/// One model: the formula for a level with lots on both sides of the order.
trait Decay: Sized {
    /// Whether it asks for sizes known to be behind.
    const READS_SIZES: bool = false;
    /// Builds the model from a spec that names it; refuses parameters out of range.
    fn new(spec: &QueueSpec) -> Result<Self>;
    /// Returns the probability that a cancel is ahead, for `ahead > 0` and `behind > 0`.
    fn probability_ahead(self, ahead: f64, behind: f64) -> f64;
    /// The same, told whether an order of the cancel's size is known to be behind.
    #[inline]
    fn probability_of_size(self, ahead: f64, behind: f64, _is_size_behind: bool) -> f64 {
        self.probability_ahead(ahead, behind)
    }
}

macro_rules! models {
    ($($name:literal => $module:ident::$model:ident,)+) => {
        $(mod $module;)+

        /// Where cancels fall; each variant is a file of this folder.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum QueueDecay {
            $(#[doc = concat!("The model `", $name, "`.")] $model($module::$model),)+
        }

        impl QueueDecay {
            /// Names of all models, as they are written in a spec.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Builds the model that a spec names.
            ///
            /// # Errors
            ///
            /// [`Error::Spec`] for an unknown name or a parameter outside of its range.
            pub fn build(spec: &QueueSpec) -> Result<Self> {
                match spec.model.as_str() {
                    $($name => Ok(Self::$model(Decay::new(spec)?)),)+
                    other => Err(Error::Spec(format!(
                        "queue.model: unknown model {other:?}; known: {}",
                        Self::NAMES.join(", ")
                    ))),
                }
            }

            /// Returns whether it asks for the sizes known to be behind ([`Sizes`]).
            #[must_use]
            pub fn reads_sizes(self) -> bool {
                match self { $(Self::$model(_) => <$module::$model as Decay>::READS_SIZES,)+ }
            }

            #[inline]
            fn formula(self, ahead: f64, behind: f64, is_size_behind: bool) -> f64 {
                match self {
                    $(Self::$model(model) => model.probability_of_size(ahead, behind, is_size_behind),)+
                }
            }
        }
    };
}

models! {
    "back" => back::Back,
    "front" => front::Front,
    "uniform" => uniform::Uniform,
    "power" => power::Power,
    "power2" => power2::Power2,
    "power3" => power3::Power3,
    "log" => log::Log,
    "log2" => log2::Log2,
    "odds" => odds::Odds,
    "odds_size" => odds_size::OddsSize,
    "l3" => l3::L3,
}

impl QueueDecay {
    /// Returns the probability that a cancel is ahead, given lots ahead and behind, and whether an order of its size is known to be behind.
    ///
    /// 0 if nothing is ahead, 1 if nothing is behind, whatever the model.
    #[must_use]
    pub fn probability_ahead(self, ahead: f64, behind: f64, is_size_behind: bool) -> f64 {
        if ahead <= 0.0 {
            return 0.0;
        }
        if behind <= 0.0 {
            return 1.0;
        }
        self.formula(ahead, behind, is_size_behind)
    }

    /// Returns how much of a cancel comes off what is ahead, in 1/2^20 lot.
    ///
    /// `uniform` is the draw of the sampled mode, asked for only when that mode needs one.
    #[must_use]
    pub fn part_ahead(self, mode: Mode, cancel: Cancel, uniform: impl FnOnce() -> f64) -> i64 {
        let Cancel {
            ahead,
            level,
            cancelled,
            is_size_behind,
            reaction,
        } = cancel;
        debug_assert!(ahead <= level, "ahead {ahead} exceeds its level {level}");
        debug_assert!(
            cancelled <= level,
            "cancel {cancelled} exceeds its level {level}"
        );
        let behind = level - ahead;
        let least = (cancelled - behind).max(0);
        let most = ahead.min(cancelled);
        if least == most {
            return least;
        }
        let (a, b) = (units_to_lots(ahead), units_to_lots(behind));
        let probability = reaction.apply(self.probability_ahead(a, b, is_size_behind));
        match mode {
            Mode::Expected => {
                lots_to_units(probability * units_to_lots(cancelled)).clamp(least, most)
            }
            Mode::Sampled if uniform() < probability => most,
            Mode::Sampled => least,
        }
    }
}

fn check_range(key: &str, value: f64, low: f64, high: f64) -> Result<f64> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Spec(format!(
            "queue.{key}: expected {low:?} to {high:?}, found {value}"
        )))
    }
}

/// Returns lots for 1/2^20 lots.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "queue positions stay far below 2^53 units"
)]
pub fn units_to_lots(units: i64) -> f64 {
    units as f64 / AHEAD_ONE as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "bounded by a level size in i32 lots"
)]
fn lots_to_units(lots: f64) -> i64 {
    libm::floor(lots * (1_i64 << AHEAD_SHIFT) as f64 + 0.5) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, parameters: &[f64]) -> QueueDecay {
        let mut spec = QueueSpec {
            model: name.into(),
            ..QueueSpec::default()
        };
        match *parameters {
            [n] => spec.n = n,
            [alpha, beta] => (spec.alpha, spec.beta) = (alpha, beta),
            [alpha, beta, gamma] => {
                (spec.alpha, spec.beta, spec.gamma) = (alpha, beta, gamma);
            }
            _ => {}
        }
        QueueDecay::build(&spec).expect("a known model")
    }

    fn cancel_of(ahead: i64, behind: i64, cancelled: i64) -> Cancel {
        Cancel {
            ahead: ahead * AHEAD_ONE,
            level: (ahead + behind) * AHEAD_ONE,
            cancelled: cancelled * AHEAD_ONE,
            is_size_behind: false,
            reaction: Reaction::NONE,
        }
    }

    fn moved(model: QueueDecay, ahead: i64, behind: i64, cancel: i64) -> f64 {
        units_to_lots(
            model.part_ahead(Mode::Expected, cancel_of(ahead, behind, cancel), || {
                unreachable!("expected mode draws nothing")
            }),
        )
    }

    #[test]
    fn worked_example_of_the_family() {
        // a = 70, b = 50, c = 24.
        let cases = [
            (model("back", &[]), 0.0, 0.0),
            (model("uniform", &[]), 0.583_333, 14.0),
            (model("power", &[2.0]), 0.662_162, 15.891_89),
            (model("power", &[3.0]), 0.732_906, 17.589_74),
            (model("power2", &[2.0]), 0.826_389, 19.833_33),
            (model("power3", &[3.0]), 0.198_495, 4.763_89),
            (model("log", &[]), 0.520_188, 12.484_50),
            (model("log2", &[]), 0.180_151, 4.323_62),
            (model("odds", &[-1.81, 0.59]), 0.166_383, 3.993_19),
            (
                model("odds_size", &[-1.81, 0.59, -2.0]),
                0.166_383,
                3.993_19,
            ),
        ];
        for (model, probability, part) in cases {
            assert!(
                (model.probability_ahead(70.0, 50.0, false) - probability).abs() < 1e-6,
                "{model:?}"
            );
            assert!((moved(model, 70, 50, 24) - part).abs() < 1e-5, "{model:?}");
        }
    }

    #[test]
    fn a_size_known_to_be_behind_moves_the_odds_of_odds_size_only() {
        for name in QueueDecay::NAMES {
            let model = model(name, &[-1.81, 0.59, -2.0]);
            let change = model.probability_ahead(70.0, 50.0, true)
                - model.probability_ahead(70.0, 50.0, false);
            assert_eq!(change != 0.0, model.reads_sizes(), "{name}");
        }
        let model = model("odds_size", &[-1.81, 0.59, -2.0]);
        assert!((model.probability_ahead(70.0, 50.0, true) - 0.026_301).abs() < 1e-6);
        assert!(model.probability_ahead(0.0, 50.0, false) <= 0.0);
        assert!(model.probability_ahead(70.0, 0.0, true) >= 1.0);
    }

    #[test]
    fn every_model_stays_in_the_feasible_range() {
        for name in QueueDecay::NAMES {
            let part = moved(model(name, &[]), 56, 40, 80);
            assert!((40.0..=56.0).contains(&part), "{name} removed {part}");
        }
        assert!((moved(model("back", &[]), 56, 40, 80) - 40.0).abs() < 1e-12);
        assert!((moved(model("front", &[]), 56, 40, 80) - 56.0).abs() < 1e-12);
    }

    #[test]
    fn back_and_front_bound_every_model() {
        for name in QueueDecay::NAMES {
            for (ahead, behind) in [(1, 1), (1, 300), (300, 1), (70, 50)] {
                let part = |name: &str| moved(model(name, &[]), ahead, behind, 1);
                assert!(part("back") <= part(name), "{name} at {ahead}, {behind}");
                assert!(part(name) <= part("front"), "{name} at {ahead}, {behind}");
            }
        }
    }

    #[test]
    fn wrong_specs_are_refused() {
        for (name, n, alpha, beta) in [
            ("middle", 2.0, 0.0, 1.0),
            ("power", 0.0, 0.0, 1.0),
            ("power2", 65.0, 0.0, 1.0),
            ("power3", 0.5, 0.0, 1.0),
            ("power", f64::NAN, 0.0, 1.0),
            ("odds", 2.0, 51.0, 1.0),
            ("odds", 2.0, 0.0, -0.1),
            ("odds_size", 2.0, -50.1, 1.0),
        ] {
            let spec = QueueSpec {
                model: name.into(),
                n,
                alpha,
                beta,
                ..QueueSpec::default()
            };
            assert!(QueueDecay::build(&spec).is_err(), "{spec:?}");
        }
    }

    #[test]
    fn sampled_mode_takes_one_of_the_ends() {
        let cancel = cancel_of(70, 50, 24);
        assert_eq!(
            model("uniform", &[]).part_ahead(Mode::Sampled, cancel, || 0.58),
            cancel.cancelled
        );
        assert_eq!(
            model("uniform", &[]).part_ahead(Mode::Sampled, cancel, || 0.59),
            0
        );
    }
}
