//! The exchange side: recorded book and own queues (semantics 3 and 4).
//!
//! Length: the rules of one section are read beside each other.

mod fills;
mod naive;
mod orders;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use rustsim::certificate::OrderCertificate;
use rustsim::rng::{Purpose, Streams};
use rustsim::types::{
    AHEAD_ONE, EventKind, FLAG_GAP, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL,
    KIND_TRADE, Liquidity, Lots, Nanos, OrderEvent, OrderId, OrderRequest, Reason, Side, Tick,
    TickIndex,
};

use super::{Queue, Rules, View};
use fills::{Bound, Cause, Places};

type Key = (Side, TickIndex);

/// A request as it arrives.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    Place {
        id: OrderId,
        order: OrderRequest,
    },
    Cancel {
        id: OrderId,
    },
    Amend {
        id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
    },
}

/// A resting own order.
#[derive(Clone, Debug)]
pub struct Own {
    pub id: OrderId,
    pub side: Side,
    pub price: TickIndex,
    pub total: Lots,
    pub filled: Lots,
    pub leaves: Lots,
    pub is_post_only: bool,
    pub session: u8,
    /// Market volume ahead in 1/2^20 lot; `None` unknown.
    pub ahead: Option<i64>,
    /// Whether the level left the view while the order rested, and has not shown since.
    pub is_hidden: bool,
    /// Sizes that joined the level behind it, and those of them that cancels of this group took away.
    pub sizes_behind: Vec<Lots>,
    pub sizes_gone: Vec<Lots>,
    pub ahead_at_arrival: Option<i64>,
    pub arrival_ns: Nanos,
    /// Rows before it came to rest.
    pub rows_before: u64,
    /// Part of `ahead` that the record does not hold any more.
    pub displaced: i64,
    /// Whether the list of orders says where it stands.
    pub is_exact: bool,
    /// The order as `front` and as `back` have it, while `ahead` is known.
    pub bounds: [Bound; 2],
    /// Lots that came to rest, and lots filled before that.
    pub rested: Lots,
    pub filled_before: Lots,
}

/// A fill for the account.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub exch_ns: Nanos,
    /// Set when the report has its latency.
    pub local_ns: Nanos,
    pub id: OrderId,
    pub side: Side,
    pub price: TickIndex,
    pub lots: Lots,
    pub liquidity: Liquidity,
    pub ahead: Option<i64>,
    pub ahead_at_arrival: Option<i64>,
    pub arrival_ns: Nanos,
    pub cause_lots: Lots,
    pub cause_row: Option<u64>,
    pub is_short_print: bool,
    pub is_beyond_best: bool,
    pub bounds: Option<[Lots; 2]>,
    pub certain_lots: Lots,
    pub is_first: bool,
}

/// What the exchange has to say: an event (without its local time) and the session that hears it, or a fill, or a mark.
#[derive(Clone, Debug)]
pub enum Output {
    Event(OrderEvent, u8),
    Fill(Fill),
    Mark(Nanos, i64),
}

/// The identity of an order for its events.
#[derive(Clone, Copy, Debug)]
struct Face {
    id: OrderId,
    side: Side,
    price: TickIndex,
}

pub struct Exchange {
    rules: Rules,
    streams: Streams,
    book: [BTreeMap<TickIndex, Lots>; 2],
    /// Own orders in order of arrival; the queue of a level is this list, filtered.
    pub resting: Vec<Own>,
    /// Orders that arrived, whatever became of them.
    arrived: BTreeSet<OrderId>,
    /// Decreases of this group: lots, and the `ahead` of each order of the level before the first of them that found it known.
    credit: BTreeMap<Key, (Lots, BTreeMap<OrderId, Places>)>,
    /// Consumed liquidity in 1/2^20 lot and the time of its last write.
    consumed: BTreeMap<Key, (i64, Nanos)>,
    last_trade: Option<(TickIndex, Lots, Side)>,
    mid2: Option<i64>,
    /// Whether the last group held indicative rows only.
    pub is_auction: bool,
    first_fill_done: BTreeSet<OrderId>,
    /// Orders of each level from first to last, where rows name them.
    queues: BTreeMap<Key, Vec<orders::Entry>>,
    /// Number of the next row.
    next_row: u64,
    pub fills_out_of_turn: u64,
    pub out: Vec<Output>,
    pub certificates: Vec<OrderCertificate>,
    /// Own lots that came to rest where the level is in view, and what the levels showed.
    pub arrivals: (Lots, Lots),
}

