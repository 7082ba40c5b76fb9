//! What every kind of event does to the book, and which rows say so.

use super::book::{Book, IdHasher};
use super::counts::FlowCounts;
use super::hidden_lots::HiddenLots;
use super::image::{Comparison, Image, Why};
use super::{
    ACTION_ADD, ACTION_CLEAR, ACTION_DELETE, ACTION_EXECUTE, ACTION_FILL, ACTION_MODIFY,
    ACTION_NONE, ACTION_PAUSE, ACTION_PRINT, ACTION_REDUCE, ACTION_SEED, FlowEvent, FlowFault,
    FlowRows, PRICE_NOT_STATED, QueuePlace, Quote, SIDE_NOT_STATED,
};
use crate::tape::limits::PRICE_ABS_MAX;
use crate::types::{
    FLAG_GAP, FLAG_IMAGE, FLAG_INDICATIVE, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL,
    KIND_TRADE, Nanos, Side, Tick, TickIndex,
};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Turns order events into rows; the book lives on from run to run.
#[derive(Clone, Debug, Default)]
pub struct OrderFlow {
    pub(super) book: Book,
    pub(super) counts: FlowCounts,
    // Lots filled beyond those displayed, to be told once the fills of the packet are.
    pub(super) hidden: Vec<HiddenLots>,
    next_row: u64,
    has_places: bool,
    has_quotes: bool,
    quote: Quote,
    comparison: Comparison,
    // Orders whose fills may be told again before the packet ends, by id.
    pending: Vec<u64>,
    // The same for anonymous lots: lots by the unknown id.
    pending_anonymous: HashMap<u64, i32, BuildHasherDefault<IdHasher>>,
    // Whether the packet under way made a row outside of auctions.
    is_changed: bool,
}

// One event on its way through the converter.
pub(super) struct Step<'a> {
    pub(super) event: &'a FlowEvent,
    index: u32,
    out: &'a mut FlowRows,
}

impl Step<'_> {
    pub(super) fn fault(&mut self, fault: FlowFault) {
        self.out.faults.push((fault, self.index));
    }

    fn side(&self) -> Option<Side> {
        Side::from_code(self.event.side)
    }

    // Side and price, if the event states sound ones.
    pub(super) fn level(&self) -> Option<(Side, TickIndex)> {
        let price = self.event.price;
        let is_sound = price > -PRICE_ABS_MAX && price < PRICE_ABS_MAX;
        self.side().filter(|_| is_sound).map(|side| (side, price))
    }

    fn is_indicative(&self) -> bool {
        self.event.flags & FLAG_INDICATIVE != 0
    }
}

impl OrderFlow {
    /// Returns an empty book; `has_places` asks for the queue place of every removal, `has_quotes` for every change of a best level.
    #[must_use]
    pub fn new(has_places: bool, has_quotes: bool) -> Self {
        Self {
            has_places,
            has_quotes,
            ..Self::default()
        }
    }

    /// Returns what was met so far.
    #[must_use]
    pub fn counts(&self) -> FlowCounts {
        self.counts
    }

    /// Returns the ordinal, in the tape, of the next row.
    #[must_use]
    pub fn next_row(&self) -> u64 {
        self.next_row
    }

    /// Sets the ordinal of the next row, after rows that were made elsewhere.
    pub fn set_next_row(&mut self, next_row: u64) {
        self.next_row = next_row;
    }

    /// Returns whether rows come with the queue place of what they remove.
    #[must_use]
    pub fn has_places(&self) -> bool {
        self.has_places
    }

    /// Returns whether changes of the best levels are told.
    #[must_use]
    pub fn has_quotes(&self) -> bool {
        self.has_quotes
    }

