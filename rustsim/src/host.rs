//! The strategy's side: what it has seen of the market and of its orders, and what it has asked for.
//!
//! A strategy never touches the exchange: it writes commands into an outbox, and the loop sends them when it returns.

use crate::link::SESSIONS_MAX;
use crate::matching::Request;
use crate::types::{EventKind, Lots, Nanos, OrderEvent, OrderId, OrderRequest, Print, TickIndex};

/// What the strategy sees of the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct View {
    /// Exchange time of the newest group seen.
    pub exch_ns: Nanos,
    /// Best bid.
    pub best_bid: Option<TickIndex>,
    /// Best ask.
    pub best_ask: Option<TickIndex>,
    /// Displayed lots at the best bid.
    pub best_bid_lots: i32,
    /// Displayed lots at the best ask.
    pub best_ask_lots: i32,
    /// Last print seen.
    pub last_trade: Option<Print>,
}

/// State of the strategy host.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Local time.
    pub now_ns: Nanos,
    /// Market as seen.
    pub view: View,
    position: Lots,
    /// Whether the strategy knows the order as ended; index = id - 1.
    ended: Vec<bool>,
    pub(crate) outbox: Vec<Request>,
    pub(crate) timers: Vec<Nanos>,
}

impl Host {
    /// Returns the position from the fills that the strategy has seen.
    #[must_use]
    pub fn position(&self) -> Lots {
        self.position
    }

    /// Returns the id that the next order gets.
    #[must_use]
    pub fn next_id(&self) -> OrderId {
        self.ended.len() as OrderId + 1
    }

    /// Sends an order; its session must be below [`SESSIONS_MAX`].
    pub fn place_order(&mut self, order: OrderRequest) -> OrderId {
        debug_assert!(
            order.session < SESSIONS_MAX,
            "session {} of at most {SESSIONS_MAX}",
            order.session
        );
        let id = self.next_id();
        self.ended.push(false);
        self.outbox.push(Request::Place { id, order });
        id
    }

    /// Sends a cancel unless the order is unknown or known to have ended.
    pub fn cancel_order(&mut self, id: OrderId, session: u8) -> bool {
        let is_open = self.is_open(id);
        if is_open {
            self.outbox.push(Request::Cancel { id, session });
        }
        is_open
    }

    /// Sends an amend unless the order is unknown or known to have ended.
    pub fn amend_order(
        &mut self,
        id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    ) -> bool {
        let is_open = self.is_open(id);
        if is_open {
            self.outbox.push(Request::Amend {
                id,
                price,
                qty,
                session,
            });
        }
        is_open
    }

    /// Asks to be woken at a local time.
    pub fn set_timer(&mut self, at_ns: Nanos) {
        self.timers.push(at_ns);
    }

    fn is_open(&self, id: OrderId) -> bool {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        index
            .and_then(|index| self.ended.get(index))
            .is_some_and(|ended| !ended)
    }

    pub(crate) fn learn(&mut self, event: &OrderEvent) {
        let ends = match event.kind {
            EventKind::Filled => {
                self.position += event.side.sign() * event.qty;
                event.leaves == 0
            }
            EventKind::Rejected | EventKind::Cancelled | EventKind::Expired => true,
            _ => false,
        };
        let index = usize::try_from(event.order_id - 1).ok();
        if let Some(ended) = index.and_then(|index| self.ended.get_mut(index)) {
            *ended |= ends;
        }
    }
}
