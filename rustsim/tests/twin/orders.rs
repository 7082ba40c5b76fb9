//! Random markets told by order: what a feed with identities becomes.

use rustsim::order_flow::{
    ACTION_ADD, ACTION_CLEAR, ACTION_DELETE, ACTION_EXECUTE, ACTION_FILL, ACTION_MODIFY,
    ACTION_PAUSE, ACTION_PRINT, ACTION_REDUCE, ACTION_SEED, FlowEvent, FlowRows, OrderFlow,
};
use rustsim::types::{
    FLAG_GAP, FLAG_IMAGE, FLAG_INDICATIVE, FLAG_LAST, FLAG_OUT_OF_VIEW, Nanos, Side, Tick,
    TickIndex,
};

use super::market::{Dice, PRICES, rules};
use super::{Queue, Rules};

/// Rules for rows that name orders: two thirds follow queues by order, the others by chance.
pub fn order_rules(seed: u64) -> Rules {
    let rules = rules(seed);
    let by_order = !seed.is_multiple_of(3) && !rules.is_naive;
    Rules {
        has_join: true,
        queue: if by_order { Queue::L3 } else { rules.queue },
        is_sampled: rules.is_sampled && !by_order,
        kappa: if by_order { 0.0 } else { rules.kappa },
        ..rules
    }
}

#[derive(Clone, Copy, Debug)]
struct Live {
    id: u64,
    side: Side,
    price: TickIndex,
    lots: i32,
}

/// A crowd that adds, cancels and hits orders; `orders` keeps those that joined first in front.
struct Crowd {
    dice: Dice,
    orders: Vec<Live>,
    next_id: u64,
    mid: TickIndex,
    now: Nanos,
    flags: u8,
    events: Vec<FlowEvent>,
}

impl Crowd {
    fn event(&mut self, action: u8, live: Live, qty: i32) {
        self.events.push(FlowEvent {
            exch_ns: self.now,
            local_ns: self.now,
            order_id: live.id,
            price: live.price,
            qty,
            action,
            side: live.side as u8,
            flags: self.flags,
            ends_packet: false,
        });
    }

    fn some_level(&mut self) -> (Side, TickIndex) {
        let side = self.dice.pick(&[Side::Bid, Side::Ask]);
        let distance = self.dice.pick(&[1, 1, 1, 1, 2, 2, 3, 5]);
        let price = self.mid - side.sign() as TickIndex * distance;
        (side, price.clamp(PRICES.0, PRICES.1))
    }

    fn add(&mut self) {
        let (side, price) = self.some_level();
        let lots = self.dice.pick(&[1, 1, 2, 3, 5, 9]);
        self.next_id += 1;
        let live = Live {
            id: self.next_id,
            side,
            price,
            lots,
        };
        self.orders.push(live);
        self.event(ACTION_ADD, live, lots);
    }

    /// The first order at the best price of a side; now and then any.
    fn target(&mut self) -> Option<usize> {
        if self.orders.is_empty() {
            return None;
        }
        if self.dice.is_one_in(8) {
            return Some(self.dice.below(self.orders.len() as u64) as usize);
        }
        let side = self.dice.pick(&[Side::Bid, Side::Ask]);
        let rank = |live: &Live| -side.sign() * i64::from(live.price);
        let of_side = self
            .orders
            .iter()
            .enumerate()
            .filter(|(_, live)| live.side == side);
        of_side
            .min_by_key(|(index, live)| (rank(live), *index))
            .map(|(index, _)| index)
    }

    fn lose(&mut self, index: usize, lots: i32) {
        self.orders[index].lots -= lots;
        if self.orders[index].lots <= 0 {
            self.orders.remove(index);
        }
    }

    fn trade(&mut self) {
        let mut left = self.dice.pick(&[1, 2, 3, 5, 8, 13]);
        while left > 0 {
            let Some(index) = self.target() else { return };
            let live = self.orders[index];
            let lots = left.min(live.lots);
            left -= lots;
            if self.dice.is_one_in(6) {
                // An iceberg: more trades than it displays, and it comes back.
                self.event(ACTION_FILL, live, live.lots + 2);
                self.event(ACTION_DELETE, live, 0);
                self.event(ACTION_ADD, live, 4);
                self.orders.remove(index);
                self.orders.push(Live { lots: 4, ..live });
            } else {
                self.event(ACTION_EXECUTE, live, lots);
                self.lose(index, lots);
            }
        }
    }

