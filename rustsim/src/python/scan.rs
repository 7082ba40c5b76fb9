//! Python face of the look at queues.

use super::tape::{Columns, set_column};
use crate::tape::queues::{QueueScan, scan_queues as scan};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Look at sorted rows as queues of orders; see the stub for what is returned.
#[pyfunction]
#[pyo3(signature = (exch_ns, kind, side, flags, price, qty, join=None, *, first_row, trades_take))]
#[allow(clippy::too_many_arguments, reason = "one argument per column")]
pub(crate) fn scan_queues<'py>(
    py: Python<'py>,
    exch_ns: &Bound<'py, PyAny>,
    kind: &Bound<'py, PyAny>,
    side: &Bound<'py, PyAny>,
    flags: &Bound<'py, PyAny>,
    price: &Bound<'py, PyAny>,
    qty: &Bound<'py, PyAny>,
    join: Option<&Bound<'py, PyAny>>,
    first_row: u32,
    trades_take: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let columns = Columns::read(
        "scan_queues",
        exch_ns,
        None,
        kind,
        side,
        flags,
        price,
        qty,
        join,
    )?;
    let rows = columns.rows(py)?;
    let found = py.detach(|| scan(&rows, first_row, trades_take));
    let facts = PyDict::new(py);
    set_best(&facts, &found)?;
    set_changes(&facts, &found)?;
    let depth = found.depth.iter().filter(|depth| depth.count > 0);
    let depth: Vec<_> = depth
        .map(|depth| (depth.count, depth.lots, depth.orders, depth.distance_ticks))
        .collect();
    facts.set_item("depth", depth)?;
    Ok(facts)
}

fn set_best(facts: &Bound<'_, PyDict>, found: &QueueScan) -> PyResult<()> {
    let best = &found.best;
    let times = best.iter().flat_map(|row| row.exch_ns.to_ne_bytes());
    set_column(facts, "group_ns", times)?;
    let bids = best.iter().flat_map(|row| row.bid.0.to_ne_bytes());
    set_column(facts, "bid_price", bids)?;
    let lots = best.iter().flat_map(|row| row.bid.1.to_ne_bytes());
    set_column(facts, "bid_lots", lots)?;
    let asks = best.iter().flat_map(|row| row.ask.0.to_ne_bytes());
    set_column(facts, "ask_price", asks)?;
    let lots = best.iter().flat_map(|row| row.ask.1.to_ne_bytes());
    set_column(facts, "ask_lots", lots)
}

fn set_changes(facts: &Bound<'_, PyDict>, found: &QueueScan) -> PyResult<()> {
    let changes = &found.changes;
    set_column(facts, "change", changes.iter().map(|row| row.change as u8))?;
    let lots = changes.iter().flat_map(|row| row.lots.to_ne_bytes());
    set_column(facts, "change_lots", lots)?;
    let distances = changes
        .iter()
        .flat_map(|row| row.distance_ticks.to_ne_bytes());
    set_column(facts, "change_distance", distances)?;
    let behind = changes.iter().flat_map(|row| row.behind.to_ne_bytes());
    set_column(facts, "behind", behind)?;
    let orders = changes.iter().flat_map(|row| row.orders.to_ne_bytes());
    set_column(facts, "orders", orders)
}
