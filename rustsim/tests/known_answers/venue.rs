//! An exchange driven message by message, in the few words that tests need.

use rustsim::gateway::ExecutionGateway;
use rustsim::rng::{Purpose, Streams};
use rustsim::sim::{Outcomes, RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::types::{
    EventKind, FLAG_LAST, KIND_LEVEL, KIND_TRADE, Lots, Nanos, OrderEvent, OrderId, OrderRequest,
    OrderType, Side, TakePolicy, Tick, TickIndex, TimeInForce,
};
use serde_json::Value;

pub(crate) const SECOND: Nanos = 1_000_000_000;

pub(crate) struct Venue(pub(crate) SimulatedExchange);

impl Venue {
    pub(crate) fn new(spec: &Value) -> Self {
        let spec = SimSpec::from_json(&spec.to_string()).expect("a good description");
        let exchange = SimulatedExchange::new(spec, (90, 110), RunOptions::default());
        Self(exchange.expect("a good description"))
    }

    fn row(
        &mut self,
        kind: u8,
        at: Nanos,
        side: Side,
        price: TickIndex,
        qty: i32,
    ) -> Vec<OrderEvent> {
        let row = Tick {
            exch_ns: at,
            local_ns: at,
            price,
            qty,
            kind,
            side: side as u8,
            flags: FLAG_LAST,
            ..Tick::default()
        };
        self.0.on_tick(&[row]).expect("a good row")
    }

    pub(crate) fn level(
        &mut self,
        at: Nanos,
        side: Side,
        price: TickIndex,
        lots: i32,
    ) -> Vec<OrderEvent> {
        self.row(KIND_LEVEL, at, side, price, lots)
    }

    pub(crate) fn trade(
        &mut self,
        at: Nanos,
        side: Side,
        price: TickIndex,
        lots: i32,
    ) -> Vec<OrderEvent> {
        self.row(KIND_TRADE, at, side, price, lots)
    }

    pub(crate) fn place(
        &mut self,
        side: Side,
        price: TickIndex,
        qty: Lots,
        session: u8,
    ) -> OrderId {
        self.send(
            side,
            price,
            qty,
            session,
            TimeInForce::Rod,
            TakePolicy::MayTake,
        )
    }

    pub(crate) fn post(&mut self, side: Side, price: TickIndex, qty: Lots) -> OrderId {
        self.send(side, price, qty, 0, TimeInForce::Rod, TakePolicy::PostOnly)
    }

    pub(crate) fn take(&mut self, side: Side, price: TickIndex, qty: Lots) -> OrderId {
        self.send(side, price, qty, 0, TimeInForce::Ioc, TakePolicy::MayTake)
    }

    fn send(
        &mut self,
        side: Side,
        price: TickIndex,
        qty: Lots,
        session: u8,
        time_in_force: TimeInForce,
        take_policy: TakePolicy,
    ) -> OrderId {
        self.0.place_order(OrderRequest {
            side,
            price,
            qty,
            order_type: OrderType::Limit,
            time_in_force,
            take_policy,
            session,
        })
    }

    pub(crate) fn advance(&mut self, at: Nanos) -> Vec<OrderEvent> {
        self.0.advance_to(at).expect("time runs on")
    }

    pub(crate) fn ahead(&self, id: OrderId) -> f64 {
        self.0.queue_ahead(id).expect("it rests")
    }

    pub(crate) fn finish(self) -> Outcomes {
        self.0.finish().expect("a sound account")
    }
}

pub(crate) fn fills(events: &[OrderEvent]) -> Vec<(OrderId, Lots)> {
    events
        .iter()
        .filter(|event| event.kind == EventKind::Filled)
        .map(|event| (event.order_id, event.qty))
        .collect()
}

/// Random numbers for test data, one after another.
pub(crate) struct Draws {
    streams: Streams,
    count: Nanos,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            streams: Streams::new(seed, 99),
            count: 0,
        }
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        self.count += 1;
        self.streams.uniform(Purpose::Place, self.count, 0)
    }

    /// Returns a waiting time of this rate.
    pub(crate) fn exponential(&mut self, rate: f64) -> f64 {
        -self.uniform().ln() / rate
    }

    #[allow(clippy::cast_possible_truncation, reason = "below the bound")]
    pub(crate) fn below(&mut self, bound: i32) -> i32 {
        (self.uniform() * f64::from(bound)) as i32
    }
}

/// Holds a mean of samples to its expectation within four standard errors and `bias`.
pub(crate) fn assert_mean(samples: &[f64], expected: f64, bias: f64) {
    let count = f64::from(u32::try_from(samples.len()).expect("a few thousand"));
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0);
    let allowed = bias + 4.0 * (variance / count).sqrt();
    assert!(
        (mean - expected).abs() < allowed,
        "mean {mean}, expected {expected} within {allowed}"
    );
}
