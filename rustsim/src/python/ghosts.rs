//! Python face of the ghosts that queue models are scored with.

use super::tape::Tape;
use crate::error::{Error, Result};
use crate::ghosts::{GhostOptions, GhostScan as Core, fit};
use crate::rows::RowSource;
use crate::tape::MappedTape;
use crate::types::Nanos;
use pyo3::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// Lets ghost orders join recorded queues and scores queue models on them; see the stub.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct GhostScan {
    core: Core,
    rows: Option<(Arc<MappedTape>, usize, usize)>,
}

#[pymethods]
impl GhostScan {
    #[new]
    fn new(options: &str) -> PyResult<Self> {
        let options: GhostOptions =
            serde_json::from_str(options).map_err(|e| Error::Spec(format!("ghosts: {e}")))?;
        Ok(Self {
            core: Core::new(options)?,
            rows: None,
        })
    }

    /// Go on with rows [start, stop) of a tape, from an empty book; ghosts join in [from_ns, until_ns).
    #[pyo3(signature = (tape, start, stop, *, from_ns, until_ns))]
    fn open(
        &mut self,
        tape: &Tape,
        start: usize,
        stop: usize,
        from_ns: Nanos,
        until_ns: Nanos,
    ) -> PyResult<()> {
        tape.range(start, stop)?;
        let first = u32::try_from(start)
            .map_err(|_| Error::Tape(format!("row {start}: joins reach 2^32 rows")))?;
        self.core.open(first, from_ns, until_ns);
        self.rows = Some((tape.shared(), start, stop));
        Ok(())
    }

    /// Scan up to so many further rows; return how many are left. With the last one the ghosts still alive are cut short.
    fn advance(&mut self, py: Python<'_>, rows: usize) -> PyResult<usize> {
        let Some((tape, next, stop)) = &mut self.rows else {
            return Ok(0);
        };
        let core = &mut self.core;
        let end = (*stop).min(next.saturating_add(rows));
        py.detach(|| -> Result<()> {
            let mut cursor = tape.cursor(*next..end)?;
            while cursor.advance(cursor.window().len())? {
                core.add(cursor.window());
            }
            Ok(())
        })?;
        *next = end;
        let left = *stop - end;
        if left == 0 {
            core.close();
            self.rows = None;
        }
        Ok(left)
    }

    /// Fit a model to the cancels that were kept; return it as JSON.
    fn fit(&self, py: Python<'_>, model: &str) -> PyResult<String> {
        let found = py.detach(|| fit(model, self.core.cancels()))?;
        to_text(&found)
    }

    /// Return counts and the score of each model as JSON; rustsim/src/ghosts says what the keys mean.
    fn report(&self) -> PyResult<String> {
        to_text(&json!({"counts": self.core.counts(), "scores": self.core.scores()}))
    }
}

fn to_text(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|fault| Error::Spec(fault.to_string()).into())
}
