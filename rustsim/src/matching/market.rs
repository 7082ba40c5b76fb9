//! Market rows against own resting orders (`docs/semantics.md` sections 3 and 4).

use super::certified::close_filled;
use super::{Crossing, Matching, Outcome};
use crate::book::{Book, NO_PRICE};
use crate::certificate::{Certificate, Certified};
use crate::consumed::units;
use crate::error::Result;
use crate::ledger::FillInput;
use crate::order_queue::{Knowledge, OrderQueue, RestingOrder, share_trade};
use crate::queue::{Cancel, Reaction};
use crate::recorded::TradeChange;
use crate::rng::Purpose;
use crate::types::{
    AHEAD_ONE, EventKind, FLAG_GAP, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL,
    Liquidity, Lots, Nanos, OrderEvent, Reason, Side, Tick, TickIndex,
};

impl<B: Book> Matching<B> {
    /// Applies rows of one exchange time; `ordinal` is the tape row number of the first. They are all rows of that time unless the market is `STEPPED`:
    /// then it comes message by message, and more of one time may follow.
    #[inline]
    pub(crate) fn apply_group<const STEPPED: bool>(
        &mut self,
        rows: &[Tick],
        ordinal: u64,
    ) -> Result<()> {
        let is_new_instant =
            !STEPPED || self.stepped_ns.replace(rows[0].exch_ns) != Some(rows[0].exch_ns);
        if is_new_instant {
            self.recorded.begin_group();
        }
        self.group_has_market = false;
        // With joins a print takes its own lots, and no level row tells them again.
        self.track_credit = (STEPPED || rows.len() > 1) && !self.has_join;
        let resting = !self.is_without_orders();
        if resting && self.track_credit && is_new_instant {
            self.forget_decreases();
        }
        for (row, ordinal) in rows.iter().zip(ordinal..) {
            self.apply_row(row, ordinal)?;
        }
        self.indicative = !self.group_has_market;
        if self.group_has_market {
            if resting {
                if self.is_naive() {
                    self.touch(rows);
                } else {
                    self.cross(rows[0].exch_ns);
                }
            }
            self.crossing = Crossing::Settled;
        }
        Ok(())
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    pub(super) fn apply_row(&mut self, row: &Tick, ordinal: u64) -> Result<()> {
        let side = if row.side == 0 { Side::Bid } else { Side::Ask };
        if row.flags & (FLAG_GAP | FLAG_INDICATIVE | FLAG_OUT_OF_VIEW) != 0
            || row.kind == KIND_CLEAR
        {
            return self.apply_unusual_row(row, side, ordinal);
        }
        self.group_has_market = true;
        if row.kind == KIND_LEVEL {
            self.level(row, side, ordinal)
        } else {
            self.trade(row, side, ordinal)
        }
    }

    #[cold]
    fn apply_unusual_row(&mut self, row: &Tick, side: Side, ordinal: u64) -> Result<()> {
        if row.flags & FLAG_GAP != 0 {
            self.hide(|_| true);
        }
        let indicative = row.flags & FLAG_INDICATIVE != 0;
        self.group_has_market |= !indicative;
        if row.kind == KIND_CLEAR {
            self.recorded.clear();
            self.consumed.clear();
            self.hide(|_| true);
            self.forget_decreases();
            return Ok(());
        }
        if row.kind != KIND_LEVEL {
            return if indicative {
                Ok(())
            } else {
                self.trade(row, side, ordinal)
            };
        }
        if !indicative && row.flags & FLAG_OUT_OF_VIEW == 0 {
            return self.level(row, side, ordinal);
        }
        let before = self.recorded.level(side, row.price, row.qty, false)?;
        if !indicative {
            self.consumed
                .on_level(side, row.price, before, row.qty, row.exch_ns);
        }
        self.hide(|order| order.side == side && order.price == row.price);
        Ok(())
    }

    pub(super) fn forget_decreases(&mut self) {
        for order in self.own.iter_mut().flat_map(OrderQueue::orders_mut) {
            order.ahead_before_decrease = None;
            order.sizes_behind.settle();
            order.each_certificate(Certificate::forget);
        }
    }

    fn hide(&mut self, concerns: impl Fn(&RestingOrder) -> bool) {
        for order in self.own.iter_mut().flat_map(OrderQueue::orders_mut) {
            if order.knowledge == Knowledge::Followed && concerns(order) {
                order.knowledge = Knowledge::Hidden;
                order.sizes_behind.clear();
                order.place.is_exact = false;
            }
        }
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    fn level(&mut self, row: &Tick, side: Side, ordinal: u64) -> Result<()> {
        let before = self
            .recorded
            .level(side, row.price, row.qty, self.track_credit)?;
        if !self.consumed.is_empty() {
            self.consumed
                .on_level(side, row.price, before, row.qty, row.exch_ns);
        }
        if self.own[side as usize].holds(row.price) {
            self.level_own(row, side, before, ordinal);
        }
        Ok(())
    }

    #[inline(never)]
    fn level_own(&mut self, row: &Tick, side: Side, before: i32, ordinal: u64) {
        if self.is_naive() {
            return;
        }
        if self.by_join {
            return self.level_own_by_join(row, side, before, ordinal);
        }
        if row.qty < before {
            for order in self.own[side as usize].level_mut(row.price) {
                // If the place is only known from here on, the whole display was ahead.
                let display = (order.knowledge == Knowledge::Unknown).then_some(before);
                if display.is_some() && row.qty == 0 {
                    continue;
                }
                let known = display.map_or(order.ahead, |lots| units(lots.into()));
                order.ahead_before_decrease.get_or_insert(known);
                if let Some(certificate) = &mut order.certificate {
                    certificate.remember(display);
                }
            }
            self.cancel_at_level(side, row.price, before, row.qty, row.exch_ns, ordinal);
        }
        for order in self.own[side as usize].level_mut(row.price) {
            match order.knowledge {
                Knowledge::Unknown if row.qty == 0 => {}
                Knowledge::Unknown => {
                    order.become_known(row.qty);
                }
                Knowledge::Hidden | Knowledge::Followed => {
                    if self.queue.reads_sizes()
                        && order.knowledge == Knowledge::Followed
                        && row.qty > before
                    {
                        order.sizes_behind.add(row.qty - before);
                    }
                    order.knowledge = Knowledge::Followed;
                    order.cap(row.qty);
                }
            }
            if row.qty == 0 {
                order.sizes_behind.clear();
            }
        }
    }

    /// Lets the queue model place a cancel that took a level from `before` to `after` lots.
    fn cancel_at_level(
        &mut self,
        side: Side,
        price: TickIndex,
        before: i32,
        after: i32,
        at_ns: Nanos,
        ordinal: u64,
    ) {
        let (level, cancelled) = (units(Lots::from(before)), units(Lots::from(before - after)));
        let own_lots = self.own[side as usize].level_lots(price);
        let reaction = Reaction::new(self.kappa, own_lots, Lots::from(before));
        let mut drawn = None;
        let mut ahead_of_last = 0;
        let mut bounds_of_last = (0, 0);
        for order in self.own[side as usize].level_mut(price) {
            if order.knowledge != Knowledge::Followed {
                continue;
            }
            let streams = &self.streams;
            let is_size_behind = self.queue.reads_sizes()
                && order.sizes_behind.take(before - after, self.track_credit);
            let cancel = Cancel {
                ahead: order.ahead.min(level),
                level,
                cancelled,
                is_size_behind,
                reaction,
            };
            let part = self.queue.part_ahead(self.mode, cancel, || {
                *drawn.get_or_insert_with(|| streams.uniform(Purpose::QueueDecay, at_ns, ordinal))
            });
            order.ahead = (cancel.ahead - part)
                .max(ahead_of_last)
                .min(units(Lots::from(after)));
            ahead_of_last = order.ahead;
            if let Some(certificate) = &mut order.certificate {
                certificate.cancel(before, after, &mut bounds_of_last);
            }
        }
    }

    #[inline(never)]
    fn trade(&mut self, row: &Tick, side: Side, ordinal: u64) -> Result<()> {
        let own = &self.own[side as usize];
        if own
            .best()
            .is_some_and(|best| side.is_better(best, row.price) && !self.is_naive())
        {
            let print = Print::of(row, ordinal);
            self.fill_better(side, row.price, row.exch_ns, print, |price, limit| {
                side.is_better(price, limit)
            });
        }
        if self.own[side as usize].holds(row.price) {
            // Only orders whose place is unknown ask for it, and the answer is not cheap.
            let mut level = self.own[side as usize].level_mut(row.price).iter();
            let is_visible = level.any(|order| order.knowledge == Knowledge::Unknown)
                && self.is_in_view(side, row.price);
            let change = self.recorded.trade(side, row.price, row.qty)?;
            if self.by_join {
                self.trade_own_by_join(row, side, change, is_visible, ordinal);
            } else {
                self.trade_own(row, side, change, is_visible, ordinal);
            }
            self.consumed
                .on_trade(side, row.price, row.qty, change.after, row.exch_ns);
            return Ok(());
        }
        let change = self.recorded.trade(side, row.price, row.qty)?;
        if !self.consumed.is_empty() {
            self.consumed
                .on_trade(side, row.price, row.qty, change.after, row.exch_ns);
        }
        Ok(())
    }

    fn trade_own(
        &mut self,
        row: &Tick,
        side: Side,
        change: TradeChange,
        is_visible: bool,
        ordinal: u64,
    ) {
        if self.is_naive() {
            return;
        }
        let reordered = change.credit_used > 0;
        let rest = change.credit - change.credit_used;
        let size_before = change.before + change.credit;
        for order in self.own[side as usize].level_mut(row.price) {
            if order.knowledge == Knowledge::Unknown && is_visible {
                order.become_known(size_before);
            }
            if let (true, Knowledge::Followed, Some(ahead)) =
                (reordered, order.knowledge, order.ahead_before_decrease)
            {
                order.ahead = ahead;
                order.sizes_behind.put_back();
                order.each_certificate(Certificate::restore);
            }
        }
        self.trade_own_fill(row, side, Print::of(row, ordinal));
        let mut ahead_of_last = 0;
        let mut bounds_of_last = (0, 0);
        for order in self.own[side as usize].level_mut(row.price) {
            let is_followed = order.knowledge == Knowledge::Followed;
            if is_followed {
                // An order that joined between decrease and print was not set back as far as those before it.
                order.ahead = order.ahead.max(ahead_of_last);
                if let Some(certificate) = &mut order.certificate {
                    certificate.stay_behind(bounds_of_last);
                }
                order.cap(change.after + rest);
                ahead_of_last = order.ahead;
                bounds_of_last = order
                    .certificate
                    .as_ref()
                    .map_or((0, 0), |bounds| bounds.range());
            }
            if reordered {
                // What is left of the decrease comes after the print.
                let has_rest = is_followed && rest > 0;
                order.ahead_before_decrease = has_rest.then_some(order.ahead);
                order.each_certificate(|certificate| {
                    if has_rest {
                        certificate.remember_rest();
                    } else {
                        certificate.forget();
                    }
                });
            }
        }
        if reordered && rest > 0 {
            self.cancel_at_level(
                side,
                row.price,
                change.after + rest,
                change.after,
                row.exch_ns,
                ordinal,
            );
        }
        if self.queue.reads_sizes() && change.after == 0 {
            for order in self.own[side as usize].level_mut(row.price) {
                order.sizes_behind.clear();
            }
        }
    }

    fn trade_own_fill(&mut self, row: &Tick, side: Side, print: Print) {
        let Self {
            own,
            output,
            certificates,
            ..
        } = self;
        let level = own[side as usize].level_mut(row.price);
        let known: Vec<usize> = (0..level.len())
            .filter(|i| level[*i].knowledge != Knowledge::Unknown)
            .collect();
        let mut fills = Vec::with_capacity(known.len());
        let state: Vec<(i64, Lots)> = known
            .iter()
            .map(|i| (level[*i].ahead, level[*i].leaves()))
            .collect();
        let market = share_trade(print.lots, state.into_iter(), |_, lots| fills.push(lots));
        let (mut own_before, mut own_filled) = (0, 0);
        for (index, lots) in known.into_iter().zip(fills) {
            let order = &mut level[index];
            let (open, total) = (order.leaves(), order.total);
            // A fill has used up what was ahead; without one, all that the market gave was ahead.
            let consumed = if lots > 0 && order.ahead <= units(market) {
                print.lots - own_filled
            } else {
                market
            };
            let certified = order
                .certify(|certificate| certificate.trade(print.lots, consumed, own_before, total));
            if lots > 0 {
                let fill = maker_fill(order, lots, row.exch_ns, print, own_before, certified);
                output.push(fill);
            }
            order.ahead = (order.ahead - units(market)).max(0);
            own_before += open;
            own_filled += lots;
        }
        close_filled(&own[side as usize], row.exch_ns, certificates);
        own[side as usize].drop_filled();
    }

    /// Fills all leaves of own orders whose price satisfies `concerns` against `limit`; best price first.
    pub(super) fn fill_better(
        &mut self,
        side: Side,
        limit: TickIndex,
        now_ns: Nanos,
        print: Print,
        concerns: impl Fn(TickIndex, TickIndex) -> bool,
    ) {
        let Self {
            own,
            output,
            certificates,
            ..
        } = self;
        let queue = &mut own[side as usize];
        let mut own_before = 0;
        for order in queue
            .orders_mut()
            .iter_mut()
            .take_while(|order| concerns(order.price, limit))
        {
            let (lots, total) = (order.leaves(), order.total);
            let certified = order.certify(|certificate| certificate.fill_all(total));
            let fill = maker_fill(order, lots, now_ns, print, own_before, certified);
            output.push(fill);
            own_before += lots;
        }
        close_filled(queue, now_ns, certificates);
        queue.drop_filled();
    }

    /// Fills own orders that the other side of the book has reached.
    #[inline]
    pub(super) fn cross(&mut self, now_ns: Nanos) {
        let [bids, asks] = &self.own;
        let touch = self.recorded.book.touch();
        let is_reached = |own: &OrderQueue, side: Side| {
            let opposite = touch[side.opposite() as usize];
            own.best()
                .is_some_and(|best| opposite != NO_PRICE && side.reaches(best, opposite))
        };
        // What own takers left of the book may be less than it shows, but reaches no further.
        if is_reached(bids, Side::Bid) || is_reached(asks, Side::Ask) {
            self.cross_reached(now_ns);
        }
    }

    #[cold]
    fn cross_reached(&mut self, now_ns: Nanos) {
        for side in [Side::Bid, Side::Ask] {
            let Some(own_best) = self.own[side as usize].best() else {
                continue;
            };
            let Some(opposite) = self.best_available(side.opposite(), now_ns) else {
                continue;
            };
            if side.reaches(own_best, opposite) {
                self.fill_better(side, opposite, now_ns, Print::NONE, |price, limit| {
                    side.reaches(price, limit)
                });
            }
        }
    }

    /// Returns the best price of a side that still has lots for a taker.
    pub(super) fn best_available(&self, side: Side, now_ns: Nanos) -> Option<TickIndex> {
        let book = &self.recorded.book;
        let mut price = book.best(side)?;
        if self.consumed.is_empty() {
            return Some(price);
        }
        while self.available(side, price, now_ns) == 0 {
            price = book.next_worse(side, price)?;
        }
        Some(price)
    }

    pub(super) fn is_in_view(&self, side: Side, price: TickIndex) -> bool {
        let book = &self.recorded.book;
        let is_best = |best: TickIndex| !side.is_better(best, price);
        if self.visible_levels == 0
            || book.best(side).is_none_or(is_best)
            || book.size(side, price) > 0
        {
            return true;
        }
        book.nth_best(side, self.visible_levels)
            .is_none_or(|last| !side.is_better(last, price))
    }
}

/// The print that causes a fill.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print {
    pub(super) lots: Lots,
    row: i64,
}

impl Print {
    pub(super) const NONE: Self = Self { lots: 0, row: -1 };

