//! Queues as lists of orders with the own ones among them (semantics 4, `l3`).

use std::collections::BTreeMap;

use rustsim::types::{AHEAD_ONE, FLAG_OUT_OF_VIEW, KIND_LEVEL, Lots, OrderId, Side, Tick};

use super::fills::Cause;
use super::{Exchange, Key, Own};

/// One place in the queue of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// 1 + the row by which the order joined, and the lots that it still has.
    Recorded(u64, Lots),
    Own(OrderId),
}

impl Exchange {
    pub(super) fn join_queue(&mut self, own: &mut Own) {
        own.rows_before = self.next_row;
        for queue in self.queues.values_mut() {
            queue.retain(|entry| *entry != Entry::Own(own.id));
        }
        self.queues
            .entry(own.key())
            .or_default()
            .push(Entry::Own(own.id));
    }

    /// Keeps the list of a level for a row that sets its size; `set_size` comes after it.
    pub(super) fn follow_orders(&mut self, row: u64, tick: &Tick, side: Side) {
        assert_eq!(tick.kind, KIND_LEVEL);
        let before = self.size(side, tick.price);
        let after = Lots::from(tick.qty);
        let queue = self.queues.entry((side, tick.price)).or_default();
        if tick.flags & FLAG_OUT_OF_VIEW != 0 {
            queue.retain(|entry| matches!(entry, Entry::Own(_)));
        } else if after > before {
            queue.push(Entry::Recorded(row + 1, after - before));
        } else {
            lose(queue, tick.join, before - after);
        }
    }

    fn recorded_ahead(&self, own: &Own) -> Option<i64> {
        if !own.is_exact {
            return Some(own.ahead? - own.displaced);
        }
        let mut lots = 0;
        for entry in &self.queues[&own.key()] {
            match entry {
                Entry::Own(id) if *id == own.id => return Some(lots * AHEAD_ONE),
                Entry::Own(_) => {}
                Entry::Recorded(_, more) => lots += more,
            }
        }
        panic!("an own order is not in its queue");
    }

    pub(super) fn level_of_orders(&mut self, row: u64, tick: &Tick, side: Side) {
        let (key, now) = ((side, tick.price), tick.exch_ns);
        let (before, after) = (self.size(side, tick.price), Lots::from(tick.qty));
        let gone = (before - after).max(0);
        let mut units = self.consumed_at(key, now);
        if gone > 0 {
            units -= (i128::from(gone) * i128::from(units)).div_euclid(i128::from(before)) as i64;
        }
        for own in self.resting.iter_mut().filter(|own| own.key() == key) {
            match own.ahead {
                None if after > 0 => own.learn(after, row + 1),
                Some(ahead) if !own.is_hidden && !own.is_exact => {
                    let recorded = (ahead - own.displaced) / AHEAD_ONE;
                    let part = if u64::from(tick.join) > own.rows_before {
                        0
                    } else if tick.join == 0 {
                        (gone - (before - recorded)).max(0)
                    } else {
                        gone
                    };
                    own.ahead = Some((recorded - part).max(0) * AHEAD_ONE + own.displaced);
                }
                _ => {}
            }
            own.is_hidden = false;
        }
        self.follow_orders(row, tick, side);
        self.set_size(side, tick.price, after);
        self.set_consumed(key, units.min(after * AHEAD_ONE), now);
        self.settle(key, after);
    }

    /// Own orders with a known queue that a print comes to before the order of that join; lots without a name stand in front of all.
    fn reached(&self, key: Key, join: u32) -> Vec<OrderId> {
        let known = |own: &&Own| own.key() == key && own.ahead.is_some();
        let level: Vec<&Own> = self.resting.iter().filter(known).collect();
        let place = |wanted: &dyn Fn(&Entry) -> bool| {
            self.queues
                .get(&key)
                .and_then(|queue| queue.iter().position(wanted))
        };
        let name = u64::from(join);
        let hit = place(&|entry| matches!(entry, Entry::Recorded(other, _) if *other == name));
        let is_reached = |own: &&Own| match (join, own.is_exact) {
            (0, _) => true,
            (_, true) => hit > place(&|entry| *entry == Entry::Own(own.id)),
            (_, false) => name > own.rows_before,
        };
        let last = level.iter().rposition(is_reached);
        let count = last.map_or(0, |index| index + 1);
        level[..count].iter().map(|own| own.id).collect()
    }