    fn cancel(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        let count = self.orders.len() as u64;
        let index = self.dice.below(count).max(self.dice.below(count)) as usize;
        let live = self.orders[index];
        if self.dice.is_one_in(3) {
            let lots = self.dice.range(1, i64::from(live.lots)) as i32;
            self.event(ACTION_REDUCE, live, lots);
            self.lose(index, lots);
        } else {
            self.event(ACTION_DELETE, live, 0);
            self.orders.remove(index);
        }
    }

    fn modify(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        let index = self.dice.below(self.orders.len() as u64) as usize;
        let before = self.orders[index];
        let price = if self.dice.is_one_in(2) {
            before.price
        } else {
            self.some_level().1
        };
        let live = Live {
            price,
            lots: self.dice.range(1, 9) as i32,
            ..before
        };
        self.event(ACTION_MODIFY, live, live.lots);
        if price != before.price || live.lots > before.lots {
            self.orders.remove(index);
            self.orders.push(live);
        } else {
            self.orders[index] = live;
        }
    }

    /// What happens to levels and books rather than to orders.
    fn other(&mut self) {
        let (side, price) = self.some_level();
        let level = Live {
            id: 0,
            side,
            price,
            lots: 0,
        };
        match self.dice.below(12) {
            0 => {
                self.event(ACTION_CLEAR, level, 0);
                self.orders.clear();
            }
            1 => self.event(ACTION_PAUSE, level, 0),
            2..4 => {
                let lots = self.dice.pick(&[0, 3, 7]);
                self.flags |= self.dice.pick(&[FLAG_IMAGE, FLAG_OUT_OF_VIEW]);
                self.event(ACTION_SEED, level, lots);
                self.orders
                    .retain(|live| (live.side, live.price) != (side, price));
            }
            4..6 => self.event(ACTION_PRINT, level, 2),
            // Lots without a name, where there are some.
            6..9 => self.event(ACTION_REDUCE, level, 1),
            9..11 => self.event(ACTION_EXECUTE, level, 2),
            _ => self.flags |= FLAG_GAP,
        }
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..9 => self.add(),
            9..13 => self.cancel(),
            13..16 => self.trade(),
            16..19 => self.modify(),
            _ => self.other(),
        }
    }
}

/// Random rows of a feed by order, and the number of the first; a part of them starts in the middle of the tape.
pub fn order_rows(seed: u64, count: usize) -> (Vec<Tick>, usize) {
    let mut crowd = Crowd {
        dice: Dice::new(seed, 4),
        orders: Vec::new(),
        next_id: 0,
        mid: 1_010,
        now: 1_000,
        flags: 0,
        events: Vec::new(),
    };
    let has_auctions = crowd.dice.is_one_in(4);
    let skipped = if crowd.dice.is_one_in(3) { 40 } else { 0 };
    let first_row = (seed % 7) as usize;
    let mut flow = OrderFlow::new(false, false);
    flow.set_next_row(first_row as u64);
    let mut out = FlowRows::default();
    let mut is_auction = false;
    for (side, offset) in [(Side::Bid, -1), (Side::Ask, 1)] {
        for step in 1..4 {
            let level = Live {
                id: 0,
                side,
                price: 1_010 + offset * step,
                lots: 0,
            };
            crowd.event(ACTION_SEED, level, 4);
        }
    }
    while out.rows.len() < count + skipped {
        if crowd.dice.is_one_in(10) {
            let step = crowd.dice.pick(&[-1, 1]);
            crowd.mid = (crowd.mid + step).clamp(PRICES.0 + 3, PRICES.1 - 3);
        }
        is_auction ^= has_auctions && crowd.dice.is_one_in(25);
        crowd.flags = if is_auction { FLAG_INDICATIVE } else { 0 };
        for _ in 0..crowd.dice.pick(&[1, 1, 1, 2, 3]) {
            crowd.step();
        }
        if let Some(last) = crowd.events.last_mut() {
            last.ends_packet = true;
        }
        for (index, event) in crowd.events.drain(..).enumerate() {
            flow.push(&event, None, index as u32, &mut out);
        }
        if crowd.dice.is_one_in(80) {
            flow.restate(crowd.now, crowd.now, &mut out);
        }
        crowd.now += crowd.dice.range(1, 60);
    }
    let mut rows = out.rows.split_off(skipped.min(out.rows.len()));
    rows.truncate(count);
    for index in 0..rows.len() {
        let is_last = rows
            .get(index + 1)
            .is_none_or(|next| next.exch_ns != rows[index].exch_ns);
        rows[index].flags |= if is_last { FLAG_LAST } else { 0 };
    }
    (rows, first_row + skipped)
}
