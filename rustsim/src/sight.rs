//! What the strategy has seen of the market: views of the exchange's book on their way to it.
//!
//! The feed keeps the order of groups, so what the strategy sees is always what the exchange's book was when some group had been applied: it is enough to
//! keep that view of each group until it gets there. A second book would come to the same, for a second application of every row.
//! With an instant feed nothing is on its way: the view is taken from the book when somebody looks.

use std::collections::VecDeque;

use crate::book::LimitOrderBook;
use crate::host::View;
use crate::recorded::RecordedBook;
use crate::schedule::NEVER;
use crate::types::{Nanos, Side, TickIndex};

/// A view that is not seen yet.
#[derive(Debug, Clone, Copy)]
struct Glimpse {
    at_ns: Nanos,
    view: View,
}

/// Views on their way, in the order in which they are seen.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    coming: VecDeque<Glimpse>,
}

impl Sight {
    /// Puts a view on its way; it is seen at `at_ns`, which is no earlier than that of the view before.
    #[inline]
    pub(crate) fn expect(&mut self, at_ns: Nanos, view: View) {
        debug_assert!(self.coming.back().is_none_or(|last| last.at_ns <= at_ns));
        self.coming.push_back(Glimpse { at_ns, view });
    }

    #[inline]
    pub(crate) fn next_ns(&self) -> Nanos {
        self.coming.front().map_or(NEVER, |glimpse| glimpse.at_ns)
    }

    /// Takes in every view due at or before `now_ns`. Returns whether there was one.
    #[inline]
    pub(crate) fn see(&mut self, seen: &mut View, now_ns: Nanos) -> bool {
        let mut has_news = false;
        while self.next_ns() <= now_ns {
            let Some(glimpse) = self.coming.pop_front() else {
                break;
            };
            *seen = glimpse.view;
            has_news = true;
        }
        has_news
    }
}

/// Returns what there is to see of a book after a group.
#[inline]
pub(crate) fn view_of(recorded: &RecordedBook, group_ns: Nanos) -> View {
    let touch = Touch::of(&recorded.book);
    View {
        exch_ns: group_ns,
        best_bid: touch.prices.0,
        best_ask: touch.prices.1,
        best_bid_lots: touch.lots.0,
        best_ask_lots: touch.lots.1,
        last_trade: recorded.last_trade,
    }
}

/// Best prices and the sizes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Touch {
    pub(crate) prices: (Option<TickIndex>, Option<TickIndex>),
    pub(crate) lots: (i32, i32),
}

impl Touch {
    #[inline]
    pub(crate) fn of(book: &LimitOrderBook) -> Self {
        let prices = Self::prices_of(book);
        let lots = (
            prices.0.map_or(0, |price| book.size(Side::Bid, price)),
            prices.1.map_or(0, |price| book.size(Side::Ask, price)),
        );
        Self { prices, lots }
    }

    #[inline]
    pub(crate) fn prices_of(book: &LimitOrderBook) -> (Option<TickIndex>, Option<TickIndex>) {
        (book.best(Side::Bid), book.best(Side::Ask))
    }
}
