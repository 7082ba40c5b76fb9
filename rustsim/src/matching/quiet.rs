//! The short way through market rows that concern no own order: they change the book and nothing else.
//!
//! What may be left out, and why the outcome is that of `market.rs` row by row: without own orders at a row's price no queue position moves; without
//! memory of own takers nothing is shared with them; whether own orders cross the book can only change with a best price or with own requests, so it is
//! asked when one of the two happened. Everything else stops the walk before the group that holds it.
//! Cost: about a third of the long way.

use super::{Crossing, Matching};
use crate::book::{Book, LimitOrderBook};
use crate::error::Result;
use crate::order_queue::OrderQueue;
use crate::recorded::RecordedBook;
use crate::types::{
    FLAG_GAP, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_LEVEL, KIND_TRADE, Nanos, Side, Tick,
    TickIndex,
};

const UNUSUAL: u8 = FLAG_GAP | FLAG_INDICATIVE | FLAG_OUT_OF_VIEW;

/// Own prices as a row asks for them. It may say yes where there is nothing, never no where there is something.
#[derive(Clone, Copy)]
struct OwnPrices {
    /// A bit per price, counted modulo 64.
    mask: u64,
    /// Rank of the best one; beyond every price if there is none.
    best_rank: i64,
}

impl OwnPrices {
    fn of(queue: &OrderQueue, side: Side) -> Self {
        let bit = |price: &TickIndex| 1 << (price & 63);
        Self {
            mask: queue.prices().iter().map(bit).fold(0, |all, bit| all | bit),
            best_rank: queue.best().map_or(i64::MAX, |price| side.rank(price)),
        }
    }

    #[inline]
    fn may_hold(self, price: TickIndex) -> bool {
        self.mask >> (price & 63) & 1 != 0
    }

    #[inline]
    fn is_reached_by_print(self, side: Side, price: TickIndex) -> bool {
        side.rank(price) >= self.best_rank
    }
}

impl Matching {
    /// Applies groups before `before_ns` from the front of `rows` as long as they concern no own order, up to the first after which a best price is
    /// another. `on_group` is told of each, with its last row. Returns how many rows that were; the groups of `rows` must be complete.
    #[inline]
    pub(crate) fn apply_quiet(
        &mut self,
        rows: &[Tick],
        before_ns: Nanos,
        mut on_group: impl FnMut(&RecordedBook<LimitOrderBook>, &Tick),
    ) -> Result<usize> {
        if self.crossing == Crossing::Open || !self.consumed.is_empty() {
            return Ok(0);
        }
        let own = [Side::Bid, Side::Ask].map(|side| OwnPrices::of(&self.own[side as usize], side));
        // With joins a print takes its own lots, and no level row tells them again.
        let track = !self.has_join;
        let recorded = &mut self.recorded;
        let mut next = 0;
        while let Some(row) = rows.get(next)
            && row.exch_ns < before_ns
        {
            recorded.begin_group();
            let is_alone = rows
                .get(next + 1)
                .is_none_or(|after| after.exch_ns != row.exch_ns);
            let used = if !is_alone {
                apply_several(&rows[next..], own, recorded, track)?
            } else if concerns_book_only(row, own) {
                apply(row, recorded, false)?;
                1
            } else {
                0
            };
            if used == 0 {
                break;
            }
            next += used;
            on_group(recorded, &rows[next - 1]);
            if recorded.book.has_best_changed() {
                break;
            }
        }
        Ok(next)
    }
}

impl<B: Book> Matching<B> {
    /// Does what is left to do after a best price changed on the short way.
    pub(crate) fn cross_after_quiet(&mut self, now_ns: Nanos) {
        if !self.is_without_orders() {
            self.cross(now_ns);
        }
    }
}

/// Applies the first group of `rows`, which has several, and returns how many; 0, and nothing is applied, if it is not for the short way.
fn apply_several(
    rows: &[Tick],
    own: [OwnPrices; 2],
    recorded: &mut RecordedBook<LimitOrderBook>,
    track: bool,
) -> Result<usize> {
    let exch_ns = rows[0].exch_ns;
    let mut count = 0;
    for row in rows.iter().take_while(|row| row.exch_ns == exch_ns) {
        if !concerns_book_only(row, own) {
            return Ok(0);
        }
        count += 1;
    }
    for row in &rows[..count] {
        apply(row, recorded, track)?;
    }
    Ok(count)
}

/// Returns whether a row is a plain level or print away from all own orders.
#[inline]
fn concerns_book_only(row: &Tick, own: [OwnPrices; 2]) -> bool {
    if row.flags & UNUSUAL != 0 {
        return false;
    }
    let side = side_of(row);
    let own = own[side as usize];
    match row.kind {
        KIND_LEVEL => !own.may_hold(row.price),
        KIND_TRADE => !own.is_reached_by_print(side, row.price),
        _ => false,
    }
}

/// Applies a row to the book; `track` says whether a print of its time may follow.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "every market row passes here; a call costs as much as the work"
)]
fn apply(row: &Tick, recorded: &mut RecordedBook<LimitOrderBook>, track: bool) -> Result<()> {
    let side = side_of(row);
    if row.kind == KIND_LEVEL {
        recorded.level(side, row.price, row.qty, track)?;
    } else {
        recorded.trade(side, row.price, row.qty)?;
    }
    Ok(())
}

#[inline]
fn side_of(row: &Tick) -> Side {
    if row.side == 0 { Side::Bid } else { Side::Ask }
}
