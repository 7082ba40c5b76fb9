//! A synthetic market, order by order: real queues, clustered arrivals, persistent trade signs, cancels from the back.
//!
//! A fair value wanders by news and by the surprise in trade signs. Limit orders are placed behind a half spread on both sides of it,
//! orders that the fair value has overtaken are pulled, market orders take from the front of the queue. The book is therefore never
//! crossed, and every size on the output is the sum of orders with an identity.
//!
//! | part | model | parameter |
//! |---|---|---|
//! | times | two Hawkes processes (market orders, all else) with exponential kernels | `mean_gap_us`, `trade_share`, `burstiness`, `trade_burstiness` |
//! | trade signs | DAR: a copy of an earlier sign at a power-law lag, else a coin | `sign_persistence` |
//! | fair value | news of Laplace size on ordinary events, impact x (sign - expected sign) on trades | `volatility_ticks`, `impact_ticks` |
//! | cancels | uniform over orders, stale and far ones first; within a queue the place from the back is `u^bias` | `cancel_back_bias` |
//! | sizes | discrete Pareto, `P(lots >= n) = n^-tail` | `lots_tail`, `lots_max` |
//!
//! All randomness comes from Philox streams keyed by the seed, one per part; transcendental functions come from `libm`. Equal options
//! give equal bytes on every machine. Cost: about half a microsecond per order event.
//!
//! Known limits: orders are cancelled whole; nobody reacts to a simulated participant; no auctions, halts or price limits; the
//! parameters were set by eye to the figures in `docs/data.md`, not fitted.

mod arrivals;
mod book;
mod flow;
mod market;
mod options;
mod output;
mod stream;

pub use market::generate;
pub use options::{LotsTable, Mode, SyntheticOptions};
pub use output::{ACTION_ADD, ACTION_CANCEL, ACTION_EXECUTE, OrderRow, SyntheticMarket};
