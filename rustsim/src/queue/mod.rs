//! QueueDecay: how the volume ahead of a resting order shrinks when lots of its level are cancelled.
//!
//! A model answers one question: the probability that a cancel is ahead, given `a` lots ahead and `b` behind. What follows from the answer
//! (feasible range, expected or sampled mode) is the same for all models and lives here.
//! To add a model: a file with its formula, and one line in the table below.

mod back;
mod front;
mod power;
mod uniform;

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
    /// `back`, `front`, `uniform` or `power`.
    pub model: String,
    /// Exponent of `power`.
    pub n: f64,
    /// Expected or sampled.
    pub mode: Mode,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            model: "uniform".into(),
            n: 2.0,
            mode: Mode::Expected,
        }
    }
}

/// Names of the built models, for messages.
pub const MODEL_NAMES: [&str; 4] = ["back", "front", "uniform", "power"];

/// Where cancels fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueDecay {
    /// See [`back`](self).
    Back,
    /// Everything ahead.
    Front,
    /// Every lot equally likely.
    Uniform,
    /// `a^n / (a^n + b^n)`.
    Power(f64),
}

impl QueueDecay {
    /// Builds the model that a spec names.
    ///
    /// # Errors
    /// `Error::Spec` for an unknown name or an exponent that is not in (0, 64].
    pub fn build(spec: &QueueSpec) -> Result<Self> {
        match spec.model.as_str() {
            "back" => Ok(Self::Back),
            "front" => Ok(Self::Front),
            "uniform" => Ok(Self::Uniform),
            "power" if spec.n > 0.0 && spec.n <= 64.0 => Ok(Self::Power(spec.n)),
            "power" => Err(Error::Spec(format!(
                "queue.n: expected a number in (0, 64], found {}",
                spec.n
            ))),
            other => Err(Error::Spec(format!(
                "queue.model: unknown model {other:?}; known: {}",
                MODEL_NAMES.join(", ")
            ))),
        }
    }

    /// Returns the probability that a cancel is ahead, given lots ahead and behind.
    ///
    /// 0 if nothing is ahead, 1 if nothing is behind, whatever the model.
    #[must_use]
    pub fn probability_ahead(self, ahead: f64, behind: f64) -> f64 {
        if ahead <= 0.0 {
            return 0.0;
        }
        if behind <= 0.0 {
            return 1.0;
        }
        match self {
            Self::Back => back::probability_ahead(),
            Self::Front => front::probability_ahead(),
            Self::Uniform => uniform::probability_ahead(ahead, behind),
            Self::Power(n) => power::probability_ahead(ahead, behind, n),
        }
    }

    /// Returns how much of a cancel of `cancelled` lots comes off `ahead` (both in 1/2^20 lot), the level having held `level` before.
    ///
    /// `uniform` is the draw of the sampled mode, asked for only when that mode needs one.
    #[must_use]
    pub fn part_ahead(
        self,
        mode: Mode,
        ahead: i64,
        level: i64,
        cancelled: i64,
        uniform: impl FnOnce() -> f64,
    ) -> i64 {
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
        let probability = self.probability_ahead(units_to_lots(ahead), units_to_lots(behind));
        match mode {
            Mode::Expected => {
                lots_to_units(probability * units_to_lots(cancelled)).clamp(least, most)
            }
            Mode::Sampled if uniform() < probability => most,
            Mode::Sampled => least,
        }
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

    fn moved(model: QueueDecay, ahead: i64, behind: i64, cancel: i64) -> f64 {
        let (a, b, c) = (ahead * AHEAD_ONE, behind * AHEAD_ONE, cancel * AHEAD_ONE);
        units_to_lots(model.part_ahead(Mode::Expected, a, a + b, c, || {
            unreachable!("expected mode draws nothing")
        }))
    }

    #[test]
    fn worked_example_of_the_family() {
        // a = 70, b = 50, c = 24.
        let cases = [
            (QueueDecay::Back, 0.0, 0.0),
            (QueueDecay::Uniform, 0.583_333, 14.0),
            (QueueDecay::Power(2.0), 0.662_162, 15.891_89),
            (QueueDecay::Power(3.0), 0.732_906, 17.589_74),
        ];
        for (model, probability, part) in cases {
            assert!(
                (model.probability_ahead(70.0, 50.0) - probability).abs() < 1e-6,
                "{model:?}"
            );
            assert!((moved(model, 70, 50, 24) - part).abs() < 1e-5, "{model:?}");
        }
    }

    #[test]
    fn every_model_stays_in_the_feasible_range() {
        for model in [
            QueueDecay::Back,
            QueueDecay::Front,
            QueueDecay::Uniform,
            QueueDecay::Power(2.0),
        ] {
            let part = moved(model, 56, 40, 80);
            assert!((40.0..=56.0).contains(&part), "{model:?} removed {part}");
        }
        assert!((moved(QueueDecay::Back, 56, 40, 80) - 40.0).abs() < 1e-12);
        assert!((moved(QueueDecay::Front, 56, 40, 80) - 56.0).abs() < 1e-12);
    }

    #[test]
    fn sampled_mode_takes_one_of_the_ends() {
        let (a, l, c) = (70 * AHEAD_ONE, 120 * AHEAD_ONE, 24 * AHEAD_ONE);
        assert_eq!(
            QueueDecay::Uniform.part_ahead(Mode::Sampled, a, l, c, || 0.58),
            c
        );
        assert_eq!(
            QueueDecay::Uniform.part_ahead(Mode::Sampled, a, l, c, || 0.59),
            0
        );
    }
}
