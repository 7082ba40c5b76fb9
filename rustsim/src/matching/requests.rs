//! Own requests on arrival (`docs/semantics.md` section 5).

use super::{Crossing, Incoming, Matching, Request};
use crate::book::Book;
use crate::certificate::Certificate;
use crate::consumed::units;
use crate::order_queue::{Knowledge, Place, RestingOrder};
use crate::queue::Sizes;
use crate::spec::BelowFilled;
use crate::types::{
    EventKind, Lots, Nanos, OrderId, OrderRequest, OrderType, Reason, Side, TakePolicy, TickIndex,
    TimeInForce,
};

impl<B: Book> Matching<B> {
    pub(crate) fn handle(&mut self, request: Request, now_ns: Nanos) {
        self.crossing = Crossing::Open;
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
            left -= self.takeable(other, price, now_ns);
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
            total += self.takeable(other, price, now_ns);
            next = self.recorded.book.next_worse(other, price);
        }
        total.min(open)
    }

    fn take(&mut self, mut incoming: Incoming, now_ns: Nanos) -> Incoming {
        let other = incoming.side.opposite();
        let best = self.recorded.book.best(other);
        let mut next = best;
        while let Some(price) = next {
            let open = incoming.total - incoming.filled;
            if open == 0 || !incoming.side.reaches(incoming.limit, price) {
                break;
            }
            let lots = open.min(self.takeable(other, price, now_ns));
            if lots > 0 {
                self.consumed.take(other, price, lots, now_ns);
                incoming.filled += lots;
                self.emit_taker_fill(&incoming, price, lots, now_ns, next != best);
            }
            next = self.recorded.book.next_worse(other, price);
        }
        incoming
    }

    fn rest(&mut self, incoming: &Incoming, now_ns: Nanos) {
        let side = incoming.side;
        let displayed = Lots::from(self.recorded.book.size(side, incoming.price));
        // The naive world has no queues to know.
        let in_view = !self.is_naive() && self.is_in_view(side, incoming.price);
        if in_view {
            self.know_level(side, incoming.price);
        }
        // The last own order of the level bounds the new one: queue order among own orders stays, and a hidden level hides for all.
        let last = self.own[side as usize]
            .level_mut(incoming.price)
            .last()
            .filter(|last| last.knowledge != Knowledge::Unknown);
        let (last_ahead, last_hidden) = last.map_or((0, false), |last| {
            (last.ahead, last.knowledge == Knowledge::Hidden)
        });
        let open = incoming.total - incoming.filled;
        let certificate = self.certificates.is_some().then(|| {
            let last = last.and_then(|last| last.certificate.as_deref());
            Box::new(Certificate::new(open, incoming.filled, displayed, last))
        });
        if in_view {
            self.arrivals.own_lots += open;
            self.arrivals.displayed_lots += displayed;
        }
        let ahead = units(displayed).max(last_ahead);
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
            sizes_behind: Sizes::default(),
            arrival_ns: now_ns,
            ahead_at_arrival: if in_view { ahead } else { -1 },
            post_only: incoming.post_only,
            session: incoming.session,
            place: Place {
                join: self.next_row + 1,
                displaced: 0,
                is_exact: knowledge == Knowledge::Followed,
            },
            certificate,
        });
    }

    /// Learns from a level inside the view what own orders there could not know yet: whoever joins now stands behind them.
    fn know_level(&mut self, side: Side, price: TickIndex) {
        let displayed = self.recorded.book.size(side, price);
        for order in self.own[side as usize].level_mut(price) {
            if order.knowledge == Knowledge::Unknown {
                order.become_known(displayed);
            }
        }
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
            ..Incoming::from(&self.remove(side, index, now_ns))
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
            self.remove(side, index, now_ns);
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
        let session_of_order = self.remove(side, index, now_ns).session;
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
        } else if self.indicative {
            Reason::Phase
        } else if self.would_take_post_only(after, now_ns) {
            Reason::PostOnly
        } else if self.would_match_itself(after, now_ns) {
            Reason::SelfMatch
        } else {
            Reason::None
        }
    }
}
