//! Own resting orders: one FIFO `OrderQueue` per side, best price first and in arrival order within a price.

use crate::certificate::Certificate;
use crate::queue::Sizes;
use crate::types::{AHEAD_ONE, AHEAD_SHIFT, Lots, Nanos, OrderId, Side, TickIndex};

/// What is known about the volume ahead of an own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// The level is displayed; `ahead` follows every row.
    Followed,
    /// The level left the view; `ahead` stays as it is until the level shows again.
    Hidden,
    /// The order joined outside of the view; nothing is known until the level shows.
    Unknown,
}

/// One own order that rests at the exchange.
#[derive(Debug, Clone)]
pub(crate) struct RestingOrder {
    pub(crate) id: OrderId,
    pub(crate) side: Side,
    pub(crate) price: TickIndex,
    pub(crate) total: Lots,
    pub(crate) filled: Lots,
    /// OPI in 1/2^20 lot: market volume with priority over this order.
    pub(crate) ahead: i64,
    pub(crate) knowledge: Knowledge,
    /// Value of `ahead` before the first decrease of the current instant, while that decrease may still turn out to be a print.
    pub(crate) ahead_before_decrease: Option<i64>,
    /// Sizes that joined behind; kept only for queue models that read them.
    pub(crate) sizes_behind: Sizes,
    pub(crate) arrival_ns: Nanos,
    pub(crate) ahead_at_arrival: i64,
    pub(crate) post_only: bool,
    pub(crate) session: u8,
    /// Bounds of the queue position and of the fills, if they are kept.
    pub(crate) certificate: Option<Box<Certificate>>,
    /// What the rows of orders say (model `l3`).
    pub(crate) place: Place,
}

/// Where among the orders of the record an own order stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The join that the next row could have told when the order came to rest: recorded orders with a smaller one stand ahead.
    pub(crate) join: u64,
    /// Part of `ahead` that the record does not hold any more: lots that traded there against earlier own orders here.
    pub(crate) displaced: i64,
    /// Every row since then told what it took; false once the level was out of view.
    pub(crate) is_exact: bool,
}

impl RestingOrder {
    pub(crate) fn leaves(&self) -> Lots {
        self.total - self.filled
    }

    /// Changes the certificate, if there is one.
    pub(crate) fn each_certificate(&mut self, change: impl FnOnce(&mut Certificate)) {
        if let Some(certificate) = self.certificate.as_deref_mut() {
            change(certificate);
        }
    }

    /// The place is known from here on: the whole display is ahead.
    pub(crate) fn become_known(&mut self, lots: i32) {
        self.knowledge = Knowledge::Followed;
        self.ahead = Lots::from(lots) << AHEAD_SHIFT;
        if let Some(certificate) = &mut self.certificate {
            certificate.become_known(lots);
        }
    }

    /// No more can be ahead than the level shows.
    pub(crate) fn cap(&mut self, lots: i32) {
        self.ahead = self.ahead.min(Lots::from(lots) << AHEAD_SHIFT);
        if let Some(certificate) = &mut self.certificate {
            certificate.cap(lots);
        }
    }

    /// Returns the OPI as the ledger wants it: -1 if unknown.
    pub(crate) fn ahead_or_unknown(&self) -> i64 {
        if self.knowledge == Knowledge::Unknown {
            -1
        } else {
            self.ahead
        }
    }
}

/// Own resting orders of one side.
#[derive(Debug, Clone)]
pub(crate) struct OrderQueue {
    side: Side,
    /// Counts orders that came and went.
    changes: u64,
    /// Prices alone, so that the check on every market row touches one line.
    prices: Vec<TickIndex>,
    orders: Vec<RestingOrder>,
}

impl OrderQueue {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            changes: 0,
            prices: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// Returns another number whenever orders have come or gone.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    #[inline]
    pub(crate) fn best(&self) -> Option<TickIndex> {
        self.prices.first().copied()
    }

    #[inline]
    pub(crate) fn holds(&self, price: TickIndex) -> bool {
        self.prices.contains(&price)
    }

    pub(crate) fn prices(&self) -> &[TickIndex] {
        &self.prices
    }

    pub(crate) fn orders(&self) -> &[RestingOrder] {
        &self.orders
    }

    pub(crate) fn orders_mut(&mut self) -> &mut [RestingOrder] {
        &mut self.orders
    }

