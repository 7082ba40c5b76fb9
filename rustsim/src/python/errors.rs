//! One core error variant, one Python exception class.

use crate::error::Error;
use pyo3::exceptions::{PyArithmeticError, PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

/// The exception classes of the module, made once per interpreter.
///
/// Children have two bases (`SpecError` is a `ValueError` too), which `create_exception!` can't express.
pub(super) struct ErrorClasses {
    base: Py<PyType>,
    spec: Py<PyType>,
    tick: Py<PyType>,
    tape: Py<PyType>,
    ledger: Py<PyType>,
    replay: Py<PyType>,
}

static CLASSES: PyOnceLock<ErrorClasses> = PyOnceLock::new();

impl ErrorClasses {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        CLASSES.get_or_try_init(py, || Self::create(py))
    }

    fn create(py: Python<'_>) -> PyResult<Self> {
        let exception = py.get_type::<PyException>();
        let value = py.get_type::<PyValueError>();
        let arithmetic = py.get_type::<PyArithmeticError>();
        let base = new_class(
            py,
            "RustsimError",
            &[&exception],
            "Base of every error that the core raises.",
        )?;
        let child = |name, other: Option<&Bound<'_, PyType>>, doc| {
            let bases: Vec<&Bound<'_, PyType>> = std::iter::once(&base).chain(other).collect();
            new_class(py, name, &bases, doc).map(Bound::unbind)
        };
        Ok(Self {
            spec: child(
                "SpecError",
                Some(&value),
                "The description of an exchange is wrong.",
            )?,
            tick: child(
                "TickError",
                Some(&value),
                "A tick or tape row breaks a rule.",
            )?,
            tape: child(
                "TapeError",
                None,
                "A tape file is damaged, of another version or cannot be written.",
            )?,
            ledger: child(
                "LedgerError",
                Some(&arithmetic),
                "An amount does not fit, or an identity broke.",
            )?,
            replay: child("ReplayError", None, "A replay cannot go on.")?,
            base: base.unbind(),
        })
    }

    fn of(&self, error: &Error) -> &Py<PyType> {
        match error {
            Error::Spec(_) => &self.spec,
            Error::Tick(_) => &self.tick,
            Error::Tape(_) => &self.tape,
            Error::Ledger(_) => &self.ledger,
            Error::Replay(_) => &self.replay,
        }
    }
}

fn new_class<'py>(
    py: Python<'py>,
    name: &str,
    bases: &[&Bound<'py, PyType>],
    doc: &str,
) -> PyResult<Bound<'py, PyType>> {
    let body = PyDict::new(py);
    body.set_item("__module__", "rustsim")?;
    body.set_item("__doc__", doc)?;
    let class = py
        .get_type::<PyType>()
        .call1((name, PyTuple::new(py, bases)?, body))?;
    Ok(class.cast_into::<PyType>()?)
}

/// Adds the exception classes to `module`.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let classes = ErrorClasses::get(py)?;
    for class in [
        &classes.base,
        &classes.spec,
        &classes.tick,
        &classes.tape,
        &classes.ledger,
        &classes.replay,
    ] {
        let class = class.bind(py);
        module.add(class.name()?, class)?;
    }
    Ok(())
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| match ErrorClasses::get(py) {
            Ok(classes) => Self::from_type(classes.of(&error).bind(py).clone(), error.to_string()),
            Err(fault) => fault,
        })
    }
}
