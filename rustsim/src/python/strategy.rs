//! A Python strategy as the core sees it: called under the interpreter lock, with no borrow of the exchange held.

use std::sync::Arc;

use pyo3::prelude::*;

use super::values::{MarketView, OrderEvent, Shared};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::replay::{Strategy, Wake};

/// Bound methods of a strategy, looked up once; a hook that the strategy does not define is `None`.
#[derive(Debug)]
pub(super) struct PyStrategy {
    shared: Arc<Shared>,
    view: Py<MarketView>,
    on_start: Option<Py<PyAny>>,
    on_tick: Option<Py<PyAny>>,
    on_order_event: Option<Py<PyAny>>,
    on_timer: Option<Py<PyAny>>,
    on_end: Option<Py<PyAny>>,
    /// What Python raised; takes the place of the core's error when the replay returns.
    raised: Option<PyErr>,
}

impl PyStrategy {
    pub(super) fn new(
        strategy: &Bound<'_, PyAny>,
        view: Py<MarketView>,
        shared: Arc<Shared>,
    ) -> PyResult<Self> {
        let hook = |name: &str| -> PyResult<Option<Py<PyAny>>> {
            Ok(strategy
                .getattr_opt(name)?
                .filter(|hook| !hook.is_none())
                .map(Bound::unbind))
        };
        Ok(Self {
            on_start: hook("on_start")?,
            on_tick: hook("on_tick")?,
            on_order_event: hook("on_order_event")?,
            on_timer: hook("on_timer")?,
            on_end: hook("on_end")?,
            view,
            shared,
            raised: None,
        })
    }

    pub(super) fn take_raised(&mut self) -> Option<PyErr> {
        self.raised.take()
    }

    /// Lends the host to Python, calls, and takes it back with whatever was asked for.
    fn lend(
        &mut self,
        host: &mut Host,
        call: impl FnOnce(&Self, Python<'_>) -> PyResult<()>,
    ) -> Result<()> {
        self.shared.publish(host);
        self.shared.swap_host(host);
        let called = Python::attach(|py| call(self, py));
        self.shared.swap_host(host);
        self.keep(called)
    }

    fn keep(&mut self, called: PyResult<()>) -> Result<()> {
        called.map_err(|raised| {
            let error = Error::Replay(format!("the strategy raised: {raised}"));
            self.raised = Some(raised);
            error
        })
    }
}

impl Strategy for PyStrategy {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        self.lend(host, |this, py| {
            this.on_start
                .as_ref()
                .map_or(Ok(()), |hook| hook.call0(py).map(|_| ()))
        })
    }

    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        self.lend(host, |this, py| {
            if let Some(hook) = &this.on_order_event {
                for event in wake.events {
                    hook.call1(py, (OrderEvent { event: *event },))?;
                }
            }
            if let (true, Some(hook)) = (wake.is_timer, &this.on_timer) {
                hook.call1(py, (this.shared.now_ns(),))?;
            }
            if let (true, Some(hook)) = (wake.is_tick, &this.on_tick) {
                hook.call1(py, (&this.view,))?;
            }
            Ok(())
        })
    }

    fn on_end(&mut self, host: &mut Host) -> Result<()> {
        self.lend(host, |this, py| {
            this.on_end
                .as_ref()
                .map_or(Ok(()), |hook| hook.call0(py).map(|_| ()))
        })
    }

    fn poll(&mut self) -> Result<()> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is tied to one lifetime"
        )]
        let checked = Python::attach(|py| py.check_signals());
        self.keep(checked)
    }
}
