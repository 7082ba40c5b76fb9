//! QueueDecay: how the volume ahead of a resting order shrinks when lots of its level are cancelled.
//!
//! A model answers one question: the probability that a cancel is ahead, given `a` lots ahead and `b` behind. What follows from the answer
//! (feasible range, expected or sampled mode) is the same for all models and lives here.
//! To add a model: a file with its formula, and one line in the table below.

mod back;
mod front;
mod log;
mod log2;
mod odds;
mod power;
mod power2;
mod power3;
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
    /// One of [`MODEL_NAMES`].
    pub model: String,
    /// Exponent of the power models.
    pub n: f64,
    /// Intercept of `odds`.
    pub alpha: f64,
    /// Slope of `odds`.
    pub beta: f64,
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
            mode: Mode::Expected,
        }
    }
}

/// Names of the built models, for messages.
pub const MODEL_NAMES: [&str; 9] = [
    "back", "front", "uniform", "power", "power2", "power3", "log", "log2", "odds",
];

/// Where cancels fall; each variant is a file of this folder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueDecay {
    /// Everything behind.
    Back,
    /// Everything ahead.
    Front,
    /// Every lot equally likely.
    Uniform,
    /// `a^n / (a^n + b^n)`.
    Power(f64),
    /// `1 - b^n / (a + b)^n`.
    Power2(f64),
    /// `(a / (a + b))^n`.
    Power3(f64),
    /// `1 - ln(1 + b) / (ln(1 + a) + ln(1 + b))`.
    Log,
    /// `1 - ln(1 + b) / ln(1 + a + b)`.
    Log2,
    /// Logistic in `ln(a / b)`: intercept, slope.
    Odds(f64, f64),
}

impl QueueDecay {
    /// Builds the model that a spec names.
    ///
    /// # Errors
    /// `Error::Spec` for an unknown name or a parameter outside of its range.
    pub fn build(spec: &QueueSpec) -> Result<Self> {
        let n = || check_range("n", spec.n, f64::MIN_POSITIVE, 64.0);
        Ok(match spec.model.as_str() {
            "back" => Self::Back,
            "front" => Self::Front,
            "uniform" => Self::Uniform,
            "power" => Self::Power(n()?),
            "power2" => Self::Power2(n()?),
            "power3" => Self::Power3(check_range("n", spec.n, 1.0, 64.0)?),
            "log" => Self::Log,
            "log2" => Self::Log2,
            "odds" => Self::Odds(
                check_range("alpha", spec.alpha, -50.0, 50.0)?,
                check_range("beta", spec.beta, 0.0, 50.0)?,
            ),
            other => {
                let known = MODEL_NAMES.join(", ");
                return Err(Error::Spec(format!(
                    "queue.model: unknown model {other:?}; known: {known}"
                )));
            }
        })
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
            Self::Power2(n) => power2::probability_ahead(ahead, behind, n),
            Self::Power3(n) => power3::probability_ahead(ahead, behind, n),
            Self::Log => log::probability_ahead(ahead, behind),
            Self::Log2 => log2::probability_ahead(ahead, behind),
            Self::Odds(alpha, beta) => odds::probability_ahead(ahead, behind, alpha, beta),
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

fn check_range(key: &str, value: f64, low: f64, high: f64) -> Result<f64> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Spec(format!(
            "queue.{key}: expected {low} to {high}, found {value}"
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
            (QueueDecay::Power2(2.0), 0.826_389, 19.833_33),
            (QueueDecay::Power3(3.0), 0.198_495, 4.763_89),
            (QueueDecay::Log, 0.520_188, 12.484_50),
            (QueueDecay::Log2, 0.180_151, 4.323_62),
            (QueueDecay::Odds(-1.81, 0.59), 0.166_383, 3.993_19),
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
