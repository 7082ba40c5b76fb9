//! Signs of trades, sizes of orders, and the fair value.

use super::options::{LotsTable, SyntheticOptions};
use super::stream::{Part, Stream};
use crate::types::Side;

/// Signs remembered.
const LAGS: usize = 200;
/// Share of market orders that are two draws of size together: they are larger than limit orders.
const MARKET_TWICE_SHARE: f64 = 0.4;
/// Share of ordinary events that bring news.
const NEWS_SHARE: f64 = 0.05;
/// The fair value is reflected here or higher, so that prices of all levels stay positive.
const FAIR_FLOOR_TICKS: f64 = 200.0;

/// Signs with a long memory: `P(buy) = (1 + E) / 2`, `E = persistence * sum of weight(k) * sign(k trades ago)`.
#[derive(Debug)]
pub(super) struct Signs {
    stream: Stream,
    weights: Vec<f64>,
    // Newest last; as long as `weights`.
    past: Vec<f64>,
}

impl Signs {
    pub(super) fn new(options: &SyntheticOptions) -> Self {
        let raw: Vec<f64> = (1..=LAGS)
            .map(|lag| libm::pow(lag_f64(lag), -options.sign_decay))
            .collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw
            .iter()
            .map(|weight| options.sign_persistence * weight / sum)
            .collect();
        Self {
            stream: Stream::new(options.seed, Part::Signs),
            weights,
            past: vec![0.0; LAGS],
        }
    }

    /// Returns the side of the aggressor, and how much of its sign was a surprise (signed, between -2 and 2).
    pub(super) fn next(&mut self) -> (Side, f64) {
        let expected: f64 = self
            .past
            .iter()
            .rev()
            .zip(&self.weights)
            .map(|(sign, weight)| sign * weight)
            .sum();
        let sign = if self.stream.next() < 0.5 * (1.0 + expected) {
            1.0
        } else {
            -1.0
        };
        self.past.rotate_left(1);
        self.past[LAGS - 1] = sign;
        (
            if sign > 0.0 { Side::Bid } else { Side::Ask },
            sign - expected,
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a lag is a small integer")]
fn lag_f64(lag: usize) -> f64 {
    lag as f64
}

/// A law of sizes, drawn from a table.
#[derive(Debug)]
struct Law {
    // Sizes, and the chance of a larger one than each but the last.
    lots: Vec<i32>,
    above: Vec<f64>,
}

impl Law {
    /// Discrete Pareto: `P(lots >= n) = n^-tail`.
    fn pareto(tail: f64, lots_max: u32) -> Self {
        let above = (1..lots_max)
            .map(|lots| libm::pow(f64::from(lots + 1), -tail))
            .collect();
        let lots = (1..=lots_max)
            .map(|lots| i32::try_from(lots).unwrap_or(i32::MAX))
            .collect();
        Self { lots, above }
    }

    /// Sizes with the chances that a recording gave them.
    fn measured(table: &LotsTable) -> Self {
        let sum: f64 = table.entries().iter().map(|entry| entry.1).sum();
        let mut left = sum;
        let mut above: Vec<f64> = Vec::with_capacity(table.entries().len());
        for (_, share) in table.entries() {
            left -= share;
            above.push(left / sum);
        }
        above.pop();
        Self {
            lots: table.entries().iter().map(|entry| entry.0).collect(),
            above,
        }
    }

    fn at(&self, u: f64) -> i32 {
        self.lots[self.above.iter().take_while(|above| u < **above).count()]
    }

    fn mean(&self) -> f64 {
        let mut mean = f64::from(self.lots[0]);
        for (pair, above) in self.lots.windows(2).zip(&self.above) {
            mean += f64::from(pair[1] - pair[0]) * above;
        }
        mean
    }
}

/// Sizes of orders.
#[derive(Debug)]
pub(super) struct Sizes {
    stream: Stream,
    limit: Law,
    market: Option<Law>,
}

impl Sizes {
    pub(super) fn new(options: &SyntheticOptions) -> Self {
        Self {
            stream: Stream::new(options.seed, Part::Lots),
            limit: if options.limit_lots.entries().is_empty() {
                Law::pareto(options.lots_tail, options.lots_max)
            } else {
                Law::measured(&options.limit_lots)
            },
            market: (!options.market_lots.entries().is_empty())
                .then(|| Law::measured(&options.market_lots)),
        }
    }

    /// Returns the lots of a limit order.
    pub(super) fn limit(&mut self) -> i32 {
        self.limit.at(self.stream.next())
    }

    /// Returns the mean of [`Sizes::limit`].
    pub(super) fn limit_mean(&self) -> f64 {
        self.limit.mean()
    }

    /// Returns the lots of a market order: as measured, else one draw or the sum of two, as `place` decides.
    pub(super) fn market(&mut self, place: &mut Stream) -> i32 {
        if let Some(law) = &self.market {
            return law.at(self.stream.next());
        }
        let first = self.limit();
        if place.next() < MARKET_TWICE_SHARE {
            first + self.limit()
        } else {
            first
        }
    }
}

/// The value around which makers quote, in ticks.
#[derive(Debug)]
pub(super) struct Fair {
    stream: Stream,
    pub(super) ticks: f64,
    news_mean_ticks: f64,
    impact_ticks: f64,
    floor_ticks: f64,
}

impl Fair {
    pub(super) fn new(options: &SyntheticOptions) -> Self {
        // A Laplace move of mean size m has variance 2 m^2, and NEWS_SHARE / gap of them come per second.
        let gap_s = options.mean_gap_us * 1e-6;
        let news_mean_ticks = options.volatility_ticks * libm::sqrt(gap_s / (2.0 * NEWS_SHARE));
        let ticks = f64::from(options.mid_ticks) + 0.5;
        Self {
            stream: Stream::new(options.seed, Part::Fair),
            ticks,
            news_mean_ticks,
            impact_ticks: options.impact_ticks,
            floor_ticks: FAIR_FLOOR_TICKS
                .max(options.half_spread_ticks + f64::from(options.levels) + 10.0),
        }
    }

    /// Moves with the news, if this event brings any.
    pub(super) fn hear_news(&mut self) {
        if self.stream.next() < NEWS_SHARE {
            let u = self.stream.next();
            let size =
                -self.news_mean_ticks * libm::log(if u < 0.5 { 2.0 * u } else { 2.0 * (1.0 - u) });
            self.shift(if u < 0.5 { -size } else { size });
        }
    }

    /// Moves with a trade, by what was unexpected in its sign: expected signs are in the price already.
    pub(super) fn hear_trade(&mut self, surprise: f64) {
        self.shift(self.impact_ticks * surprise);
    }

    fn shift(&mut self, ticks: f64) {
        self.ticks += ticks;
        if self.ticks < self.floor_ticks {
            self.ticks = 2.0 * self.floor_ticks - self.ticks;
        }
    }
}
