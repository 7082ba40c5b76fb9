//! Python face of the rules for rows, without a tape to write them to.

use super::tape::Columns;
use crate::error::{Error, Result};
use crate::tape::validate::{Validator, as_written};
use pyo3::prelude::*;

/// Test rows as a tape would, without writing one.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct RowCheck {
    source: String,
    has_local: bool,
    validator: Validator,
}

#[pymethods]
impl RowCheck {
    #[new]
    #[pyo3(signature = (*, has_local = false, source = ""))]
    fn new(has_local: bool, source: &str) -> Self {
        Self {
            source: source.to_owned(),
            has_local,
            validator: Validator::new(has_local),
        }
    }

    /// Test the next rows, columns as of TapeBuilder.append. Raise TickError with source and row.
    #[pyo3(signature = (exch_ns, local_ns, kind, side, flags, price, qty, join = None))]
    #[allow(clippy::too_many_arguments, reason = "one argument per column")]
    fn append(
        &mut self,
        py: Python<'_>,
        exch_ns: &Bound<'_, PyAny>,
        local_ns: Option<&Bound<'_, PyAny>>,
        kind: &Bound<'_, PyAny>,
        side: &Bound<'_, PyAny>,
        flags: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
        qty: &Bound<'_, PyAny>,
        join: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let columns = Columns::read(
            &self.source,
            exch_ns,
            local_ns,
            kind,
            side,
            flags,
            price,
            qty,
            join,
        )?;
        Ok(py.detach(|| self.test(&columns))?)
    }
}

impl RowCheck {
    fn test(&mut self, columns: &Columns) -> Result<()> {
        for row in columns.pieces().flatten() {
            let number = self.validator.rows();
            self.validator
                .push(&as_written(&row, self.has_local))
                .map_err(|fault| Error::Tick(format!("{}: row {number}: {fault}", self.source)))?;
        }
        Ok(())
    }
}
