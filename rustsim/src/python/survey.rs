//! Python face of the survey of a tape.

use super::tape::Tape;
use crate::error::{Error, Result};
use crate::rows::RowSource;
use crate::tape::MappedTape;
use crate::tape::survey::Survey;
use pyo3::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Measures rows of a tape in one pass and bounded memory.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct TapeSurvey {
    tape: Arc<MappedTape>,
    next: usize,
    stop: usize,
    survey: Survey,
}

#[pymethods]
impl TapeSurvey {
    #[new]
    #[pyo3(signature = (tape, start, stop, *, bin_ns))]
    fn new(tape: &Tape, start: usize, stop: usize, bin_ns: i64) -> PyResult<Self> {
        let rows = tape.range(start, stop)?;
        let tape = tape.shared();
        let has_joins = tape.has_join() && has_joins(&tape, rows)?;
        let survey = Survey::new(bin_ns, tape.has_local(), has_joins);
        Ok(Self {
            tape,
            next: start,
            stop,
            survey,
        })
    }

    /// Measure up to so many further rows; return how many are left.
    fn advance(&mut self, py: Python<'_>, rows: usize) -> PyResult<usize> {
        let stop = self.stop.min(self.next.saturating_add(rows));
        let (tape, survey, start) = (&self.tape, &mut self.survey, self.next);
        py.detach(|| -> Result<()> {
            let (mut cursor, mut row) = (tape.cursor(start..stop)?, start);
            while cursor.advance(cursor.window().len())? {
                survey.add(cursor.window(), row);
                row += cursor.window().len();
            }
            Ok(())
        })?;
        self.next = stop;
        Ok(self.stop - stop)
    }

    /// Return everything measured as JSON; rustsim/src/tape/survey.rs says what the keys mean.
    fn report(&mut self) -> PyResult<String> {
        serde_json::to_string(self.survey.finish())
            .map_err(|fault| Error::Tape(fault.to_string()).into())
    }
}

fn has_joins(tape: &MappedTape, rows: Range<usize>) -> Result<bool> {
    let mut cursor = tape.cursor(rows)?;
    while cursor.advance(cursor.window().len())? {
        if cursor.window().iter().any(|row| row.join != 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
