//! Fill certificates: what `front` and `back` would have done with each own resting order, beside the chosen queue model.
//!
//! Both start where the order came to rest and follow the same rows; a cancel comes off the front as far as it can (`front`) or off the back as far as it can
//! (`back`). Their queue positions bound the one of every model, and so do their fills: what `back` fills is certain, what `front` does not fill is
//! impossible, the rest depends on the model. The life of the order and the fills of the other own orders are those of the run.
//!
//! Worked: 10 lots ahead, 2 own; 10 join behind; 6 of the 20 are cancelled: 4 to 10 ahead. A print of 11: `front` fills 2, `back` 1: one lot is certain, one
//! depends on the model. Cost: nothing when off; when on, integer steps on the rows of levels with own orders. Where rows name orders (model `l3`) the place is known
//! and both bounds are it. Known limit: certain means certain under
//! FIFO and complete data: what happens while a level is out of view is not seen.

use crate::types::{AHEAD_ONE, Lots, Nanos, OrderId, Side, TickIndex};

/// What one own order's time at rest was worth, lot by lot; an amend that loses priority starts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCertificate {
    /// Of which order.
    pub order_id: OrderId,
    /// Side of the order.
    pub side: Side,
    /// Where it rested.
    pub price: TickIndex,
    /// When it came to rest.
    pub joined_ns: Nanos,
    /// When it was filled, removed, or the data ended.
    pub ended_ns: Nanos,
    /// Lots that came to rest.
    pub rested_lots: Lots,
    /// Lots that the chosen model filled.
    pub filled_lots: Lots,
    /// Lots that every model fills by `ended_ns`.
    pub certain_lots: Lots,
    /// Lots that some model fills by `ended_ns`.
    pub possible_lots: Lots,
}

/// What a certificate says about one fill; -1 for bounds that are unknown or not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Certified {
    pub(crate) front: Lots,
    pub(crate) back: Lots,
    pub(crate) certain: Lots,
}

impl Certified {
    pub(crate) const NOTHING: Self = Self {
        front: -1,
        back: -1,
        certain: 0,
    };
}

/// The order as one of the two bounds has it; both are whole lots at all times.
#[derive(Debug, Clone, Copy)]
struct Bound {
    ahead: Lots,
    before_decrease: Option<Lots>,
    filled: Lots,
}

/// Both bounds of one resting order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certificate {
    rested: Lots,
    /// Lots of the order that were filled before it came to rest.
    filled_before: Lots,
    front: Bound,
    back: Bound,
}

impl Certificate {
    /// `last` is the own order that the new one queues behind, if its place is known.
    pub(crate) fn new(
        rested: Lots,
        filled_before: Lots,
        displayed: Lots,
        last: Option<&Self>,
    ) -> Self {
        let bound = |ahead_of_last: Lots| Bound {
            ahead: displayed.max(ahead_of_last),
            before_decrease: None,
            filled: 0,
        };
        Self {
            rested,
            filled_before,
            front: bound(last.map_or(0, |other| other.front.ahead)),
            back: bound(last.map_or(0, |other| other.back.ahead)),
        }
    }

    fn each(&mut self, change: impl Fn(&mut Bound)) {
        change(&mut self.front);
        change(&mut self.back);
    }

    /// Returns the least and the greatest lots ahead.
    pub(crate) fn range(&self) -> (Lots, Lots) {
        (self.front.ahead, self.back.ahead)
    }

    /// The whole display turned out to be ahead.
    pub(crate) fn become_known(&mut self, lots: i32) {
        self.each(|bound| bound.ahead = lots.into());
    }

    /// Remembers the positions before the first decrease of an instant: as they are, or the display that turned out to be ahead.
    pub(crate) fn remember(&mut self, display: Option<i32>) {
        self.each(|bound| {
            let known = display.map_or(bound.ahead, Lots::from);
            bound.before_decrease.get_or_insert(known);
        });
    }

    pub(crate) fn forget(&mut self) {
        self.each(|bound| bound.before_decrease = None);
    }

    /// A print turned out to come before the decrease.
    pub(crate) fn restore(&mut self) {
        self.each(|bound| bound.ahead = bound.before_decrease.unwrap_or(bound.ahead));
    }

    /// What is left of the decrease comes after the print.
    pub(crate) fn remember_rest(&mut self) {
        self.each(|bound| bound.before_decrease = Some(bound.ahead));
    }

    pub(crate) fn cap(&mut self, lots: i32) {
        self.each(|bound| bound.ahead = bound.ahead.min(lots.into()));
    }

    /// Own orders keep their order: nobody has less ahead than the last one.
    pub(crate) fn stay_behind(&mut self, last: (Lots, Lots)) {
        self.front.ahead = self.front.ahead.max(last.0);
        self.back.ahead = self.back.ahead.max(last.1);
    }

    /// The place is known exactly (model `l3`), in 1/2^20 lot.
    pub(crate) fn follow(&mut self, ahead: i64) {
        self.front.ahead = ahead.div_euclid(AHEAD_ONE);
        self.back.ahead = (ahead + AHEAD_ONE - 1).div_euclid(AHEAD_ONE);
    }

    /// Takes a fill that is certain because the place is known.
    pub(crate) fn fill(&mut self, lots: Lots) -> Lots {
        self.each(|bound| bound.filled += lots);
        lots
    }

    /// Follows a cancel that took the level from `before` to `after`; `last` holds both positions of the own order ahead.
    pub(crate) fn cancel(&mut self, before: i32, after: i32, last: &mut (Lots, Lots)) {
        let (level, left) = (Lots::from(before), Lots::from(after));
        let (front, back) = (&mut self.front.ahead, &mut self.back.ahead);
        *front = ((*front).min(level) - (level - left)).max(last.0).min(left);
        *back = (*back).max(last.1).min(left);
        *last = (*front, *back);
    }

    /// Follows a print of `traded` lots at the order's price, `consumed` of them from the market ahead of it if there are as many; returns the lots that it
    /// certainly fills. `own_before` are open lots of own orders ahead, `total` is the order's quantity.
    pub(crate) fn trade(
        &mut self,
        traded: Lots,
        consumed: Lots,
        own_before: Lots,
        total: Lots,
    ) -> Lots {
        let size = total - self.filled_before;
        let certain_before = self.back.filled;
        self.each(|bound| {
            let open = (size - bound.filled).max(0);
            bound.filled += (traded - own_before - bound.ahead).clamp(0, open);
            bound.ahead = (bound.ahead - consumed).max(0);
        });
        self.back.filled - certain_before
    }

    /// Every queue fills the rest: the market went through the order. Returns the lots that this makes certain.
    pub(crate) fn fill_all(&mut self, total: Lots) -> Lots {
        let size = total - self.filled_before;
        let certain_before = self.back.filled;
        self.each(|bound| bound.filled = bound.filled.max(size));
        self.back.filled - certain_before
    }

    /// Adds what the bounds say to an order that ends; its `filled_lots` count from its first fill until here.
    pub(crate) fn complete(&self, order: OrderCertificate) -> OrderCertificate {
        OrderCertificate {
            rested_lots: self.rested,
            filled_lots: order.filled_lots - self.filled_before,
            certain_lots: self.back.filled,
            possible_lots: self.front.filled,
            ..order
        }
    }
}
