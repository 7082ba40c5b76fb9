//! The slow, obvious twin of the exchange: `docs/semantics.md` line by line, trees and scans, no speed.
//!
//! It shares no code with the engine. Drawing latencies, the fee schedule and the plain values come from the library; they have their own tests.

pub mod account;
pub mod exchange;
pub mod market;
pub mod orders;
pub mod run;

use rustsim::latency::LatencySpec;
use rustsim::ledger::{ChargeSpec, FeeSchedule};
use rustsim::types::{Lots, Nanos, OrderEvent, OrderId, OrderRequest, Side, TickIndex};

/// How cancels move a queue.
#[derive(Clone, Copy, Debug)]
pub enum Queue {
    Back,
    Front,
    Uniform,
    Power(f64),
    Power2(f64),
    Power3(f64),
    Log,
    Log2,
    /// Intercept and slope.
    Odds(f64, f64),
    /// Intercept, slope and what a known size behind adds.
    OddsSize(f64, f64, f64),
    /// By the orders that rows name.
    L3,
}

/// When a market group wakes the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    Best,
    Touch,
    Every,
    Own,
}

/// The description of the exchange, as plain values.
#[derive(Clone, Debug)]
pub struct Rules {
    pub tick_value: i64,
    pub price_min: Option<TickIndex>,
    pub price_max: Option<TickIndex>,
    pub visible_levels: usize,
    pub max_order_lots: Option<Lots>,
    pub fees: FeeSchedule,
    /// Place, cancel, amend, report, feed.
    pub latency: [LatencySpec; 5],
    /// Recorded latencies (time, delay) of those that are looked up.
    pub traces: [Option<Vec<(Nanos, Nanos)>>; 5],
    /// Whether messages of one session can overtake each other.
    pub is_independent: bool,
    pub gap_ns: Nanos,
    pub loss_probability: f64,
    pub loss_timeout_ns: Nanos,
    pub reject_probability: f64,
    pub backlog_capacity_per_us: Option<f64>,
    /// Correlation time and weight of the weather.
    pub weather: Option<(Nanos, f64)>,
    /// Mean lengths of calm and stressed stretches.
    pub regime: Option<(Nanos, Nanos)>,
    pub queue: Queue,
    pub is_sampled: bool,
    /// Whether an amend below the filled quantity cancels the rest instead of being rejected.
    pub below_filled_cancels: bool,
    pub half_life_ns: Option<Nanos>,
    /// Reaction of others to our orders.
    pub kappa: f64,
    pub charge: Option<ChargeSpec>,
    /// No latency, no queue, no sizes, last prices (semantics 8).
    pub is_naive: bool,
    pub certificates: bool,
    pub seed: u64,
    pub replication: u64,
    pub has_local: bool,
    /// Whether rows name the orders that lose lots.
    pub has_join: bool,
    pub wake: Wake,
}

/// What a strategy can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Place(OrderRequest),
    Cancel {
        order_id: OrderId,
        session: u8,
    },
    Amend {
        order_id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    },
    Timer {
        at_ns: Nanos,
    },
}

/// What a strategy sees of the market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub exch_ns: Nanos,
    pub bid: Option<(TickIndex, Lots)>,
    pub ask: Option<(TickIndex, Lots)>,
    /// Price, lots and resting side.
    pub last_trade: Option<(TickIndex, Lots, Side)>,
}

/// What a strategy sees when it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub now_ns: Nanos,
    pub view: View,
    pub position: Lots,
    pub events: Vec<OrderEvent>,
    pub is_timer: bool,
    pub is_tick: bool,
}

/// A strategy as a function from what it sees to what it does.
pub trait Actor {
    /// Called once before the first row.
    fn start(&mut self, now_ns: Nanos) -> Vec<Command>;
    /// Called at every wake-up.
    fn wake(&mut self, moment: &Moment) -> Vec<Command>;
}
