//! The whole book at a place of a compiled tape, for those who ask for more levels than a block knows.
//!
//! Kept once somebody has asked, and brought forward when somebody asks again: rows cost what they cost in the direct engine, but only those since the last
//! question, or since the last checkpoint if that lies ahead.

use super::layout::CHECKPOINT_CHUNKS;
use super::place::Place;
use crate::book::{Book, LimitOrderBook};
use crate::types::{Side, TickIndex};

/// A book, and the place that it is of.
#[derive(Clone, Debug)]
pub(super) struct DeepBook<'t> {
    book: LimitOrderBook,
    at: Place<'t>,
}

impl<'t> DeepBook<'t> {
    /// Builds the book at the last checkpoint before a place.
    fn at_checkpoint(place: &Place<'t>) -> Self {
        let at = place.checkpoint();
        let [bids, asks] = at.chunk().checkpoint.unwrap_or_default();
        let lowest = bids.last().or(asks.first());
        let highest = asks.last().or(bids.first());
        let range = (
            lowest.map_or(0, |level| level.price),
            highest.map_or(0, |level| level.price),
        );
        // A range that is too wide was refused when the tape was compiled.
        let empty = LimitOrderBook::new(0, 0).expect("one price is no wide range");
        let mut deep = Self {
            book: LimitOrderBook::new(range.0.min(range.1), range.1.max(range.0)).unwrap_or(empty),
            at,
        };
        for (side, levels) in [(Side::Bid, bids), (Side::Ask, asks)] {
            for level in levels {
                deep.set(side, level.price, level.lots);
            }
        }
        deep
    }

    /// Returns the book at a place: the one that is kept, brought forward, or a new one.
    pub(super) fn bring<'k>(kept: &'k mut Option<Box<Self>>, place: &Place<'t>) -> &'k Self {
        let is_near = kept.as_ref().is_some_and(|deep| {
            deep.at.next_row() <= place.next_row()
                && place.chunk_number() - deep.at.chunk_number() <= CHECKPOINT_CHUNKS
        });
        if !is_near {
            *kept = None;
        }
        let deep = kept.get_or_insert_with(|| Box::new(Self::at_checkpoint(place)));
        deep.go_on(place);
        deep
    }

    fn go_on(&mut self, place: &Place<'t>) {
        while self.at.next_row() < place.next_row() {
            let block = self.at.block;
            let left = place.next_row() - block.first_row;
            let stop = usize::try_from(left)
                .map_or(block.count as usize, |left| left.min(block.count as usize));
            for row in self.at.row..stop {
                if block.sets >> row & 1 != 0 {
                    let (side, price) = self.at.chunk().level_of(block, row);
                    self.set(side, price, block.after[row]);
                } else if self.at.chunk().is_clear(self.at.index, row) {
                    self.book.clear();
                }
            }
            self.at.row = stop;
            if stop == block.count as usize && !self.at.enter_next_block() {
                break;
            }
        }
    }

    fn set(&mut self, side: Side, price: TickIndex, lots: i32) {
        let done = self.book.set(side, price, lots);
        done.expect("a book of these levels was kept when the tape was compiled");
    }

    pub(super) fn next_worse(&self, side: Side, price: TickIndex) -> Option<TickIndex> {
        self.book.next_worse(side, price)
    }

    pub(super) fn nth_best(&self, side: Side, n: u32) -> Option<TickIndex> {
        self.book.nth_best(side, n)
    }
}
