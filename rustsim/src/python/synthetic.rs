//! Python face of the synthetic market.

use super::tape::set_column;
use crate::synthetic::{Mode, OrderRow, SyntheticOptions, generate};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Generate a market from options as JSON; see the stub for what is returned.
#[pyfunction]
#[pyo3(signature = (options))]
pub(crate) fn synthetic_market<'py>(
    py: Python<'py>,
    options: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let options = SyntheticOptions::from_json(options)?;
    let market = py.detach(|| generate(&options))?;
    let facts = PyDict::new(py);
    facts.set_item("session_starts", &market.session_starts)?;
    let rows = &market.ticks;
    set_column(
        &facts,
        "exch_ns",
        rows.iter().flat_map(|row| row.exch_ns.to_ne_bytes()),
    )?;
    set_column(&facts, "kind", rows.iter().map(|row| row.kind))?;
    set_column(&facts, "side", rows.iter().map(|row| row.side))?;
    set_column(&facts, "flags", rows.iter().map(|row| row.flags))?;
    set_column(
        &facts,
        "price",
        rows.iter().flat_map(|row| row.price.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "qty",
        rows.iter().flat_map(|row| row.qty.to_ne_bytes()),
    )?;
    if options.mode == Mode::L3 {
        set_column(
            &facts,
            "join",
            rows.iter().flat_map(|row| row.join.to_ne_bytes()),
        )?;
        facts.set_item("orders", orders(py, &market.orders)?)?;
    }
    Ok(facts)
}

fn orders<'py>(py: Python<'py>, rows: &[OrderRow]) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    set_column(
        &facts,
        "exch_ns",
        rows.iter().flat_map(|row| row.exch_ns.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "order_id",
        rows.iter().flat_map(|row| row.order_id.to_ne_bytes()),
    )?;
    set_column(&facts, "action", rows.iter().map(|row| row.action))?;
    set_column(&facts, "side", rows.iter().map(|row| row.side as u8))?;
    set_column(
        &facts,
        "price",
        rows.iter().flat_map(|row| row.price.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "qty",
        rows.iter().flat_map(|row| row.qty.to_ne_bytes()),
    )?;
    Ok(facts)
}
