//! The only room that names the Python binding: it translates and never decides.
#![allow(clippy::doc_markdown, reason = "these texts are docstrings that help() shows")]
#![allow(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]

mod errors;
mod tape;

use pyo3::prelude::*;

#[pymodule]
mod rustsim {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::tape::{Tape, TapeBuilder, scan_book};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        super::errors::add_to(module)
    }
}