fn other(side: Side) -> Side {
    if side == Side::Bid {
        Side::Ask
    } else {
        Side::Bid
    }
}

impl Own {
    fn key(&self) -> Key {
        (self.side, self.price)
    }

    /// The level left the view, or the data have a hole.
    fn hide(&mut self) {
        self.is_hidden = self.ahead.is_some();
        self.is_exact = false;
        self.forget_sizes();
    }

    fn forget_sizes(&mut self) {
        self.sizes_behind.clear();
        self.sizes_gone.clear();
    }
}

impl Exchange {
    pub fn new(rules: Rules) -> Self {
        Self {
            streams: Streams::new(rules.seed, rules.replication),
            rules,
            book: [BTreeMap::new(), BTreeMap::new()],
            resting: Vec::new(),
            arrived: BTreeSet::new(),
            credit: BTreeMap::new(),
            consumed: BTreeMap::new(),
            last_trade: None,
            mid2: None,
            is_auction: false,
            first_fill_done: BTreeSet::new(),
            queues: BTreeMap::new(),
            next_row: 0,
            fills_out_of_turn: 0,
            out: Vec::new(),
            certificates: Vec::new(),
            arrivals: (0, 0),
        }
    }

    // ---- the recorded book ----

    pub fn size(&self, side: Side, price: TickIndex) -> Lots {
        *self.book[side as usize].get(&price).unwrap_or(&0)
    }

    fn set_size(&mut self, side: Side, price: TickIndex, lots: Lots) {
        if lots == 0 {
            self.book[side as usize].remove(&price);
        } else {
            self.book[side as usize].insert(price, lots);
        }
    }

    /// Displayed prices of a side, best first.
    fn displayed(&self, side: Side) -> Vec<TickIndex> {
        let mut prices: Vec<TickIndex> = self.book[side as usize].keys().copied().collect();
        if side == Side::Bid {
            prices.reverse();
        }
        prices
    }

    fn consumed_at(&self, key: Key, now: Nanos) -> i64 {
        let Some(&(units, since)) = self.consumed.get(&key) else {
            return 0;
        };
        match self.rules.half_life_ns {
            None => units,
            Some(0) => 0,
            Some(half_life) => (units as f64
                * libm::exp2(-((now - since) as f64) / half_life as f64))
            .round() as i64,
        }
    }

    pub fn available(&self, side: Side, price: TickIndex, now: Nanos) -> Lots {
        (self.size(side, price) * AHEAD_ONE - self.consumed_at((side, price), now))
            .div_euclid(AHEAD_ONE)
            .max(0)
    }

    fn best_available(&self, side: Side, now: Nanos) -> Option<TickIndex> {
        self.displayed(side)
            .into_iter()
            .find(|&price| self.available(side, price, now) > 0)
    }

    pub fn view(&self, exch_ns: Nanos) -> View {
        let best = |side| {
            self.displayed(side)
                .first()
                .map(|&price| (price, self.size(side, price)))
        };
        View {
            exch_ns,
            bid: best(Side::Bid),
            ask: best(Side::Ask),
            last_trade: self.last_trade,
        }
    }

    /// Whether a price of a side lies outside the visible window.
    fn is_out_of_window(&self, side: Side, price: TickIndex) -> bool {
        let count = self.rules.visible_levels;
        let displayed = self.displayed(side);
        count > 0
            && displayed.len() >= count
            && side.is_better(displayed[count - 1], price)
            && self.size(side, price) == 0
    }

    // ---- market rows ----

    /// Applies a whole group; `first_row` is the ordinal of its first row.
    pub fn group(&mut self, first_row: u64, rows: &[Tick]) {
        if self.rules.is_naive {
            return self.naive_group(first_row, rows);
        }
        self.credit.clear();
        self.resting
            .iter_mut()
            .for_each(|own| own.sizes_gone.clear());
        for (row, tick) in (first_row..).zip(rows) {
            self.row(row, tick);
        }
        self.next_row = first_row + rows.len() as u64;
        let now = rows[0].exch_ns;
        self.is_auction = rows.iter().all(|tick| tick.flags & FLAG_INDICATIVE != 0);
        if self.is_auction {
            return;
        }
        self.crossing(now);
        let view = self.view(now);
        if let (Some((bid, _)), Some((ask, _))) = (view.bid, view.ask) {
            self.mark(now, i64::from(bid) + i64::from(ask));
        }
    }

