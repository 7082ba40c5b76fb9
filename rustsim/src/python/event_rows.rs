//! Python face of event arrays: bytes of a piece in, columns out.

use crate::error::{Error, Result};
use crate::event_rows::{Before, EventScale, plain_columns as plain};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// Return the columns of a piece of an event array whose rows are all plain, None for any other; see the stub.
#[pyfunction]
#[pyo3(signature = (data, scale, *, exch_ns_before, local_ns_before))]
pub(crate) fn plain_events<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyBytes>,
    scale: &str,
    exch_ns_before: i64,
    local_ns_before: Option<i64>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let scale = scale_of(scale)?;
    let before = Before {
        exch_ns: exch_ns_before,
        local_ns: local_ns_before,
    };
    let bytes = data.as_bytes();
    let Some(columns) = py.detach(|| plain(bytes, before, &scale)) else {
        return Ok(None);
    };
    let found = PyDict::new(py);
    for (name, values) in [
        ("exch_ns", &columns.exch_ns),
        ("local_ns", &columns.local_ns),
        ("kind", &columns.kind),
        ("side", &columns.side),
        ("price", &columns.price),
        ("qty", &columns.qty),
    ] {
        found.set_item(name, PyBytes::new(py, values))?;
    }
    found.set_item("latency_ns", columns.latency_ns)?;
    Ok(Some(found))
}

fn scale_of(text: &str) -> Result<EventScale> {
    let scale: EventScale = serde_json::from_str(text)
        .map_err(|fault| Error::Spec(format!("scale of events: {fault}")))?;
    let parts = [scale.price.0, scale.price.1, scale.qty.0, scale.qty.1];
    if parts.iter().any(|part| *part < 1) {
        let message = "scale of events: expected positive fractions".to_owned();
        return Err(Error::Spec(message));
    }
    Ok(scale)
}
