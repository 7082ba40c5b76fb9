//! The naive world: orders fill when the market touches their price, as in a backtest that knows neither queues nor sizes.
//!
//! Rules: `docs/semantics.md` section 8. It stands here for comparison only: replayed over the same ticks, it shows how much of a result is due to
//! what a naive backtest leaves out.

use super::Matching;
use super::market::Print;
use crate::book::Book;
use crate::types::{FLAG_INDICATIVE, KIND_TRADE, Lots, Side, Tick};

/// What a taker may take from any level that shows lots; far above every order, and far below an overflow.
pub(super) const ANY_LOTS: Lots = Lots::MAX / 4;

impl<B: Book> Matching<B> {
    /// Fills every own order whose price a group touched: a print at or through it, or the opposite best after the group.
    pub(super) fn touch(&mut self, rows: &[Tick]) {
        for side in [Side::Bid, Side::Ask] {
            let other = side.opposite();
            // The lowest price of the group fills bids, the highest fills asks.
            let touched = rows
                .iter()
                .filter(|row| row.kind == KIND_TRADE && row.flags & FLAG_INDICATIVE == 0)
                .map(|row| row.price)
                .chain(self.recorded.book.best(other))
                .reduce(|most, price| {
                    if other.is_better(price, most) {
                        price
                    } else {
                        most
                    }
                });
            if let Some(touched) = touched {
                self.fill_better(
                    side,
                    touched,
                    rows[0].exch_ns,
                    Print::NONE,
                    |price, limit| side.reaches(price, limit),
                );
            }
        }
    }
}
