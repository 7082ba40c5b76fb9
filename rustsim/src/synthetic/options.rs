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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// Longest time constant of a cluster of adds and cancels, in their mean gaps.
    pub cluster_gaps: f64,
    /// Time constants of such a cluster, each a tenth of the one before.
    pub cluster_scales: u32,
    /// Longest time constant of a cluster of market orders, in their mean gaps.
    pub trade_cluster_gaps: f64,
    /// Time constants of such a cluster, each a tenth of the one before.
    pub trade_cluster_scales: u32,
    /// Weight of the past in the sign of the next trade.
    pub sign_persistence: f64,
    /// Exponent of the weights of past signs: how fast the past is forgotten.
    pub sign_decay: f64,
    /// Exponent of the place of a cancel from the back of its queue: 1 uniform, larger nearer to the back.
    pub cancel_back_bias: f64,
    /// Share of cancels whose order comes back at once, as if amended.
    pub amend_share: f64,
    /// Standard deviation of the news in the fair value over one second, in ticks.
    pub volatility_ticks: f64,
    /// Move of the fair value by a trade whose sign was a full surprise, in ticks.
    pub impact_ticks: f64,
    /// Distance from the fair value behind which limit orders are placed, in ticks.
    pub half_spread_ticks: f64,
    /// Distance from the fair value at which a resting order is stale; negative: beyond it.
    pub stale_ticks: f64,
    /// Share of limit orders that go inside of the spread, where there is room.
    pub inside_share: f64,
    /// Share of limit orders that go where lots are missing; the others go anywhere in proportion to what is wanted there.
    pub refill_share: f64,
    /// Levels that makers keep filled on each side.
    pub levels: u32,
    /// Adds and cancels go with `(1 + level / activity_levels)^-activity_decay`; 0: every order lives as long as any other.
    pub activity_decay: f64,
    /// See `activity_decay`.
    pub activity_levels: f64,
    /// Every so many ticks lies a round price; 0: no price is round.
    pub round_ticks: u32,
    /// How many times as many lots stand at a round price, and how many times as long.
    pub round_lots: f64,
    /// Share of market orders that do not come while they are larger than what stands at the best price.
    pub selective_share: f64,
    /// Lots that makers keep on a level behind the best ones; fewer than an order has: the book has gaps.
    pub level_lots: u32,
    /// Exponent of the sizes of orders.
    pub lots_tail: f64,
    /// Largest order, in lots.
    pub lots_max: u32,
    /// Sizes of limit orders in place of the two above.
    pub limit_lots: LotsTable,
    /// Sizes of market orders; none: one or two draws from those of limit orders.
    pub market_lots: LotsTable,
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
            ("cluster_gaps", self.cluster_gaps, 1e-3, 1e5),
            ("cluster_scales", f64::from(self.cluster_scales), 1.0, 10.0),
            ("trade_cluster_gaps", self.trade_cluster_gaps, 1e-3, 1e5),
            (
                "trade_cluster_scales",
                f64::from(self.trade_cluster_scales),
                1.0,
                10.0,
            ),
            ("sign_decay", self.sign_decay, 0.5, 5.0),
            ("amend_share", self.amend_share, 0.0, 1.0),
            ("stale_ticks", self.stale_ticks, -5.0, 100.0),
            ("inside_share", self.inside_share, 0.0, 1.0),
            ("refill_share", self.refill_share, 0.0, 1.0),
            ("levels", f64::from(self.levels), 2.0, 500.0),
            ("activity_levels", self.activity_levels, 0.01, 1_000.0),
            ("round_ticks", f64::from(self.round_ticks), 0.0, 10_000.0),
            ("round_lots", self.round_lots, 1.0, 100.0),
            ("selective_share", self.selective_share, 0.0, 1.0),
            ("activity_decay", self.activity_decay, 0.0, 5.0),
            ("sign_persistence", self.sign_persistence, 0.0, 0.95),
            ("cancel_back_bias", self.cancel_back_bias, 0.1, 20.0),
            ("volatility_ticks", self.volatility_ticks, 0.0, 1_000.0),
            ("impact_ticks", self.impact_ticks, 0.0, 100.0),
            ("half_spread_ticks", self.half_spread_ticks, 0.0, 100.0),
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
        self.check_times()
    }

    fn check_times(&self) -> Result<()> {
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

/// Sizes and their shares, written `lots:share lots:share ...` with rising lots; an empty text is an empty table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct LotsTable(Vec<(i32, f64)>);

impl LotsTable {
    /// Largest size of an order.
    pub const LOTS_MAX: i32 = 1_000_000;
    /// Most sizes of one table.
    pub const ENTRIES_MAX: usize = 200;

    /// Returns lots and shares, smallest first; the shares need not sum to 1.
    #[must_use]
    pub fn entries(&self) -> &[(i32, f64)] {
        &self.0
    }
}

impl TryFrom<String> for LotsTable {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        let mut entries: Vec<(i32, f64)> = Vec::new();
        for word in text.split_whitespace() {
            let entry = word
                .split_once(':')
                .and_then(|(lots, share)| Some((lots.parse().ok()?, share.parse().ok()?)))
                .filter(|(lots, share)| {
                    (1..=Self::LOTS_MAX).contains(lots) && *share > 0.0 && *share <= 1e6
                });
            let Some(entry) = entry else {
                let form = "lots:share with lots in [1, 1e6] and share in (0, 1e6]";
                return Err(format!("sizes: expected {form}, found {word:?}"));
            };
            if entries.last().is_some_and(|last| last.0 >= entry.0) {
                return Err(format!("sizes: lots must rise, found {word:?}"));
            }
            entries.push(entry);
        }
        if entries.len() > Self::ENTRIES_MAX {
            let most = Self::ENTRIES_MAX;
            return Err(format!(
                "sizes: at most {most} entries, found {}",
                entries.len()
            ));
        }
        Ok(Self(entries))
    }
}
