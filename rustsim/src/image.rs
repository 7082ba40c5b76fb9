//! A book image as rows: one event, differences per level.
//!
//! Clearing and rebuilding would tell every queue model that all volume left and came back; an image says nothing of the kind. What the image
//! lists is set; what it must list but does not is empty; what lies behind its last level is out of view, not empty.

use crate::book::LimitOrderBook;
use crate::types::{
    FLAG_IMAGE, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_LEVEL, Nanos, Side, Tick, TickIndex,
};

/// Returns the rows that turn `book` into the image; unchanged levels make no row, except that there is always one.
///
/// `bids` and `asks` are (price, lots) best first; `visible_levels` is how many levels the feed shows per side, 0 for all.
#[must_use]
pub fn image_rows(
    book: &LimitOrderBook,
    exch_ns: Nanos,
    bids: &[(TickIndex, i32)],
    asks: &[(TickIndex, i32)],
    visible_levels: u32,
) -> Vec<Tick> {
    let mut rows = Vec::new();
    for (side, levels) in [(Side::Bid, bids), (Side::Ask, asks)] {
        let is_full = visible_levels > 0 && levels.len() >= visible_levels as usize;
        for (price, _) in book.levels(side) {
            if levels.iter().all(|level| level.0 != price) {
                let is_behind = is_full
                    && levels
                        .last()
                        .is_some_and(|last| side.is_better(last.0, price));
                rows.push(row(
                    exch_ns,
                    side,
                    price,
                    0,
                    if is_behind { FLAG_OUT_OF_VIEW } else { 0 },
                ));
            }
        }
        for (price, lots) in levels {
            if book.size(side, *price) != *lots {
                rows.push(row(exch_ns, side, *price, *lots, 0));
            }
        }
    }
    if rows.is_empty() {
        // An image that changes nothing still moves time on: repeat a level, or an empty price.
        let (side, price) = if let Some(first) = bids.first() {
            (Side::Bid, first.0)
        } else {
            (Side::Ask, asks.first().map_or(0, |a| a.0))
        };
        rows.push(row(exch_ns, side, price, book.size(side, price), 0));
    }
    if let Some(last) = rows.last_mut() {
        last.flags |= FLAG_LAST;
    }
    rows
}

fn row(exch_ns: Nanos, side: Side, price: TickIndex, qty: i32, flags: u8) -> Tick {
    Tick {
        exch_ns,
        local_ns: exch_ns,
        price,
        qty,
        kind: KIND_LEVEL,
        side: side as u8,
        flags: flags | FLAG_IMAGE,
        ..Tick::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_becomes_differences_and_marks_what_left_the_view() {
        let mut book = LimitOrderBook::new(0, 100).unwrap();
        for (price, lots) in [(50, 5), (49, 4)] {
            book.set(Side::Bid, price, lots).unwrap();
        }
        book.set(Side::Ask, 51, 3).unwrap();
        let rows = image_rows(&book, 7, &[(51, 2), (50, 5)], &[(52, 1)], 2);
        let found: Vec<_> = rows
            .iter()
            .map(|r| (r.side, r.price, r.qty, r.flags & FLAG_OUT_OF_VIEW))
            .collect();
        assert_eq!(
            found,
            [
                (0, 49, 0, FLAG_OUT_OF_VIEW),
                (0, 51, 2, 0),
                (1, 51, 0, 0),
                (1, 52, 1, 0)
            ]
        );
        assert_eq!(rows.iter().filter(|r| r.flags & FLAG_LAST != 0).count(), 1);
    }
}