    /// Lots of a print that go to own orders, lot by lot; and those that the market took.
    fn hand_out(
        &self,
        reached: &[OrderId],
        join: u32,
        traded: Lots,
    ) -> (BTreeMap<OrderId, Lots>, Lots) {
        let own = |id: &OrderId| self.resting.iter().find(|own| own.id == *id).unwrap();
        let blocks = |own: &Own| {
            if join == 0 {
                own.ahead.unwrap()
            } else {
                own.displaced
            }
        };
        let mut open: Vec<(OrderId, Lots, Lots)> = reached
            .iter()
            .map(own)
            .map(|own| (own.id, blocks(own) / AHEAD_ONE, own.leaves))
            .collect();
        let (mut fills, mut market) = (BTreeMap::new(), 0);
        for _ in 0..traded {
            let next = open.iter().position(|(_, _, leaves)| *leaves > 0);
            let is_free =
                |index: &usize| open[..=*index].iter().all(|(_, blocked, _)| *blocked <= 0);
            if let Some(index) = next.filter(is_free) {
                open[index].2 -= 1;
                *fills.entry(open[index].0).or_insert(0) += 1;
            } else {
                market += 1;
                open.iter_mut().for_each(|(_, blocked, _)| *blocked -= 1);
            }
        }
        (fills, market)
    }

    pub(super) fn trade_of_orders(&mut self, row: u64, tick: &Tick, side: Side) {
        let (now, price, q) = (tick.exch_ns, tick.price, Lots::from(tick.qty));
        let key = (side, price);
        let displayed = self.size(side, price);
        if !self.is_out_of_window(side, price) {
            for own in self.resting.iter_mut().filter(|own| own.key() == key) {
                if own.ahead.is_none() {
                    own.learn(displayed, row);
                }
            }
        }
        let reached = self.reached(key, tick.join);
        let (fills, market) = self.hand_out(&reached, tick.join, q);
        let leaves = |own: &Own| (own.id, own.leaves);
        let open: BTreeMap<OrderId, Lots> = self.resting.iter().map(leaves).collect();
        for id in reached.iter().copied() {
            let Some(&lots) = fills.get(&id) else {
                continue;
            };
            let own = self.resting.iter().find(|own| own.id == id).unwrap();
            let is_skipped = self.recorded_ahead(own).unwrap() > 0;
            self.fills_out_of_turn += u64::from(tick.join > 0 && is_skipped);
            let level = reached.iter().take_while(|other| **other != id);
            let own_before = level.map(|other| open[other]).sum();
            let own = self.resting.iter_mut().find(|own| own.id == id).unwrap();
            own.bounds.iter_mut().for_each(|bound| bound.filled += lots);
            let cause = Cause {
                lots: q,
                row: Some(row),
                own_before,
                certain: lots,
            };
            self.fill_resting(now, id, lots, cause);
        }
        let before: Vec<(OrderId, Option<i64>)> = self
            .resting
            .iter()
            .filter(|own| own.key() == key)
            .map(|own| (own.id, self.recorded_ahead(own)))
            .collect();
        lose(self.queues.entry(key).or_default(), tick.join, q);
        for (id, recorded) in before {
            let Some(recorded) = recorded else { continue };
            let own = self.resting.iter_mut().find(|own| own.id == id).unwrap();
            let total = recorded + own.displaced;
            if tick.join > 0 && reached.contains(&id) {
                own.displaced = (own.displaced - market * AHEAD_ONE).max(0);
                own.ahead = Some(recorded + own.displaced);
            } else {
                let left = (recorded - q * AHEAD_ONE).max(0);
                own.displaced = (total - market * AHEAD_ONE - left).max(0);
                own.ahead = Some(left + own.displaced);
            }
        }
        let after = (displayed - q).max(0);
        self.set_size(side, price, after);
        let units = (self.consumed_at(key, now) - q * AHEAD_ONE).max(0);
        self.set_consumed(key, units.min(after * AHEAD_ONE), now);
        self.settle(key, after);
    }

    /// Nobody has more ahead than the level shows, or less than the own order before it.
    fn settle(&mut self, key: Key, after: Lots) {
        let mut before = 0;
        for index in 0..self.resting.len() {
            let own = &self.resting[index];
            let (true, Some(recorded)) = (own.key() == key, self.recorded_ahead(own)) else {
                continue;
            };
            let mut ahead = (recorded + own.displaced).max(before);
            if !own.is_hidden {
                ahead = ahead.min(after * AHEAD_ONE);
            }
            let own = &mut self.resting[index];
            own.set_exact(ahead);
            own.displaced = ahead - recorded.min(ahead);
            before = ahead;
        }
    }
}

impl Own {
    /// The whole display is ahead; it is not known of which orders.
    fn learn(&mut self, lots: Lots, rows_before: u64) {
        self.set_exact(lots * AHEAD_ONE);
        self.displaced = 0;
        self.is_exact = false;
        self.rows_before = rows_before;
    }
}

/// Takes lots from the order of that join; from the front of the queue if there is none, as its lots came before the list began.
fn lose(queue: &mut Vec<Entry>, join: u32, mut lots: Lots) {
    let name = u64::from(join);
    let is_hit =
        |entry: &Entry| matches!(entry, Entry::Recorded(other, _) if *other == name && join > 0);
    let first = queue.iter().position(is_hit);
    for index in first.into_iter().chain(0..queue.len()) {
        if let Entry::Recorded(_, left) = &mut queue[index] {
            let part = lots.min(*left);
            *left -= part;
            lots -= part;
        }
    }
    queue.retain(|entry| !matches!(entry, Entry::Recorded(_, 0)));
}
