//! Own resting orders among recorded ones, where every row that takes lots names the order that loses them (`docs/semantics.md` section 4, `l3`).
//!
//! Per own order `ahead = recorded + displaced`. `recorded` are the lots of recorded orders that joined before it and still rest: exact.
//! `displaced` are lots that the record lost to a print which earlier own orders took here: they would still stand ahead.

use super::Matching;
use super::certified::close_filled;
use super::market::{Print, maker_fill};
use crate::book::Book;
use crate::consumed::units;
use crate::order_queue::{Knowledge, Place, RestingOrder, share_trade};
use crate::recorded::TradeChange;
use crate::types::{Lots, Side, Tick};

/// What a row tells about the order that lost lots.
const UNNAMED: u32 = 0;

impl RestingOrder {
    fn recorded(&self) -> i64 {
        self.ahead - self.place.displaced
    }

    /// Sets both parts of `ahead`.
    fn set_ahead(&mut self, recorded: i64, displaced: i64) {
        self.ahead = recorded + displaced;
        self.place.displaced = displaced;
        if let Some(certificate) = &mut self.certificate {
            certificate.follow(self.ahead);
        }
    }

    /// Returns whether the recorded order of that join stands ahead.
    fn is_behind(&self, join: u32) -> bool {
        u64::from(join) < self.place.join
    }

    /// Makes a queue known: the whole display is ahead, and what joins from `join` on is behind.
    fn learn(&mut self, lots: i32, join: u64) {
        self.knowledge = Knowledge::Followed;
        self.set_ahead(units(Lots::from(lots)), 0);
        self.place = Place {
            join,
            displaced: 0,
            is_exact: false,
        };
    }

    /// Follows a cancel of `gone` out of a level of `before`.
    fn cancel(&mut self, join: u32, gone: i64, before: i64) {
        let recorded = self.recorded();
        let part = if !self.is_behind(join) {
            0
        } else if join == UNNAMED && !self.place.is_exact {
            // It is not known any more where lots without a name stand: from behind while they can.
            (gone - (before - recorded)).max(0)
        } else {
            gone
        };
        self.set_ahead((recorded - part).max(0), self.place.displaced);
    }
}

/// Keeps queues within their level and own orders in their order.
fn settle(level: &mut [RestingOrder], after: i64) {
    let mut ahead_of_last = 0;
    for order in level {
        if order.knowledge == Knowledge::Unknown {
            continue;
        }
        let mut ahead = order.ahead.max(ahead_of_last);
        if order.knowledge == Knowledge::Followed {
            ahead = ahead.min(after);
        }
        let recorded = order.recorded().min(ahead);
        order.set_ahead(recorded, ahead - recorded);
        ahead_of_last = ahead;
    }
}

impl<B: Book> Matching<B> {
    #[inline(never)]
    pub(super) fn level_own_by_join(&mut self, row: &Tick, side: Side, before: i32, ordinal: u64) {
        let gone = units(Lots::from(before.saturating_sub(row.qty).max(0)));
        let level = self.own[side as usize].level_mut(row.price);
        for order in &mut *level {
            match order.knowledge {
                Knowledge::Unknown if row.qty == 0 => {}
                // The order of this very row is ahead too.
                Knowledge::Unknown => order.learn(row.qty, ordinal + 2),
                Knowledge::Hidden => order.knowledge = Knowledge::Followed,
                Knowledge::Followed => order.cancel(row.join, gone, units(Lots::from(before))),
            }
        }
        settle(level, units(Lots::from(row.qty)));
    }

