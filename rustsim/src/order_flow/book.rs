//! The book of known orders: sorted prices per side, one linked queue per price, orders found by id.

use crate::types::{Side, TickIndex};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// End of a queue, or no slot.
pub(super) const NONE: u32 = u32::MAX;

/// Mixes one integer well enough that ids in any pattern spread over the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    // The finaliser of splitmix64.
    fn write_u64(&mut self, value: u64) {
        let mixed = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }
}

/// A known order; without lots it stands in no queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) lots: i32,
    /// Lots that traded and may be told as removed once more in this packet.
    pub(super) owed: i32,
    /// 1 + row ordinal by which it joined the back of its queue, 0 unknown.
    pub(super) join: u32,
    pub(super) price: TickIndex,
    pub(super) side: Side,
    prev: u32,
    next: u32,
}

/// One price with its queue: anonymous lots first, then orders from `head` to `tail`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) price: TickIndex,
    /// Lots of the level, anonymous ones among them.
    pub(super) lots: i32,
    pub(super) anonymous: i32,
    pub(super) head: u32,
    tail: u32,
}

/// Both sides and every known order.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    // Levels from the worst to the best: changes happen near the end.
    sides: [Vec<Level>; 2],
    orders: Vec<Order>,
    free: Vec<u32>,
    slots: HashMap<u64, u32, BuildHasherDefault<IdHasher>>,
}

impl Book {
    /// Returns the slot of an order.
    pub(super) fn find(&self, id: u64) -> Option<u32> {
        self.slots.get(&id).copied()
    }

    pub(super) fn order(&self, slot: u32) -> &Order {
        &self.orders[slot as usize]
    }

    pub(super) fn order_mut(&mut self, slot: u32) -> &mut Order {
        &mut self.orders[slot as usize]
    }

    /// Returns the number of orders with lots or with fills to be told again.
    pub(super) fn order_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn best(&self, side: Side) -> Option<TickIndex> {
        self.sides[side as usize].last().map(|level| level.price)
    }

    /// Returns the levels from the best to the worst.
    pub(super) fn levels(&self, side: Side) -> impl Iterator<Item = &Level> {
        self.sides[side as usize].iter().rev()
    }

    pub(super) fn level(&self, side: Side, price: TickIndex) -> Option<&Level> {
        let place = self.place(side, price).ok()?;
        Some(&self.sides[side as usize][place])
    }

    pub(super) fn lots_at(&self, side: Side, price: TickIndex) -> i32 {
        self.level(side, price).map_or(0, |level| level.lots)
    }

    // Where the price is, or would be put; a few steps from the best end find nearly all of them.
    fn place(&self, side: Side, price: TickIndex) -> Result<usize, usize> {
        const NEAR: usize = 8;
        let levels = &self.sides[side as usize];
        let stop = levels.len().saturating_sub(NEAR);
        for place in (stop..levels.len()).rev() {
            let at = levels[place].price;
            if at == price {
                return Ok(place);
            }
            if side.is_better(price, at) {
                return Err(place + 1);
            }
        }
        levels[..stop].binary_search_by(|level| match side {
            Side::Bid => level.price.cmp(&price),
            Side::Ask => price.cmp(&level.price),
        })
    }

    fn level_or_new(&mut self, side: Side, price: TickIndex) -> &mut Level {
        let found = self.place(side, price);
        let levels = &mut self.sides[side as usize];
        let place = found.unwrap_or_else(|place| {
            let level = Level {
                price,
                lots: 0,
                anonymous: 0,
                head: NONE,
                tail: NONE,
            };
            levels.insert(place, level);
            place
        });
        &mut levels[place]
    }

    fn drop_if_empty(&mut self, side: Side, place: usize) {
        if self.sides[side as usize][place].lots == 0 {
            self.sides[side as usize].remove(place);
        }
    }

    /// Makes an order that stands in no queue yet.
    pub(super) fn create(&mut self, id: u64, side: Side, price: TickIndex) -> u32 {
        let order = Order {
            id,
            lots: 0,
            owed: 0,
            join: 0,
            price,
            side,
            prev: NONE,
            next: NONE,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.orders[slot as usize] = order;
            slot
        } else {
            self.orders.push(order);
            u32::try_from(self.orders.len() - 1).expect("memory ends before 2^32 orders do")
        };
        self.slots.insert(id, slot);
        slot
    }

    /// Forgets an order that stands in no queue.
    pub(super) fn forget(&mut self, slot: u32) {
        debug_assert_eq!(self.order(slot).lots, 0, "an order in a queue is forgotten");
        let id = self.order(slot).id;
        self.slots.remove(&id);
        self.free.push(slot);
    }

