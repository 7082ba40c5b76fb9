//! Holds the book against pictures of its best levels that a source tells along with its orders.
//!
//! A source of N levels a side tells only what happens within them. So a level that falls out of the picture is forgotten (nothing more will be
//! heard of it), and one that comes into it holds lots of unknown orders. Every other difference is a fault; the picture holds.

use super::book::Book;
use crate::types::{Side, TickIndex};

/// A picture of the best levels: ask price, ask lots, bid price, bid lots per level, best first; 0 lots: no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    levels: &'a [i32],
}

impl<'a> Image<'a> {
    /// Returns a picture; a last level that is not whole is left out.
    #[must_use]
    pub fn new(levels: &'a [i32]) -> Self {
        Self { levels }
    }

    fn side(self, side: Side) -> impl Iterator<Item = (TickIndex, i32)> + 'a {
        let start = match side {
            Side::Ask => 0,
            Side::Bid => 2,
        };
        self.levels
            .chunks_exact(4)
            .map(move |level| (level[start], level[start + 1]))
            .take_while(|(_, lots)| *lots > 0)
    }
}

/// How one level of the book differs from the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) side: Side,
    pub(super) price: TickIndex,
    /// Lots in the picture.
    pub(super) lots: i32,
    pub(super) why: Why,
}

/// Why a level differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    CameIntoView,
    LeftView,
    Fault,
}

/// Compares book and pictures.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    /// Of the last picture.
    pub(super) differences: Vec<Difference>,
    // Whether the picture before showed all levels of a side, so that there is nothing behind them.
    shows_all: [bool; 2],
}

impl Comparison {
    /// Finds how the book differs from a picture.
    pub(super) fn compare(&mut self, book: &Book, image: Image<'_>) {
        self.differences.clear();
        for side in [Side::Bid, Side::Ask] {
            self.compare_side(book, image, side);
        }
    }

    fn compare_side(&mut self, book: &Book, image: Image<'_>, side: Side) {
        let mut shown = image.side(side).peekable();
        let mut own = book.levels(side).peekable();
        let mut shown_count = 0;
        let found = &mut self.differences;
        let mut tell = |price, lots, why| {
            found.push(Difference {
                side,
                price,
                lots,
                why,
            });
        };
        while let (Some(&(price, lots)), Some(level)) = (shown.peek(), own.peek()) {
            if level.price == price {
                if level.lots != lots {
                    tell(price, lots, Why::Fault);
                }
                own.next();
                shown.next();
                shown_count += 1;
            } else if side.is_better(level.price, price) {
                tell(level.price, 0, Why::Fault);
                own.next();
            } else {
                tell(price, lots, Why::Fault);
                shown.next();
                shown_count += 1;
            }
        }
        let why = if self.shows_all[side as usize] {
            Why::Fault
        } else {
            Why::CameIntoView
        };
        for (price, lots) in shown {
            tell(price, lots, why);
            shown_count += 1;
        }
        let is_full = shown_count >= image.levels.len() / 4;
        let why = if is_full { Why::LeftView } else { Why::Fault };
        for level in own {
            tell(level.price, 0, why);
        }
        self.shows_all[side as usize] = !is_full;
    }
}
