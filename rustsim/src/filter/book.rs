//! The book of a compiled tape: looked up, never kept.

use super::place::Place;
use crate::book::Book;
use crate::error::Result;
use crate::types::{Print, Side, TickIndex};

/// The displayed book at a place of a compiled tape.
#[derive(Clone, Copy, Debug)]
pub struct LookupBook<'t> {
    pub(super) place: Place<'t>,
}

impl Book for LookupBook<'_> {
    const KNOWS_ROWS: bool = true;

    #[inline]
    fn seek(&mut self, row: u64) {
        self.place.seek(row);
    }

    /// What the size becomes is what the tape says; `_` is that number.
    #[inline]
    fn set(&mut self, side: Side, price: TickIndex, _: i32) -> Result<i32> {
        let before = self.place.size(side, price);
        self.pass_row();
        Ok(before)
    }

    #[inline]
    fn clear(&mut self) {
        self.pass_row();
    }

    #[inline]
    fn size(&self, side: Side, price: TickIndex) -> i32 {
        self.place.size(side, price)
    }

    #[inline]
    fn best(&self, side: Side) -> Option<TickIndex> {
        self.place.best(side)
    }

    #[inline]
    fn touch(&self) -> [TickIndex; 2] {
        self.place.bests()
    }

    fn next_worse(&self, side: Side, price: TickIndex) -> Option<TickIndex> {
        self.place.next_worse(side, price)
    }

    /// Whoever asks compares prices anyway.
    #[inline]
    fn take_best_changed(&mut self) -> bool {
        true
    }

    #[inline]
    fn last_print(&self, _: Option<Print>) -> Option<Print> {
        self.place.last_print()
    }

    fn nth_best(&self, side: Side, n: u32) -> Option<TickIndex> {
        self.place.nth_best(side, n)
    }
}

impl LookupBook<'_> {
    fn pass_row(&mut self) {
        self.place.row += 1;
        self.place.settle();
    }
}
