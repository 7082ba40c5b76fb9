//! Embedded digital twin of an exchange: recorded ticks in, own orders through a latency buffer and FIFO queues, exact accounting out.
//!
//! The rules are written down in `docs/semantics.md`; the slow twin in `tests/reference.rs` is the same rules without any speed.

mod consumed;
mod digest;
mod matching;
mod order_queue;
mod recorded;

pub mod book;
pub mod certificate;
pub mod engine;
pub mod error;
pub mod event_rows;
pub mod file_hash;
pub mod filter;
pub mod gateway;
pub mod ghosts;
pub mod host;
pub mod image;
pub mod kernel;
pub mod latency;
pub mod ledger;
pub mod link;
pub mod order_flow;
pub mod queue;
pub mod replay;
pub mod rng;
pub mod rows;
pub mod schedule;
pub mod sight;
pub mod sim;
pub mod spec;
pub mod synthetic;
pub mod tape;
pub mod text;
pub mod types;

#[cfg(feature = "python")]
mod python;
