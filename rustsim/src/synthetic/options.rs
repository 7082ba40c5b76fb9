//! What the synthetic market can be asked for.

use crate::error::{Error, Result};
use crate::types::{Nanos, TickIndex};
use serde::Deserialize;

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every change of every level, and every print, at its time.
    L2,
    /// Prints at their time (whole milliseconds), changes of the five best levels a side once per conflation interval.
    FiveLevel,
    /// Every order: add, cancel, execute, with its id.
    L3,
}

/// Options of one synthetic market; every key must be given.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticOptions {
    /// What the rows are.
    pub mode: Mode,
    /// Rows wanted; a message is never cut, so a few more may come.
    pub events: u64,
    /// Seed of all streams.
    pub seed: u64,
    /// Exchange time of the first row.
    pub start_ns: Nanos,
    /// Length of a session; the next one starts 24 hours after the start of this one. 0: one session without end.
    pub session_minutes: u32,
    /// First fair value, in ticks.
    pub mid_ticks: TickIndex,
    /// Mean time between order events.
    pub mean_gap_us: f64,
    /// Share of market orders among order events.
    pub trade_share: f64,
    /// Branching ratio of adds and cancels: 0 Poisson, near 1 long clusters.
    pub burstiness: f64,
    /// Branching ratio of market orders.
    pub trade_burstiness: f64,
    /// Weight of the past in the sign of the next trade.
    pub sign_persistence: f64,
    /// Exponent of the place of a cancel from the back of its queue: 1 uniform, larger nearer to the back.
    pub cancel_back_bias: f64,
    /// Standard deviation of the news in the fair value over one second, in ticks.
    pub volatility_ticks: f64,
    /// Move of the fair value by a trade whose sign was a full surprise, in ticks.
    pub impact_ticks: f64,
    /// Distance from the fair value behind which limit orders are placed, in ticks.
    pub half_spread_ticks: f64,
    /// Lots that makers keep on a level behind the best ones.
    pub level_lots: u32,
    /// Exponent of the sizes of orders.
    pub lots_tail: f64,
    /// Largest order, in lots.
    pub lots_max: u32,
    /// Interval between book images of `FiveLevel`; 0: an image after every order event.
    pub conflate_us: u32,
}

impl SyntheticOptions {
    /// Reads options from JSON and checks them.
    ///
    /// # Errors
    /// [`Error::Spec`] that names the key and its range.
    pub fn from_json(text: &str) -> Result<Self> {
        let options: Self = serde_json::from_str(text)
            .map_err(|fault| Error::Spec(format!("synthetic market: {fault}")))?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        let table = [
            (
                "session_minutes",
                f64::from(self.session_minutes),
                0.0,
                1380.0,
            ),
            ("mid_ticks", f64::from(self.mid_ticks), 1_000.0, 1e8),
            ("mean_gap_us", self.mean_gap_us, 0.01, 1e8),
            ("trade_share", self.trade_share, 0.0, 0.5),
            ("burstiness", self.burstiness, 0.0, 0.95),
            ("trade_burstiness", self.trade_burstiness, 0.0, 0.9),
            ("sign_persistence", self.sign_persistence, 0.0, 0.95),
            ("cancel_back_bias", self.cancel_back_bias, 0.1, 20.0),
            ("volatility_ticks", self.volatility_ticks, 0.0, 1_000.0),
            ("impact_ticks", self.impact_ticks, 0.0, 100.0),
            ("half_spread_ticks", self.half_spread_ticks, 0.5, 100.0),
            ("level_lots", f64::from(self.level_lots), 1.0, 10_000.0),
            ("lots_tail", self.lots_tail, 1.1, 20.0),
            ("lots_max", f64::from(self.lots_max), 1.0, 1_000.0),
            ("conflate_us", f64::from(self.conflate_us), 0.0, 6e7),
        ];
        for (name, value, low, high) in table {
            // NaN fails too.
            if !(value >= low && value <= high) {
                let message =
                    format!("synthetic market: {name} must lie in [{low}, {high}], found {value}");
                return Err(Error::Spec(message));
            }
        }
        if !(1..=1_000_000_000).contains(&self.events) {
            let message = format!(
                "synthetic market: events must lie in [1, 1e9], found {}",
                self.events
            );
            return Err(Error::Spec(message));
        }
        if !(0..4_000_000_000_000_000_000).contains(&self.start_ns) {
            let message = format!(
                "synthetic market: start_ns must lie in [0, 4e18), found {}",
                self.start_ns
            );
            return Err(Error::Spec(message));
        }
        if self.start_ns % 1_000_000 != 0 {
            let message = format!(
                "synthetic market: start_ns must be a whole millisecond, found {}",
                self.start_ns
            );
            return Err(Error::Spec(message));
        }
        if !self.conflate_us.is_multiple_of(1_000) {
            let message = format!(
                "synthetic market: conflate_us must be whole milliseconds, found {}",
                self.conflate_us
            );
            return Err(Error::Spec(message));
        }
        Ok(())
    }
}
