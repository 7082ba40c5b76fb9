//! Own requests at the exchange (semantics 5).

use rustsim::types::{
    AHEAD_ONE, EventKind, Liquidity, Lots, Nanos, OrderId, OrderRequest, OrderType, Reason, Side,
    TakePolicy, TickIndex, TimeInForce,
};

use super::fills::{Bound, Cause};
use super::{Exchange, Face, Own, Request, other};

impl Exchange {
    pub fn arrive(&mut self, now: Nanos, request: Request, session: u8) {
        match request {
            Request::Place { id, order } => self.place(now, id, order, session),
            Request::Cancel { id } => self.cancel(now, id, session),
            Request::Amend { id, price, qty } => self.amend(now, id, price, qty, session),
        }
    }

    /// Opposite levels that an order may take from, best first, with what is available there.
    fn walk(&self, side: Side, limit: Option<TickIndex>, now: Nanos) -> Vec<(TickIndex, Lots)> {
        self.displayed(other(side))
            .into_iter()
            .filter(|&price| limit.is_none_or(|limit| side.reaches(limit, price)))
            .map(|price| (price, self.available(other(side), price, now)))
            .filter(|&(_, lots)| lots > 0)
            .map(|(price, lots)| {
                // In the naive world any size is there.
                (price, if self.rules.is_naive { 1 << 40 } else { lots })
            })
            .collect()
    }

    fn is_outside_limits(&self, price: TickIndex) -> bool {
        self.rules.price_min.is_some_and(|min| price < min)
            || self.rules.price_max.is_some_and(|max| price > max)
    }

    fn would_take(&self, side: Side, limit: Option<TickIndex>, now: Nanos) -> bool {
        !self.walk(side, limit, now).is_empty()
    }

    fn would_match_itself(
        &self,
        side: Side,
        limit: Option<TickIndex>,
        qty: Lots,
        now: Nanos,
    ) -> bool {
        let walk = self.walk(side, limit, now);
        self.resting
            .iter()
            .filter(|own| own.side == other(side))
            .any(|own| {
                let is_reached = limit.is_none_or(|limit| side.reaches(limit, own.price));
                let better: Lots = walk
                    .iter()
                    .filter(|(price, _)| other(side).is_better(*price, own.price))
                    .map(|(_, lots)| lots)
                    .sum();
                is_reached && better < qty
            })
    }

    fn place(&mut self, now: Nanos, id: OrderId, order: OrderRequest, session: u8) {
        self.arrived.insert(id);
        let is_market = order.order_type == OrderType::Market;
        let limit = (!is_market).then_some(order.price);
        let face = Face {
            id,
            side: order.side,
            price: order.price,
        };
        let refusal =
            if order.qty <= 0 || self.rules.max_order_lots.is_some_and(|max| order.qty > max) {
                Some(Reason::Quantity)
            } else if !is_market && self.is_outside_limits(order.price) {
                Some(Reason::PriceLimit)
            } else if is_market && order.time_in_force == TimeInForce::Rod {
                Some(Reason::MarketNeedsIoc)
            } else if self.is_auction {
                Some(Reason::Phase)
            } else if order.take_policy == TakePolicy::PostOnly
                && self.would_take(order.side, limit, now)
            {
                Some(Reason::PostOnly)
            } else if self.would_match_itself(order.side, limit, order.qty, now) {
                Some(Reason::SelfMatch)
            } else {
                None
            };
        if let Some(reason) = refusal {
            self.report(
                now,
                EventKind::Rejected,
                face,
                order.qty,
                0,
                Liquidity::Maker,
                reason,
                session,
            );
            return;
        }
        self.report(
            now,
            EventKind::Accepted,
            face,
            order.qty,
            order.qty,
            Liquidity::Maker,
            Reason::None,
            session,
        );
        let reachable: Lots = self
            .walk(order.side, limit, now)
            .iter()
            .map(|(_, lots)| lots)
            .sum();
        if order.time_in_force == TimeInForce::Fok && reachable < order.qty {
            self.report(
                now,
                EventKind::Expired,
                face,
                order.qty,
                0,
                Liquidity::Maker,
                Reason::Fok,
                session,
            );
            return;
        }
        let own = Own {
            id,
            side: order.side,
            price: order.price,
            total: order.qty,
            filled: 0,
            leaves: order.qty,
            is_post_only: order.take_policy == TakePolicy::PostOnly,
            session,
            ahead: None,
            is_hidden: false,
            sizes_behind: Vec::new(),
            sizes_gone: Vec::new(),
            ahead_at_arrival: None,
            arrival_ns: now,
            rows_before: 0,
            displaced: 0,
            is_exact: false,
            bounds: [Bound::default(); 2],
            rested: 0,
            filled_before: 0,
        };
        let own = self.take(now, own, limit);
        if own.leaves == 0 {
        } else if is_market || order.time_in_force != TimeInForce::Rod {
            self.report(
                now,
                EventKind::Expired,
                face,
                own.leaves,
                0,
                Liquidity::Maker,
                Reason::Ioc,
                session,
            );
        } else {
            self.rest(now, own);
        }
    }

