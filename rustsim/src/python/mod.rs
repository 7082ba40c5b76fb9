//! The only room that names the Python binding: it translates and never decides.
#![allow(
    clippy::doc_markdown,
    reason = "these texts are docstrings that help() shows"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands arguments over by value"
)]

mod compiled;
mod errors;
mod event_rows;
mod exchange;
mod file_hash;
mod functions;
mod ghosts;
mod kernel;
mod message;
mod order_flow;
mod result;
mod row_check;
mod run;
mod scan;
mod strategy;
mod survey;
mod synthetic;
mod tape;
mod text;
mod values;

use pyo3::prelude::*;

#[pymodule]
mod rustsim {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::compiled::CompiledTape;
    #[pymodule_export]
    use super::event_rows::plain_events;
    #[pymodule_export]
    use super::exchange::{SimulatedExchange, replay_lanes};
    #[pymodule_export]
    use super::file_hash::{FileHash, file_hash};
    #[pymodule_export]
    use super::functions::{
        latency_quantile_ns, latency_quantiles_ns, needs_direct, philox4x32_10, philox4x64_10,
        queue_probability_ahead, validate_spec,
    };
    #[pymodule_export]
    use super::ghosts::GhostScan;
    #[pymodule_export]
    use super::kernel::{Kernel, kernel_layout};
    #[pymodule_export]
    use super::order_flow::OrderFlow;
    #[pymodule_export]
    use super::result::ReplayResult;
    #[pymodule_export]
    use super::row_check::RowCheck;
    #[pymodule_export]
    use super::scan::scan_queues;
    #[pymodule_export]
    use super::survey::TapeSurvey;
    #[pymodule_export]
    use super::synthetic::synthetic_market;
    #[pymodule_export]
    use super::tape::{Tape, TapeBuilder, scan_book};
    #[pymodule_export]
    use super::text::TextColumns;
    #[pymodule_export]
    use super::values::{MarketView, OrderEvent};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        super::errors::add_to(module)
    }
}
