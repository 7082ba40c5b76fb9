//! Several parameter sets over one compiled tape, side by side.
//!
//! All lanes go through a chunk before any goes on to the next: the chunk is fetched from memory once, and lies at hand for all but the first. Lanes share
//! nothing but the tape, so each gives what it would give alone.

use super::walk::Walk;
use super::{Compiled, needs_direct};
use crate::error::{Error, Result};
use crate::filter::OpenTape;
use crate::filter::place::Place;
use crate::replay::{Run, Strategy, WakeFilter};
use crate::sim::{Outcomes, SimulatedExchange};
use crate::types::Nanos;

/// One exchange and one strategy on their way through a compiled tape.
#[derive(Debug)]
pub struct Lane<'t, 's, S: ?Sized> {
    exchange: SimulatedExchange<Compiled<'t>>,
    run: Run,
    walk: Walk<'t>,
    stop_row: u64,
    strategy: &'s mut S,
}

impl<'t, 's, S: Strategy + ?Sized> Lane<'t, 's, S> {
    /// Starts a strategy before the first row; the arguments are those of [`super::replay_compiled`].
    ///
    /// # Errors
    /// Those of [`super::replay_compiled`].
    pub fn begin(
        mut exchange: SimulatedExchange<Compiled<'t>>,
        tape: &'t OpenTape<'t>,
        stop_row: u64,
        span_ns: (Nanos, Nanos),
        filter: WakeFilter,
        strategy: &'s mut S,
    ) -> Result<Self> {
        if let Some(reason) = needs_direct(exchange.spec(), filter)? {
            return Err(Error::Replay(format!(
                "a compiled tape cannot replay this: {reason}"
            )));
        }
        let held = tape.rows.clone();
        let start = Place::start(tape).filter(|_| (held.start + 1..=held.end).contains(&stop_row));
        let (Some(start), Ok(first_row)) = (start, usize::try_from(held.start)) else {
            return Err(Error::Replay(format!(
                "rows up to {stop_row} are asked for, and the compiled tape holds {held:?}"
            )));
        };
        let run = Run::begin(&mut exchange, span_ns, first_row, filter, strategy)?;
        Ok(Self {
            exchange,
            run,
            walk: Walk::new(start),
            stop_row,
            strategy,
        })
    }

    /// Goes on up to row `until`; the last call must name the row that `begin` named.
    ///
    /// # Errors
    /// Those of [`super::replay_compiled`].
    pub fn advance(&mut self, until: u64) -> Result<()> {
        let stop_row = until.min(self.stop_row);
        self.walk.set_stop(stop_row);
        let is_last = stop_row == self.stop_row;
        let Self {
            exchange,
            run,
            walk,
            strategy,
            ..
        } = self;
        run.drive(walk, is_last, exchange, *strategy)
    }

    /// Ends the run.
    ///
    /// # Errors
    /// Those of [`super::replay_compiled`].
    pub fn finish(mut self) -> Result<Outcomes> {
        Run::end(&mut self.exchange, self.strategy)?;
        self.exchange.finish()
    }
}

/// Takes all lanes through the tape, chunk by chunk; what came of each, in order.
///
/// # Errors
/// The place of the first lane that failed, and how. The others end with the chunk: whoever is interrupted does not wait for them.
pub fn replay_lanes<S: Strategy + ?Sized>(
    tape: &OpenTape<'_>,
    mut lanes: Vec<Lane<'_, '_, S>>,
) -> std::result::Result<Vec<Outcomes>, (usize, Error)> {
    let starts = tape.chunks.iter().map(|chunk| chunk.blocks[0].first_row);
    for until in starts.skip(1).chain([u64::MAX]) {
        for (place, lane) in lanes.iter_mut().enumerate() {
            lane.advance(until).map_err(|fault| (place, fault))?;
        }
    }
    let ended = lanes.into_iter().enumerate();
    ended
        .map(|(place, lane)| lane.finish().map_err(|fault| (place, fault)))
        .collect()
}
