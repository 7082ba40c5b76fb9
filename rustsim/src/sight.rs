//! What the strategy has seen of the market: the recorded book on the local clock.
//!
//! With an instant feed both clocks share the exchange's book and this room holds nothing but the question whether the view is stale. The view is refreshed only
//! when somebody looks: before a strategy is called, and before auction rows would spoil the last market state.

use std::collections::VecDeque;

use crate::book::LimitOrderBook;
use crate::error::Result;
use crate::host::Host;
use crate::recorded::RecordedBook;
use crate::schedule::NEVER;
use crate::types::{
    FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, Nanos, Side, Tick, TickIndex,
};

/// A group that happened and is not seen yet.
#[derive(Debug, Clone, Copy)]
struct UnseenGroup {
    at_ns: Nanos,
    start: usize,
    stop: usize,
    is_indicative: bool,
}

/// The delayed book, and the groups on their way to it.
#[derive(Debug)]
pub(crate) struct Sight {
    recorded: RecordedBook,
    unseen: VecDeque<UnseenGroup>,
    group_ns: Nanos,
    is_stale: bool,
    /// Auction rows followed the last market group: the view is right, the book has gone on.
    is_spoiled: bool,
    /// The market comes message by message: more of one time may follow.
    pub(crate) is_stepped: bool,
}

impl Sight {
    pub(crate) fn new(book: LimitOrderBook) -> Self {
        Self {
            recorded: RecordedBook::new(book),
            unseen: VecDeque::new(),
            group_ns: 0,
            is_stale: false,
            is_spoiled: false,
            is_stepped: false,
        }
    }

    /// Puts rows `start..stop` on their way; they are seen at `at_ns`.
    #[inline]
    pub(crate) fn expect(&mut self, at_ns: Nanos, start: usize, stop: usize, is_indicative: bool) {
        self.unseen.push_back(UnseenGroup {
            at_ns,
            start,
            stop,
            is_indicative,
        });
    }

    #[inline]
    pub(crate) fn next_ns(&self) -> Nanos {
        self.unseen.front().map_or(NEVER, |group| group.at_ns)
    }

    /// Returns the number of the first row that is not seen yet.
    pub(crate) fn first_unseen_row(&self) -> Option<usize> {
        self.unseen.front().map(|group| group.start)
    }

    /// Takes in every group due at or before `now_ns`; `first_row` is the number of `rows[0]`. Returns whether one of them was not auction data.
    #[inline]
    pub(crate) fn see(
        &mut self,
        host: &mut Host,
        now_ns: Nanos,
        rows: &[Tick],
        first_row: usize,
    ) -> Result<bool> {
        let mut has_news = false;
        while self.next_ns() <= now_ns {
            let Some(group) = self.unseen.pop_front() else {
                break;
            };
            if group.is_indicative {
                self.refresh(host);
            }
            self.is_spoiled = group.is_indicative;
            let group_rows = &rows[group.start - first_row..group.stop - first_row];
            if !self.is_stepped || group_rows[0].exch_ns != self.group_ns {
                self.recorded.begin_group();
            }
            let track = group_rows.len() > 1 || self.is_stepped;
            for row in group_rows {
                see_row(&mut self.recorded, row, track)?;
            }
            if !group.is_indicative {
                has_news = true;
                self.is_stale = true;
                self.group_ns = group_rows[0].exch_ns;
            }
        }
        Ok(has_news)
    }

    /// Brings the view up to the last market group seen.
    #[inline]
    pub(crate) fn refresh(&mut self, host: &mut Host) {
        if std::mem::take(&mut self.is_stale) {
            refresh_view(host, &self.recorded, self.group_ns);
        }
    }

    /// Returns whether the book holds auction rows that the view does not show.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.is_spoiled
    }

    pub(crate) fn book(&self) -> &LimitOrderBook {
        &self.recorded.book
    }
}

#[inline]
fn see_row(recorded: &mut RecordedBook, row: &Tick, track: bool) -> Result<()> {
    let side = if row.side == 0 { Side::Bid } else { Side::Ask };
    match row.kind {
        KIND_CLEAR => recorded.clear(),
        KIND_LEVEL => {
            let track = track && row.flags & (FLAG_INDICATIVE | FLAG_OUT_OF_VIEW) == 0;
            recorded.level(side, row.price, row.qty, track)?;
        }
        _ if row.flags & FLAG_INDICATIVE == 0 => {
            recorded.trade(side, row.price, row.qty)?;
        }
        _ => {}
    }
    Ok(())
}

/// Copies the touch of `recorded` into the view.
#[inline]
pub(crate) fn refresh_view(host: &mut Host, recorded: &RecordedBook, group_ns: Nanos) {
    let touch = Touch::of(&recorded.book);
    let view = &mut host.view;
    view.exch_ns = group_ns;
    (view.best_bid, view.best_ask) = touch.prices;
    (view.best_bid_lots, view.best_ask_lots) = touch.lots;
    view.last_trade = recorded.last_trade;
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