    /// Returns the number of known orders.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.book.order_count()
    }

    /// Returns price, lots and anonymous lots of the levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (TickIndex, i32, i32)> {
        let levels = self.book.levels(side);
        levels.map(|level| (level.price, level.lots, level.anonymous))
    }

    /// Tells the whole book anew: a CLEAR row and every level, so that a session can start here.
    pub fn restate(&mut self, exch_ns: Nanos, local_ns: Nanos, out: &mut FlowRows) {
        let event = FlowEvent {
            exch_ns,
            local_ns,
            order_id: 0,
            price: 0,
            qty: 0,
            action: ACTION_CLEAR,
            side: 0,
            flags: 0,
            ends_packet: true,
        };
        let mut step = Step {
            event: &event,
            index: 0,
            out,
        };
        self.emit(&mut step, KIND_CLEAR, Side::Bid, 0, 0, 0, QueuePlace::NONE);
        for side in [Side::Bid, Side::Ask] {
            let levels: Vec<_> = self
                .book
                .levels(side)
                .map(|level| (level.price, level.lots))
                .collect();
            for (price, lots) in levels {
                self.emit(
                    &mut step,
                    KIND_LEVEL,
                    side,
                    price,
                    lots,
                    0,
                    QueuePlace::NONE,
                );
            }
        }
        self.is_changed = false;
    }

    /// Applies one event; `index` is its number in the run, for rows and faults. A picture shows the book after the event.
    pub fn push(
        &mut self,
        event: &FlowEvent,
        image: Option<Image<'_>>,
        index: u32,
        out: &mut FlowRows,
    ) {
        let mut step = Step { event, index, out };
        if event.action != ACTION_FILL {
            self.print_hidden(&mut step);
        }
        match event.action {
            ACTION_ADD => self.add(&mut step),
            ACTION_DELETE | ACTION_REDUCE => self.cancel(&mut step),
            ACTION_EXECUTE | ACTION_FILL => self.execute(&mut step),
            ACTION_MODIFY => self.modify(&mut step),
            ACTION_PRINT => self.print(&mut step),
            ACTION_SEED => self.seed(&mut step),
            ACTION_CLEAR => {
                self.book.clear();
                self.emit(&mut step, KIND_CLEAR, Side::Bid, 0, 0, 0, QueuePlace::NONE);
            }
            ACTION_PAUSE => self.pause(&mut step),
            ACTION_NONE => {}
            _ => step.fault(FlowFault::BadValue),
        }
        if let Some(image) = image {
            self.hold_against(&mut step, image);
        }
        if let Some(count) = self.counts.events.get_mut(usize::from(event.action)) {
            *count += 1;
        }
        if event.ends_packet {
            self.print_hidden(&mut step);
            self.end_packet(&mut step);
        }
    }

    fn end_packet(&mut self, step: &mut Step<'_>) {
        self.counts.packets += 1;
        self.counts.orders_max = self.counts.orders_max.max(self.book.order_count() as u64);
        while let Some(id) = self.pending.pop() {
            if let Some(slot) = self.book.find(id) {
                self.book.order_mut(slot).owed = 0;
                self.forget_if_done(slot);
            }
        }
        if !self.pending_anonymous.is_empty() {
            self.pending_anonymous.clear();
        }
        if std::mem::take(&mut self.is_changed) {
            let best = (self.book.best(Side::Bid), self.book.best(Side::Ask));
            if let (Some(bid), Some(ask)) = best
                && bid >= ask
            {
                step.fault(if bid > ask {
                    FlowFault::Crossed
                } else {
                    FlowFault::Locked
                });
            }
        }
        if self.has_quotes {
            let best = |side| self.book.levels(side).next().map(|l| (l.price, l.lots));
            let quote = Quote {
                bid: best(Side::Bid).unwrap_or_default(),
                ask: best(Side::Ask).unwrap_or_default(),
            };
            if std::mem::replace(&mut self.quote, quote) != quote {
                step.out.quotes.push((quote, step.index));
            }
        }
    }

    // Makes the book what the picture shows.
    fn hold_against(&mut self, step: &mut Step<'_>, image: Image<'_>) {
        self.comparison.compare(&self.book, image);
        if self.comparison.differences.is_empty() {
            return;
        }
        let differences = std::mem::take(&mut self.comparison.differences);
        if differences.iter().any(|other| other.why == Why::Fault) {
            step.fault(FlowFault::ImageMismatch);
        }
        for other in &differences {
            let view = match other.why {
                Why::CameIntoView => {
                    self.counts.levels_came += 1;
                    0
                }
                Why::LeftView => {
                    self.counts.levels_left += 1;
                    FLAG_OUT_OF_VIEW
                }
                Why::Fault => 0,
            };
            let event = FlowEvent {
                action: ACTION_SEED,
                side: other.side as u8,
                price: other.price,
                qty: other.lots,
                flags: step.event.flags & FLAG_INDICATIVE | FLAG_IMAGE | view,
                ..*step.event
            };
            let mut step = Step {
                event: &event,
                index: step.index,
                out: step.out,
            };
            self.seed(&mut step);
        }
        self.comparison.differences = differences;
    }

    // A row that changes no book and no queue, so that what comes next knows that nothing trades: an empty bid level where no bid can rest.
    fn pause(&mut self, step: &mut Step<'_>) {
        let price = match (self.book.best(Side::Ask), self.book.best(Side::Bid)) {
            (Some(ask), Some(bid)) => ask.max(bid + 1),
            (Some(ask), None) => ask,
            (None, bid) => bid.map_or(0, |bid| bid + 1),
        };
        self.emit(step, KIND_LEVEL, Side::Bid, price, 0, 0, QueuePlace::NONE);
    }

    fn forget_if_done(&mut self, slot: u32) {
        let order = self.book.order(slot);
        if order.lots == 0 && order.owed == 0 {
            self.book.forget(slot);
        }
    }

    fn add(&mut self, step: &mut Step<'_>) {
        let id = step.event.order_id;
        let Some((side, price)) = step.level().filter(|_| step.event.qty > 0) else {
            return step.fault(FlowFault::BadValue);
        };
        if let Some(slot) = self.book.find(id) {
            if self.book.order(slot).lots > 0 {
                return step.fault(FlowFault::DuplicateOrder);
            }
            self.book.forget(slot); // it traded whole, and its number is used again
        }
        if self.has_room(step, side, price, step.event.qty) {
            let slot = self.book.create(id, side, price);
            self.join(step, slot, step.event.qty);
        }
    }

    // Levels hold no more lots than a row can tell.
    fn has_room(&self, step: &mut Step<'_>, side: Side, price: TickIndex, lots: i32) -> bool {
        let has_room = self.book.lots_at(side, price).checked_add(lots).is_some();
        if !has_room {
            step.fault(FlowFault::TooManyLots);
        }
        has_room
    }

    fn join(&mut self, step: &mut Step<'_>, slot: u32, lots: i32) {
        // Ordinals beyond the column's range are told as unknown.
        let join = u32::try_from(self.next_row + 1).unwrap_or(0);
        let total = self.book.join(slot, lots, join);
        let order = self.book.order(slot);
        let (side, price) = (order.side, order.price);
        self.emit(step, KIND_LEVEL, side, price, total, 0, QueuePlace::NONE);
    }

    // Compares what the event states about a known order with the order.
    fn check_stated(&self, step: &mut Step<'_>, slot: u32) {
        let (order, event) = (self.book.order(slot), step.event);
        let side = event.side == SIDE_NOT_STATED || event.side == order.side as u8;
        let price = event.price == PRICE_NOT_STATED || event.price == order.price;
        if !(side && price) {
            step.fault(FlowFault::Mismatch);
        }
    }

    fn cancel(&mut self, step: &mut Step<'_>) {
        let event = step.event;
        let is_whole = event.action == ACTION_DELETE;
        if event.qty < 0 || (event.qty == 0 && !is_whole) {
            return step.fault(FlowFault::BadValue);
        }
        let Some(slot) = self.book.find(event.order_id) else {
            return self.cancel_anonymous(step);
        };
        self.check_stated(step, slot);
        let order = self.book.order_mut(slot);
        let (lots, owed) = (order.lots, order.owed);
        let settled = if is_whole { owed } else { event.qty.min(owed) };
        order.owed -= settled;
        let removed = if is_whole {
            // A whole cancel may state its lots, with or without those that just traded.
            if event.qty > lots && event.qty - lots != owed {
                step.fault(FlowFault::Excess);
            } else if event.qty > 0 && event.qty < lots {
                step.fault(FlowFault::Mismatch);
            }
            lots
        } else {
            if event.qty - settled > lots {
                step.fault(FlowFault::Excess);
            }
            lots.min(event.qty - settled)
        };
        self.remove(step, slot, removed);
        self.forget_if_done(slot);
    }

    // Takes lots of a known order out of the book, and tells so.
    fn remove(&mut self, step: &mut Step<'_>, slot: u32, lots: i32) {
        if lots > 0 {
            let place = self.place_of(slot);
            let order = *self.book.order(slot);
            let total = self.book.take(slot, lots);
            self.emit(
                step,
                KIND_LEVEL,
                order.side,
                order.price,
                total,
                order.join,
                place,
            );
        }
    }

    fn place_of(&self, slot: u32) -> QueuePlace {
        if !self.has_places {
            return QueuePlace::NONE;
        }
        let (ahead, behind) = self.book.place_of(slot);
        QueuePlace { ahead, behind }
    }

    fn cancel_anonymous(&mut self, step: &mut Step<'_>) {
        let event = step.event;
        let mut lots = event.qty;
        if let Some(owed) = self.pending_anonymous.get_mut(&event.order_id) {
            let settled = lots.min(*owed);
            *owed -= settled;
            lots -= settled;
            if lots == 0 {
                return;
            }
        }
        let taken = step
            .level()
            .filter(|_| lots > 0)
            .and_then(|(side, price)| self.book.take_anonymous(side, price, lots));
        let (Some((side, price)), Some(total)) = (step.level(), taken) else {
            return step.fault(FlowFault::UnknownOrder);
        };
        self.counts.cancels_anonymous += 1;
        self.emit(step, KIND_LEVEL, side, price, total, 0, QueuePlace::NONE);
    }

    fn execute(&mut self, step: &mut Step<'_>) {
        let event = step.event;
        if event.qty <= 0 {
            return step.fault(FlowFault::BadValue);
        }
        let Some(slot) = self.book.find(event.order_id) else {
            return self.execute_anonymous(step);
        };
        self.check_stated(step, slot);
        let order = *self.book.order(slot);
        if event.qty > order.lots {
            step.fault(FlowFault::Excess);
            if event.action == ACTION_FILL {
                self.hide(&order, event.qty - order.lots);
            }
        }
        let lots = event.qty.min(order.lots);
        if lots == 0 {
            return;
        }
        if !step.is_indicative() {
            self.counts.executions += 1;
            if self.book.is_front(slot) {
                self.counts.executions_front += 1;
            } else {
                let is_first_known = self.book.is_first_known(slot);
                self.counts.executions_behind_anonymous += u64::from(is_first_known);
                step.fault(FlowFault::NotFront);
            }
        }
        let place = self.place_of(slot);
        // Whatever its place was thought to be: it is in front now.
        self.book.move_to_front(slot);
        let total = self.book.take(slot, lots);
        if event.action == ACTION_FILL {
            let order = self.book.order_mut(slot);
            order.owed = order.owed.saturating_add(lots);
            self.pending.push(event.order_id);
        }
        self.trade(
            step,
            order.side,
            order.price,
            lots,
            total,
            order.join,
            place,
        );
        self.forget_if_done(slot);
    }

    fn execute_anonymous(&mut self, step: &mut Step<'_>) {
        let (event, level) = (step.event, step.level());
        let taken =
            level.and_then(|(side, price)| self.book.take_anonymous(side, price, event.qty));
        let (Some((side, price)), Some(total)) = (level, taken) else {
            return step.fault(FlowFault::UnknownOrder);
        };
        self.counts.executions_anonymous += 1;
        if event.action == ACTION_FILL {
            let owed = self.pending_anonymous.entry(event.order_id).or_default();
            *owed = owed.saturating_add(event.qty);
        }
        self.trade(step, side, price, event.qty, total, 0, QueuePlace::NONE);
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one row")]
    fn trade(
        &mut self,
        step: &mut Step<'_>,
        side: Side,
        price: TickIndex,
        lots: i32,
        total: i32,
        join: u32,
        place: QueuePlace,
    ) {
        self.emit(step, KIND_TRADE, side, price, lots, join, place);
        if step.is_indicative() {
            // Prints of auctions move no queue, so the level says what it lost.
            self.emit(step, KIND_LEVEL, side, price, total, join, place);
        }
    }

    fn modify(&mut self, step: &mut Step<'_>) {
        let event = step.event;
        let Some(slot) = self.book.find(event.order_id) else {
            step.fault(FlowFault::UnknownOrder);
            return self.add(step);
        };
        let order = *self.book.order(slot);
        let price = if event.price == PRICE_NOT_STATED {
            order.price
        } else {
            event.price
        };
        if event.qty <= 0 || price <= -PRICE_ABS_MAX || price >= PRICE_ABS_MAX {
            return step.fault(FlowFault::BadValue);
        }
        if event.side != SIDE_NOT_STATED && event.side != order.side as u8 {
            step.fault(FlowFault::Mismatch);
        }
        let keeps_place = price == order.price && event.qty <= order.lots;
        let added = if price == order.price {
            event.qty.saturating_sub(order.lots)
        } else {
            event.qty
        };
        if !keeps_place && !self.has_room(step, order.side, price, added) {
            return;
        }
        self.book.order_mut(slot).owed = 0;
        if keeps_place {
            self.remove(step, slot, order.lots - event.qty);
        } else {
            self.remove(step, slot, order.lots);
            self.book.order_mut(slot).price = price;
            self.join(step, slot, event.qty);
        }
    }

    fn seed(&mut self, step: &mut Step<'_>) {
        let lots = step.event.qty;
        let Some((side, price)) = step.level().filter(|_| lots >= 0) else {
            return step.fault(FlowFault::BadValue);
        };
        if self.book.seed(side, price, lots) != lots {
            self.emit(step, KIND_LEVEL, side, price, lots, 0, QueuePlace::NONE);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one row")]
    pub(super) fn emit(
        &mut self,
        step: &mut Step<'_>,
        kind: u8,
        side: Side,
        price: TickIndex,
        qty: i32,
        join: u32,
        place: QueuePlace,
    ) {
        let event = step.event;
        let mut flags = event.flags & !FLAG_LAST;
        if event.action == ACTION_PAUSE {
            flags |= FLAG_INDICATIVE;
        }
        if event.action != ACTION_SEED || qty != 0 {
            flags &= !FLAG_OUT_OF_VIEW;
        }
        // Data was lost in front of the first row only.
        if flags & FLAG_GAP != 0 && step.out.events.last() == Some(&step.index) {
            flags &= !FLAG_GAP;
        }
        step.out.rows.push(Tick {
            exch_ns: event.exch_ns,
            local_ns: event.local_ns,
            price,
            qty,
            join,
            kind,
            side: side as u8,
            flags,
            reserved: 0,
        });
        step.out.events.push(step.index);
        if self.has_places {
            step.out.places.push(place);
        }
        self.next_row += 1;
        self.is_changed |= flags & FLAG_INDICATIVE == 0;
    }
}