    /// Puts an order without lots at the back of its level; returns the level's lots.
    pub(super) fn join(&mut self, slot: u32, lots: i32, join: u32) -> i32 {
        let (side, price) = (self.order(slot).side, self.order(slot).price);
        let level = self.level_or_new(side, price);
        level.lots += lots;
        let total = level.lots;
        let tail = std::mem::replace(&mut level.tail, slot);
        if tail == NONE {
            level.head = slot;
        } else {
            self.orders[tail as usize].next = slot;
        }
        let order = self.order_mut(slot);
        (order.lots, order.join) = (lots, join);
        (order.prev, order.next) = (tail, NONE);
        total
    }

    /// Takes up to `lots` from an order; returns the level's lots. Without lots left it stands in no queue.
    pub(super) fn take(&mut self, slot: u32, lots: i32) -> i32 {
        let order = self.order_mut(slot);
        let taken = lots.min(order.lots);
        if taken == 0 {
            let (side, price) = (order.side, order.price);
            return self.lots_at(side, price);
        }
        order.lots -= taken;
        let Order {
            side,
            price,
            prev,
            next,
            lots: left,
            ..
        } = *order;
        if left == 0 {
            if prev != NONE {
                self.orders[prev as usize].next = next;
            }
            if next != NONE {
                self.orders[next as usize].prev = prev;
            }
        }
        let place = self
            .place(side, price)
            .expect("an order with lots stands on a level");
        let level = &mut self.sides[side as usize][place];
        level.lots -= taken;
        if left == 0 {
            if prev == NONE {
                level.head = next;
            }
            if next == NONE {
                level.tail = prev;
            }
        }
        let total = level.lots;
        self.drop_if_empty(side, place);
        total
    }

    /// Takes anonymous lots of a level if it has as many; returns the level's lots.
    pub(super) fn take_anonymous(
        &mut self,
        side: Side,
        price: TickIndex,
        lots: i32,
    ) -> Option<i32> {
        let place = self.place(side, price).ok()?;
        let level = &mut self.sides[side as usize][place];
        if level.anonymous < lots {
            return None;
        }
        level.anonymous -= lots;
        level.lots -= lots;
        let total = level.lots;
        self.drop_if_empty(side, place);
        Some(total)
    }

    /// Forgets the orders of a level and puts anonymous lots in their place; returns the level's lots before.
    pub(super) fn seed(&mut self, side: Side, price: TickIndex, lots: i32) -> i32 {
        let before = match self.place(side, price) {
            Ok(place) => {
                let level = self.sides[side as usize].remove(place);
                self.forget_queue(level.head);
                level.lots
            }
            Err(_) => 0,
        };
        if lots > 0 {
            let level = self.level_or_new(side, price);
            (level.lots, level.anonymous) = (lots, lots);
        }
        before
    }

    fn forget_queue(&mut self, head: u32) {
        let mut slot = head;
        while slot != NONE {
            let order = self.order_mut(slot);
            order.lots = 0;
            let next = order.next;
            self.forget(slot);
            slot = next;
        }
    }

    pub(super) fn clear(&mut self) {
        self.sides = [Vec::new(), Vec::new()];
        self.orders.clear();
        self.free.clear();
        self.slots.clear();
    }

    /// Returns whether no known order stands in front of an order with lots.
    pub(super) fn is_first_known(&self, slot: u32) -> bool {
        self.order(slot).prev == NONE
    }

    /// Returns whether nothing stands in front of an order with lots.
    pub(super) fn is_front(&self, slot: u32) -> bool {
        let order = self.order(slot);
        self.is_first_known(slot)
            && self
                .level(order.side, order.price)
                .is_some_and(|level| level.anonymous == 0)
    }

    /// Puts an order with lots in front of the other known orders of its level.
    pub(super) fn move_to_front(&mut self, slot: u32) {
        let Order {
            side,
            price,
            prev,
            next,
            ..
        } = *self.order(slot);
        if prev == NONE {
            return;
        }
        let Ok(place) = self.place(side, price) else {
            return;
        };
        let level = &mut self.sides[side as usize][place];
        let head = std::mem::replace(&mut level.head, slot);
        if next == NONE {
            level.tail = prev;
        } else {
            self.orders[next as usize].prev = prev;
        }
        self.orders[prev as usize].next = next;
        self.orders[head as usize].prev = slot;
        let order = self.order_mut(slot);
        (order.prev, order.next) = (NONE, head);
    }

    /// Returns the lots in front of an order and behind it; walks to the nearer end of its queue.
    pub(super) fn place_of(&self, slot: u32) -> (i32, i32) {
        let order = self.order(slot);
        let Some(level) = self.level(order.side, order.price) else {
            return (0, 0);
        };
        let (mut front, mut back) = (order.prev, order.next);
        let (mut ahead, mut behind) = (level.anonymous, 0);
        let others = level.lots - order.lots;
        while front != NONE && back != NONE {
            let (before, after) = (self.order(front), self.order(back));
            ahead += before.lots;
            behind += after.lots;
            (front, back) = (before.prev, after.next);
        }
        if front == NONE {
            (ahead, others - ahead)
        } else {
            (others - behind, behind)
        }
    }
}
