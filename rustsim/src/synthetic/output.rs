//! Turns order events into rows: every order, every level change, or five-level images.

use super::book::{BookSide, Order};
use super::options::{Mode, SyntheticOptions};
use crate::types::{
    FLAG_IMAGE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Nanos, Side, Tick, TickIndex,
};

/// An order joined the back of its queue.
pub const ACTION_ADD: u8 = 0;
/// An order left whole.
pub const ACTION_CANCEL: u8 = 1;
/// Lots of an order traded.
pub const ACTION_EXECUTE: u8 = 2;

const VISIBLE_LEVELS: usize = 5;
const MS_NS: Nanos = 1_000_000;

/// One order event of mode `L3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Exchange time.
    pub exch_ns: Nanos,
    /// Identity of the order.
    pub order_id: u64,
    /// `ACTION_*`.
    pub action: u8,
    /// Side of the order.
    pub side: Side,
    /// Price as tick index.
    pub price: TickIndex,
    /// Lots added, cancelled or executed.
    pub qty: i32,
}

/// A generated market.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyntheticMarket {
    /// Rows for replays; in the mode `L3` with joins, one per order event.
    pub ticks: Vec<Tick>,
    /// Rows of the mode `L3`.
    pub orders: Vec<OrderRow>,
    /// First of `ticks` of each session.
    pub session_starts: Vec<usize>,
}

/// Collects rows in the form that was asked for.
#[derive(Debug)]
pub(super) struct Recorder {
    mode: Mode,
    conflate_ns: Nanos,
    out: SyntheticMarket,
    // Five levels: what was last shown, best first; and when the next image is due.
    shown: [Vec<(TickIndex, i32)>; 2],
    due_ns: Nanos,
    // `L3`: join of each order by its id: 1 + the row with which it joined.
    joins: Vec<u32>,
    // Print being gathered: prints of one market order at one price are one row.
    print: Option<Tick>,
}

impl Recorder {
    pub(super) fn new(options: &SyntheticOptions) -> Self {
        let mut recorder = Self {
            mode: options.mode,
            conflate_ns: i64::from(options.conflate_us) * 1_000,
            out: SyntheticMarket::default(),
            shown: [Vec::new(), Vec::new()],
            due_ns: options.start_ns,
            joins: vec![0],
            print: None,
        };
        if options.mode == Mode::L3 {
            recorder.start_ticks(options.start_ns);
        }
        recorder
    }

    pub(super) fn row_count(&self) -> u64 {
        match self.mode {
            Mode::L3 => self.out.orders.len() as u64,
            Mode::L2 | Mode::FiveLevel => self.out.ticks.len() as u64,
        }
    }

    pub(super) fn finish(self) -> SyntheticMarket {
        self.out
    }

    /// Starts a session: the whole book is told anew.
    pub(super) fn open_session(&mut self, now_ns: Nanos, sides: &[BookSide; 2]) {
        match self.mode {
            // The orders that fill the book are told one by one; later sessions tell them again, each with a new join.
            Mode::L3 if self.out.ticks.len() > 1 && now_ns > self.out.ticks[0].exch_ns => {
                self.start_ticks(now_ns);
                for side in [Side::Bid, Side::Ask] {
                    for (price, queue) in sides[side as usize].levels() {
                        let mut lots = 0;
                        for order in &queue.orders {
                            lots += order.lots;
                            self.push(now_ns, KIND_LEVEL, side, 0, price, lots);
                            self.join(order.id);
                        }
                    }
                }
            }
            Mode::L3 => {}
            Mode::L2 => {
                self.start_ticks(now_ns);
                for side in [Side::Bid, Side::Ask] {
                    for (price, queue) in sides[side as usize].levels() {
                        self.push(now_ns, KIND_LEVEL, side, 0, price, queue.lots);
                    }
                }
            }
            Mode::FiveLevel => {
                self.start_ticks(now_ns);
                self.shown = [Vec::new(), Vec::new()];
                self.image(now_ns, sides);
                self.due_ns = now_ns + self.conflate_ns;
            }
        }
    }

    fn start_ticks(&mut self, now_ns: Nanos) {
        // Rows before the first session come from filling the book: the image tells the same.
        if self.out.session_starts.is_empty() {
            self.out.ticks.clear();
        }
        self.out.session_starts.push(self.out.ticks.len());
        self.push(now_ns, KIND_CLEAR, Side::Bid, 0, 0, 0);
    }

    /// Ends a session: what was not shown yet is shown.
    pub(super) fn close_session(&mut self, end_ns: Nanos, sides: &[BookSide; 2]) {
        if self.mode == Mode::FiveLevel {
            self.image(end_ns, sides);
        }
    }

    /// Lets time pass: shows the images that are due before `now_ns`.
    pub(super) fn advance_to(&mut self, now_ns: Nanos, sides: &[BookSide; 2]) {
        if self.mode == Mode::FiveLevel && self.conflate_ns > 0 && now_ns >= self.due_ns {
            // Nothing has changed since the last event, so one image at the first due time tells everything.
            self.image(self.due_ns, sides);
            let passed = (now_ns - self.due_ns) / self.conflate_ns + 1;
            self.due_ns += passed * self.conflate_ns;
        }
    }

