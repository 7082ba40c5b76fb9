//! Python face of the order-level converter: columns of events in, columns of rows out.

use super::tape::{column, set_column};
use crate::error::Error;
use crate::order_flow::{FlowEvent, FlowFault, FlowRows, Image, OrderFlow as Core};
use crate::types::{FLAG_LAST, Nanos, Side};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

const SOURCE: &str = "OrderFlow.push";

/// A level-3 book that turns order events into canonical rows; see the stub.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct OrderFlow {
    inner: Core,
}

// Copies of the caller's columns: another thread may write to its buffers while the interpreter lock is released.
struct Events {
    exch_ns: Vec<i64>,
    local_ns: Option<Vec<i64>>,
    action: Vec<u8>,
    order_id: Vec<u64>,
    side: Vec<u8>,
    price: Vec<i32>,
    qty: Vec<i32>,
    flags: Option<Vec<u8>>,
    // Pictures one after the other, and the numbers of each.
    images: Option<(Vec<i32>, usize)>,
}

impl Events {
    fn event(&self, index: usize) -> FlowEvent {
        let exch_ns = self.exch_ns[index];
        let flags = self.flags.as_ref().map(|flags| flags[index]);
        FlowEvent {
            exch_ns,
            local_ns: self.local_ns.as_ref().map_or(exch_ns, |local| local[index]),
            order_id: self.order_id[index],
            price: self.price[index],
            qty: self.qty[index],
            action: self.action[index],
            side: self.side[index],
            flags: flags.unwrap_or(0),
            ends_packet: flags.is_none_or(|flags| flags & FLAG_LAST != 0),
        }
    }

    fn image(&self, index: usize) -> Option<Image<'_>> {
        let (levels, width) = self.images.as_ref()?;
        levels
            .get(index * width..(index + 1) * width)
            .map(Image::new)
    }

    fn push_to(&self, flow: &mut Core) -> FlowRows {
        let mut out = FlowRows::default();
        out.rows.reserve(self.exch_ns.len());
        out.events.reserve(self.exch_ns.len());
        for (index, number) in (0..self.exch_ns.len()).zip(0_u32..) {
            flow.push(&self.event(index), self.image(index), number, &mut out);
        }
        out
    }
}

#[pymethods]
impl OrderFlow {
    #[new]
    #[pyo3(signature = (*, places = false, quotes = false))]
    fn new(places: bool, quotes: bool) -> Self {
        Self {
            inner: Core::new(places, quotes),
        }
    }

    /// Apply events and return the rows they make; see the stub for the columns.
    #[pyo3(signature = (exch_ns, action, order_id, side, price, qty, *, local_ns = None, flags = None, images = None))]
    #[allow(clippy::too_many_arguments, reason = "one argument per column")]
    fn push<'py>(
        &mut self,
        py: Python<'py>,
        exch_ns: &Bound<'py, PyAny>,
        action: &Bound<'py, PyAny>,
        order_id: &Bound<'py, PyAny>,
        side: &Bound<'py, PyAny>,
        price: &Bound<'py, PyAny>,
        qty: &Bound<'py, PyAny>,
        local_ns: Option<&Bound<'py, PyAny>>,
        flags: Option<&Bound<'py, PyAny>>,
        images: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let exch_ns = column::<i64>(SOURCE, exch_ns, "exch_ns", None)?;
        if u32::try_from(exch_ns.len()).is_err() {
            return Err(
                Error::Tick(format!("{SOURCE}: push fewer than 2^32 events at once")).into(),
            );
        }
        let count = Some(exch_ns.len());
        let events = Events {
            local_ns: local_ns
                .map(|values| column(SOURCE, values, "local_ns", count))
                .transpose()?,
            action: column(SOURCE, action, "action", count)?,
            order_id: column(SOURCE, order_id, "order_id", count)?,
            side: column(SOURCE, side, "side", count)?,
            price: column(SOURCE, price, "price", count)?,
            qty: column(SOURCE, qty, "qty", count)?,
            flags: flags
                .map(|values| column(SOURCE, values, "flags", count))
                .transpose()?,
            images: images
                .map(|values| image_columns(values, exch_ns.len()))
                .transpose()?,
            exch_ns,
        };
        let flow = &mut self.inner;
        let out = py.detach(|| events.push_to(flow));
        rows_to_columns(py, &out, events.local_ns.is_some(), &self.inner)
    }

    /// Return rows that tell the whole book anew: a clear row, then every level.
    #[pyo3(signature = (exch_ns, *, local_ns = None))]
    fn restate<'py>(
        &mut self,
        py: Python<'py>,
        exch_ns: Nanos,
        local_ns: Option<Nanos>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let mut out = FlowRows::default();
        self.inner
            .restate(exch_ns, local_ns.unwrap_or(exch_ns), &mut out);
        rows_to_columns(py, &out, local_ns.is_some(), &self.inner)
    }

    /// Return (price, lots, anonymous lots) of the levels of a side, best first.
    fn levels(&self, side: u8) -> PyResult<Vec<(i32, i32, i32)>> {
        let side = Side::from_code(side)
            .ok_or_else(|| PyValueError::new_err(format!("Side {side} is neither 0 nor 1")))?;
        Ok(self.inner.levels(side).collect())
    }

    /// Return what was met so far, by name.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        const ACTIONS: [&str; 11] = [
            "adds", "deletes", "executes", "reduces", "modifies", "fills", "prints", "seeds",
            "clears", "pauses", "nones",
        ];
        let counts = self.inner.counts();
        let facts = PyDict::new(py);
        for (name, count) in ACTIONS.iter().zip(counts.events) {
            facts.set_item(name, count)?;
        }
        facts.set_item("packets", counts.packets)?;
        facts.set_item("executions", counts.executions)?;
        facts.set_item("executions_front", counts.executions_front)?;
        facts.set_item(
            "executions_behind_anonymous",
            counts.executions_behind_anonymous,
        )?;
        facts.set_item("levels_came", counts.levels_came)?;
        facts.set_item("levels_left", counts.levels_left)?;
        facts.set_item("executions_anonymous", counts.executions_anonymous)?;
        facts.set_item("cancels_anonymous", counts.cancels_anonymous)?;
        facts.set_item("prints_inside", counts.prints_inside)?;
        facts.set_item("prints_beside", counts.prints_beside)?;
        facts.set_item("orders_max", counts.orders_max)?;
        facts.set_item("orders_left", self.inner.order_count())?;
        Ok(facts)
    }

    /// Ordinal, in the tape, of the next row; set it after rows that were made elsewhere.
    #[getter]
    fn next_row(&self) -> u64 {
        self.inner.next_row()
    }

    #[setter]
    fn set_next_row(&mut self, next_row: u64) {
        self.inner.set_next_row(next_row);
    }

    /// Names of the rules by code, as in `fault`.
    #[classattr]
    #[pyo3(name = "FAULTS")]
    fn faults(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Ok(PyTuple::new(py, FlowFault::NAMES)?.unbind())
    }

    fn __repr__(&self) -> String {
        format!(
            "OrderFlow(orders={}, next_row={})",
            self.inner.order_count(),
            self.inner.next_row()
        )
    }
}

