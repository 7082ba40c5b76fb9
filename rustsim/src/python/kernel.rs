//! Python face of compiled strategies.
#![allow(
    unsafe_code,
    reason = "a function of another compiler comes to us as an address"
)]

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel::{Function, KernelStrategy, layout};
use crate::replay::{Strategy, Wake};

/// A compiled strategy with its parameters: what `SimulatedExchange.replay` calls without the interpreter.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct Kernel {
    function: Function,
    params: Vec<u64>,
    /// State before the first call; every replay starts from it.
    initial: Vec<u64>,
    /// State after the last call of the replay that ended last.
    state: Mutex<Vec<u64>>,
    /// Keeps the machine code loaded.
    _code: Py<PyAny>,
}

impl Kernel {
    /// Returns a strategy made of this kernel.
    pub(super) fn lend(&self) -> Interruptible {
        // SAFETY: `new` was told that the function keeps to the layout; `self._code`, which lives as long as `self`, keeps it loaded.
        let inner = unsafe {
            KernelStrategy::new(self.function, self.params.clone(), self.initial.clone())
        };
        Interruptible {
            inner,
            raised: None,
        }
    }

    /// Keeps the state of a strategy that ended; returns what Python raised in it.
    pub(super) fn take_back(&self, strategy: Interruptible) -> Option<PyErr> {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = strategy.inner.into_state();
        strategy.raised
    }
}

fn words(name: &str, bytes: &[u8]) -> PyResult<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
    } else {
        Err(PyValueError::new_err(format!(
            "{name}: expected words of 8 bytes, found {} bytes",
            bytes.len()
        )))
    }
}

#[pymethods]
impl Kernel {
    #[new]
    #[pyo3(signature = (address, code, *, params, state, layout))]
    fn new(
        address: usize,
        code: Py<PyAny>,
        params: &[u8],
        state: &[u8],
        layout: &str,
    ) -> PyResult<Self> {
        check_layout(layout)?;
        if address == 0 {
            return Err(PyValueError::new_err(
                "address: expected that of a function, found 0",
            ));
        }
        let initial = words("state", state)?;
        // SAFETY: function pointers are as wide as addresses; that one of this type is at `address`, and stays there while `code` lives, is what the
        // caller promises: strategies/kernel_compile.py, which compiles against the layout just checked.
        let function = unsafe { std::mem::transmute::<usize, Function>(address) };
        Ok(Self {
            function,
            params: words("params", params)?,
            state: Mutex::new(initial.clone()),
            initial,
            _code: code,
        })
    }

    /// State as the last replay left it: 8 bytes per value.
    #[getter]
    fn state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_ne_bytes()).collect();
        PyBytes::new(py, &bytes)
    }
}

fn check_layout(text: &str) -> PyResult<()> {
    let found: Value = serde_json::from_str(text)
        .map_err(|error| PyValueError::new_err(format!("layout: {error}")))?;
    let expected = layout();
    if found == expected {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "layout: the strategy was compiled for other records: expected {expected}, found {found}"
    )))
}

/// Fields, places and codes of the records that a compiled strategy works on, as JSON.
#[pyfunction]
pub(crate) fn kernel_layout() -> String {
    layout().to_string()
}

/// A compiled strategy that lets a long replay be interrupted.
#[derive(Debug)]
pub(super) struct Interruptible {
    inner: KernelStrategy,
    /// What Python raised; takes the place of the core's error when the replay returns.
    raised: Option<PyErr>,
}

impl Strategy for Interruptible {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        self.inner.on_start(host)
    }

    #[inline]
    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        self.inner.on_wake(wake, host)
    }

    fn on_end(&mut self, host: &mut Host) -> Result<()> {
        self.inner.on_end(host)
    }

    fn poll(&mut self) -> Result<()> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is tied to one lifetime"
        )]
        let checked = Python::attach(|py| py.check_signals());
        checked.map_err(|raised| {
            let error = Error::Replay(format!("interrupted: {raised}"));
            self.raised = Some(raised);
            error
        })
    }
}
