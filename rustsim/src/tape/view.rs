//! Looks at rows as a book with a limited view: which levels merely left the window, is it ever crossed.
//!
//! A feed of N levels a side reports a level that falls out of the window with the same words as one that was emptied: size 0. The
//! window tells them apart: after the message, a level that is worse than all N levels still shown can't be seen any more, so nothing
//! is known about it; any other level of size 0 is really empty.

use crate::types::{FLAG_INDICATIVE, KIND_CLEAR, KIND_LEVEL, Side, Tick, TickIndex};
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
}

// Sizes by rank key: ascending keys are worse prices on both sides.
type Levels = BTreeMap<i64, i32>;

fn rank(side: Side, price: TickIndex) -> i64 {
    -side.sign() * i64::from(price)
}

/// Scans rows that are sorted by time; `visible_levels` 0 means that the view is not limited.
#[must_use]
pub fn scan_book(rows: &[Tick], visible_levels: usize) -> BookScan {
    let mut scan = BookScan::default();
    let mut sides = [Levels::new(), Levels::new()];
    let mut start = 0;
    for group in rows.chunk_by(|a, b| a.exch_ns == b.exch_ns) {
        for row in group {
            scan_row(&mut sides, row);
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
        if group.iter().any(|row| row.flags & FLAG_INDICATIVE == 0) {
            let best =
                [0, 1].map(|side: usize| sides[side].first_key_value().map(|(rank, _)| *rank));
            if let [Some(bid), Some(ask)] = best {
                scan.crossed_groups += u64::from(-bid > ask);
                scan.locked_groups += u64::from(-bid == ask);
            }
        }
        start += group.len();
    }
    scan
}

fn scan_row(sides: &mut [Levels; 2], row: &Tick) {
    if row.kind == KIND_CLEAR {
        *sides = [Levels::new(), Levels::new()];
    } else if let (KIND_LEVEL, Some(side)) = (row.kind, Side::from_code(row.side)) {
        let levels = &mut sides[usize::from(row.side)];
        if row.qty > 0 {
            levels.insert(rank(side, row.price), row.qty);
        } else {
            levels.remove(&rank(side, row.price));
        }
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
            .is_some_and(|(worst, _)| rank(side, row.price) > *worst)
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
        assert_eq!(scan_book(&rows, 2).out_of_view, [3]);
        assert!(scan_book(&rows, 0).out_of_view.is_empty());
        assert_eq!(scan_book(&rows, 2).levels_max, 2);
    }

    #[test]
    fn ask_side_is_the_mirror() {
        let rows = [
            level(1, 1, 10, 5),
            level(1, 1, 11, 5),
            level(2, 1, 9, 1),
            level(2, 1, 11, 0),
        ];
        assert_eq!(scan_book(&rows, 2).out_of_view, [3]);
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
        let scan = scan_book(&rows, 0);
        assert_eq!(
            (scan.groups, scan.locked_groups, scan.crossed_groups),
            (5, 1, 1)
        );
    }
}
