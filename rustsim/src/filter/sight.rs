//! What the strategy sees of a compiled tape: a second place in it, behind the exchange's by what the feed takes.

use super::layout::below;
use super::place::Place;
use crate::book::NO_PRICE;
use crate::host::View;
use crate::schedule::NEVER;
use crate::sight::{Heeds, Sight};
use crate::types::{Nanos, Side};

/// The place in a compiled tape up to which the strategy has seen the market.
#[derive(Clone, Debug)]
pub struct Following<'t> {
    /// Behind the last row seen.
    seen: Place<'t>,
    /// What the feed adds to every stamp.
    feed_ns: Nanos,
    heeds: Heeds,
    /// When the next view is seen that an instant must be made for.
    next_ns: Nanos,
}

impl<'t> Following<'t> {
    pub(super) fn new(start: Place<'t>, feed_ns: Nanos) -> Self {
        Self {
            seen: start,
            feed_ns,
            heeds: Heeds::Nothing,
            next_ns: NEVER,
        }
    }

    /// Returns when the next group is seen in which a best price changes.
    fn find_next(&self) -> Nanos {
        if self.heeds == Heeds::Nothing {
            return NEVER;
        }
        let mut place = self.seen;
        let mut is_changed = false;
        loop {
            let block = place.block;
            let ahead = !below(place.row);
            let changes = if is_changed { u64::MAX } else { block.best } & ahead;
            if changes != 0 {
                is_changed = true;
                let shown = block.shown & !below(changes.trailing_zeros() as usize);
                if shown != 0 {
                    let row = shown.trailing_zeros() as usize;
                    return place.stamp_ns(row).saturating_add(self.feed_ns);
                }
            }
            if !place.enter_next_block() {
                return NEVER;
            }
        }
    }
}

impl Sight for Following<'_> {
    fn heed(&mut self, heeds: Heeds) {
        self.heeds = heeds;
        self.next_ns = self.find_next();
    }

    #[inline]
    fn next_ns(&self) -> Nanos {
        self.next_ns
    }

    fn see(&mut self, seen: &mut View, now_ns: Nanos) -> bool {
        let until_ns = now_ns.saturating_sub(self.feed_ns);
        let mut place = self.seen;
        let mut newest = None;
        loop {
            let seen_rows = place.stamped_until(until_ns);
            let shown = place.block.shown & !below(place.row) & below(seen_rows);
            if shown != 0 {
                place.row = 64 - shown.leading_zeros() as usize;
                newest = Some(place);
            }
            if seen_rows < place.block.count as usize || !place.enter_next_block() {
                break;
            }
        }
        let Some(newest) = newest else {
            return false;
        };
        self.seen = newest;
        self.seen.settle();
        if self.next_ns <= now_ns {
            self.next_ns = self.find_next();
        }
        let [bid, ask] = self
            .seen
            .bests()
            .map(|price| (price != NO_PRICE).then_some(price));
        let lots = |side, price: Option<_>| price.map_or(0, |price| self.seen.size(side, price));
        *seen = View {
            exch_ns: newest.last_ns().unwrap_or(seen.exch_ns),
            best_bid: bid,
            best_ask: ask,
            best_bid_lots: lots(Side::Bid, bid),
            best_ask_lots: lots(Side::Ask, ask),
            last_trade: self.seen.last_print(),
        };
        true
    }
}
