//! Python face of delimited text: pieces in, columns out.

use crate::error::Error;
use crate::text::{TextSpec, Values};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// Columns out of delimited text, piece by piece.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct TextColumns {
    inner: crate::text::TextColumns,
}

#[pymethods]
impl TextColumns {
    #[new]
    #[pyo3(signature = (spec, *, lines_before = 0, quick = true))]
    fn new(spec: &str, lines_before: u64, quick: bool) -> PyResult<Self> {
        let spec: TextSpec =
            serde_json::from_str(spec).map_err(|e| Error::Spec(format!("text columns: {e}")))?;
        let inner = crate::text::TextColumns::new(spec, lines_before)?;
        let inner = if quick { inner } else { inner.with_care() };
        Ok(Self { inner })
    }

    /// Take a piece of text and return what its whole lines hold; raise TickError with the line.
    #[pyo3(signature = (data, *, is_last = false))]
    fn push<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
        is_last: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let inner = &mut self.inner;
        let piece = py.detach(|| inner.push(data, is_last))?;
        let columns = PyList::empty(py);
        for values in &piece.values {
            match values {
                Values::None => columns.append(py.None())?,
                Values::Codes(codes) => columns.append(PyBytes::new(py, codes))?,
                Values::Numbers(numbers) => {
                    let filled =
                        PyBytes::new_with(py, numbers.len() * size_of::<i64>(), |target| {
                            for (slot, number) in
                                target.chunks_exact_mut(size_of::<i64>()).zip(numbers)
                            {
                                slot.copy_from_slice(&number.to_ne_bytes());
                            }
                            Ok(())
                        })?;
                    columns.append(filled)?;
                }
            }
        }
        let bad: Vec<(usize, usize, String)> = piece
            .bad
            .into_iter()
            .map(|field| (field.column, field.row, field.text))
            .collect();
        let found = PyDict::new(py);
        found.set_item("rows", piece.rows)?;
        found.set_item("columns", columns)?;
        found.set_item("bad", bad)?;
        Ok(found)
    }
}
