//! Own resting orders among recorded ones, where every row that takes lots names the order that loses them (`docs/semantics.md` section 4, `l3`).
//!
//! Per own order `ahead = recorded + displaced`. `recorded` are the lots of recorded orders that joined before it and still rest: exact.
//! `displaced` are lots that the record lost to a print which earlier own orders took here: they would still stand ahead.

use super::Matching;
use super::market::maker_fill;
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

impl Matching {
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
        let Self { own, output, .. } = self;
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
        for ((index, ..), lots) in queue.into_iter().zip(fills) {
            if lots > 0 {
                let is_named = row.join != UNNAMED;
                self.fills_out_of_turn += u64::from(is_named && level[index].recorded() > 0);
                output.push(maker_fill(&mut level[index], lots, row.exch_ns, traded));
            }
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
        own.drop_filled();
        settle(own.level_mut(row.price), units(Lots::from(change.after)));
    }
}