    pub(super) fn of(row: &Tick, ordinal: u64) -> Self {
        Self {
            lots: row.qty.into(),
            row: ordinal.cast_signed(),
        }
    }
}

/// Fills lots of a resting order; `own_before` are open own lots that the print had to fill first.
pub(super) fn maker_fill(
    order: &mut RestingOrder,
    lots: Lots,
    now_ns: Nanos,
    print: Print,
    own_before: Lots,
    certified: Certified,
) -> Outcome {
    let is_first_fill = order.filled == 0;
    // Own lots may exceed any print: 128 bits hold them in queue units.
    let queue = i128::from(own_before + order.leaves()) * i128::from(AHEAD_ONE)
        + i128::from(order.ahead_or_unknown().max(0));
    let is_short_print = print.lots > 0 && i128::from(units(print.lots)) < queue;
    order.filled += lots;
    let event = OrderEvent {
        kind: EventKind::Filled,
        order_id: order.id,
        exch_ns: now_ns,
        local_ns: now_ns,
        side: order.side,
        price: order.price,
        qty: lots,
        leaves: order.leaves(),
        liquidity: Liquidity::Maker,
        reason: Reason::None,
    };
    let fill = FillInput {
        exch_ns: now_ns,
        local_ns: now_ns,
        order_id: order.id,
        side: order.side,
        price: order.price,
        lots,
        liquidity: Liquidity::Maker,
        ahead_units: order.ahead_or_unknown(),
        ahead_front_lots: certified.front,
        ahead_back_lots: certified.back,
        certain_lots: certified.certain,
        arrival_ns: order.arrival_ns,
        ahead_at_arrival_units: order.ahead_at_arrival,
        cause_lots: print.lots,
        cause_row: print.row,
        is_short_print,
        is_beyond_best: false,
        is_first_fill,
    };
    Outcome {
        event,
        fill: Some(Box::new(fill)),
        session: order.session,
    }
}
