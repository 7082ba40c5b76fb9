//! Python faces of the pure functions.

use pyo3::prelude::*;

use crate::error::Error;
use crate::filter;
use crate::latency::{LatencyModel, LatencySpec};
use crate::queue::{QueueDecay, QueueSpec};
use crate::replay::WakeFilter;
use crate::rng;
use crate::spec::SimSpec;

/// One Philox 4x32-10 block.
#[pyfunction]
pub(crate) fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rng::philox4x32_10(counter, key)
}

/// One Philox 4x64-10 block.
#[pyfunction]
pub(crate) fn philox4x64_10(counter: [u64; 4], key: [u64; 2]) -> [u64; 4] {
    rng::philox4x64_10(counter, key)
}

/// Quantile of a latency model given as JSON, unrounded.
#[pyfunction]
pub(crate) fn latency_quantile_ns(latency: &str, u: f64) -> PyResult<f64> {
    let spec: LatencySpec =
        serde_json::from_str(latency).map_err(|e| Error::Spec(format!("latency: {e}")))?;
    if !(u > 0.0 && u < 1.0) {
        return Err(Error::Spec(format!("u: expected a number between 0 and 1, found {u}")).into());
    }
    Ok(LatencyModel::build(&spec)?.quantile_ns(u))
}

/// Quantiles of a latency model given as JSON, unrounded; a trace sorts its rows once for all of them.
#[pyfunction]
pub(crate) fn latency_quantiles_ns(latency: &str, us: Vec<f64>) -> PyResult<Vec<f64>> {
    let spec: LatencySpec =
        serde_json::from_str(latency).map_err(|e| Error::Spec(format!("latency: {e}")))?;
    if let Some(u) = us.iter().find(|&&u| !(u > 0.0 && u < 1.0)) {
        return Err(Error::Spec(format!("us: expected numbers between 0 and 1, found {u}")).into());
    }
    Ok(LatencyModel::build(&spec)?.quantiles_ns(&us))
}

/// P(cancel is ahead) of a queue model given as JSON; the last argument says whether an order of the cancel's size is known to be behind.
#[pyfunction]
#[pyo3(signature = (queue, ahead_lots, behind_lots, *, is_size_behind = false))]
pub(crate) fn queue_probability_ahead(
    queue: &str,
    ahead_lots: f64,
    behind_lots: f64,
    is_size_behind: bool,
) -> PyResult<f64> {
    let spec: QueueSpec =
        serde_json::from_str(queue).map_err(|e| Error::Spec(format!("queue: {e}")))?;
    Ok(QueueDecay::build(&spec)?.probability_ahead(ahead_lots, behind_lots, is_size_behind))
}

/// Check a JSON spec and return it in canonical form with every default filled in; raise SpecError.
#[pyfunction]
pub(crate) fn validate_spec(spec: &str) -> PyResult<String> {
    Ok(SimSpec::from_json(spec)?.to_json()?)
}

/// Why replays of a JSON spec with this wake filter need the direct engine; None if compiled tapes can replay them. Raise SpecError, ReplayError.
#[pyfunction]
#[pyo3(signature = (spec, wake="best"))]
pub(crate) fn needs_direct(spec: &str, wake: &str) -> PyResult<Option<&'static str>> {
    let spec = SimSpec::from_json(spec)?;
    Ok(filter::needs_direct(&spec, WakeFilter::from_name(wake)?)?)
}
