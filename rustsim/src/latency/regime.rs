//! Regime: calm and stressed stretches, each with its own latencies.
//!
//! A two-state Markov chain over steps of 1/16 of the shorter mean stretch. The uniform `v` of a step decides for both states at once: below
//! `p = step / calm` the venue is stressed from now on, above `1 - q` with `q = step / stressed` it is calm, else it stays what it is. So the
//! state at a step is the word of the last step that had one: a function of time alone, whatever was asked before.
//! Worked number: calm 900 and stressed 100 seconds on average: stressed for 10 % of the time.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::{Purpose, Streams};
use crate::types::Nanos;

const STEPS_PER_STRETCH: Nanos = 16;
const STRETCH_NS_MAX: Nanos = 1_000_000_000_000_000;
/// The longer stretch over the shorter one: a step needs a word about every 16 steps.
const RATIO_MAX: Nanos = 1_000_000;

/// Regimes as they are written in the description of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegimeSpec {
    /// Mean length of a calm stretch.
    pub calm_ns: Nanos,
    /// Mean length of a stressed stretch.
    pub stressed_ns: Nanos,
}

/// The chain, and where it was asked last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regime {
    streams: Streams,
    step_ns: Nanos,
    to_stressed: f64,
    to_calm: f64,
    step: i64,
    is_stressed: bool,
}

impl Regime {
    /// Opens the chain of one replay.
    ///
    /// # Errors
    /// [`Error::Spec`] names the key, what was found and what is allowed.
    pub(crate) fn new(spec: &RegimeSpec, streams: Streams) -> Result<Self> {
        let stretches = [("calm_ns", spec.calm_ns), ("stressed_ns", spec.stressed_ns)];
        for (key, found) in stretches {
            if !(STEPS_PER_STRETCH..=STRETCH_NS_MAX).contains(&found) {
                return Err(Error::Spec(format!(
                    "{key}: found {found}, allowed {STEPS_PER_STRETCH} to {STRETCH_NS_MAX}"
                )));
            }
        }
        let (shorter, longer) = (
            spec.calm_ns.min(spec.stressed_ns),
            spec.calm_ns.max(spec.stressed_ns),
        );
        if longer / shorter > RATIO_MAX {
            return Err(Error::Spec(format!(
                "calm_ns, stressed_ns: one is more than {RATIO_MAX} times the other"
            )));
        }
        let step_ns = shorter / STEPS_PER_STRETCH;
        #[expect(clippy::cast_precision_loss, reason = "a quotient of times")]
        let share = |stretch_ns: Nanos| step_ns as f64 / stretch_ns as f64;
        Ok(Self {
            streams,
            step_ns,
            to_stressed: share(spec.calm_ns),
            to_calm: share(spec.stressed_ns),
            step: i64::MIN,
            is_stressed: false,
        })
    }

    /// Tells whether the venue is stressed at a time; cheap for times that do not fall.
    #[inline]
    pub(crate) fn is_stressed(&mut self, at_ns: Nanos) -> bool {
        let step = at_ns.div_euclid(self.step_ns);
        if step != self.step {
            self.is_stressed = self.look_back(step);
            self.step = step;
        }
        self.is_stressed
    }

    fn look_back(&self, step: i64) -> bool {
        let mut looked = step;
        loop {
            if looked == self.step {
                return self.is_stressed;
            }
            let word = self.streams.uniform(Purpose::Regime, looked, 0);
            if word < self.to_stressed {
                return true;
            }
            if word > 1.0 - self.to_calm {
                return false;
            }
            looked -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regime() -> Regime {
        let spec = RegimeSpec {
            calm_ns: 9_000_000,
            stressed_ns: 1_000_000,
        };
        Regime::new(&spec, Streams::new(5, 0)).unwrap()
    }

    #[test]
    fn it_is_a_function_of_time_alone() {
        let times: Vec<Nanos> = (0..2_000).map(|k| k * 77_777 - 9_000_000).collect();
        let mut forward = regime();
        let ahead: Vec<bool> = times.iter().map(|&t| forward.is_stressed(t)).collect();
        let mut backward = regime();
        let behind: Vec<bool> = times
            .iter()
            .rev()
            .map(|&t| backward.is_stressed(t))
            .collect();
        assert!(ahead.iter().eq(behind.iter().rev()));
        assert!(
            times
                .iter()
                .zip(&ahead)
                .all(|(&t, is)| regime().is_stressed(t) == *is)
        );
    }

    #[test]
    fn stretches_have_their_mean_lengths() {
        let mut regime = regime();
        let states: Vec<bool> = (0..400_000)
            .map(|step| regime.is_stressed(step * 62_500))
            .collect();
        let count = |found: usize| f64::from(u32::try_from(found).unwrap());
        let stressed = count(states.iter().filter(|is| **is).count());
        let turns = count(states.windows(2).filter(|pair| !pair[0] && pair[1]).count());
        let (share, stretch) = (stressed / count(states.len()), stressed / turns);
        assert!((share - 0.1).abs() < 0.01, "{share}");
        assert!((stretch - 16.0).abs() < 1.0, "{stretch} steps");
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for (calm_ns, stressed_ns) in [
            (0, 100),
            (100, 0),
            (-5, 100),
            (15, 100),
            (100, 1_000_000_000_000),
        ] {
            let spec = RegimeSpec {
                calm_ns,
                stressed_ns,
            };
            assert!(matches!(
                Regime::new(&spec, Streams::new(0, 0)),
                Err(Error::Spec(_))
            ));
        }
    }
}
