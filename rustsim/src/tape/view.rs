//! Looks at rows as a book with a limited view: which levels merely left the window, is it ever crossed.
//!
//! A feed of N levels a side reports a level that falls out of the window with the same words as one that was emptied: size 0. The
//! window tells them apart: after the message, a level that is worse than all N levels still shown can't be seen any more, so nothing
//! is known about it; any other level of size 0 is really empty.

use crate::types::{
    FLAG_INDICATIVE, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Nanos, Side, Tick, TickIndex,
};
use std::collections::BTreeMap;

/// What a run of rows looks like as a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookScan {
    /// Rows (from 0) whose level left the window instead of becoming empty; none if the view is not limited.
    pub out_of_view: Vec<usize>,
    /// Messages, outside of auction data, after which the best bid stood above the best ask.
    pub crossed_groups: u64,
    /// Messages, outside of auction data, after which the best bid equalled the best ask.
    pub locked_groups: u64,
    /// Messages: runs of rows of equal exchange time.
    pub groups: u64,
    /// Most levels that a side ever showed after a message.
    pub levels_max: usize,
    /// Best prices and sizes after each message.
    pub best: Vec<BestLevels>,
}

/// The best level of both sides after one message; a side without levels has 0 lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BestLevels {
    /// Exchange time of the message.
    pub exch_ns: Nanos,
    /// Highest bid.
    pub bid_price: TickIndex,
    /// Lots on it.
    pub bid_lots: i32,
    /// Lowest ask.
    pub ask_price: TickIndex,
    /// Lots on it.
    pub ask_lots: i32,
}

// Sizes by rank key: ascending keys are worse prices on both sides.
type Levels = BTreeMap<i64, i32>;

/// Scans rows that are sorted by time; `visible_levels` 0 means that the view is not limited.
///
/// Trades take lots from the book only where `trades_take` says that no level row follows them, as in level-3 rows.
#[must_use]
pub fn scan_book(rows: &[Tick], visible_levels: usize, trades_take: bool) -> BookScan {
    let mut scan = BookScan::default();
    let mut sides = [Levels::new(), Levels::new()];
    let mut start = 0;
    for group in rows.chunk_by(|a, b| a.exch_ns == b.exch_ns) {
        for row in group {
            scan_row(&mut sides, row, trades_take);
        }
        scan.groups += 1;
        scan.levels_max = scan.levels_max.max(sides[0].len()).max(sides[1].len());
        if visible_levels > 0 {
            let gone = group
                .iter()
                .enumerate()
                .filter(|(_, row)| left_view(&sides, row, visible_levels));
            scan.out_of_view
                .extend(gone.map(|(index, _)| start + index));
        }
        let best = best_levels(&sides, group[0].exch_ns);
        let two_sided = best.bid_lots > 0 && best.ask_lots > 0;
        if two_sided && group.iter().any(|row| row.flags & FLAG_INDICATIVE == 0) {
            scan.crossed_groups += u64::from(best.bid_price > best.ask_price);
            scan.locked_groups += u64::from(best.bid_price == best.ask_price);
        }
        scan.best.push(best);
        start += group.len();
    }
    scan
}

fn best_levels(sides: &[Levels; 2], exch_ns: Nanos) -> BestLevels {
    let level = |side: Side| {
        let best = sides[side as usize].first_key_value();
        // Ranks of prices fit an i32 but for the negated smallest one, which no tape holds.
        best.map_or((0, 0), |(rank, lots)| {
            (
                i32::try_from(-side.sign() * rank).unwrap_or(TickIndex::MAX),
                *lots,
            )
        })
    };
    let ((bid_price, bid_lots), (ask_price, ask_lots)) = (level(Side::Bid), level(Side::Ask));
    BestLevels {
        exch_ns,
        bid_price,
        bid_lots,
        ask_price,
        ask_lots,
    }
}

