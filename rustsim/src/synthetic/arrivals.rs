//! When something happens, and whether it is a market order: two Hawkes processes that feed each other.
//!
//! Intensity of market orders `m + a`, of all other events `o + b`; `a` and `b` decay exponentially, each at its own rate. A market order
//! raises `a` by `trade_burstiness * decay(a)` and `b` by `answers * decay(b)`; any other event raises `b` by `burstiness * decay(b)`. The
//! base rates `m` and `o` are set so that the mean rates come out as asked. Simulated by thinning (Ogata 1981), which is exact because
//! intensities only fall between events.

use super::options::SyntheticOptions;
use super::stream::{Part, Stream};

/// Other events that follow a market order because of it, on average.
const ANSWERS: f64 = 3.0;
/// Time constant of a cluster of other events, in their mean gaps.
const CLUSTER_GAPS: f64 = 1.5;
/// Time constant of a cluster of market orders, in their mean gaps.
const CLUSTER_GAPS_MARKET: f64 = 0.15;

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
    decay_market: f64,
    decay_other: f64,
    // What one event adds to an intensity.
    lift_market: f64,
    lift_other: f64,
    lift_answers: f64,
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
        let decay_market = market / CLUSTER_GAPS_MARKET;
        let decay_other = other / CLUSTER_GAPS;
        Self {
            stream: Stream::new(options.seed, Part::Times),
            base_market: market * (1.0 - options.trade_burstiness),
            base_other: free - answers * market,
            raised_market: 0.0,
            raised_other: 0.0,
            decay_market,
            decay_other,
            lift_market: options.trade_burstiness * decay_market,
            lift_other: options.burstiness * decay_other,
            lift_answers: answers * decay_other,
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
            self.raised_market *= libm::exp(-self.decay_market * step);
            self.raised_other *= libm::exp(-self.decay_other * step);
            let at = self.stream.next() * bound;
            if at >= self.total() {
                continue;
            }
            let gap_ns = (waited * 1e9).clamp(1.0, 1e17) as i64;
            if at < self.base_market + self.raised_market {
                self.raised_market += self.lift_market;
                self.raised_other += self.lift_answers;
                return (gap_ns, Arrival::Market);
            }
            self.raised_other += self.lift_other;
            return (gap_ns, Arrival::Other);
        }
    }

    fn total(&self) -> f64 {
        self.base_market + self.raised_market + self.base_other + self.raised_other
    }
}
