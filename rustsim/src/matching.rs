//! The exchange itself: market rows against own resting orders, and own requests on arrival. Exchange clock only.
//!
//! Rules and their order: `docs/semantics.md` sections 3 to 5. Everything that happens to an own order is appended to `output`; whoever drives
//! the exchange takes it from there to the ledger, the digest and the way home.

use crate::book::LimitOrderBook;
use crate::consumed::{Consumed, units};
use crate::error::Result;
use crate::ledger::FillInput;
use crate::order_queue::{Knowledge, OrderQueue, RestingOrder, share_trade};
use crate::queue::{Mode, QueueDecay};
use crate::recorded::{RecordedBook, TradeChange};
use crate::rng::{Purpose, Streams};
use crate::spec::{BelowFilled, SimSpec};
use crate::types::{
    EventKind, FLAG_GAP, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, Liquidity,
    Lots, Nanos, OrderEvent, OrderId, OrderRequest, OrderType, Reason, Side, TakePolicy, Tick,
    TickIndex, TimeInForce,
};

/// Something that happened to an own order at the exchange, before it travels home.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) event: OrderEvent,
    pub(crate) fill: Option<FillInput>,
    pub(crate) session: u8,
}

/// A request as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Place {
        id: OrderId,
        order: OrderRequest,
    },
    Cancel {
        id: OrderId,
        session: u8,
    },
    Amend {
        id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    },
}

#[derive(Debug)]
pub(crate) struct Matching {
    pub(crate) recorded: RecordedBook,
    own: [OrderQueue; 2],
    consumed: Consumed,
    queue: QueueDecay,
    mode: Mode,
    streams: Streams,
    visible_levels: u32,
    price_min: TickIndex,
    price_max: TickIndex,
    lots_max: Lots,
    below_filled: BelowFilled,
    /// Ids that ever arrived; index = id.
    arrived: Vec<bool>,
    /// The last group held auction rows only.
    indicative: bool,
    group_has_market: bool,
    track_credit: bool,
    pub(crate) output: Vec<Outcome>,
}

impl Matching {
    pub(crate) fn new(spec: &SimSpec, book: LimitOrderBook, streams: Streams) -> Result<Self> {
        Ok(Self {
            recorded: RecordedBook::new(book),
            own: [OrderQueue::new(Side::Bid), OrderQueue::new(Side::Ask)],
            consumed: Consumed::new(spec.impact.half_life_ns),
            queue: QueueDecay::build(&spec.queue)?,
            mode: spec.queue.mode,
            streams,
            visible_levels: spec.instrument.visible_levels,
            price_min: spec.instrument.price_min.unwrap_or(TickIndex::MIN),
            price_max: spec.instrument.price_max.unwrap_or(TickIndex::MAX),
            lots_max: spec
                .instrument
                .max_order_lots
                .unwrap_or(Lots::from(i32::MAX)),
            below_filled: spec.rules.amend_below_filled,
            arrived: vec![false],
            indicative: false,
            group_has_market: false,
            track_credit: false,
            output: Vec::new(),
        })
    }

    pub(crate) fn is_indicative(&self) -> bool {
        self.indicative
    }

    pub(crate) fn available(&self, side: Side, price: TickIndex, now_ns: Nanos) -> Lots {
        self.consumed
            .available(side, price, self.recorded.book.size(side, price), now_ns)
    }

    pub(crate) fn resting(&self, id: OrderId) -> Option<&RestingOrder> {
        self.own
            .iter()
            .find_map(|queue| queue.find(id).map(|index| &queue.orders()[index]))
    }

    // ---- market rows -------------------------------------------------------------------------------------------------------------

