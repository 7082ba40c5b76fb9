//! Weather: latencies that are high together, because the moment is bad and not the message.
//!
//! Independent draws are wrong in stretches of slow minutes. Here a stationary AR(1) process `z` runs over time and a draw's own normal is
//! mixed with it: a message with the uniform `u` at time `t` takes the quantile of `Phi(sqrt(w) z(t) + sqrt(1 - w) Phi^-1(u))`. The
//! distribution of a single latency stays what it is for every weight `w`; with `w = 1` all messages of a moment share one fate.
//!
//! `z` steps 16 times per correlation time `tau`: `z(k) = phi z(k-1) + sqrt(1 - phi^2) e(k)` with `phi = exp(-1/16)` and `e` from the stream
//! of the weather at step `k`, constant within a step. So that it is a function of time alone, however it is asked, every block of 4,096
//! steps starts anew 640 steps (40 `tau`) ahead of itself, from `z = e`; what is left of that start is `e^-40`.
//! Worked number: steps that lie `tau` apart have the correlation `phi^16 = e^-1 = 0.368`.
//!
//! Known limits: one weather for all kinds of messages; it does not know the market (for that see [`super::backlog`]).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::{Purpose, Streams};
use crate::types::Nanos;

use super::{check_range, normal};

/// Steps in one correlation time.
const STEPS_PER_TAU: Nanos = 16;
const BLOCK_STEPS: i64 = 4_096;
const WARM_UP_STEPS: i64 = 640;
const TAU_NS_MAX: Nanos = 1_000_000_000_000_000;

/// Weather as it is written in the description of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeatherSpec {
    /// Correlation time.
    pub tau_ns: Nanos,
    /// Share of the variance of a draw that is the weather's.
    pub weight: f64,
}

/// The process, and where it was asked last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    streams: Streams,
    step_ns: Nanos,
    phi: f64,
    noise: f64,
    /// Square roots of the weights of the weather and of the message.
    shares: (f64, f64),
    step: i64,
    z: f64,
}

impl Weather {
    /// Opens the weather of one replay.
    ///
    /// # Errors
    /// [`Error::Spec`] names the key, what was found and what is allowed.
    pub(crate) fn new(spec: &WeatherSpec, streams: Streams) -> Result<Self> {
        if !(STEPS_PER_TAU..=TAU_NS_MAX).contains(&spec.tau_ns) {
            return Err(Error::Spec(format!(
                "tau_ns: found {}, allowed {STEPS_PER_TAU} to {TAU_NS_MAX}",
                spec.tau_ns
            )));
        }
        check_range("weight", spec.weight, 0.0..=1.0)?;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let phi = libm::exp(-1.0 / STEPS_PER_TAU as f64);
        Ok(Self {
            streams,
            step_ns: spec.tau_ns / STEPS_PER_TAU,
            phi,
            noise: libm::sqrt(1.0 - phi * phi),
            shares: (libm::sqrt(spec.weight), libm::sqrt(1.0 - spec.weight)),
            step: i64::MIN,
            z: 0.0,
        })
    }

    /// Returns the uniform that a message at `at_ns` takes instead of its own.
    #[inline]
    pub(crate) fn blend(&mut self, at_ns: Nanos, u: f64) -> f64 {
        let z = self.shares.0 * self.z_at(at_ns) + self.shares.1 * normal::quantile(u);
        // A normal this far out rounds to an end of the interval, where quantiles have no value.
        normal::cdf(z).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON / 2.0)
    }

    /// Returns the process at a time; cheap for times that do not fall.
    fn z_at(&mut self, at_ns: Nanos) -> f64 {
        let step = at_ns.div_euclid(self.step_ns);
        let block = step.div_euclid(BLOCK_STEPS);
        if self.step > step || self.step.div_euclid(BLOCK_STEPS) != block {
            self.step = block * BLOCK_STEPS - WARM_UP_STEPS;
            self.z = self.innovation(self.step);
        }
        while self.step < step {
            self.step += 1;
            self.z = self.phi * self.z + self.noise * self.innovation(self.step);
        }
        self.z
    }

    fn innovation(&self, step: i64) -> f64 {
        normal::quantile(self.streams.uniform(Purpose::Weather, step, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weather(weight: f64) -> Weather {
        let spec = WeatherSpec {
            tau_ns: 1_600,
            weight,
        };
        Weather::new(&spec, Streams::new(3, 0)).unwrap()
    }

    #[test]
    fn it_is_a_function_of_time_alone() {
        let mut forward = weather(1.0);
        let times: Vec<Nanos> = (0..3_000).map(|k| k * 777 - 500_000).collect();
        let ahead: Vec<u64> = times.iter().map(|&t| forward.z_at(t).to_bits()).collect();
        let mut backward = weather(1.0);
        let behind: Vec<u64> = times
            .iter()
            .rev()
            .map(|&t| backward.z_at(t).to_bits())
            .collect();
        assert!(ahead.iter().eq(behind.iter().rev()));
        assert!(
            times
                .iter()
                .zip(&ahead)
                .all(|(&t, z)| weather(1.0).z_at(t).to_bits() == *z)
        );
    }

    #[test]
    fn it_is_standard_normal_and_forgets_in_tau() {
        let mut weather = weather(1.0);
        let z: Vec<f64> = (0..400_000).map(|step| weather.z_at(step * 100)).collect();
        let count = f64::from(u32::try_from(z.len()).unwrap());
        let mean = z.iter().sum::<f64>() / count;
        let variance = z.iter().map(|z| z * z).sum::<f64>() / count;
        let lagged = z.iter().zip(&z[16..]).map(|(a, b)| a * b).sum::<f64>() / count;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        assert!(
            (lagged / variance - 0.368).abs() < 0.03,
            "{}",
            lagged / variance
        );
    }

    #[test]
    fn a_blend_keeps_the_distribution_and_follows_the_weight() {
        let streams = Streams::new(9, 0);
        for weight in [0.0, 0.3, 1.0] {
            let mut weather = weather(weight);
            let count = 100_000_i32;
            let mut below = 0;
            for message in 0..i64::from(count) {
                let u = streams.uniform(Purpose::Place, message, 0);
                let blended = weather.blend(message * 1_000, u);
                below += i32::from(blended < 0.9);
                if weight == 0.0 {
                    assert!((blended - u).abs() < 1e-9, "{blended} {u}");
                }
            }
            let share = f64::from(below) / f64::from(count);
            assert!((share - 0.9).abs() < 0.015, "weight {weight}: {share}");
        }
        let mut shared = weather(1.0);
        assert_eq!(
            shared.blend(5, 0.1).to_bits(),
            shared.blend(5, 0.9).to_bits()
        );
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for (tau_ns, weight) in [
            (0, 0.5),
            (15, 0.5),
            (1_600, -0.1),
            (1_600, 1.1),
            (1_600, f64::NAN),
        ] {
            let spec = WeatherSpec { tau_ns, weight };
            assert!(matches!(
                Weather::new(&spec, Streams::new(0, 0)),
                Err(Error::Spec(_))
            ));
        }
    }
}