    fn mark(&mut self, now: Nanos, mid2: i64) {
        if self.mid2 != Some(mid2) {
            self.mid2 = Some(mid2);
            self.out.push(Output::Mark(now, mid2));
        }
    }

    fn row(&mut self, row: u64, tick: &Tick) {
        if tick.flags & FLAG_GAP != 0 {
            self.resting.iter_mut().for_each(Own::hide);
        }
        let side = Side::from_code(tick.side).unwrap();
        match tick.kind {
            KIND_CLEAR => self.clear(),
            KIND_LEVEL => self.level(row, tick, side),
            KIND_TRADE if tick.flags & FLAG_INDICATIVE == 0 => self.trade(row, tick, side),
            KIND_TRADE => {}
            _ => unreachable!(),
        }
    }

    fn clear(&mut self) {
        self.book = [BTreeMap::new(), BTreeMap::new()];
        self.resting.iter_mut().for_each(Own::hide);
        self.consumed.clear();
        self.credit.clear();
        self.queues.clear();
    }

    fn level(&mut self, row: u64, tick: &Tick, side: Side) {
        let (key, now, after) = ((side, tick.price), tick.exch_ns, Lots::from(tick.qty));
        let is_indicative = tick.flags & FLAG_INDICATIVE != 0;
        if is_indicative || tick.flags & FLAG_OUT_OF_VIEW != 0 {
            self.follow_orders(row, tick, side);
            self.set_size(side, tick.price, after);
            if !is_indicative {
                self.consumed.remove(&key);
            }
            self.resting
                .iter_mut()
                .filter(|own| own.key() == key)
                .for_each(Own::hide);
            return;
        }
        if matches!(self.rules.queue, Queue::L3) {
            return self.level_of_orders(row, tick, side);
        }
        let before = self.size(side, tick.price);
        let mut units = self.consumed_at(key, now);
        if after < before {
            let gone = before - after;
            let (credit, aheads) = self.credit.entry(key).or_insert((0, BTreeMap::new()));
            // Where rows name orders a print takes its own lots.
            *credit += if self.rules.has_join { 0 } else { gone };
            for own in self.resting.iter().filter(|own| own.key() == key) {
                // A decrease that makes an unknown queue known had the whole display ahead of the order.
                let display = (before * AHEAD_ONE, [before; 2]);
                let known = own.places().or((after > 0).then_some(display));
                if let Some(places) = known {
                    aheads.entry(own.id).or_insert(places);
                }
            }
            self.cancelled_ahead(row, now, key, before, gone);
            units -= (i128::from(gone) * i128::from(units)).div_euclid(i128::from(before)) as i64;
        }
        self.set_size(side, tick.price, after);
        self.set_consumed(key, units.min(after * AHEAD_ONE), now);
        for own in self.resting.iter_mut().filter(|own| own.key() == key) {
            if after > before && own.ahead.is_some() && !own.is_hidden {
                own.sizes_behind.push(after - before);
            }
            if after == 0 {
                own.forget_sizes();
            }
            own.is_hidden = false;
            match own.ahead {
                Some(_) => own.cap(after),
                None if after > 0 => own.set_known(after),
                None => {}
            }
        }
    }

    fn set_consumed(&mut self, key: Key, units: i64, now: Nanos) {
        if units > 0 {
            self.consumed.insert(key, (units, now));
        } else {
            self.consumed.remove(&key);
        }
    }

