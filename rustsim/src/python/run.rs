//! Replays, on whichever engine can make them.

use super::kernel::{Interruptible, Kernel};
use super::strategy::PyStrategy;
use super::values::Shared;
use crate::error::{Error, Result};
use crate::filter::lanes::{Lane, replay_lanes};
use crate::filter::{CompiledTape, needs_direct, replay_compiled};
use crate::host::Host;
use crate::replay::{Spectator, Strategy, Wake, WakeFilter, replay};
use crate::sim::{Outcomes, RunOptions, SimulatedExchange};
use crate::spec::SimSpec;
use crate::tape::MappedTape;
use pyo3::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// What made a replay.
pub(super) const DIRECT: &str = "direct";
/// What made a replay.
pub(super) const COMPILED: &str = "compiled";

/// Rows to be replayed, and how.
pub(super) struct Job {
    pub(super) spec: SimSpec,
    pub(super) tape: Arc<MappedTape>,
    /// Holds the rows, if there is one.
    pub(super) compiled: Option<Arc<CompiledTape>>,
    pub(super) rows: Range<usize>,
    pub(super) options: RunOptions,
    pub(super) filter: WakeFilter,
}

impl Job {
    /// Replays with a strategy whose side of the exchange `shared` held so far; returns what came out and which engine made it.
    pub(super) fn run<S: Strategy>(
        self,
        shared: &Shared,
        strategy: &mut S,
    ) -> Result<(Outcomes, &'static str)> {
        let cursor = self.tape.cursor(self.rows.clone())?;
        let compiled = self.compiled.as_deref();
        if let Some(compiled) = compiled
            && needs_direct(&self.spec, self.filter)?.is_none()
        {
            let span_ns = (
                self.tape.exch_ns(self.rows.start)?,
                self.tape.exch_ns(self.rows.end - 1)?,
            );
            let stop_row = self.rows.end as u64;
            let open = compiled.read();
            let mut core = SimulatedExchange::on(self.spec, &open, self.options)?;
            shared.swap_host(core.host_mut());
            let outcomes = replay_compiled(core, &open, stop_row, span_ns, self.filter, strategy)?;
            return Ok((outcomes, COMPILED));
        }
        let prices = self.tape.price_range().unwrap_or((0, 0));
        let mut core = SimulatedExchange::new(self.spec, prices, self.options)?;
        shared.swap_host(core.host_mut());
        let outcomes = replay(core, cursor, self.rows.start, self.filter, strategy)?;
        Ok((outcomes, DIRECT))
    }
}

/// A strategy as Python hands it over.
#[derive(Debug)]
pub(super) enum Given {
    Nothing(Spectator),
    Hooks(PyStrategy),
    Compiled(Interruptible, Py<Kernel>),
}

impl Given {
    /// Returns what ended the replay: what Python raised, or else the core's error.
    pub(super) fn blame(self, error: Option<Error>) -> Option<PyErr> {
        let raised = match self {
            Self::Nothing(_) => None,
            Self::Hooks(mut strategy) => strategy.take_raised(),
            Self::Compiled(strategy, kernel) => kernel.get().take_back(strategy),
        };
        error.map(|error| raised.unwrap_or_else(|| error.into()))
    }
}

macro_rules! each {
    ($given:expr, $strategy:ident => $call:expr) => {
        match $given {
            Given::Nothing($strategy) => $call,
            Given::Hooks($strategy) => $call,
            Given::Compiled($strategy, _) => $call,
        }
    };
}

impl Strategy for Given {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        each!(self, strategy => strategy.on_start(host))
    }

    #[inline]
    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        each!(self, strategy => strategy.on_wake(wake, host))
    }

    fn on_end(&mut self, host: &mut Host) -> Result<()> {
        each!(self, strategy => strategy.on_end(host))
    }

    fn poll(&mut self) -> Result<()> {
        each!(self, strategy => strategy.poll())
    }
}

/// Replays several jobs of the same rows side by side; all must be such that the compiled engine can do them. What came of each, in order, or the place of
/// the one that failed and how.
pub(super) fn run_side_by_side(
    tape: &MappedTape,
    compiled: &CompiledTape,
    rows: &Range<usize>,
    jobs: Vec<(SimSpec, RunOptions, Arc<Shared>)>,
    filter: WakeFilter,
    strategies: &mut [Given],
) -> std::result::Result<Vec<Outcomes>, (usize, Error)> {
    let at = |place: usize| move |fault: Error| (place, fault);
    let span_ns = (
        tape.exch_ns(rows.start).map_err(at(0))?,
        tape.exch_ns(rows.end - 1).map_err(at(0))?,
    );
    let open = compiled.read();
    let mut lanes = Vec::with_capacity(jobs.len());
    for (place, ((spec, options, shared), strategy)) in jobs.into_iter().zip(strategies).enumerate()
    {
        let mut core = SimulatedExchange::on(spec, &open, options).map_err(at(place))?;
        shared.swap_host(core.host_mut());
        let stop_row = rows.end as u64;
        let lane = Lane::begin(core, &open, stop_row, span_ns, filter, strategy);
        lanes.push(lane.map_err(at(place))?);
    }
    replay_lanes(&open, lanes)
}
