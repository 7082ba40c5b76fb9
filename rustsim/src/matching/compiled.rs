//! Matching for an engine that shows it only the rows that concern own orders.

use super::{Crossing, Matching};
use crate::book::Book;
use crate::error::Result;
use crate::types::{Nanos, Side, Tick, TickIndex};

/// A group of rows, of which matching sees some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Its time.
    pub(crate) exch_ns: Nanos,
    /// Tape number of its first row that has not passed.
    pub(crate) start_row: u64,
    /// Tape number after its last row.
    pub(crate) end_row: u64,
    /// It has more than one row.
    pub(crate) is_several: bool,
    /// It is more than auction data.
    pub(crate) is_shown: bool,
    /// A best price may be another after it.
    pub(crate) is_best_changed: bool,
}

/// The levels at which rows concern own orders or memory of own takers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnLevels {
    levels: Vec<(Side, TickIndex)>,
    best: [Option<TickIndex>; 2],
}

impl OwnLevels {
    pub(crate) fn levels(&self) -> &[(Side, TickIndex)] {
        &self.levels
    }

    pub(crate) fn best(&self, side: Side) -> Option<TickIndex> {
        self.best[side as usize]
    }
}

impl<B: Book> Matching<B> {
    /// Returns another number whenever rows concern it at other levels.
    #[inline]
    pub(crate) fn own_changes(&self) -> u64 {
        let [bids, asks] = &self.own;
        bids.changes() + asks.changes() + self.consumed.changes()
    }

    /// Tells where rows concern it.
    pub(crate) fn tell_own_levels(&self, known: &mut OwnLevels) {
        known.levels.clear();
        for side in [Side::Bid, Side::Ask] {
            let own = &self.own[side as usize];
            known.best[side as usize] = own.best();
            let prices = own.prices().iter();
            known.levels.extend(prices.map(|price| (side, *price)));
        }
        known.levels.extend(self.consumed.levels());
    }

    /// Returns whether own orders may cross the book in any group, whatever its rows are.
    #[inline]
    pub(crate) fn needs_every_group(&self) -> bool {
        self.crossing == Crossing::Open || !self.consumed.is_empty()
    }

    /// Takes note that groups of continuous trading have passed.
    #[inline]
    pub(crate) fn pass_quiet(&mut self) {
        self.indicative = false;
    }

    /// Applies a group of which `rows` alone concern it, each with its tape number.
    pub(crate) fn apply_touched(&mut self, rows: &[(Tick, u64)], group: Group) -> Result<()> {
        self.recorded.begin_group();
        self.track_credit = group.is_several && !self.has_join;
        let resting = !self.is_without_orders();
        if resting && self.track_credit {
            self.forget_decreases();
        }
        for (row, ordinal) in rows {
            self.recorded.book.seek(*ordinal);
            self.apply_row(row, *ordinal)?;
        }
        self.recorded.book.seek(group.end_row);
        self.indicative = !group.is_shown;
        self.crossing = if group.is_shown {
            if resting && group.is_best_changed {
                self.cross(group.exch_ns);
            }
            Crossing::Settled
        } else {
            // What auction data did to the book is looked at after the next group that is none.
            Crossing::Open
        };
        Ok(())
    }

    pub(crate) fn book_mut(&mut self) -> &mut B {
        &mut self.recorded.book
    }
}
