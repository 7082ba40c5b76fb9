//! What a survey tells: counts and histograms, named as `data inspect` shows them.

use crate::tape::histogram::Histogram;
use crate::types::Nanos;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bins of the place of a cancel in its queue.
pub(super) const PLACE_BINS: usize = 20;
/// Levels a side whose mean size is measured.
pub(super) const DEPTH_LEVELS: usize = 10;
/// What rows did, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Levels that grew or appeared.
    pub added: u64,
    /// Levels that shrank and still stand.
    pub reduced: u64,
    /// Levels that became empty.
    pub emptied: u64,
    /// Levels that left the window.
    pub out_of_view: u64,
    /// Level rows that changed nothing.
    pub unchanged: u64,
    /// Prints.
    pub trades: u64,
    /// Wipes of the book.
    pub clears: u64,
}

/// All rows by kind, auction data included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    /// Rows that set a level.
    pub level: u64,
    /// Prints.
    pub trade: u64,
    /// Wipes of the book.
    pub clear: u64,
}

/// Where prints fell, against the best prices at the start of their group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prints {
    /// Hit bids.
    pub bid: u64,
    /// Hit asks.
    pub ask: u64,
    /// Lots of all.
    pub lots: u64,
    /// At the best price of the side that was hit.
    pub at_best: u64,
    /// At a worse price: went through the best.
    pub through: u64,
    /// At a better price, up to the other side's best.
    pub inside: u64,
    /// At or beyond the other side's best.
    pub other_side: u64,
    /// While the side that was hit showed nothing.
    pub no_quote: u64,
}

/// What joins tell about queues.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Queues {
    /// Cancels whose order and place are known, in company of others.
    pub cancels_placed: u64,
    /// Cancels of an order that stood alone: its place says nothing.
    pub cancels_alone: u64,
    /// Cancels without a join, or whose order is not in its queue.
    pub cancels_unknown: u64,
    /// Placed cancels by the share of the other lots that stood behind them: bin 0 is the back of the queue.
    pub place_from_back: [u64; PLACE_BINS],
    /// Sum of these shares.
    pub place_sum: f64,
    /// Placed cancels of the very last order.
    pub last: u64,
    /// Placed cancels of the very first order.
    pub first: u64,
    /// Prints that took the first order of their queue.
    pub prints_first: u64,
    /// Prints that took another order.
    pub prints_not_first: u64,
    /// Prints without a join, or whose order is not in its queue.
    pub prints_unknown: u64,
    /// Orders in the queues at the best prices.
    pub orders_at_best: Histogram,
}

/// One stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeBin {
    /// Start.
    pub start_ns: Nanos,
    /// Rows in it.
    pub rows: u64,
    /// Prints in trading time.
    pub trades: u64,
    /// Their lots.
    pub lots: u64,
    /// Twice the last mid, if both sides stood.
    pub mid2: Option<i64>,
}

/// Everything measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// All rows.
    pub rows: u64,
    /// Rows of trading time.
    pub trading_rows: u64,
    /// Rows that are part of an image.
    pub image_rows: u64,
    /// Rows right after lost data.
    pub gap_rows: u64,
    /// Runs of rows of equal exchange time.
    pub groups: u64,
    /// Those with rows of trading time.
    pub trading_groups: u64,
    /// Those after which both sides stood.
    pub two_sided_groups: u64,
    /// Those after which the best bid stood above the best ask.
    pub crossed_groups: u64,
    /// Those after which the best prices were equal.
    pub locked_groups: u64,
    /// Time of the first crossed group.
    pub crossed_first_ns: Option<Nanos>,
    /// Those that changed a best price.
    pub best_change_groups: u64,
    /// All rows by kind.
    pub kinds: Kinds,
    /// What rows of trading time did.
    pub mix: Mix,
    /// Where prints fell.
    pub prints: Prints,
    /// What joins tell.
    pub queues: Queues,
    /// Whether any row carries a join.
    pub has_joins: bool,
    /// Exchange time of the first row.
    pub first_ns: Nanos,
    /// Exchange time of the last row.
    pub last_ns: Nanos,
    /// Largest number that divides every exchange time.
    pub time_step_ns: u64,
    /// Lowest price of level rows and prints.
    pub price_min: Option<i32>,
    /// Highest one.
    pub price_max: Option<i32>,
    /// Rows per group.
    pub group_rows: Histogram,
    /// Nanoseconds between groups of trading time that follow each other.
    pub gaps_ns: Histogram,
    /// Nanoseconds between groups with level rows, per millisecond; the last bin holds all longer ones.
    pub level_gaps_ms: BTreeMap<i64, u64>,
    /// Longest gaps: start and length in nanoseconds.
    pub longest_gaps: Vec<(Nanos, i64)>,
    /// Spread in ticks, counted by microseconds for which it stood.
    pub spread_us: Histogram,
    /// Lots at a best price after a group.
    pub best_lots: Histogram,
    /// Levels that a side shows after a group.
    pub levels: Histogram,
    /// Sum of lots by level, both sides; with `depth_samples` the mean.
    pub depth_lots: [u64; DEPTH_LEVELS],
    /// Sides looked at.
    pub depth_samples: u64,
    /// Lots of a print.
    pub trade_lots: Histogram,
    /// Local clock less exchange clock.
    pub delay_ns: Histogram,
    /// Rows whose local time is before that of the row above.
    pub local_falls: u64,
    /// Stretches of time with rows.
    pub bins: Vec<TimeBin>,
}
