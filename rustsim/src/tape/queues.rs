//! Looks at rows as queues of orders: how deep the book stands, and from where in their queues orders leave.
//!
//! With joins (level-3 rows) every increase of a level is an order, and every decrease or trade names the one that it takes lots from.
//! Without joins only sizes and prices are known.

use crate::types::{
    FLAG_INDICATIVE, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Nanos, Side, Tick, TickIndex,
};
use std::collections::BTreeMap;

/// Levels a side whose depth is measured.
pub const DEPTH_LEVELS: usize = 10;

/// The best levels after one group in which both sides stand, outside of auction data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Exchange time of the group.
    pub exch_ns: Nanos,
    /// Highest bid and the lots on it.
    pub bid: (TickIndex, i32),
    /// Lowest ask and the lots on it.
    pub ask: (TickIndex, i32),
}

/// Sums over both sides of all groups in [`QueueScan::best`], for one rank of levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// How often a level of this rank stood.
    pub count: u64,
    /// Lots on it.
    pub lots: i64,
    /// Orders on it, of those that joined with a row of their own.
    pub orders: u64,
    /// Ticks between it and the best level.
    pub distance_ticks: i64,
}

/// Why lots came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Change {
    /// A level grew.
    Add = 0,
    /// A level shrank, other than by a trade.
    Cancel = 1,
}

/// One change of a level outside of auction data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelChange {
    /// What happened.
    pub change: Change,
    /// Lots that came or went.
    pub lots: i32,
    /// Ticks from the best price of its side before the row, positive behind it.
    pub distance_ticks: i32,
    /// Orders behind the one that left, and orders of its queue with it; 0 and 0: unknown, or it did not leave whole.
    pub behind: u32,
    /// See `behind`.
    pub orders: u32,
}

/// What a run of rows looks like as queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueScan {
    /// One entry per group of trading time in which both sides stand.
    pub best: Vec<Best>,
    /// By rank from the best level on.
    pub depth: [Depth; DEPTH_LEVELS],
    /// Adds and cancels, in the order of rows.
    pub changes: Vec<LevelChange>,
}

#[derive(Debug, Default)]
struct Level {
    lots: i32,
    // Join ordinal and lots of each order, oldest first.
    orders: Vec<(u32, i32)>,
}

// Levels by rank key: ascending keys are worse prices on both sides.
type Levels = BTreeMap<i64, Level>;

