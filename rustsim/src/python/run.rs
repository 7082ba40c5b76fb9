//! One replay, on whichever engine can make it.

use super::values::Shared;
use crate::error::Result;
use crate::filter::{CompiledTape, needs_direct, replay_compiled};
use crate::replay::{Strategy, WakeFilter, replay};
use crate::sim::{Outcomes, RunOptions, SimulatedExchange};
use crate::spec::SimSpec;
use crate::tape::MappedTape;
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
            let outcomes =
                replay_compiled(core, &open, stop_row, span_ns, self.filter, strategy)?;
            return Ok((outcomes, COMPILED));
        }
        let prices = self.tape.price_range().unwrap_or((0, 0));
        let mut core = SimulatedExchange::new(self.spec, prices, self.options)?;
        shared.swap_host(core.host_mut());
        let outcomes = replay(core, cursor, self.rows.start, self.filter, strategy)?;
        Ok((outcomes, DIRECT))
    }
}
