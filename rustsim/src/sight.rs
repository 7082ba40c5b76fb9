//! What the strategy has seen of the market: views of the exchange's book on their way to it.
//!
//! The feed keeps the order of groups, so what the strategy sees is always what the exchange's book was when some group had been applied: it is enough to
//! keep that view of each group until it gets there. A second book would come to the same, for a second application of every row.
//! With an instant feed nothing is on its way: the view is taken from the book when somebody looks.

use std::collections::VecDeque;

use crate::book::Book;
use crate::host::View;
use crate::recorded::RecordedBook;
use crate::schedule::NEVER;
use crate::types::{Nanos, Side, TickIndex};

/// How the strategy comes to see the market.
pub trait Sight: std::fmt::Debug {
    /// Says for which views there must be an instant; before the first one.
    fn heed(&mut self, heeds: Heeds);

    /// Returns when the next view is seen that an instant must be made for.
    fn next_ns(&self) -> Nanos;

    /// Takes in every view due at or before `now_ns`. Returns whether there was one.
    fn see(&mut self, seen: &mut View, now_ns: Nanos) -> bool;
}

/// A view that is not seen yet.
#[derive(Debug, Clone, Copy)]
struct Glimpse {
    at_ns: Nanos,
    view: View,
}

/// Which views an instant is made for when they are seen. The others are still there for whoever looks at another instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heeds {
    /// All.
    #[default]
    Every,
    /// Those with another best price than the one before.
    Prices,
    /// None.
    Nothing,
}

/// Views on their way, in the order in which they are seen.
#[derive(Debug, Default)]
pub struct Glimpses {
    coming: VecDeque<Glimpse>,
    heeds: Heeds,
    /// When those that an instant is made for are seen.
    heeded: VecDeque<Nanos>,
    /// Best prices of the view that came last.
    prices: (Option<TickIndex>, Option<TickIndex>),
}

impl Glimpses {
    /// Puts a view on its way; it is seen at `at_ns`, which is no earlier than that of the view before. Whatever was due before `now_ns` is over.
    #[inline]
    pub(crate) fn expect(&mut self, now_ns: Nanos, at_ns: Nanos, view: View) {
        debug_assert!(self.coming.back().is_none_or(|last| last.at_ns <= at_ns));
        // Seen by now, and so is the one behind it: nobody will look at it any more.
        while self.coming.get(1).is_some_and(|next| next.at_ns <= now_ns) {
            self.coming.pop_front();
        }
        self.coming.push_back(Glimpse { at_ns, view });
        let is_heeded = match self.heeds {
            Heeds::Every => true,
            Heeds::Prices => {
                let prices = (view.best_bid, view.best_ask);
                std::mem::replace(&mut self.prices, prices) != prices
            }
            Heeds::Nothing => false,
        };
        if is_heeded {
            self.heeded.push_back(at_ns);
        }
    }
}

impl Sight for Glimpses {
    /// Says for which views there must be an instant; before the first one.
    fn heed(&mut self, heeds: Heeds) {
        debug_assert!(self.coming.is_empty());
        self.heeds = heeds;
    }

    /// Returns when the next view is seen that an instant must be made for.
    #[inline]
    fn next_ns(&self) -> Nanos {
        self.heeded.front().copied().unwrap_or(NEVER)
    }

    /// Takes in every view due at or before `now_ns`. Returns whether there was one.
    #[inline]
    fn see(&mut self, seen: &mut View, now_ns: Nanos) -> bool {
        let mut has_news = false;
        while let Some(glimpse) = self.coming.front().filter(|next| next.at_ns <= now_ns) {
            *seen = glimpse.view;
            has_news = true;
            self.coming.pop_front();
        }
        while self.next_ns() <= now_ns && self.heeded.pop_front().is_some() {}
        has_news
    }
}

/// Returns what there is to see of a book after a group.
#[inline]
pub(crate) fn view_of<B: Book>(recorded: &RecordedBook<B>, group_ns: Nanos) -> View {
    let touch = Touch::of(&recorded.book);
    View {
        exch_ns: group_ns,
        best_bid: touch.prices.0,
        best_ask: touch.prices.1,
        best_bid_lots: touch.lots.0,
        best_ask_lots: touch.lots.1,
        last_trade: recorded.last_trade(),
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
    pub(crate) fn of<B: Book>(book: &B) -> Self {
        let prices = Self::prices_of(book);
        let lots = (
            prices.0.map_or(0, |price| book.size(Side::Bid, price)),
            prices.1.map_or(0, |price| book.size(Side::Ask, price)),
        );
        Self { prices, lots }
    }

    #[inline]
    pub(crate) fn prices_of<B: Book>(book: &B) -> (Option<TickIndex>, Option<TickIndex>) {
        (book.best(Side::Bid), book.best(Side::Ask))
    }
}