    /// Applies the rows of one exchange time; `ordinal` is the tape row number of the first.
    #[inline]
    pub(crate) fn apply_group(&mut self, rows: &[Tick], ordinal: u64) -> Result<()> {
        self.recorded.begin_group();
        self.group_has_market = false;
        self.track_credit = rows.len() > 1;
        let resting = !(self.own[0].orders().is_empty() && self.own[1].orders().is_empty());
        if resting && self.track_credit {
            for queue in &mut self.own {
                queue
                    .orders_mut()
                    .iter_mut()
                    .for_each(|order| order.ahead_before_decrease = None);
            }
        }
        for (row, ordinal) in rows.iter().zip(ordinal..) {
            self.apply_row(row, ordinal)?;
        }
        self.indicative = !self.group_has_market;
        if resting && self.group_has_market {
            self.cross(rows[0].exch_ns);
        }
        Ok(())
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    fn apply_row(&mut self, row: &Tick, ordinal: u64) -> Result<()> {
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
        self.consumed
            .on_level(side, row.price, before, row.qty, row.exch_ns);
        self.hide(|order| order.side == side && order.price == row.price);
        Ok(())
    }

    fn hide(&mut self, concerns: impl Fn(&RestingOrder) -> bool) {
        for order in self.own.iter_mut().flat_map(OrderQueue::orders_mut) {
            if order.knowledge == Knowledge::Followed && concerns(order) {
                order.knowledge = Knowledge::Hidden;
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
        let after = units(Lots::from(row.qty));
        for order in self.own[side as usize].level_mut(row.price) {
            match order.knowledge {
                Knowledge::Unknown if row.qty > 0 => {
                    order.knowledge = Knowledge::Followed;
                    order.ahead = after;
                }
                Knowledge::Unknown => {}
                Knowledge::Hidden => order.ahead = order.ahead.min(after),
                Knowledge::Followed => {
                    if row.qty < before && order.ahead_before_decrease.is_none() {
                        order.ahead_before_decrease = Some(order.ahead);
                    }
                }
            }
        }
        if row.qty < before {
            self.cancel_at_level(side, row.price, before, row.qty, row.exch_ns, ordinal);
        }
        for order in self.own[side as usize].level_mut(row.price) {
            if order.knowledge == Knowledge::Hidden {
                order.knowledge = Knowledge::Followed;
            }
            if order.knowledge == Knowledge::Followed {
                order.ahead = order.ahead.min(after);
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
        let mut drawn = None;
        let mut ahead_of_last = 0;
        for order in self.own[side as usize].level_mut(price) {
            if order.knowledge != Knowledge::Followed {
                continue;
            }
            let streams = &self.streams;
            let part =
                self.queue
                    .part_ahead(self.mode, order.ahead.min(level), level, cancelled, || {
                        *drawn.get_or_insert_with(|| {
                            streams.uniform(Purpose::QueueDecay, at_ns, ordinal)
                        })
                    });
            order.ahead = (order.ahead.min(level) - part)
                .max(ahead_of_last)
                .min(units(Lots::from(after)));
            ahead_of_last = order.ahead;
        }
    }

    #[inline(never)]
    fn trade(&mut self, row: &Tick, side: Side, ordinal: u64) -> Result<()> {
        let own = &self.own[side as usize];
        if let Some(best) = own.best() {
            if side.is_better(best, row.price) {
                self.fill_better(
                    side,
                    row.price,
                    row.exch_ns,
                    Lots::from(row.qty),
                    |p, limit| side.is_better(p, limit),
                );
            }
        }
        if self.own[side as usize].holds(row.price) {
            let is_visible = self.is_in_view(side, row.price);
            let change = self.recorded.trade(side, row.price, row.qty)?;
            self.trade_own(row, side, change, is_visible, ordinal);
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
        let reordered = change.credit_used > 0;
        let rest = change.credit - change.credit_used;
        let size_before = change.before + change.credit;
        for order in self.own[side as usize].level_mut(row.price) {
            if order.knowledge == Knowledge::Unknown && is_visible {
                order.knowledge = Knowledge::Followed;
                order.ahead = units(Lots::from(size_before));
            }
            if let (true, Knowledge::Followed, Some(ahead)) =
                (reordered, order.knowledge, order.ahead_before_decrease)
            {
                order.ahead = ahead;
            }
        }
        self.trade_own_fill(row, side);
        let after = units(Lots::from(change.after + rest));
        for order in self.own[side as usize].level_mut(row.price) {
            if order.knowledge == Knowledge::Followed {
                order.ahead = order.ahead.min(after);
                if reordered {
                    order.ahead_before_decrease = Some(order.ahead);
                }
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
    }

    fn trade_own_fill(&mut self, row: &Tick, side: Side) {
        let traded = Lots::from(row.qty);
        let Self { own, output, .. } = self;
        let level = own[side as usize].level_mut(row.price);
        let known: Vec<usize> = (0..level.len())
            .filter(|i| level[*i].knowledge != Knowledge::Unknown)
            .collect();
        let mut fills = Vec::with_capacity(known.len());
        let state: Vec<(i64, Lots)> = known
            .iter()
            .map(|i| (level[*i].ahead, level[*i].leaves()))
            .collect();
        let market = share_trade(traded, state.into_iter(), |_, lots| fills.push(lots));
        for (index, lots) in known.into_iter().zip(fills) {
            let order = &mut level[index];
            if lots > 0 {
                output.push(maker_fill(order, lots, row.exch_ns, traded));
            }
            order.ahead = (order.ahead - units(market)).max(0);
        }
        own[side as usize].drop_filled();
    }

    /// Fills all leaves of own orders whose price satisfies `concerns` against `limit`; best price first.
    fn fill_better(
        &mut self,
        side: Side,
        limit: TickIndex,
        now_ns: Nanos,
        cause_lots: Lots,
        concerns: impl Fn(TickIndex, TickIndex) -> bool,
    ) {
        let Self { own, output, .. } = self;
        let queue = &mut own[side as usize];
        for order in queue
            .orders_mut()
            .iter_mut()
            .take_while(|order| concerns(order.price, limit))
        {
            let lots = order.leaves();
            output.push(maker_fill(order, lots, now_ns, cause_lots));
        }
        queue.drop_filled();
    }

    #[inline(never)]
    fn cross(&mut self, now_ns: Nanos) {
        for side in [Side::Bid, Side::Ask] {
            let Some(own_best) = self.own[side as usize].best() else {
                continue;
            };
            let Some(opposite) = self.best_available(side.opposite(), now_ns) else {
                continue;
            };
            if side.reaches(own_best, opposite) {
                self.fill_better(side, opposite, now_ns, 0, |price, limit| {
                    side.reaches(price, limit)
                });
            }
        }
    }

    /// Returns the best price of a side that still has lots for a taker.
    fn best_available(&self, side: Side, now_ns: Nanos) -> Option<TickIndex> {
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

    fn is_in_view(&self, side: Side, price: TickIndex) -> bool {
        if self.visible_levels == 0 {
            return true;
        }
        self.recorded
            .book
            .nth_best(side, self.visible_levels)
            .is_none_or(|last| !side.is_better(last, price))
    }

    // ---- own requests ------------------------------------------------------------------------------------------------------------

    pub(crate) fn handle(&mut self, request: Request, now_ns: Nanos) {
        match request {
            Request::Place { id, order } => self.place(id, order, now_ns),
            Request::Cancel { id, session } => self.cancel(id, session, now_ns),
            Request::Amend {
                id,
                price,
                qty,
                session,
            } => self.amend(id, price, qty, session, now_ns),
        }
    }

    fn place(&mut self, id: OrderId, order: OrderRequest, now_ns: Nanos) {
        self.mark_arrived(id);
        let incoming = Incoming {
            id,
            side: order.side,
            price: order.price,
            limit: match (order.order_type, order.side) {
                (OrderType::Limit, _) => order.price,
                (OrderType::Market, Side::Bid) => TickIndex::MAX,
                (OrderType::Market, Side::Ask) => TickIndex::MIN,
            },
            total: order.qty,
            filled: 0,
            post_only: order.take_policy == TakePolicy::PostOnly,
            session: order.session,
        };
        let reason = self.place_check(&incoming, &order, now_ns);
        if reason != Reason::None {
            self.emit(&incoming, EventKind::Rejected, now_ns, order.qty, 0, reason);
            return;
        }
        self.emit(
            &incoming,
            EventKind::Accepted,
            now_ns,
            order.qty,
            order.qty,
            Reason::None,
        );
        let must_fill_whole = order.time_in_force == TimeInForce::Fok;
        if must_fill_whole && self.walk_total(&incoming, now_ns) < order.qty {
            self.emit(
                &incoming,
                EventKind::Expired,
                now_ns,
                order.qty,
                0,
                Reason::Fok,
            );
            return;
        }
        let incoming = self.take(incoming, now_ns);
        let leaves = incoming.total - incoming.filled;
        if leaves > 0
            && (order.order_type == OrderType::Market || order.time_in_force != TimeInForce::Rod)
        {
            self.emit(
                &incoming,
                EventKind::Expired,
                now_ns,
                leaves,
                0,
                Reason::Ioc,
            );
        } else if leaves > 0 {
            self.rest(&incoming, now_ns);
        }
    }

    fn mark_arrived(&mut self, id: OrderId) {
        let index = usize::try_from(id).expect("order ids count calls");
        if self.arrived.len() <= index {
            self.arrived.resize(index + 1, false);
        }
        self.arrived[index] = true;
    }

    fn place_check(&self, incoming: &Incoming, order: &OrderRequest, now_ns: Nanos) -> Reason {
        if order.qty <= 0 || order.qty > self.lots_max {
            Reason::Quantity
        } else if order.order_type == OrderType::Limit
            && !(self.price_min..=self.price_max).contains(&order.price)
        {
            Reason::PriceLimit
        } else if order.order_type == OrderType::Market && order.time_in_force == TimeInForce::Rod {
            Reason::MarketNeedsIoc
        } else if self.indicative {
            Reason::Phase
        } else if self.would_take_post_only(incoming, now_ns) {
            Reason::PostOnly
        } else if self.would_match_itself(incoming, now_ns) {
            Reason::SelfMatch
        } else {
            Reason::None
        }
    }

    fn would_take_post_only(&self, incoming: &Incoming, now_ns: Nanos) -> bool {
        incoming.post_only
            && self
                .best_available(incoming.side.opposite(), now_ns)
                .is_some_and(|best| incoming.side.reaches(incoming.limit, best))
    }

    /// Returns whether the taker walk would come to an own resting order of the other side with lots left.
    fn would_match_itself(&self, incoming: &Incoming, now_ns: Nanos) -> bool {
        let other = incoming.side.opposite();
        let Some(own_best) = self.own[other as usize].best() else {
            return false;
        };
        if !incoming.side.reaches(incoming.limit, own_best) {
            return false;
        }
        let mut left = incoming.total - incoming.filled;
        let mut next = self.recorded.book.best(other);
        while let Some(price) = next {
            if !other.is_better(price, own_best) {
                break;
            }
            left -= self.available(other, price, now_ns);
            if left <= 0 {
                return false;
            }
            next = self.recorded.book.next_worse(other, price);
        }
        true
    }

    /// Returns the lots that a taker walk up to the limit would fill, at most the open quantity.
    fn walk_total(&self, incoming: &Incoming, now_ns: Nanos) -> Lots {
        let other = incoming.side.opposite();
        let open = incoming.total - incoming.filled;
        let mut total = 0;
        let mut next = self.recorded.book.best(other);
        while let Some(price) = next {
            if total >= open || !incoming.side.reaches(incoming.limit, price) {
                break;
            }
            total += self.available(other, price, now_ns);
            next = self.recorded.book.next_worse(other, price);
        }
        total.min(open)
    }

    fn take(&mut self, mut incoming: Incoming, now_ns: Nanos) -> Incoming {
        let other = incoming.side.opposite();
        let mut next = self.recorded.book.best(other);
        while let Some(price) = next {
            let open = incoming.total - incoming.filled;
            if open == 0 || !incoming.side.reaches(incoming.limit, price) {
                break;
            }
            let lots = open.min(self.available(other, price, now_ns));
            if lots > 0 {
                self.consumed.take(other, price, lots, now_ns);
                incoming.filled += lots;
                self.emit_taker_fill(&incoming, price, lots, now_ns);
            }
            next = self.recorded.book.next_worse(other, price);
        }
        incoming
    }

    fn rest(&mut self, incoming: &Incoming, now_ns: Nanos) {
        let side = incoming.side;
        let displayed = units(Lots::from(self.recorded.book.size(side, incoming.price)));
        let in_view = displayed > 0 || self.is_in_view(side, incoming.price);
        // The last own order of the level bounds the new one: queue order among own orders stays, and a hidden level hides for all.
        let (last_ahead, last_hidden) = self.own[side as usize]
            .level_mut(incoming.price)
            .last()
            .map_or((0, false), |last| {
                (last.ahead, last.knowledge == Knowledge::Hidden)
            });
        let ahead = displayed.max(last_ahead);
        let knowledge = match (in_view, last_hidden) {
            (false, _) => Knowledge::Unknown,
            (true, true) => Knowledge::Hidden,
            (true, false) => Knowledge::Followed,
        };
        self.own[side as usize].join(RestingOrder {
            id: incoming.id,
            side,
            price: incoming.price,
            total: incoming.total,
            filled: incoming.filled,
            ahead,
            knowledge,
            ahead_before_decrease: None,
            arrival_ns: now_ns,
            ahead_at_arrival: if in_view { ahead } else { -1 },
            post_only: incoming.post_only,
            session: incoming.session,
        });
    }

    fn find(&self, id: OrderId) -> Option<(Side, usize)> {
        [Side::Bid, Side::Ask]
            .into_iter()
            .find_map(|side| Some((side, self.own[side as usize].find(id)?)))
    }

    fn cancel(&mut self, id: OrderId, session: u8, now_ns: Nanos) {
        let Some((side, index)) = self.find(id) else {
            return self.refuse_absent(id, EventKind::CancelRejected, session, now_ns);
        };
        let order = Incoming {
            session,
            ..Incoming::from(&self.own[side as usize].remove(index))
        };
        self.emit(
            &order,
            EventKind::Cancelled,
            now_ns,
            order.total - order.filled,
            0,
            Reason::None,
        );
    }

    fn refuse_absent(&mut self, id: OrderId, kind: EventKind, session: u8, now_ns: Nanos) {
        let has_arrived = usize::try_from(id)
            .ok()
            .and_then(|index| self.arrived.get(index))
            .copied()
            .unwrap_or(false);
        let reason = if has_arrived {
            Reason::TooLate
        } else {
            Reason::UnknownOrder
        };
        let nothing = Incoming::nothing(id, session);
        self.emit(&nothing, kind, now_ns, 0, 0, reason);
    }

    fn amend(
        &mut self,
        id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
        now_ns: Nanos,
    ) {
        let Some((side, index)) = self.find(id) else {
            return self.refuse_absent(id, EventKind::AmendRejected, session, now_ns);
        };
        let before = Incoming {
            session,
            ..Incoming::from(&self.own[side as usize].orders()[index])
        };
        let price = price.unwrap_or(before.price);
        let after = Incoming {
            price,
            limit: price,
            total: qty.unwrap_or(before.total),
            ..before
        };
        if after.total <= before.filled
            && after.total > 0
            && self.below_filled == BelowFilled::Cancel
        {
            self.own[side as usize].remove(index);
            self.emit(
                &before,
                EventKind::Cancelled,
                now_ns,
                before.total - before.filled,
                0,
                Reason::None,
            );
            return;
        }
        let keeps_priority = price == before.price && after.total <= before.total;
        let reason = self.amend_check(&after, keeps_priority, now_ns);
        if reason != Reason::None {
            self.emit(
                &before,
                EventKind::AmendRejected,
                now_ns,
                before.total,
                before.total - before.filled,
                reason,
            );
            return;
        }
        self.emit(
            &after,
            EventKind::Amended,
            now_ns,
            after.total,
            after.total - after.filled,
            Reason::None,
        );
        if keeps_priority {
            self.own[side as usize].orders_mut()[index].total = after.total;
            return;
        }
        let session_of_order = self.own[side as usize].remove(index).session;
        let after = self.take(
            Incoming {
                session: session_of_order,
                ..after
            },
            now_ns,
        );
        if after.total > after.filled {
            self.rest(&after, now_ns);
        }
    }

    fn amend_check(&self, after: &Incoming, keeps_priority: bool, now_ns: Nanos) -> Reason {
        if after.total <= 0 || after.total > self.lots_max {
            Reason::Quantity
        } else if !(self.price_min..=self.price_max).contains(&after.price) {
            Reason::PriceLimit
        } else if after.total <= after.filled {
            Reason::BelowFilled
        } else if keeps_priority {
            Reason::None
        } else if self.would_take_post_only(after, now_ns) {
            Reason::PostOnly
        } else if self.would_match_itself(after, now_ns) {
            Reason::SelfMatch
        } else {
            Reason::None
        }
    }

    /// Ends every resting order; returns them by id.
    pub(crate) fn drain_resting(&mut self) -> Vec<RestingOrder> {
        let mut all = Vec::new();
        for queue in &mut self.own {
            while !queue.orders().is_empty() {
                all.push(queue.remove(0));
            }
        }
        all.sort_by_key(|order| order.id);
        all
    }

    fn emit(
        &mut self,
        order: &Incoming,
        kind: EventKind,
        now_ns: Nanos,
        qty: Lots,
        leaves: Lots,
        reason: Reason,
    ) {
        let event = OrderEvent {
            kind,
            order_id: order.id,
            exch_ns: now_ns,
            local_ns: now_ns,
            side: order.side,
            price: order.price,
            qty,
            leaves,
            liquidity: Liquidity::Taker,
            reason,
        };
        self.output.push(Outcome {
            event,
            fill: None,
            session: order.session,
        });
    }

    fn emit_taker_fill(&mut self, order: &Incoming, price: TickIndex, lots: Lots, now_ns: Nanos) {
        let leaves = order.total - order.filled;
        let event = OrderEvent {
            kind: EventKind::Filled,
            order_id: order.id,
            exch_ns: now_ns,
            local_ns: now_ns,
            side: order.side,
            price,
            qty: lots,
            leaves,
            liquidity: Liquidity::Taker,
            reason: Reason::None,
        };
        let fill = FillInput {
            exch_ns: now_ns,
            order_id: order.id,
            side: order.side,
            price,
            lots,
            liquidity: Liquidity::Taker,
            ahead_units: -1,
            arrival_ns: now_ns,
            ahead_at_arrival_units: -1,
            cause_lots: 0,
            is_first_fill: order.filled == lots,
        };
        self.output.push(Outcome {
            event,
            fill: Some(fill),
            session: order.session,
        });
    }
}

fn maker_fill(order: &mut RestingOrder, lots: Lots, now_ns: Nanos, cause_lots: Lots) -> Outcome {
    let is_first_fill = order.filled == 0;
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
        order_id: order.id,
        side: order.side,
        price: order.price,
        lots,
        liquidity: Liquidity::Maker,
        ahead_units: order.ahead_or_unknown(),
        arrival_ns: order.arrival_ns,
        ahead_at_arrival_units: order.ahead_at_arrival,
        cause_lots,
        is_first_fill,
    };
    Outcome {
        event,
        fill: Some(fill),
        session: order.session,
    }
}

/// An order while it is being handled.
#[derive(Debug, Clone, Copy)]
struct Incoming {
    id: OrderId,
    side: Side,
    price: TickIndex,
    /// Worst price that it takes; differs from `price` for market orders.
    limit: TickIndex,
    total: Lots,
    filled: Lots,
    post_only: bool,
    session: u8,
}

impl Incoming {
    /// What a refusal says about an order that is not at the exchange.
    fn nothing(id: OrderId, session: u8) -> Self {
        Self {
            id,
            side: Side::Bid,
            price: 0,
            limit: 0,
            total: 0,
            filled: 0,
            post_only: false,
            session,
        }
    }
}

impl From<&RestingOrder> for Incoming {
    fn from(order: &RestingOrder) -> Self {
        Self {
            id: order.id,
            side: order.side,
            price: order.price,
            limit: order.price,
            total: order.total,
            filled: order.filled,
            post_only: order.post_only,
            session: order.session,
        }
    }
}
