//! The book of a compiled tape: looked up, never kept.

use super::deep::DeepBook;
use super::place::{Place, Unknown};
use crate::book::Book;
use crate::error::Result;
use crate::types::{Print, Side, TickIndex};
use std::cell::RefCell;

/// The displayed book at a place of a compiled tape.
#[derive(Clone, Debug)]
pub struct LookupBook<'t> {
    pub(super) place: Place<'t>,
    /// The whole book as it was when somebody asked for it.
    deep: RefCell<Option<Box<DeepBook<'t>>>>,
}

impl<'t> LookupBook<'t> {
    pub(super) fn new(place: Place<'t>) -> Self {
        Self {
            place,
            deep: RefCell::default(),
        }
    }

    fn pass_row(&mut self) {
        self.place.row += 1;
        self.place.settle();
    }

    /// Asks the whole book.
    #[cold]
    fn ask<T>(&self, question: impl FnOnce(&DeepBook<'t>) -> T) -> T {
        question(DeepBook::bring(&mut self.deep.borrow_mut(), &self.place))
    }
}

impl Book for LookupBook<'_> {
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
        self.place.bests().prices
    }

    fn next_worse(&self, side: Side, price: TickIndex) -> Option<TickIndex> {
        let known = self.place.next_worse(side, price);
        known.unwrap_or_else(|Unknown| self.ask(|deep| deep.next_worse(side, price)))
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
        let known = self.place.nth_best(side, n);
        known.unwrap_or_else(|Unknown| self.ask(|deep| deep.nth_best(side, n)))
    }
}
