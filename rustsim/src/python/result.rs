//! Python face of the outcome of a run.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::values::OrderEvent;
use crate::ledger::FillRecord;
use crate::sim::Outcomes;
use crate::types::Liquidity;

/// Outcome of one replay: exact ledger, metrics, digest, samples.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct ReplayResult {
    pub(super) outcomes: Outcomes,
    pub(super) engine_ns: u64,
}

#[pymethods]
impl ReplayResult {
    #[getter]
    fn digest(&self) -> &str {
        &self.outcomes.digest
    }

    /// Market rows replayed.
    #[getter]
    fn events(&self) -> u64 {
        self.outcomes.events
    }

    #[getter]
    fn wakes(&self) -> u64 {
        self.outcomes.wakes
    }

    /// Own fills by prints that went past recorded lots ahead.
    #[getter]
    fn fills_out_of_turn(&self) -> u64 {
        self.outcomes.fills_out_of_turn
    }

    /// Wall time of the replay, strategy included.
    #[getter]
    fn engine_ns(&self) -> u64 {
        self.engine_ns
    }

    /// Exact integers.
    #[getter]
    fn ledger<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = PyDict::new(py);
        for (name, value) in self.outcomes.ledger.totals() {
            totals.set_item(name, value)?;
        }
        Ok(totals)
    }

    /// Figures derived from the ledger, in the units of their names.
    #[getter]
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metrics = PyDict::new(py);
        for (name, value) in self.outcomes.ledger.metrics() {
            metrics.set_item(name, value)?;
        }
        Ok(metrics)
    }

    /// Down-sampled (exch_ns, equity in half minor units).
    #[getter]
    fn equity(&self) -> Vec<(i64, i64)> {
        self.outcomes.ledger.equity_samples().to_vec()
    }

    /// One list per column, one entry per fill.
    fn fills<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fills = self.outcomes.ledger.fills();
        let columns = PyDict::new(py);
        let add = |name: &str, value: &dyn Fn(&FillRecord) -> i64| {
            columns.set_item(name, fills.iter().map(value).collect::<Vec<_>>())
        };
        add("exch_ns", &|r| r.fill.exch_ns)?;
        add("order_id", &|r| r.fill.order_id.cast_signed())?;
        add("side", &|r| r.fill.side as i64)?;
        add("price_ticks", &|r| r.fill.price.into())?;
        add("lots", &|r| r.fill.lots)?;
        add("fee_minor", &|r| r.fee)?;
        add("tax_minor", &|r| r.tax)?;
        add("impact_minor", &|r| r.impact)?;
        add("is_maker", &|r| {
            i64::from(r.fill.liquidity == Liquidity::Maker)
        })?;
        add("position_lots", &|r| r.position)?;
        add("mid2_ticks", &|r| r.mid2)?;
        add("queue_ahead_lots_x2p20", &|r| r.fill.ahead_units)?;
        add("arrival_ns", &|r| r.fill.arrival_ns)?;
        Ok(columns)
    }

    fn events_log(&self) -> Vec<OrderEvent> {
        self.outcomes
            .log
            .iter()
            .map(|event| OrderEvent { event: *event })
            .collect()
    }
}
