//! Python face of the rules for rows, without a tape to write them to.

use super::tape::{Columns, Piece};
use crate::error::Error;
use crate::tape::columns::RowColumns;
use crate::tape::validate::Validator;
use pyo3::prelude::*;

/// Test rows as a tape would, without writing one.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct RowCheck {
    source: String,
    has_local: bool,
    validator: Validator,
    piece: Piece,
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
            piece: Piece::default(),
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
        let (source, has_local, validator) = (&self.source, self.has_local, &mut self.validator);
        columns.each(py, &mut self.piece, |rows| {
            let number = validator.rows();
            let local_ns = if has_local {
                rows.local_ns
            } else {
                rows.exch_ns
            };
            validator
                .push_columns(&RowColumns { local_ns, ..*rows })
                .map_err(|(row, fault)| {
                    Error::Tick(format!("{source}: row {}: {fault}", number + row as u64))
                })
        })
    }
}
