//! When something happens, and whether it is a market order: two Hawkes processes that feed each other.
//!
//! Intensity of market orders `m + a`, of all other events `o + b`; `a` and `b` decay exponentially, each at its own rate. A market order
//! raises `a` by `trade_burstiness * decay(a)` and `b` by `answers * decay(b)`; any other event raises `b` by `burstiness * decay(b)`. The
//! base rates `m` and `o` are set so that the mean rates come out as asked. Simulated by thinning (Ogata 1981), which is exact because
//! intensities only fall between events.
//!
//! `a` and `b` may be sums of several parts of equal weight, each decaying ten times faster than the one before: the kernel is then close
//! to a power law, and gaps spread over as many decades as there are parts.

use super::options::SyntheticOptions;
use super::stream::{Part, Stream};

/// Other events that follow a market order because of it, on average.
const ANSWERS: f64 = 3.0;
/// How much faster each part of a kernel decays than the one before.
const SCALE_RATIO: f64 = 10.0;

/// The next thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Market,
    Other,
}

/// What past events add to an intensity.
#[derive(Debug)]
struct Raised {
    decays: Vec<f64>,
    parts: Vec<f64>,
}

impl Raised {
    fn new(slowest: f64, scales: u32) -> Self {
        let decays: Vec<f64> = (0..scales)
            .map(|scale| slowest * libm::pow(SCALE_RATIO, f64::from(scale)))
            .collect();
        Self {
            parts: vec![0.0; decays.len()],
            decays,
        }
    }

    fn sum(&self) -> f64 {
        self.parts.iter().sum()
    }

    fn wait(&mut self, step_s: f64) {
        for (part, decay) in self.parts.iter_mut().zip(&self.decays) {
            *part *= libm::exp(-decay * step_s);
        }
    }

    /// Adds an event that has `children` others on average.
    #[expect(clippy::cast_precision_loss, reason = "a few scales")]
    fn lift(&mut self, children: f64) {
        let share = children / self.decays.len() as f64;
        for (part, decay) in self.parts.iter_mut().zip(&self.decays) {
            *part += share * decay;
        }
    }
}

#[derive(Debug)]
pub(super) struct Arrivals {
    stream: Stream,
    base_market: f64,
    base_other: f64,
    raised_market: Raised,
    raised_other: Raised,
    // Events that one event causes, on average.
    children_market: f64,
    children_other: f64,
    answers: f64,
}

impl Arrivals {
    pub(super) fn new(options: &SyntheticOptions) -> Self {
        let rate = 1e6 / options.mean_gap_us;
        let market = rate * options.trade_share;
        let other = rate - market;
        let free = other * (1.0 - options.burstiness);
        // At most half of the other events may be answers, however many market orders there are.
        let answers = if market > 0.0 {
            ANSWERS.min(0.5 * free / market)
        } else {
            0.0
        };
        Self {
            stream: Stream::new(options.seed, Part::Times),
            base_market: market * (1.0 - options.trade_burstiness),
            base_other: free - answers * market,
            raised_market: Raised::new(
                market / options.trade_cluster_gaps,
                options.trade_cluster_scales,
            ),
            raised_other: Raised::new(other / options.cluster_gaps, options.cluster_scales),
            children_market: options.trade_burstiness,
            children_other: options.burstiness,
            answers,
        }
    }

    /// Returns the gap to the next event in nanoseconds, and what it is.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the clamp")]
    pub(super) fn next(&mut self) -> (i64, Arrival) {
        let mut waited = 0.0;
        loop {
            let bound = self.total();
            let step = -libm::log(self.stream.next()) / bound;
            waited += step;
            self.raised_market.wait(step);
            self.raised_other.wait(step);
            let at = self.stream.next() * bound;
            if at >= self.total() {
                continue;
            }
            let gap_ns = (waited * 1e9).clamp(1.0, 1e17) as i64;
            if at < self.base_market + self.raised_market.sum() {
                self.raised_market.lift(self.children_market);
                self.raised_other.lift(self.answers);
                return (gap_ns, Arrival::Market);
            }
            self.raised_other.lift(self.children_other);
            return (gap_ns, Arrival::Other);
        }
    }

    fn total(&self) -> f64 {
        self.base_market + self.raised_market.sum() + self.base_other + self.raised_other.sum()
    }
}