fn rows_to_columns<'py>(
    py: Python<'py>,
    out: &FlowRows,
    has_local: bool,
    flow: &Core,
) -> PyResult<Bound<'py, PyDict>> {
    let found = PyDict::new(py);
    let rows = &out.rows;
    let times = rows.iter().map(|row| row.exch_ns.to_ne_bytes());
    set_numbers(&found, "exch_ns", times)?;
    if has_local {
        let times = rows.iter().map(|row| row.local_ns.to_ne_bytes());
        set_numbers(&found, "local_ns", times)?;
    }
    set_column(&found, "kind", rows.iter().map(|row| row.kind))?;
    set_column(&found, "side", rows.iter().map(|row| row.side))?;
    set_column(&found, "flags", rows.iter().map(|row| row.flags))?;
    let prices = rows.iter().map(|row| row.price.to_ne_bytes());
    set_numbers(&found, "price", prices)?;
    let sizes = rows.iter().map(|row| row.qty.to_ne_bytes());
    set_numbers(&found, "qty", sizes)?;
    let joins = rows.iter().map(|row| row.join.to_ne_bytes());
    set_numbers(&found, "join", joins)?;
    let events = out.events.iter().map(|event| event.to_ne_bytes());
    set_numbers(&found, "event", events)?;
    let codes = out.faults.iter().map(|(fault, _)| *fault as u8);
    set_column(&found, "fault", codes)?;
    let events = out.faults.iter().map(|(_, event)| event.to_ne_bytes());
    set_numbers(&found, "fault_event", events)?;
    if flow.has_places() {
        let ahead = out.places.iter().map(|place| place.ahead.to_ne_bytes());
        set_numbers(&found, "ahead", ahead)?;
        let behind = out.places.iter().map(|p| p.behind.to_ne_bytes());
        set_numbers(&found, "behind", behind)?;
    }
    if flow.has_quotes() {
        let quotes = &out.quotes;
        let events = quotes.iter().map(|(_, event)| event.to_ne_bytes());
        set_numbers(&found, "quote_event", events)?;
        for (name, value) in [
            ("bid_price", 0),
            ("bid_lots", 1),
            ("ask_price", 2),
            ("ask_lots", 3),
        ] {
            let values = quotes.iter().map(|(quote, _)| {
                let values = [quote.bid.0, quote.bid.1, quote.ask.0, quote.ask.1];
                i32::to_ne_bytes(values[value])
            });
            set_numbers(&found, name, values)?;
        }
    }
    Ok(found)
}

// Whole numbers at a time: several times as fast as byte by byte.
fn set_numbers<const N: usize>(
    found: &Bound<'_, PyDict>,
    name: &str,
    values: impl Iterator<Item = [u8; N]>,
) -> PyResult<()> {
    let values: Vec<[u8; N]> = values.collect();
    found.set_item(name, PyBytes::new(found.py(), values.as_flattened()))
}

fn image_columns(values: &Bound<'_, PyAny>, count: usize) -> PyResult<(Vec<i32>, usize)> {
    let levels = column::<i32>(SOURCE, values, "images", None)?;
    let width = levels.len().checked_div(count).unwrap_or(4);
    if width == 0 || width % 4 != 0 || width * count != levels.len() {
        let found = levels.len();
        let what = format!("images hold {found} numbers, expected 4 x levels for each event");
        return Err(Error::Tick(format!("{SOURCE}: {what}")).into());
    }
    Ok((levels, width))
}
