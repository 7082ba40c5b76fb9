//! The recorded book as rows change it, with credit for prints that follow the level row that already reflects them.
//!
//! It lives on the exchange clock; what the strategy sees of it later is a view taken after each group (`sight.rs`).

use crate::book::Book;
use crate::error::Result;
use crate::types::{Print, Side, TickIndex};

#[derive(Debug, Clone, Copy)]
struct Credit {
    side: Side,
    price: TickIndex,
    lots: i32,
}

/// What a print did to its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TradeChange {
    /// Displayed size when the print came.
    pub(crate) before: i32,
    /// Displayed size afterwards.
    pub(crate) after: i32,
    /// Decrease of this instant that was on record before the print.
    pub(crate) credit: i32,
    /// Part of it that the print explains.
    pub(crate) credit_used: i32,
}

/// Book and the decreases of the current instant.
#[derive(Debug, Clone)]
pub(crate) struct RecordedBook<B> {
    pub(crate) book: B,
    credits: Vec<Credit>,
    last_trade: Option<Print>,
}

impl<B: Book> RecordedBook<B> {
    pub(crate) fn new(book: B) -> Self {
        Self {
            book,
            credits: Vec::new(),
            last_trade: None,
        }
    }

    /// Returns the last print.
    #[inline]
    pub(crate) fn last_trade(&self) -> Option<Print> {
        self.book.last_print(self.last_trade)
    }

    /// Starts a new instant: decreases of the last one explain nothing any more.
    #[inline]
    pub(crate) fn begin_group(&mut self) {
        if !self.credits.is_empty() {
            self.credits.clear();
        }
    }

    /// Sets a level and returns its size before. `track` says whether a print may still follow in this instant.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    pub(crate) fn level(
        &mut self,
        side: Side,
        price: TickIndex,
        size: i32,
        track: bool,
    ) -> Result<i32> {
        let before = self.book.set(side, price, size)?;
        // Arithmetic instead of two conditions: half of all rows shrink their level, which no branch predictor can guess, but few are followed by a print.
        let credit = (before - size) & -i32::from(track);
        if credit > 0 {
            self.add_credit(side, price, credit);
        }
        Ok(before)
    }

    #[inline(never)]
    fn add_credit(&mut self, side: Side, price: TickIndex, lots: i32) {
        match self
            .credits
            .iter_mut()
            .find(|c| c.side == side && c.price == price)
        {
            Some(credit) => credit.lots = credit.lots.saturating_add(lots),
            None => self.credits.push(Credit { side, price, lots }),
        }
    }

    /// Removes a print from its level, less what a decrease of this instant already removed.
    #[inline]
    pub(crate) fn trade(&mut self, side: Side, price: TickIndex, lots: i32) -> Result<TradeChange> {
        let mut credit = 0;
        let mut credit_used = 0;
        let found = self
            .credits
            .iter_mut()
            .find(|c| c.side == side && c.price == price);
        if let Some(found) = found {
            credit = found.lots;
            credit_used = lots.min(credit);
            found.lots -= credit_used;
        }
        self.last_trade = Some(Print { price, lots, side });
        let before = self.book.size(side, price);
        let after = (before - (lots - credit_used)).max(0);
        self.book.set(side, price, after)?;
        Ok(TradeChange {
            before,
            after,
            credit,
            credit_used,
        })
    }

    pub(crate) fn clear(&mut self) {
        self.book.clear();
        self.credits.clear();
    }
}
