//! Python face of the survey of a tape.

use super::tape::Tape;
use crate::error::Error;
use crate::tape::MappedTape;
use crate::tape::survey::Survey;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
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
        let tape = tape.shared();
        let rows = tape.rows();
        let part = rows.get(start..stop).ok_or_else(|| {
            let count = rows.len();
            PyIndexError::new_err(format!(
                "Rows {start} to {stop} are not in a tape of {count} rows"
            ))
        })?;
        let has_joins = part.iter().any(|row| row.join != 0);
        let survey = Survey::new(bin_ns, tape.has_local(), has_joins);
        Ok(Self {
            tape,
            next: start,
            stop,
            survey,
        })
    }

    /// Measure up to so many further rows; return how many are left.
    fn advance(&mut self, py: Python<'_>, rows: usize) -> usize {
        let stop = self.stop.min(self.next.saturating_add(rows));
        let (tape, survey, start) = (&self.tape, &mut self.survey, self.next);
        py.detach(|| survey.add(&tape.rows()[start..stop], start));
        self.next = stop;
        self.stop - stop
    }

    /// Return everything measured as JSON; rustsim/src/tape/survey.rs says what the keys mean.
    fn report(&mut self) -> PyResult<String> {
        serde_json::to_string(self.survey.finish())
            .map_err(|fault| Error::Tape(fault.to_string()).into())
    }
}
