//! When something happens, and whether it is a market order: two Hawkes processes that feed each other.
//!
//! Intensity of market orders `m + a`, of all other events `o + b`; `a` and `b` decay at `decay` per second. A market order raises `a`
//! by `burstiness * decay` and `b` by `answers * decay`; any other event raises `b` by `burstiness * decay`. The base rates `m` and `o`
//! are set so that the mean rates come out as asked. Simulated by thinning (Ogata 1981), exact because intensities only fall between events.

use super::options::SyntheticOptions;
use super::stream::{Part, Stream};

/// Other events that follow a market order because of it, on average.
const ANSWERS: f64 = 3.0;
/// Time constant of a cluster, in mean gaps.
const CLUSTER_GAPS: f64 = 2.5;

/// The next thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Market,
    Other,
}

#[derive(Debug)]
pub(super) struct Arrivals {
    stream: Stream,
    base_market: f64,
    base_other: f64,
    raised_market: f64,
    raised_other: f64,
    decay: f64,
    burstiness: f64,
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
            base_market: market * (1.0 - options.burstiness),
            base_other: free - answers * market,
            raised_market: 0.0,
            raised_other: 0.0,
            decay: rate / CLUSTER_GAPS,
            burstiness: options.burstiness,
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
            let fall = libm::exp(-self.decay * step);
            self.raised_market *= fall;
            self.raised_other *= fall;
            let at = self.stream.next() * bound;
            if at >= self.total() {
                continue;
            }
            let gap_ns = (waited * 1e9).clamp(1.0, 1e17) as i64;
            if at < self.base_market + self.raised_market {
                self.raised_market += self.burstiness * self.decay;
                self.raised_other += self.answers * self.decay;
                return (gap_ns, Arrival::Market);
            }
            self.raised_other += self.burstiness * self.decay;
            return (gap_ns, Arrival::Other);
        }
    }

    fn total(&self) -> f64 {
        self.base_market + self.raised_market + self.base_other + self.raised_other
    }
}
