//! Signs of trades, sizes of orders, and the fair value.

use super::options::SyntheticOptions;
use super::stream::{Part, Stream};
use crate::types::Side;

/// Signs remembered.
const LAGS: usize = 200;
/// Exponent of the lag weights; sets how slowly the correlation of signs decays.
const LAG_DECAY: f64 = 1.3;
/// Share of ordinary events that bring news.
const NEWS_SHARE: f64 = 0.05;
/// The fair value is reflected here, so that prices stay positive.
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
            .map(|lag| libm::pow(lag_f64(lag), -LAG_DECAY))
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

/// Sizes of orders: a discrete Pareto law, drawn from a table.
#[derive(Debug)]
pub(super) struct Sizes {
    stream: Stream,
    // `above[n - 1]` = P(lots > n)
    above: Vec<f64>,
}

impl Sizes {
    pub(super) fn new(options: &SyntheticOptions) -> Self {
        let above = (1..options.lots_max)
            .map(|lots| libm::pow(f64::from(lots + 1), -options.lots_tail))
            .collect();
        Self {
            stream: Stream::new(options.seed, Part::Lots),
            above,
        }
    }

    pub(super) fn next(&mut self) -> i32 {
        let u = self.stream.next();
        let lots = 1 + self.above.iter().take_while(|above| u < **above).count();
        i32::try_from(lots).unwrap_or(i32::MAX)
    }
}

/// The value around which makers quote, in ticks.
#[derive(Debug)]
pub(super) struct Fair {
    stream: Stream,
    pub(super) ticks: f64,
    news_mean_ticks: f64,
    impact_ticks: f64,
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
        if self.ticks < FAIR_FLOOR_TICKS {
            self.ticks = 2.0 * FAIR_FLOOR_TICKS - self.ticks;
        }
    }
}
