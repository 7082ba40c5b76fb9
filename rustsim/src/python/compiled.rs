//! Python face of compiled tapes.

use super::tape::Tape;
use crate::error::Result;
use crate::filter;
use crate::filter::layout::Carries;
use crate::tape::MappedTape;
use pyo3::prelude::*;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Rows of a tape with all that no parameter can change worked off.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct CompiledTape {
    inner: Arc<filter::CompiledTape>,
    source: u128,
}

impl CompiledTape {
    /// Returns the compiled rows, to be read without the interpreter lock.
    pub(super) fn shared(&self) -> Arc<filter::CompiledTape> {
        Arc::clone(&self.inner)
    }

    /// Returns whether a replay of these rows of a tape can be made on this one.
    pub(super) fn holds(&self, tape: &MappedTape, rows: &Range<usize>) -> Result<bool> {
        let held = self.inner.rows();
        let is_inside = held.start == rows.start as u64 && rows.end as u64 <= held.end;
        if !is_inside || rows.is_empty() || tape.content_hash() != self.source {
            return Ok(false);
        }
        // A group that is cut in two would go on behind the end.
        Ok(
            rows.end == tape.row_count()
                || tape.exch_ns(rows.end)? != tape.exch_ns(rows.end - 1)?,
        )
    }
}

#[pymethods]
impl CompiledTape {
    /// Version of the form of files, which a program reads alone.
    #[classattr]
    const FORM: u32 = filter::tape::VERSION;

    /// Compile rows [start, stop) in memory.
    #[staticmethod]
    fn of(py: Python<'_>, tape: &Bound<'_, Tape>, start: usize, stop: usize) -> PyResult<Self> {
        let rows = tape.get().range(start, stop)?;
        let tape = tape.get().shared();
        let inner = py.detach(|| {
            let first_row = rows.start as u64;
            let cursor = tape.cursor(rows)?;
            filter::CompiledTape::of(cursor, first_row, carries(&tape), prices(&tape))
        })?;
        Ok(Self {
            inner: Arc::new(inner),
            source: tape.content_hash(),
        })
    }

    /// Compile rows [start, stop) into a file.
    #[staticmethod]
    fn write(
        py: Python<'_>,
        path: PathBuf,
        tape: &Bound<'_, Tape>,
        start: usize,
        stop: usize,
    ) -> PyResult<()> {
        let rows = tape.get().range(start, stop)?;
        let tape = tape.get().shared();
        py.detach(|| {
            let first_row = rows.start as u64;
            let cursor = tape.cursor(rows)?;
            let source = tape.content_hash();
            let (carries, prices) = (carries(&tape), prices(&tape));
            filter::CompiledTape::write(&path, cursor, first_row, carries, prices, source)
        })?;
        Ok(())
    }

    /// Map and verify a file that `write` made of this tape.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, tape: &Bound<'_, Tape>) -> PyResult<Self> {
        let source = tape.get().shared().content_hash();
        let inner = py.detach(|| filter::CompiledTape::open(&path, source))?;
        Ok(Self {
            inner: Arc::new(inner),
            source,
        })
    }

    /// Whether a replay of rows [start, stop) of this tape can be made on it.
    #[pyo3(name = "holds")]
    fn holds_rows(&self, tape: &Bound<'_, Tape>, start: usize, stop: usize) -> PyResult<bool> {
        let rows = tape.get().range(start, stop)?;
        Ok(self.holds(&tape.get().shared(), &rows)?)
    }

    /// First row.
    #[getter]
    fn row_start(&self) -> u64 {
        self.inner.rows().start
    }

    /// First row after the last.
    #[getter]
    fn row_stop(&self) -> u64 {
        self.inner.rows().end
    }

    /// Bytes that it takes, in memory or in its file.
    #[getter]
    fn byte_count(&self) -> usize {
        self.inner.byte_count()
    }
}

fn carries(tape: &MappedTape) -> Carries {
    Carries {
        local: tape.has_local(),
        join: tape.has_join(),
    }
}

fn prices(tape: &MappedTape) -> (i32, i32) {
    tape.price_range().unwrap_or((0, 0))
}