/// Scans rows that are sorted by time; `first_row` is the ordinal of the first one in its tape, to which joins refer.
///
/// Trades take lots from the book only where `trades_take` says that no level row follows them, as in level-3 rows.
#[must_use]
pub fn scan_queues(rows: &[Tick], first_row: u32, trades_take: bool) -> QueueScan {
    let mut scan = QueueScan::default();
    let mut sides = [Levels::new(), Levels::new()];
    let mut ordinal = first_row;
    for group in rows.chunk_by(|a, b| a.exch_ns == b.exch_ns) {
        for row in group {
            ordinal += 1;
            let change = apply(&mut sides, row, ordinal, trades_take);
            if row.flags & FLAG_INDICATIVE == 0 {
                scan.changes.extend(change);
            }
        }
        if group.iter().any(|row| row.flags & FLAG_INDICATIVE == 0) {
            measure(&mut scan, &sides, group[0].exch_ns);
        }
    }
    scan
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "ranks are prices, which fit an i32, as do their distances"
)]
fn measure(scan: &mut QueueScan, sides: &[Levels; 2], exch_ns: Nanos) {
    let [Some(bid), Some(ask)] = [&sides[0], &sides[1]].map(|levels| levels.first_key_value())
    else {
        return;
    };
    scan.best.push(Best {
        exch_ns,
        bid: (-bid.0 as TickIndex, bid.1.lots),
        ask: (*ask.0 as TickIndex, ask.1.lots),
    });
    for (levels, best) in sides.iter().zip([bid.0, ask.0]) {
        for (depth, (rank, level)) in scan.depth.iter_mut().zip(levels) {
            depth.count += 1;
            depth.lots += i64::from(level.lots);
            depth.orders += level.orders.len() as u64;
            depth.distance_ticks += rank - best;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "ranks are prices, which fit an i32, as do their distances"
)]
fn apply(
    sides: &mut [Levels; 2],
    row: &Tick,
    ordinal: u32,
    trades_take: bool,
) -> Option<LevelChange> {
    if row.kind == KIND_CLEAR {
        *sides = [Levels::new(), Levels::new()];
        return None;
    }
    let side = Side::from_code(row.side)?;
    let levels = &mut sides[side as usize];
    let key = side.rank(row.price);
    let best = levels.first_key_value().map_or(key, |(best, _)| *best);
    let level = levels.entry(key).or_default();
    let lots_before = level.lots;
    if row.kind == KIND_TRADE && trades_take {
        level.lots = (level.lots - row.qty).max(0);
        take(level, row.join, row.qty);
    } else if row.kind == KIND_LEVEL {
        level.lots = row.qty;
    }
    let moved = level.lots - lots_before;
    let (mut behind, mut orders) = (0, 0);
    if row.kind == KIND_LEVEL && moved > 0 {
        level.orders.push((ordinal, moved));
    } else if row.kind == KIND_LEVEL && moved < 0 {
        let count = level.orders.len();
        if let Some(place) = take(level, row.join, -moved) {
            (behind, orders) = ((count - 1 - place) as u32, count as u32);
        }
    }
    if level.lots == 0 {
        levels.remove(&key);
    }
    let change = if moved > 0 {
        Change::Add
    } else {
        Change::Cancel
    };
    (row.kind == KIND_LEVEL && moved != 0).then_some(LevelChange {
        change,
        lots: moved.abs(),
        distance_ticks: (key - best) as i32,
        behind,
        orders,
    })
}

// Takes lots from the order that joined with this ordinal; returns its place if it left whole.
fn take(level: &mut Level, join: u32, lots: i32) -> Option<usize> {
    let place = level
        .orders
        .iter()
        .position(|order| join > 0 && order.0 == join)?;
    level.orders[place].1 -= lots;
    if level.orders[place].1 > 0 {
        return None;
    }
    level.orders.remove(place);
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(exch_ns: Nanos, kind: u8, side: Side, price: TickIndex, qty: i32, join: u32) -> Tick {
        Tick {
            exch_ns,
            local_ns: exch_ns,
            price,
            qty,
            join,
            kind,
            side: side as u8,
            flags: 0,
            reserved: 0,
        }
    }

    #[test]
    fn orders_leave_from_their_places() {
        let rows = [
            row(1, KIND_LEVEL, Side::Ask, 12, 4, 0),
            row(1, KIND_LEVEL, Side::Bid, 10, 3, 0),
            row(2, KIND_LEVEL, Side::Bid, 10, 5, 0),
            row(3, KIND_LEVEL, Side::Bid, 10, 6, 0),
            // The second of three leaves whole, then half of the first, then the last trades.
            row(4, KIND_LEVEL, Side::Bid, 10, 4, 13),
            row(5, KIND_LEVEL, Side::Bid, 10, 2, 12),
            row(6, KIND_TRADE, Side::Bid, 10, 1, 12),
            row(7, KIND_LEVEL, Side::Bid, 9, 1, 0),
        ];
        let scan = scan_queues(&rows, 10, true);
        let cancels: Vec<_> = scan
            .changes
            .iter()
            .filter(|change| change.change == Change::Cancel)
            .map(|change| (change.lots, change.behind, change.orders))
            .collect();
        assert_eq!(cancels, [(2, 1, 3), (2, 0, 0)]);
        assert_eq!(
            scan.changes.last().map(|change| change.distance_ticks),
            Some(1)
        );
        assert_eq!(scan.best.last().map(|best| best.bid), Some((10, 1)));
        assert_eq!((scan.depth[0].count, scan.depth[1].count), (14, 1));
        assert_eq!(scan.depth[1].distance_ticks, 1);
    }

    #[test]
    fn trades_leave_the_book_to_level_rows_that_follow() {
        let rows = [
            row(1, KIND_LEVEL, Side::Ask, 12, 4, 0),
            row(1, KIND_LEVEL, Side::Bid, 10, 3, 0),
            row(2, KIND_TRADE, Side::Bid, 10, 3, 0),
        ];
        assert_eq!(scan_queues(&rows, 0, false).best[1].bid, (10, 3));
        assert_eq!(scan_queues(&rows, 0, true).best.len(), 1);
    }
}
