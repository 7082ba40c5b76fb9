//! The compiled engine: rows that concern neither own orders nor the strategy are never looked at.
//!
//! What no parameter can change is worked off once per tape (`build.rs`): sizes after every row, best prices, prints. A replay then asks each block of 64
//! rows which of them are at an own price, change a best price or are unusual (`walk.rs`), and looks up the rest of the book where somebody asks
//! (`place.rs`). Rows that concern an own order go through the same matching as in the direct engine, so results are equal, digest for digest.
//!
//! What it cannot do, the direct engine does: views of every row or of every size at the best prices, feeds whose delay is drawn, venues whose load
//! delays requests, the naive world.

pub mod book;
pub mod build;
mod deep;
pub mod lanes;
pub mod layout;
pub mod mask;
mod place;
pub mod sight;
pub mod tape;
mod walk;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::link::constant_feed_ns;
use crate::replay::{Strategy, WakeFilter};
use crate::sim::{Outcomes, RunOptions, SimulatedExchange};
use crate::spec::{SimSpec, World};
use crate::types::Nanos;
use book::LookupBook;
use lanes::Lane;
use place::Place;
use sight::Following;
use std::marker::PhantomData;
pub use tape::{CompiledTape, OpenTape};

/// Looks the book up in a compiled tape.
#[derive(Debug, Clone, Copy)]
pub struct Compiled<'t> {
    tape: PhantomData<&'t OpenTape<'t>>,
}

impl<'t> Engine for Compiled<'t> {
    type Book = LookupBook<'t>;
    type Sight = Following<'t>;
}

/// Why an exchange needs the direct engine; None if it does not.
///
/// # Errors
/// `Error::Spec` if the description is wrong.
pub fn needs_direct(spec: &SimSpec, filter: WakeFilter) -> Result<Option<&'static str>> {
    Ok(if !matches!(filter, WakeFilter::Best | WakeFilter::Own) {
        Some("the strategy is woken for more than best prices and its own orders")
    } else if spec.world != World::LiveLike {
        Some("in the naive world every print counts")
    } else if constant_feed_ns(&spec.latency)?.is_none() {
        Some("the delay of the feed is drawn for every group")
    } else if spec.latency.backlog_capacity_per_us.is_some() {
        Some("every message is load for the venue")
    } else {
        None
    })
}

impl<'t> SimulatedExchange<Compiled<'t>> {
    /// Builds an exchange on a compiled tape, which must have rows; [`needs_direct`] must have nothing to say.
    ///
    /// # Errors
    /// `Error::Spec` if the description is wrong or needs rows of another kind, `Error::Replay` if the tape is empty.
    pub fn on(spec: SimSpec, tape: &'t OpenTape<'t>, options: RunOptions) -> Result<Self> {
        let place = Place::start(tape)
            .ok_or_else(|| Error::Replay("the compiled tape holds no rows".into()))?;
        let sight = Following::new(place, constant_feed_ns(&spec.latency)?.unwrap_or(0));
        Self::of(spec, LookupBook::new(place), sight, options)
    }
}

/// Replays a compiled tape up to row `stop_row`, where a group starts, and finishes the run; `span_ns` are the times of its first and its last row.
///
/// # Errors
/// `Error::Replay` if the tape does not hold the rows or the strategy is to be woken for views that it does not have; else as [`crate::replay::replay`].
pub fn replay_compiled<'t, S: Strategy + ?Sized>(
    exchange: SimulatedExchange<Compiled<'t>>,
    tape: &'t OpenTape<'t>,
    stop_row: u64,
    span_ns: (Nanos, Nanos),
    filter: WakeFilter,
    strategy: &mut S,
) -> Result<Outcomes> {
    let mut lane = Lane::begin(exchange, tape, stop_row, span_ns, filter, strategy)?;
    lane.advance(stop_row)?;
    lane.finish()
}
