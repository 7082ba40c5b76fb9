//! Embedded digital twin of an exchange: recorded ticks in, own orders through a latency buffer and FIFO queues, exact accounting out.
//!
//! The rules are written down in `docs/semantics.md`; the slow twin in `tests/reference.rs` is the same rules without any speed.

pub mod error;
pub mod latency;
pub mod ledger;
pub mod rng;
pub mod tape;
pub mod types;

#[cfg(feature = "python")]
mod python;
