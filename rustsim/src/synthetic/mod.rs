//! A synthetic market, order by order: real queues, clustered arrivals, persistent trade signs, cancels from the back.
//!
//! A fair value wanders by news and by the surprise in trade signs. Limit orders are placed behind a half spread on both sides of it,
//! orders that the fair value has overtaken are pulled, market orders take from the front of the queue. The book is therefore never
//! crossed, and every size on the output is the sum of orders with an identity.
//!
//! | part | model | parameter |
//! |---|---|---|
//! | times | two Hawkes processes (market orders, all else) whose kernels are sums of exponentials, each ten times as fast as the one before | `mean_gap_us`, `trade_share`, `burstiness`, `trade_burstiness`, `cluster_gaps`, `cluster_scales`, `trade_cluster_gaps`, `trade_cluster_scales` |
//! | trade signs | DAR: a copy of an earlier sign at a power-law lag, else a coin | `sign_persistence`, `sign_decay` |
//! | fair value | news of Laplace size on ordinary events, impact x (sign - expected sign) on trades | `volatility_ticks`, `impact_ticks` |
//! | placement | inside of the spread, where lots are missing, or in proportion to what is wanted on each level; rarer from level to level; more at round prices | `half_spread_ticks`, `inside_share`, `refill_share`, `levels`, `level_lots`, `activity_levels`, `activity_decay`, `round_ticks`, `round_lots` |
//! | cancels | uniform over orders (rarer from level to level as adds are), stale and far ones first; within a queue the place from the back is `u^bias`; some come back at once, as amends do | `stale_ticks`, `cancel_back_bias`, `amend_share` |
//! | takers | some wait until the best level can fill them | `selective_share` |
//! | sizes | discrete Pareto, `P(lots >= n) = n^-tail`, or the shares that a recording has | `lots_tail`, `lots_max`, `limit_lots`, `market_lots` |
//!
//! A book whose levels hold less than an order on average has gaps: that is how wide and thin markets come about.
//!
//! All randomness comes from Philox streams keyed by the seed, one per part; transcendental functions come from `libm`. Equal options
//! give equal bytes on every machine. Cost: about half a microsecond per order event with 14 levels, five with 100.
//!
//! The defaults resemble the front TXF by day; `sweep/calibration.py` fits the parameters to any recording, and `docs/data.md` shows how
//! near it comes.
//!
//! Known limits: orders are cancelled whole; sizes do not depend on the place; nobody rests beyond `levels`; every decade of a cluster has
//! the same weight; nothing is hidden; nobody reacts to a simulated participant; no auctions, halts or price limits, no slow changes of
//! activity or volatility.

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