    /// Moves the queue of a level for `gone` cancelled lots out of `before`.
    fn cancelled_ahead(&mut self, row: u64, now: Nanos, key: Key, before: Lots, gone: Lots) {
        let own_lots: Lots = self
            .resting
            .iter()
            .filter(|own| own.key() == key)
            .map(|own| own.leaves)
            .sum();
        let reaction = 1.0 - self.rules.kappa * own_lots as f64 / (before.max(1) + own_lots) as f64;
        let mut floor = 0;
        let mut bound_floors = [0; 2];
        for own in self
            .resting
            .iter_mut()
            .filter(|own| own.key() == key && !own.is_hidden)
        {
            let Some(a) = own.ahead else { continue };
            let b = before * AHEAD_ONE - a;
            let c = gone * AHEAD_ONE;
            let low = (c - b).max(0);
            let high = a.min(c);
            let place = own.sizes_behind.iter().position(|size| *size == gone);
            if let Some(place) = place {
                own.sizes_gone.push(own.sizes_behind.remove(place));
            }
            let p = probability_ahead(
                self.rules.queue,
                a as f64 / AHEAD_ONE as f64,
                b as f64 / AHEAD_ONE as f64,
                place.is_some(),
            );
            let p = if self.rules.kappa == 0.0 || p <= 0.0 || p >= 1.0 {
                p
            } else {
                let odds = p / (1.0 - p) * reaction;
                odds / (1.0 + odds)
            };
            let taken = if self.rules.is_sampled {
                let u = self.streams.uniform(Purpose::QueueDecay, now, row);
                if u < p { high } else { low }
            } else {
                ((p * gone as f64 * AHEAD_ONE as f64 + 0.5).floor() as i64)
                    .max(low)
                    .min(high)
            };
            let moved = (a - taken).max(floor);
            floor = moved;
            own.ahead = Some(moved);
            // `front` takes what it can from ahead, `back` what it must.
            for (which, bound) in own.bounds.iter_mut().enumerate() {
                let behind = before - bound.ahead;
                let part = if which == 0 {
                    bound.ahead.min(gone)
                } else {
                    (gone - behind).max(0)
                };
                bound.ahead = (bound.ahead - part).max(bound_floors[which]);
                bound_floors[which] = bound.ahead;
            }
        }
    }

    fn trade(&mut self, row: u64, tick: &Tick, side: Side) {
        let (now, price, q) = (tick.exch_ns, tick.price, Lots::from(tick.qty));
        let key = (side, price);
        self.last_trade = Some((price, q, side));
        // A better-priced rest cannot be skipped.
        let mut better: Vec<(TickIndex, usize)> = self
            .resting
            .iter()
            .enumerate()
            .filter(|(_, own)| own.side == side && side.is_better(own.price, price))
            .map(|(index, own)| (own.price, index))
            .collect();
        better.sort_by_key(|&(price, index)| (-side.sign() * i64::from(price), index));
        let ids: Vec<OrderId> = better
            .iter()
            .map(|&(_, index)| self.resting[index].id)
            .collect();
        self.fill_whole(now, ids, q, Some(row));

        if matches!(self.rules.queue, Queue::L3) {
            return self.trade_of_orders(row, tick, side);
        }
        let (credit, mut aheads) = self.credit.remove(&key).unwrap_or((0, BTreeMap::new()));
        if credit == 0 {
            aheads.clear();
        }
        let reordered = q.min(credit);
        for own in self
            .resting
            .iter_mut()
            .filter(|own| own.key() == key && !own.is_hidden && own.ahead.is_some())
        {
            if let Some(places) = aheads.get(&own.id) {
                own.set_places(*places);
            }
            if reordered > 0 {
                let gone = std::mem::take(&mut own.sizes_gone);
                own.sizes_behind.extend(gone);
            }
        }
        let displayed = self.size(side, price) + credit;
        let is_in_window = !self.is_out_of_window(side, price);
        for own in self.resting.iter_mut().filter(|own| own.key() == key) {
            if own.ahead.is_none() && is_in_window {
                own.set_known(displayed);
            }
        }
        let mut fills = Vec::new();
        let mut own_before = 0;
        for own in self.resting.iter().filter(|own| own.key() == key) {
            if let Some(ahead) = own.ahead {
                let merged = ahead + own_before * AHEAD_ONE;
                let lots = (q * AHEAD_ONE - merged)
                    .div_euclid(AHEAD_ONE)
                    .clamp(0, own.leaves);
                fills.push((own.id, lots, own_before));
                own_before += own.leaves;
            }
        }
        let market = q - fills.iter().map(|fill| fill.1).sum::<Lots>();
        let mut own_filled = 0;
        for (id, lots, own_before) in fills {
            let own = self.resting.iter_mut().find(|own| own.id == id).unwrap();
            let is_used_up = own.ahead.unwrap() <= market * AHEAD_ONE;
            let before = own.bounds;
            let size = own.total - own.filled_before;
            for bound in &mut own.bounds {
                let open = (size - bound.filled).max(0);
                bound.filled += (q - own_before - bound.ahead).clamp(0, open);
            }
            if lots > 0 {
                let cause = Cause {
                    lots: q,
                    row: Some(row),
                    own_before,
                    certain: own.bounds[1].filled - before[1].filled,
                };
                self.fill_resting(now, id, lots, cause);
            }
            // What the market gave to this print was ahead of an order that it left alone; all that was ahead, if it filled the order.
            let gone = if lots > 0 && is_used_up {
                q - own_filled
            } else {
                market
            };
            own_filled += lots;
            if let Some(own) = self.resting.iter_mut().find(|own| own.id == id) {
                for bound in &mut own.bounds {
                    bound.ahead = (bound.ahead - gone).max(0);
                }
            }
        }
        let raised = (displayed - q).max(0);
        for own in self.resting.iter_mut().filter(|own| own.key() == key) {
            if let Some(ahead) = own.ahead {
                let moved = (ahead - market * AHEAD_ONE).max(0);
                own.ahead = Some(moved);
                if !own.is_hidden {
                    own.cap(raised);
                }
            }
        }
        let after = (self.size(side, price) - (q - reordered)).max(0);
        self.set_size(side, price, after);
        let units = (self.consumed_at(key, now) - q * AHEAD_ONE).max(0);
        self.set_consumed(key, units.min(after * AHEAD_ONE), now);
        let rest = credit - reordered;
        if rest > 0 {
            let aheads = self
                .resting
                .iter()
                .filter(|own| own.key() == key && !own.is_hidden);
            let aheads = aheads
                .filter_map(|own| Some((own.id, own.places()?)))
                .collect();
            self.credit.insert(key, (rest, aheads));
            self.cancelled_ahead(row, now, key, after + rest, rest);
            for own in self
                .resting
                .iter_mut()
                .filter(|own| own.key() == key && !own.is_hidden)
            {
                own.cap(after);
            }
        }
        if after == 0 {
            for own in self.resting.iter_mut().filter(|own| own.key() == key) {
                own.forget_sizes();
            }
        }
    }

