//! What the strategy sees of a compiled tape: a second place in it, behind the exchange's by what the feed takes.

use super::layout::below;
use super::place::Place;
use crate::book::NO_PRICE;
use crate::host::View;
use crate::schedule::NEVER;
use crate::sight::{Heeds, Sight};
use crate::types::Nanos;

/// The place in a compiled tape up to which the strategy has seen the market.
#[derive(Clone, Debug)]
pub struct Following<'t> {
    /// Behind the last row seen.
    seen: Place<'t>,
    /// What the feed adds to every stamp.
    feed_ns: Nanos,
    heeds: Heeds,
    /// When the next view is seen that an instant must be made for, and the place behind it.
    next_ns: Nanos,
    next: Place<'t>,
}

impl<'t> Following<'t> {
    pub(super) fn new(start: Place<'t>, feed_ns: Nanos) -> Self {
        Self {
            seen: start,
            feed_ns,
            heeds: Heeds::Nothing,
            next_ns: NEVER,
            next: start,
        }
    }

    /// Looks for the next group in which a best price changes.
    fn find_next(&mut self) {
        self.next_ns = NEVER;
        if self.heeds == Heeds::Nothing {
            return;
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
                    self.next_ns = place.stamp_ns(row).saturating_add(self.feed_ns);
                    place.row = row + 1;
                    self.next = place;
                    return;
                }
            }
            if !place.enter_next_block() {
                return;
            }
        }
    }

    /// Returns the place behind the last group that is seen by a time, None if that is none since the last one.
    fn newest(&self, now_ns: Nanos) -> Option<Place<'t>> {
        let until_ns = now_ns.saturating_sub(self.feed_ns);
        let (mut place, mut newest) = if self.next_ns <= now_ns {
            (self.next, Some(self.next))
        } else {
            (self.seen, None)
        };
        loop {
            let mut shown = place.block.shown & !below(place.row);
            // Stamps never fall: a block is passed as a whole if its last row is seen.
            let is_whole = place.stamp_ns(place.block.count as usize - 1) <= until_ns;
            if is_whole && shown != 0 {
                place.row = 64 - shown.leading_zeros() as usize;
                newest = Some(place);
            }
            while !is_whole && shown != 0 {
                let row = shown.trailing_zeros() as usize;
                if place.stamp_ns(row) > until_ns {
                    break;
                }
                shown &= shown - 1;
                place.row = row + 1;
                newest = Some(place);
            }
            if !is_whole || !place.enter_next_block() {
                return newest;
            }
        }
    }
}

impl Sight for Following<'_> {
    fn heed(&mut self, heeds: Heeds) {
        self.heeds = heeds;
        self.find_next();
    }

    #[inline]
    fn next_ns(&self) -> Nanos {
        self.next_ns
    }

    fn see(&mut self, seen: &mut View, now_ns: Nanos) -> bool {
        let Some(newest) = self.newest(now_ns) else {
            return false;
        };
        self.seen = newest;
        self.seen.settle();
        if self.next_ns <= now_ns {
            self.find_next();
        }
        let touch = newest.touch();
        let [best_bid, best_ask] = touch
            .prices
            .map(|price| (price != NO_PRICE).then_some(price));
        // Field by field: a view that is copied as a whole waits for its parts to be written.
        seen.exch_ns = newest.last_ns().unwrap_or(seen.exch_ns);
        seen.best_bid = best_bid;
        seen.best_ask = best_ask;
        seen.best_bid_lots = touch.lots[0];
        seen.best_ask_lots = touch.lots[1];
        seen.last_trade = newest.last_print();
        true
    }
}