    /// Walks the opposite side and returns what is left of the order.
    fn take(&mut self, now: Nanos, mut own: Own, limit: Option<TickIndex>) -> Own {
        let best = self.displayed(other(own.side)).first().copied();
        for (price, available) in self.walk(own.side, limit, now) {
            let lots = available.min(own.leaves);
            if lots == 0 {
                break;
            }
            if !self.rules.is_naive {
                let key = (other(own.side), price);
                let units = self.consumed_at(key, now) + lots * AHEAD_ONE;
                self.consumed.insert(key, (units, now));
            }
            own.leaves -= lots;
            own.filled += lots;
            let is_beyond_best = Some(price) != best;
            self.report_fill(
                now,
                &own,
                price,
                lots,
                Liquidity::Taker,
                Cause::NONE,
                None,
                is_beyond_best,
            );
        }
        own
    }

    fn rest(&mut self, now: Nanos, mut own: Own) {
        let displayed = self.size(own.side, own.price);
        let is_known = !self.rules.is_naive && !self.is_out_of_window(own.side, own.price);
        for other in &mut self.resting {
            if is_known && other.key() == own.key() && other.ahead.is_none() {
                other.set_known(displayed);
            }
        }
        let last = self
            .resting
            .iter()
            .rev()
            .find(|other| other.key() == own.key());
        own.is_hidden = last.is_some_and(|other| other.is_hidden);
        let (before_us, bounds_before_us) =
            last.and_then(|other| other.places()).unwrap_or((0, [0; 2]));
        own.bounds = bounds_before_us.map(|ahead| Bound {
            ahead: displayed.max(ahead),
            filled: 0,
        });
        own.rested = own.leaves;
        own.filled_before = own.filled;
        own.ahead = is_known.then_some((displayed * AHEAD_ONE).max(before_us));
        if own.ahead.is_some() {
            self.arrivals.0 += own.leaves;
            self.arrivals.1 += displayed;
        }
        own.ahead_at_arrival = own.ahead;
        own.arrival_ns = now;
        own.is_exact = own.ahead.is_some() && !own.is_hidden;
        own.displaced = 0;
        self.join_queue(&mut own);
        self.resting.push(own);
    }

    fn cancel(&mut self, now: Nanos, id: OrderId, session: u8) {
        if let Some(index) = self.resting.iter().position(|own| own.id == id) {
            let own = self.end_rest(now, index);
            let face = Face {
                id,
                side: own.side,
                price: own.price,
            };
            self.report(
                now,
                EventKind::Cancelled,
                face,
                own.leaves,
                0,
                Liquidity::Maker,
                Reason::None,
                session,
            );
            return;
        }
        let reason = if self.arrived.contains(&id) {
            Reason::TooLate
        } else {
            Reason::UnknownOrder
        };
        let face = Face {
            id,
            side: Side::Bid,
            price: 0,
        };
        self.report(
            now,
            EventKind::CancelRejected,
            face,
            0,
            0,
            Liquidity::Maker,
            reason,
            session,
        );
    }

    fn amend(
        &mut self,
        now: Nanos,
        id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    ) {
        let Some(index) = self.resting.iter().position(|own| own.id == id) else {
            let reason = if self.arrived.contains(&id) {
                Reason::TooLate
            } else {
                Reason::UnknownOrder
            };
            let face = Face {
                id,
                side: Side::Bid,
                price: 0,
            };
            self.report(
                now,
                EventKind::AmendRejected,
                face,
                0,
                0,
                Liquidity::Maker,
                reason,
                session,
            );
            return;
        };
        let own = self.resting[index].clone();
        let price = price.unwrap_or(own.price);
        let qty = qty.unwrap_or(own.total);
        let face = Face {
            id,
            side: own.side,
            price: own.price,
        };
        if qty > 0 && qty <= own.filled && self.rules.below_filled_cancels {
            self.end_rest(now, index);
            self.report(
                now,
                EventKind::Cancelled,
                face,
                own.leaves,
                0,
                Liquidity::Maker,
                Reason::None,
                session,
            );
            return;
        }
        let leaves = qty - own.filled;
        let is_requeued = price != own.price || qty > own.total;
        let refusal = if qty <= 0 || self.rules.max_order_lots.is_some_and(|max| qty > max) {
            Some(Reason::Quantity)
        } else if self.is_outside_limits(price) {
            Some(Reason::PriceLimit)
        } else if qty <= own.filled {
            Some(Reason::BelowFilled)
        } else if is_requeued && self.is_auction {
            Some(Reason::Phase)
        } else if is_requeued && own.is_post_only && self.would_take(own.side, Some(price), now) {
            Some(Reason::PostOnly)
        } else if is_requeued && self.would_match_itself(own.side, Some(price), leaves, now) {
            Some(Reason::SelfMatch)
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.report(
                now,
                EventKind::AmendRejected,
                face,
                own.total,
                own.leaves,
                Liquidity::Maker,
                reason,
                session,
            );
            return;
        }
        let face = Face {
            id,
            side: own.side,
            price,
        };
        self.report(
            now,
            EventKind::Amended,
            face,
            qty,
            leaves,
            Liquidity::Maker,
            Reason::None,
            session,
        );
        if is_requeued {
            self.end_rest(now, index);
            let moved = Own {
                price,
                total: qty,
                leaves,
                ahead: None,
                is_hidden: false,
                ahead_at_arrival: None,
                arrival_ns: now,
                ..own
            };
            let moved = self.take(now, moved, Some(price));
            if moved.leaves > 0 {
                self.rest(now, moved);
            }
        } else {
            let own = &mut self.resting[index];
            own.total = qty;
            own.leaves = leaves;
        }
    }
}