    /// Returns the own orders at one price, in queue order.
    pub(crate) fn level_mut(&mut self, price: TickIndex) -> &mut [RestingOrder] {
        let side = self.side;
        let start = self.prices.partition_point(|p| side.is_better(*p, price));
        let stop = self.prices.partition_point(|p| !side.is_better(price, *p));
        &mut self.orders[start..stop]
    }

    /// Returns the own lots that rest at one price.
    pub(crate) fn level_lots(&self, price: TickIndex) -> Lots {
        let level = self.orders.iter().filter(|order| order.price == price);
        level.map(RestingOrder::leaves).sum()
    }

    pub(crate) fn find(&self, id: OrderId) -> Option<usize> {
        self.orders.iter().position(|order| order.id == id)
    }

    /// Adds an order behind all own orders of its price.
    pub(crate) fn join(&mut self, order: RestingOrder) {
        self.changes += 1;
        let position = self
            .prices
            .partition_point(|p| !self.side.is_better(order.price, *p));
        self.prices.insert(position, order.price);
        self.orders.insert(position, order);
    }

    pub(crate) fn remove(&mut self, index: usize) -> RestingOrder {
        self.changes += 1;
        self.prices.remove(index);
        self.orders.remove(index)
    }

    /// Removes orders without leaves.
    pub(crate) fn drop_filled(&mut self) {
        self.changes += 1;
        self.orders.retain(|order| order.leaves() > 0);
        self.prices.clear();
        self.prices
            .extend(self.orders.iter().map(|order| order.price));
    }

    /// Removes every order.
    pub(crate) fn take_all(&mut self) -> Vec<RestingOrder> {
        self.changes += 1;
        self.prices.clear();
        std::mem::take(&mut self.orders)
    }
}

/// Returns the fills of orders that share one level when `traded` lots print there, and the lots that the market still consumed.
///
/// `queue` holds (ahead in 1/2^20 lot, leaves) in queue order. Conservation: the fills and the market part sum to `traded`.
/// Worked: 40 ahead of A (5 lots), 70 ahead of B (5 lots): 80 traded fill 5 and 5, market 70; 78 fill 5 and 3; 72 fill 5 and 0.
pub(crate) fn share_trade(
    traded: Lots,
    queue: impl Iterator<Item = (i64, Lots)>,
    mut fill: impl FnMut(usize, Lots),
) -> Lots {
    let mut own_before = 0;
    let mut filled = 0;
    for (index, (ahead, leaves)) in queue.enumerate() {
        // Own lots ahead may exceed any print; beyond it nothing is left to share.
        let surplus = (traded - own_before).max(0) * AHEAD_ONE - ahead;
        let lots = surplus.div_euclid(AHEAD_ONE).clamp(0, leaves);
        fill(index, lots);
        filled += lots;
        own_before += leaves;
    }
    traded - filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(traded: Lots, queue: &[(i64, Lots)]) -> (Vec<Lots>, Lots) {
        let mut fills = vec![0; queue.len()];
        let market = share_trade(
            traded,
            queue.iter().map(|(a, l)| (a * AHEAD_ONE, *l)),
            |i, lots| fills[i] = lots,
        );
        (fills, market)
    }

    #[test]
    fn single_order_fills_what_exceeds_the_queue() {
        for (traded, expected) in [(10, 0), (11, 1), (13, 3), (20, 3)] {
            assert_eq!(shared(traded, &[(10, 3)]).0, [expected]);
        }
    }

    #[test]
    fn own_lots_ahead_beyond_any_print_leave_nothing() {
        let most = Lots::from(i32::MAX);
        let queue: Vec<(i64, Lots)> = vec![(0, most); 10_000];
        let (fills, market) = shared(5, &queue);
        assert_eq!((fills[0], market), (5, 0));
        assert!(fills[1..].iter().all(|lots| *lots == 0));
    }

    #[test]
    fn orders_of_one_level_share_one_print() {
        let queue = [(40, 5), (70, 5)];
        assert_eq!(shared(80, &queue), (vec![5, 5], 70));
        assert_eq!(shared(78, &queue), (vec![5, 3], 70));
        assert_eq!(shared(72, &queue), (vec![5, 0], 67));
        assert_eq!(shared(13, &[(10, 2), (10, 2)]), (vec![2, 1], 10));
    }
}