    #[inline(never)]
    pub(super) fn trade_own_by_join(
        &mut self,
        row: &Tick,
        side: Side,
        change: TradeChange,
        is_visible: bool,
        ordinal: u64,
    ) {
        let traded = Lots::from(row.qty);
        let print = Print::of(row, ordinal);
        let Self {
            own,
            output,
            certificates,
            ..
        } = self;
        let level = own[side as usize].level_mut(row.price);
        if is_visible {
            for order in &mut *level {
                if order.knowledge == Knowledge::Unknown {
                    order.learn(change.before, ordinal + 1);
                }
            }
        }
        // Own orders in front of the order that was hit are hit first; before them only what they displaced. Lots without a name are the first.
        let reached = if row.join == UNNAMED {
            level.len()
        } else {
            let last = level.iter().rposition(|order| !order.is_behind(row.join));
            last.map_or(0, |index| index + 1)
        };
        let mut before_last = 0;
        let mut queue = Vec::with_capacity(reached);
        for (index, order) in level[..reached].iter().enumerate() {
            if order.knowledge != Knowledge::Unknown {
                let before = if row.join == UNNAMED {
                    order.ahead
                } else {
                    order.place.displaced
                };
                before_last = before.max(before_last);
                queue.push((index, before_last, order.leaves()));
            }
        }
        let mut fills = Vec::with_capacity(queue.len());
        let market = units(share_trade(
            traded,
            queue.iter().map(|(_, before, leaves)| (*before, *leaves)),
            |_, lots| fills.push(lots),
        ));
        let mut own_before = 0;
        for ((index, _, open), lots) in queue.into_iter().zip(fills) {
            if lots > 0 {
                let is_named = row.join != UNNAMED;
                self.fills_out_of_turn += u64::from(is_named && level[index].recorded() > 0);
                let order = &mut level[index];
                let certified = order.certify(|certificate| certificate.fill(lots));
                let fill = maker_fill(order, lots, row.exch_ns, print, own_before, certified);
                output.push(fill);
            }
            own_before += open;
        }
        for (index, order) in level.iter_mut().enumerate() {
            if order.knowledge == Knowledge::Unknown {
                continue;
            }
            let (recorded, displaced) = (order.recorded(), order.place.displaced);
            if row.join != UNNAMED && index < reached {
                order.set_ahead(recorded, (displaced - market).max(0));
            } else {
                let recorded = (recorded - units(traded)).max(0);
                let ahead = (order.ahead - market).max(recorded);
                order.set_ahead(recorded, ahead - recorded);
            }
        }
        let own = &mut own[side as usize];
        close_filled(own, row.exch_ns, certificates);
        own.drop_filled();
        settle(own.level_mut(row.price), units(Lots::from(change.after)));
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::ExecutionGateway;
    use crate::sim::{RunOptions, SimulatedExchange};
    use crate::spec::SimSpec;
    use crate::types::{
        EventKind, FLAG_OUT_OF_VIEW, KIND_LEVEL, KIND_TRADE, Lots, OrderId, OrderRequest,
        OrderType, Side, TakePolicy, Tick, TimeInForce,
    };

    /// An exchange whose bids at one price come and go row by row.
    struct Queue {
        exchange: SimulatedExchange,
        rows: u32,
        size: i32,
        fills: Vec<(OrderId, Lots)>,
    }

    impl Queue {
        fn new() -> Self {
            let spec = SimSpec::from_json(r#"{"queue": {"model": "l3"}}"#).expect("a sound spec");
            let options = RunOptions {
                has_join: true,
                ..RunOptions::default()
            };
            let exchange =
                SimulatedExchange::new(spec, (0, 100), options).expect("rows have joins");
            Self {
                exchange,
                rows: 0,
                size: 0,
                fills: Vec::new(),
            }
        }

        /// Returns the join that an order of this row would have.
        fn row(&mut self, kind: u8, qty: i32, join: u32, flags: u8) -> u32 {
            self.rows += 1;
            self.size = match kind {
                KIND_LEVEL => qty,
                _ => (self.size - qty).max(0),
            };
            let row = Tick {
                exch_ns: self.rows.into(),
                price: 50,
                kind,
                qty,
                join,
                flags,
                ..Tick::default()
            };
            let events = self.exchange.on_tick(&[row]).expect("a sound row");
            let fills = events.iter().filter(|e| e.kind == EventKind::Filled);
            self.fills.extend(fills.map(|e| (e.order_id, e.qty)));
            self.rows
        }

        fn add(&mut self, lots: i32) -> u32 {
            self.row(KIND_LEVEL, self.size + lots, 0, 0)
        }

        fn cancel(&mut self, lots: i32, join: u32) {
            self.row(KIND_LEVEL, self.size - lots, join, 0);
        }

        fn trade(&mut self, lots: i32, join: u32) {
            self.row(KIND_TRADE, lots, join, 0);
        }

        fn own(&mut self, lots: Lots) -> OrderId {
            let id = self.exchange.place_order(OrderRequest {
                side: Side::Bid,
                price: 50,
                qty: lots,
                order_type: OrderType::Limit,
                time_in_force: TimeInForce::Rod,
                take_policy: TakePolicy::MayTake,
                session: 0,
            });
            let now_ns = self.rows.into();
            self.exchange.advance_to(now_ns).expect("time stands");
            id
        }

        fn ahead(&self, id: OrderId) -> f64 {
            self.exchange.queue_ahead(id).expect("the order rests")
        }
    }

    #[test]
    fn cancels_move_only_those_behind_them() {
        let mut queue = Queue::new();
        let first = queue.add(10);
        let own = queue.own(1);
        let second = queue.add(20);
        let later = queue.own(1);
        queue.cancel(4, first);
        assert!((queue.ahead(own) - 6.0).abs() < 1e-9);
        assert!((queue.ahead(later) - 26.0).abs() < 1e-9);
        queue.cancel(20, second);
        assert!((queue.ahead(own) - 6.0).abs() < 1e-9);
        assert!((queue.ahead(later) - 6.0).abs() < 1e-9);
    }

    /// 40 lots, 5 own, 30 lots, 5 own, 30 lots; what a print of so many lots gives to the own orders.
    #[test]
    fn prints_are_shared_as_in_one_queue() {
        for (traded, first, second) in [(72, 5, 0), (78, 5, 3), (80, 5, 5), (40, 0, 0), (43, 3, 0)]
        {
            let mut queue = Queue::new();
            let mut crowd = vec![(queue.add(40), 40)];
            let a = queue.own(5);
            crowd.push((queue.add(30), 30));
            let b = queue.own(5);
            crowd.push((queue.add(30), 30));
            let mut left = traded;
            for (join, lots) in crowd {
                let part = left.min(lots);
                left -= part;
                if part > 0 {
                    queue.trade(part, join);
                }
            }
            let sum = |id| -> Lots {
                let of_id = queue.fills.iter().filter(|(order, _)| *order == id);
                of_id.map(|(_, lots)| lots).sum()
            };
            assert_eq!((sum(a), sum(b)), (first, second), "{traded} lots");
        }
    }

    #[test]
    fn a_cancel_and_a_print_of_one_time_are_two_events() {
        let mut queue = Queue::new();
        let first = queue.add(10);
        let own = queue.own(1);
        let second = queue.add(10);
        let now_ns = i64::from(queue.rows) + 1;
        let row = |kind, qty, join| Tick {
            exch_ns: now_ns,
            price: 50,
            kind,
            qty,
            join,
            ..Tick::default()
        };
        let rows = [row(KIND_LEVEL, 15, second), row(KIND_TRADE, 5, first)];
        queue.exchange.on_tick(&rows).expect("sound rows");
        assert_eq!(queue.exchange.level_lots(Side::Bid, 50), 10);
        assert!((queue.ahead(own) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn prints_past_orders_ahead_fill_and_are_counted() {
        let mut queue = Queue::new();
        queue.add(10);
        let own = queue.own(2);
        let second = queue.add(10);
        queue.trade(1, second);
        assert!((queue.ahead(own) - 10.0).abs() < 1e-9);
        assert_eq!(queue.fills, [(own, 1)]);
        let outcomes = queue.exchange.finish().expect("a sound run");
        assert_eq!(outcomes.fills_out_of_turn, 1);
    }

    #[test]
    fn lots_without_a_name_are_ahead_until_the_level_was_out_of_view() {
        let mut queue = Queue::new();
        queue.add(10);
        let own = queue.own(1);
        queue.add(10);
        queue.cancel(3, 0);
        assert!((queue.ahead(own) - 7.0).abs() < 1e-9);
        queue.row(KIND_LEVEL, 0, 0, FLAG_OUT_OF_VIEW);
        queue.row(KIND_LEVEL, 20, 0, 0);
        queue.cancel(3, 0);
        assert!((queue.ahead(own) - 7.0).abs() < 1e-9);
        queue.cancel(12, 0);
        assert!((queue.ahead(own) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn rows_without_names_are_refused() {
        let spec = SimSpec::from_json(r#"{"queue": {"model": "l3"}}"#).expect("a sound spec");
        let refused = SimulatedExchange::new(spec, (0, 100), RunOptions::default());
        let message = refused.expect_err("no joins").to_string();
        assert!(
            message.contains("queue.model: l3 needs rows that name"),
            "{message}"
        );
        assert!(SimSpec::from_json(r#"{"queue": {"model": "l3", "mode": "sampled"}}"#).is_err());
    }
}
