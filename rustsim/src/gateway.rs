//! The face that every exchange shows to a strategy, simulated or not.

use crate::error::Result;
use crate::types::{Lots, OrderEvent, OrderId, OrderRequest, Tick, TickIndex};

/// Takes requests, takes the market in, gives events back.
pub trait ExecutionGateway {
    /// Sends an order and returns its id; what becomes of it arrives as events.
    fn place_order(&mut self, request: OrderRequest) -> OrderId;

    /// Sends a cancel; `false` if the strategy already knows the order as ended, or never sent it.
    fn cancel_order(&mut self, order_id: OrderId, session: u8) -> bool;

    /// Sends an amend to a new price, a new total quantity, or both; `false` as for a cancel.
    fn amend_order(
        &mut self,
        order_id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    ) -> bool;

    /// Takes one market message (rows of one exchange time) in and returns what the strategy has seen of its orders by then.
    ///
    /// # Errors
    /// `Error::Tick` for rows that break a rule, `Error::Ledger` if an amount overflows.
    fn on_tick(&mut self, message: &[Tick]) -> Result<Vec<OrderEvent>>;
}
