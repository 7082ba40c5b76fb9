//! Python face of the outcome of a run.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::values::OrderEvent;
use crate::certificate::OrderCertificate;
use crate::ledger::FillRecord;
use crate::sim::Outcomes;
use crate::types::Liquidity;

/// Outcome of one replay: exact ledger, metrics, digest, samples.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct ReplayResult {
    pub(super) outcomes: Outcomes,
    pub(super) engine_ns: u64,
    pub(super) engine: &'static str,
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

    /// Which engine made it: direct or compiled. Their results are equal.
    #[getter]
    fn engine(&self) -> &str {
        self.engine
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
        let ledger = &self.outcomes.ledger;
        for (name, value) in ledger.totals().into_iter().chain(ledger.side_totals()) {
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
        add("local_ns", &|r| r.fill.local_ns)?;
        add("queue_ahead_at_arrival_lots_x2p20", &|r| {
            r.fill.ahead_at_arrival_units
        })?;
        add("cause_lots", &|r| r.fill.cause_lots)?;
        add("cause_row", &|r| r.fill.cause_row)?;
        add("equity_minor_x2", &|r| r.equity2)?;
        if self.outcomes.ledger.keeps_certificates() {
            add("queue_ahead_front_lots", &|r| r.fill.ahead_front_lots)?;
            add("queue_ahead_back_lots", &|r| r.fill.ahead_back_lots)?;
            add("certain_lots", &|r| r.fill.certain_lots)?;
        }
        Ok(columns)
    }

    /// One list per horizon, one entry per fill: gain per lot in half ticks, None if the data ended before.
    fn markouts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        for (index, seconds) in [1, 5, 30].into_iter().enumerate() {
            let fills = self.outcomes.ledger.fills().iter();
            let values: Vec<Option<i64>> = fills.map(|record| record.markout2[index]).collect();
            columns.set_item(format!("markout_{seconds}s_ticks_x2"), values)?;
        }
        Ok(columns)
    }

    /// One list per column, one entry per order that rested.
    fn certificates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let certificates = self.outcomes.ledger.certificates();
        let columns = PyDict::new(py);
        let add = |name: &str, value: &dyn Fn(&OrderCertificate) -> i64| {
            columns.set_item(name, certificates.iter().map(value).collect::<Vec<_>>())
        };
        add("order_id", &|c| c.order_id.cast_signed())?;
        add("side", &|c| c.side as i64)?;
        add("price_ticks", &|c| c.price.into())?;
        add("joined_ns", &|c| c.joined_ns)?;
        add("ended_ns", &|c| c.ended_ns)?;
        add("rested_lots", &|c| c.rested_lots)?;
        add("filled_lots", &|c| c.filled_lots)?;
        add("certain_lots", &|c| c.certain_lots)?;
        add("possible_lots", &|c| c.possible_lots)?;
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