    fn crossing(&mut self, now: Nanos) {
        for side in [Side::Bid, Side::Ask] {
            let Some(best) = self.best_available(other(side), now) else {
                continue;
            };
            let mut crossed: Vec<(i64, usize, OrderId)> = self
                .resting
                .iter()
                .enumerate()
                .filter(|(_, own)| own.side == side && side.reaches(own.price, best))
                .map(|(index, own)| (-side.sign() * i64::from(own.price), index, own.id))
                .collect();
            crossed.sort_unstable();
            let ids = crossed.into_iter().map(|(_, _, id)| id).collect();
            self.fill_whole(now, ids, 0, None);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn report(
        &mut self,
        exch_ns: Nanos,
        kind: EventKind,
        face: Face,
        qty: Lots,
        leaves: Lots,
        liquidity: Liquidity,
        reason: Reason,
        session: u8,
    ) {
        let Face {
            id: order_id,
            side,
            price,
        } = face;
        let event = OrderEvent {
            kind,
            order_id,
            exch_ns,
            local_ns: 0,
            side,
            price,
            qty,
            leaves,
            liquidity,
            reason,
        };
        self.out.push(Output::Event(event, session));
    }
}

/// P(a cancel is ahead) with `a` lots ahead and `b` behind, and whether an order of its size is known to be behind.
pub fn probability_ahead(queue: Queue, a: f64, b: f64, is_size_behind: bool) -> f64 {
    match queue {
        _ if a <= 0.0 => 0.0,
        _ if b <= 0.0 => 1.0,
        Queue::Back => 0.0,
        Queue::Front | Queue::L3 => 1.0,
        Queue::Uniform => a / (a + b),
        Queue::Power(n) => libm::pow(a, n) / (libm::pow(a, n) + libm::pow(b, n)),
        Queue::Power2(n) => 1.0 - libm::pow(b, n) / libm::pow(a + b, n),
        Queue::Power3(n) => libm::pow(a / (a + b), n),
        Queue::Log => 1.0 - libm::log1p(b) / (libm::log1p(a) + libm::log1p(b)),
        Queue::Log2 => 1.0 - libm::log1p(b) / libm::log1p(a + b),
        Queue::Odds(alpha, beta) => 1.0 / (1.0 + libm::exp(-alpha) * libm::pow(b / a, beta)),
        Queue::OddsSize(alpha, beta, gamma) => {
            let alpha = if is_size_behind { alpha + gamma } else { alpha };
            1.0 / (1.0 + libm::exp(-alpha) * libm::pow(b / a, beta))
        }
    }
}
