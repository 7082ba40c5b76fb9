//! A book of orders with identities: price levels of first-in-first-out queues.

use crate::types::{Side, TickIndex};
use std::collections::{BTreeMap, VecDeque};

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) lots: i32,
}

/// One price: its orders, oldest first, and the sum of their lots.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) orders: VecDeque<Order>,
    pub(super) lots: i32,
}

/// One side; keys are ranks, so that iteration runs from the best price to the worst.
#[derive(Clone, Debug)]
pub(super) struct BookSide {
    side: Side,
    queues: BTreeMap<i32, Queue>,
    lots: i32,
}

impl BookSide {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            queues: BTreeMap::new(),
            lots: 0,
        }
    }

    fn rank(&self, price: TickIndex) -> i32 {
        match self.side {
            Side::Bid => -price,
            Side::Ask => price,
        }
    }

    pub(super) fn best(&self) -> Option<TickIndex> {
        // Ranks map back to prices by the same rule.
        self.queues
            .first_key_value()
            .map(|(rank, _)| self.rank(*rank))
    }

    pub(super) fn lots(&self) -> i32 {
        self.lots
    }

    pub(super) fn lots_at(&self, price: TickIndex) -> i32 {
        self.queues
            .get(&self.rank(price))
            .map_or(0, |queue| queue.lots)
    }

    /// Returns the levels from the best to the worst.
    pub(super) fn levels(&self) -> impl Iterator<Item = (TickIndex, &Queue)> {
        self.queues
            .iter()
            .map(|(rank, queue)| (self.rank(*rank), queue))
    }

    pub(super) fn add(&mut self, price: TickIndex, order: Order) {
        let queue = self.queues.entry(self.rank(price)).or_default();
        queue.orders.push_back(order);
        queue.lots += order.lots;
        self.lots += order.lots;
    }

    /// Removes the order at `place` (0 = front) of a price.
    pub(super) fn remove(&mut self, price: TickIndex, place: usize) -> Option<Order> {
        let rank = self.rank(price);
        let queue = self.queues.get_mut(&rank)?;
        let order = queue.orders.remove(place)?;
        queue.lots -= order.lots;
        self.lots -= order.lots;
        if queue.orders.is_empty() {
            self.queues.remove(&rank);
        }
        Some(order)
    }

    /// Takes up to `lots` from the front order of the best price; returns its price, id and the lots taken.
    pub(super) fn take_front(&mut self, lots: i32) -> Option<(TickIndex, Order)> {
        let (&rank, queue) = self.queues.iter_mut().next()?;
        let front = queue.orders.front_mut()?;
        let taken = lots.min(front.lots);
        let fill = Order {
            id: front.id,
            lots: taken,
        };
        front.lots -= taken;
        queue.lots -= taken;
        self.lots -= taken;
        if front.lots == 0 {
            queue.orders.pop_front();
        }
        if queue.orders.is_empty() {
            self.queues.remove(&rank);
        }
        Some((self.rank(rank), fill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_first_in_first_out_and_sums_hold() {
        let mut bids = BookSide::new(Side::Bid);
        for (id, price, lots) in [(1, 10, 3), (2, 11, 2), (3, 11, 1), (4, 9, 7)] {
            bids.add(price, Order { id, lots });
        }
        assert_eq!(
            (bids.best(), bids.lots(), bids.lots_at(11)),
            (Some(11), 13, 3)
        );
        assert_eq!(bids.take_front(1), Some((11, Order { id: 2, lots: 1 })));
        assert_eq!(bids.remove(11, 1), Some(Order { id: 3, lots: 1 }));
        assert_eq!(bids.take_front(9), Some((11, Order { id: 2, lots: 1 })));
        assert_eq!((bids.best(), bids.lots()), (Some(10), 10));
        let prices: Vec<_> = bids.levels().map(|(price, _)| price).collect();
        assert_eq!(prices, [10, 9]);
    }
}
