//! Trades that touch no displayed order: prints, and fills of more lots than an order displays.

use super::book::Order;
use super::convert::{OrderFlow, Step};
use super::hidden_lots::HiddenLots;
use super::{FlowFault, QueuePlace};
use crate::types::{KIND_TRADE, Side, TickIndex};

impl OrderFlow {
    pub(super) fn print(&mut self, step: &mut Step<'_>) {
        let lots = step.event.qty;
        match step.level() {
            Some((side, price)) if lots > 0 => self.print_at(step, side, price, lots),
            _ => step.fault(FlowFault::BadValue),
        }
    }

    fn print_at(&mut self, step: &mut Step<'_>, side: Side, price: TickIndex, lots: i32) {
        let is_inside = |side: Side| {
            let best = self.book.best(side);
            best.is_none_or(|best| side.is_better(price, best))
        };
        if is_inside(side) && is_inside(side.opposite()) {
            self.counts.prints_inside += 1;
            self.emit(step, KIND_TRADE, side, price, lots, 0, QueuePlace::NONE);
        } else {
            self.counts.prints_beside += 1;
        }
    }

    /// Remembers lots that an order traded beyond those it displays.
    pub(super) fn hide(&mut self, order: &Order, lots: i32) {
        self.hidden.push(HiddenLots {
            side: order.side,
            price: order.price,
            lots,
        });
    }

    /// Tells hidden lots, behind the displayed ones of their packet and before their order is renewed.
    pub(super) fn print_hidden(&mut self, step: &mut Step<'_>) {
        if self.hidden.is_empty() {
            return;
        }
        for hidden in std::mem::take(&mut self.hidden) {
            self.print_at(step, hidden.side, hidden.price, hidden.lots);
        }
    }
}
