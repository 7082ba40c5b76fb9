//! Driving an exchange message by message, from outside: the other way to live through what `replay.rs` lives through in one go.

use super::SimulatedExchange;
use crate::error::{Error, Result};
use crate::gateway::ExecutionGateway;
use crate::tape::limits::EXCH_NS_END;
use crate::types::{Lots, Nanos, OrderEvent, OrderId, OrderRequest, Tick, TickIndex};

impl SimulatedExchange {
    /// Lets time pass up to and including `local_ns` without a market event; returns what the strategy has seen of its orders by then.
    ///
    /// # Errors
    /// `Error::Ledger` if an amount overflows, `Error::Tick` if time runs backwards.
    pub fn advance_to(&mut self, local_ns: Nanos) -> Result<Vec<OrderEvent>> {
        self.check_time(local_ns)?;
        self.guard(|this| this.pass_time(local_ns))
    }

    /// Refuses a time that no tape could hold, or that has passed; nothing has happened yet when it does.
    fn check_time(&self, at_ns: Nanos) -> Result<()> {
        if !(0..EXCH_NS_END).contains(&at_ns) {
            return Err(Error::Tick(format!(
                "time {at_ns} is outside of [0, {EXCH_NS_END})"
            )));
        }
        if self.is_started && at_ns < self.host.now_ns {
            return Err(Error::Tick(format!(
                "time {at_ns} lies before {}, which has passed",
                self.host.now_ns
            )));
        }
        Ok(())
    }

    /// Does one step; after a step that failed half-way there is no other, and no result.
    fn guard<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        step(self).inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    fn pass_time(&mut self, local_ns: Nanos) -> Result<Vec<OrderEvent>> {
        self.start(local_ns);
        self.drain_outbox();
        let mut events = Vec::new();
        self.settle(local_ns, &mut events)?;
        self.exch_ns = self.exch_ns.max(local_ns);
        self.host.now_ns = local_ns;
        Ok(events)
    }

    fn step(&mut self, message: &[Tick], exch_ns: Nanos) -> Result<Vec<OrderEvent>> {
        self.start(exch_ns);
        self.drain_outbox();
        let mut events = Vec::new();
        // Everything strictly before the tick, then the tick, then own requests of the same instant.
        self.settle(exch_ns - 1, &mut events)?;
        let start = usize::try_from(self.events).expect("rows of one run fit the address space");
        self.apply_group::<true>(message, start)?;
        self.settle(exch_ns, &mut events)?;
        self.host.now_ns = exch_ns;
        Ok(events)
    }

    fn settle(&mut self, until_ns: Nanos, events: &mut Vec<OrderEvent>) -> Result<()> {
        self.handle_requests(until_ns)?;
        self.see_groups(until_ns);
        self.refresh_view();
        while let Some(event) = self.pop_reply(until_ns) {
            events.push(event);
        }
        while self.pop_timer(until_ns).is_some() {}
        Ok(())
    }
}

impl ExecutionGateway for SimulatedExchange {
    fn place_order(&mut self, request: OrderRequest) -> OrderId {
        self.host.place_order(request)
    }

    fn cancel_order(&mut self, order_id: OrderId, session: u8) -> bool {
        self.host.cancel_order(order_id, session)
    }

    fn amend_order(
        &mut self,
        order_id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    ) -> bool {
        self.host.amend_order(order_id, price, qty, session)
    }

    fn on_tick(&mut self, message: &[Tick]) -> Result<Vec<OrderEvent>> {
        let Some(first) = message.first() else {
            return Ok(Vec::new());
        };
        let exch_ns = first.exch_ns;
        if message.iter().any(|row| row.exch_ns != exch_ns) {
            return Err(Error::Tick(
                "rows of one message must share one exchange time".into(),
            ));
        }
        self.check_time(exch_ns)?;
        self.guard(|this| this.step(message, exch_ns))
    }
}