    /// Takes one order event; `sides` are those after it.
    pub(super) fn order(
        &mut self,
        now_ns: Nanos,
        action: u8,
        side: Side,
        price: TickIndex,
        order: Order,
        sides: &[BookSide; 2],
    ) {
        match self.mode {
            Mode::L3 => {
                let row = OrderRow {
                    exch_ns: now_ns,
                    order_id: order.id,
                    action,
                    side,
                    price,
                    qty: order.lots,
                };
                self.out.orders.push(row);
                self.order_tick(now_ns, action, side, price, order, sides);
            }
            Mode::L2 => {
                if action == ACTION_EXECUTE {
                    self.gather_print(now_ns, side, price, order.lots);
                } else {
                    self.push(
                        now_ns,
                        KIND_LEVEL,
                        side,
                        0,
                        price,
                        sides[side as usize].lots_at(price),
                    );
                }
            }
            Mode::FiveLevel => {
                if action == ACTION_EXECUTE {
                    self.gather_print(floor_ms(now_ns), side, price, order.lots);
                }
            }
        }
    }

    // A trade stands for the change of its level; every other row that takes lots names the order's join as well.
    fn order_tick(
        &mut self,
        now_ns: Nanos,
        action: u8,
        side: Side,
        price: TickIndex,
        order: Order,
        sides: &[BookSide; 2],
    ) {
        let lots = sides[side as usize].lots_at(price);
        let mut row = match action {
            ACTION_EXECUTE => tick(now_ns, KIND_TRADE, side, 0, price, order.lots),
            _ => tick(now_ns, KIND_LEVEL, side, 0, price, lots),
        };
        if action != ACTION_ADD {
            row.join = usize::try_from(order.id).map_or(0, |id| self.joins[id]);
        }
        self.out.ticks.push(row);
        if action == ACTION_ADD {
            self.join(order.id);
        }
    }

    // The newest row is that with which this order joined; ids count from 1 without gaps.
    fn join(&mut self, order_id: u64) {
        let join = u32::try_from(self.out.ticks.len()).unwrap_or(0);
        let id = usize::try_from(order_id).unwrap_or(0);
        self.joins.resize(self.joins.len().max(id + 1), 0);
        self.joins[id] = join;
    }

    // Prints are gathered per price; the level's new size follows its print.
    fn gather_print(&mut self, now_ns: Nanos, side: Side, price: TickIndex, lots: i32) {
        if let Some(print) = &mut self.print
            && print.price == price
        {
            print.qty += lots;
            return;
        }
        let next = tick(now_ns, KIND_TRADE, side, 0, price, lots);
        if let Some(done) = self.print.replace(next) {
            self.tell_print(done, 0);
        }
    }

    fn tell_print(&mut self, print: Tick, lots_left: i32) {
        self.out.ticks.push(print);
        if self.mode == Mode::L2 {
            self.out.ticks.push(Tick {
                kind: KIND_LEVEL,
                qty: lots_left,
                ..print
            });
        }
    }

    /// Ends one event of the market.
    pub(super) fn end_event(&mut self, now_ns: Nanos, sides: &[BookSide; 2]) {
        if let Some(print) = self.print.take() {
            // A price that was swept and then swept past has nothing left; the last one may.
            let left = sides[usize::from(print.side)].lots_at(print.price);
            self.tell_print(print, left);
        }
        if self.mode == Mode::FiveLevel && self.conflate_ns == 0 {
            self.image(floor_ms(now_ns), sides);
        }
    }

    // Tells how the five best levels differ from what was shown.
    fn image(&mut self, at_ns: Nanos, sides: &[BookSide; 2]) {
        for side in [Side::Bid, Side::Ask] {
            let best = sides[side as usize].levels().take(VISIBLE_LEVELS);
            let new: Vec<(TickIndex, i32)> =
                best.map(|(price, queue)| (price, queue.lots)).collect();
            let old = std::mem::replace(&mut self.shown[side as usize], new.clone());
            let worst = new.last().map(|level| level.0);
            let full = new.len() == VISIBLE_LEVELS;
            for (price, _) in old
                .iter()
                .filter(|level| !new.iter().any(|other| other.0 == level.0))
            {
                let left_view = full && worst.is_some_and(|worst| side.is_better(worst, *price));
                let flag = if left_view { FLAG_OUT_OF_VIEW } else { 0 };
                self.push(at_ns, KIND_LEVEL, side, FLAG_IMAGE | flag, *price, 0);
            }
            for level in new.iter().filter(|level| !old.contains(level)) {
                self.push(at_ns, KIND_LEVEL, side, FLAG_IMAGE, level.0, level.1);
            }
        }
    }

    fn push(
        &mut self,
        exch_ns: Nanos,
        kind: u8,
        side: Side,
        flags: u8,
        price: TickIndex,
        qty: i32,
    ) {
        self.out
            .ticks
            .push(tick(exch_ns, kind, side, flags, price, qty));
    }
}

fn tick(exch_ns: Nanos, kind: u8, side: Side, flags: u8, price: TickIndex, qty: i32) -> Tick {
    Tick {
        exch_ns,
        local_ns: exch_ns,
        price,
        qty,
        join: 0,
        kind,
        side: side as u8,
        flags,
        reserved: 0,
    }
}

fn floor_ms(ns: Nanos) -> Nanos {
    ns - ns % MS_NS
}