fn scan_row(sides: &mut [Levels; 2], row: &Tick, trades_take: bool) {
    if row.kind == KIND_CLEAR {
        *sides = [Levels::new(), Levels::new()];
        return;
    }
    let Some(side) = Side::from_code(row.side) else {
        return;
    };
    let (levels, rank) = (&mut sides[side as usize], side.rank(row.price));
    let lots = match row.kind {
        KIND_LEVEL => row.qty,
        // Prints of auctions move nothing.
        KIND_TRADE if trades_take && row.flags & FLAG_INDICATIVE == 0 => {
            levels.get(&rank).map_or(0, |lots| lots - row.qty)
        }
        _ => return,
    };
    if lots > 0 {
        levels.insert(rank, lots);
    } else {
        levels.remove(&rank);
    }
}

fn left_view(sides: &[Levels; 2], row: &Tick, visible_levels: usize) -> bool {
    let Some(side) = Side::from_code(row.side) else {
        return false;
    };
    let levels = &sides[usize::from(row.side)];
    row.kind == KIND_LEVEL
        && row.qty == 0
        && levels.len() >= visible_levels
        && levels
            .last_key_value()
            .is_some_and(|(worst, _)| side.rank(row.price) > *worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(exch_ns: i64, side: u8, price: i32, qty: i32) -> Tick {
        Tick {
            exch_ns,
            local_ns: exch_ns,
            price,
            qty,
            side,
            ..Tick::default()
        }
    }

    #[test]
    fn level_pushed_out_of_the_window_is_told_from_an_emptied_one() {
        let rows = [
            level(1, 0, 100, 5),
            level(1, 0, 99, 5),
            // A better bid appears: 99 leaves a window of two levels.
            level(2, 0, 101, 1),
            level(2, 0, 99, 0),
            // The best is emptied: 99 comes back, 101 is really empty.
            level(3, 0, 101, 0),
            level(3, 0, 99, 4),
            // The worst is emptied and another, worse one comes into view.
            level(4, 0, 99, 0),
            level(4, 0, 97, 4),
            // The worst is emptied and nothing is left behind it.
            level(5, 0, 97, 0),
        ];
        assert_eq!(scan_book(&rows, 2, false).out_of_view, [3]);
        assert!(scan_book(&rows, 0, false).out_of_view.is_empty());
        assert_eq!(scan_book(&rows, 2, false).levels_max, 2);
    }

    #[test]
    fn ask_side_is_the_mirror() {
        let rows = [
            level(1, 1, 10, 5),
            level(1, 1, 11, 5),
            level(2, 1, 9, 1),
            level(2, 1, 11, 0),
        ];
        assert_eq!(scan_book(&rows, 2, false).out_of_view, [3]);
    }

    #[test]
    fn crossed_and_locked_books_are_counted_after_whole_groups_outside_of_auctions() {
        let mut rows = vec![level(1, 0, 10, 1), level(1, 1, 11, 1)];
        // Crossed inside of a group only.
        rows.extend([level(2, 0, 12, 1), level(2, 1, 11, 0), level(2, 1, 13, 1)]);
        rows.extend([level(3, 1, 12, 1), level(4, 1, 11, 1)]);
        rows.push(Tick {
            flags: FLAG_INDICATIVE,
            ..level(5, 1, 9, 1)
        });
        let scan = scan_book(&rows, 0, false);
        assert_eq!(
            (scan.groups, scan.locked_groups, scan.crossed_groups),
            (5, 1, 1)
        );
        let first = BestLevels {
            exch_ns: 1,
            bid_price: 10,
            bid_lots: 1,
            ask_price: 11,
            ask_lots: 1,
        };
        assert_eq!(scan.best[0], first);
    }

    #[test]
    fn trades_take_lots_where_no_level_row_tells_them_again() {
        let trade = |exch_ns, qty, flags| Tick {
            kind: KIND_TRADE,
            flags,
            ..level(exch_ns, 0, 10, qty)
        };
        let rows = [
            level(1, 0, 10, 5),
            level(1, 0, 9, 2),
            trade(2, 3, 0),
            trade(3, 1, FLAG_INDICATIVE),
            trade(4, 2, 0),
        ];
        let bids = |trades_take| -> Vec<_> {
            let scan = scan_book(&rows, 0, trades_take);
            let bids = scan.best.iter().map(|best| (best.bid_price, best.bid_lots));
            bids.collect()
        };
        assert_eq!(bids(true), [(10, 5), (10, 2), (10, 2), (9, 2)]);
        assert_eq!(bids(false), [(10, 5); 4]);
    }
}
