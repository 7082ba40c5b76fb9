//! Places in the queue with their bounds, and fills (semantics 3 and 8).

use rustsim::certificate::OrderCertificate;
use rustsim::types::{AHEAD_ONE, EventKind, Liquidity, Lots, Nanos, OrderId, Reason, TickIndex};

use super::{Exchange, Face, Fill, Output, Own};

/// A queue position in whole lots, and the lots that were filled from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound {
    pub ahead: Lots,
    pub filled: Lots,
}

/// The places of one order: in 1/2^20 lot, and of its bounds in lots.
pub(super) type Places = (i64, [Lots; 2]);

/// What caused a fill: lots and row of a print, own lots that it had to fill first, and lots that both bounds fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) lots: Lots,
    pub(super) row: Option<u64>,
    pub(super) own_before: Lots,
    pub(super) certain: Lots,
}

impl Cause {
    pub(super) const NONE: Self = Self {
        lots: 0,
        row: None,
        own_before: 0,
        certain: 0,
    };
}

impl Own {
    pub(super) fn certificate(&self, ended_ns: Nanos) -> OrderCertificate {
        OrderCertificate {
            order_id: self.id,
            side: self.side,
            price: self.price,
            joined_ns: self.arrival_ns,
            ended_ns,
            rested_lots: self.rested,
            filled_lots: self.filled - self.filled_before,
            certain_lots: self.bounds[1].filled,
            possible_lots: self.bounds[0].filled,
        }
    }

    pub(super) fn places(&self) -> Option<Places> {
        Some((self.ahead?, self.bounds.map(|bound| bound.ahead)))
    }

    pub(super) fn set_places(&mut self, (ahead, bounds): Places) {
        self.ahead = Some(ahead);
        for (bound, ahead) in self.bounds.iter_mut().zip(bounds) {
            bound.ahead = ahead;
        }
    }

    /// The place is known: the bounds are it.
    pub(super) fn set_exact(&mut self, ahead: i64) {
        assert_eq!(ahead % AHEAD_ONE, 0);
        self.set_places((ahead, [ahead / AHEAD_ONE; 2]));
    }

    /// The whole display is ahead.
    pub(super) fn set_known(&mut self, lots: Lots) {
        self.set_places((lots * AHEAD_ONE, [lots; 2]));
    }

    pub(super) fn cap(&mut self, lots: Lots) {
        self.ahead = self.ahead.map(|ahead| ahead.min(lots * AHEAD_ONE));
        self.bounds
            .iter_mut()
            .for_each(|bound| bound.ahead = bound.ahead.min(lots));
    }
}

impl Exchange {
    /// Fills all leaves of orders, one after the other, under every queue model.
    pub(super) fn fill_whole(&mut self, now: Nanos, ids: Vec<OrderId>, q: Lots, row: Option<u64>) {
        let mut own_before = 0;
        for id in ids {
            let own = self.resting.iter_mut().find(|own| own.id == id).unwrap();
            let (size, leaves) = (own.total - own.filled_before, own.leaves);
            let cause = Cause {
                lots: q,
                row,
                own_before,
                certain: size - own.bounds[1].filled,
            };
            for bound in &mut own.bounds {
                bound.filled = bound.filled.max(size);
            }
            self.fill_resting(now, id, leaves, cause);
            own_before += leaves;
        }
    }

    /// Fills lots of a resting order at its own price, as maker.
    pub(super) fn fill_resting(&mut self, now: Nanos, id: OrderId, lots: Lots, cause: Cause) {
        let index = self.resting.iter().position(|own| own.id == id).unwrap();
        let own = &mut self.resting[index];
        // Of before the print: that of a bound as well.
        let bounds = own.places().map(|places| places.1);
        own.leaves -= lots;
        own.filled += lots;
        let own = own.clone();
        if own.leaves == 0 {
            self.end_rest(now, index);
        }
        let price = own.price;
        self.report_fill(
            now,
            &own,
            price,
            lots,
            Liquidity::Maker,
            cause,
            bounds,
            false,
        );
    }

    /// Takes an order out of its queue.
    pub(super) fn end_rest(&mut self, now: Nanos, index: usize) -> Own {
        let own = self.resting.remove(index);
        self.certificates.push(own.certificate(now));
        own
    }

    /// Certificates of the orders that rest until the end, by id.
    pub fn end_all(&mut self, now: Nanos) {
        self.resting.sort_by_key(|own| own.id);
        let open = self.resting.iter().map(|own| own.certificate(now));
        self.certificates.extend(open);
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn report_fill(
        &mut self,
        now: Nanos,
        own: &Own,
        price: TickIndex,
        lots: Lots,
        liquidity: Liquidity,
        cause: Cause,
        bounds: Option<[Lots; 2]>,
        is_beyond_best: bool,
    ) {
        self.out.push(Output::Fill(Fill {
            exch_ns: now,
            local_ns: now,
            id: own.id,
            side: own.side,
            price,
            lots,
            liquidity,
            ahead: own.ahead,
            ahead_at_arrival: own.ahead_at_arrival,
            arrival_ns: own.arrival_ns,
            cause_lots: cause.lots,
            cause_row: cause.row,
            is_short_print: cause.lots > 0
                && cause.lots * AHEAD_ONE
                    < (cause.own_before + own.leaves + lots) * AHEAD_ONE + own.ahead.unwrap_or(0),
            is_beyond_best,
            bounds,
            certain_lots: cause.certain,
            is_first: self.first_fill_done.insert(own.id),
        }));
        let face = Face {
            id: own.id,
            side: own.side,
            price,
        };
        self.report(
            now,
            EventKind::Filled,
            face,
            lots,
            own.leaves,
            liquidity,
            Reason::None,
            own.session,
        );
    }
}
