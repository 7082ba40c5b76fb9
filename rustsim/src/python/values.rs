//! Python faces of single values: events and what a strategy sees of the market.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::host::Host;
use crate::types::{self, EventKind, Liquidity, Reason};

/// One thing that happened to an own order, as the strategy sees it.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct OrderEvent {
    pub(super) event: types::OrderEvent,
}

#[pymethods]
impl OrderEvent {
    // Interned: strategies read the kind of every event, and a new string costs more than the comparison.
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        match self.event.kind {
            EventKind::Accepted => intern!(py, "accepted"),
            EventKind::Rejected => intern!(py, "rejected"),
            EventKind::Filled => intern!(py, "filled"),
            EventKind::Cancelled => intern!(py, "cancelled"),
            EventKind::CancelRejected => intern!(py, "cancel_rejected"),
            EventKind::Amended => intern!(py, "amended"),
            EventKind::AmendRejected => intern!(py, "amend_rejected"),
            EventKind::Expired => intern!(py, "expired"),
        }
    }

    #[getter]
    fn order_id(&self) -> u64 {
        self.event.order_id
    }

    #[getter]
    fn exch_ns(&self) -> i64 {
        self.event.exch_ns
    }

    #[getter]
    fn local_ns(&self) -> i64 {
        self.event.local_ns
    }

    /// 0 buy, 1 sell.
    #[getter]
    fn side(&self) -> u8 {
        self.event.side as u8
    }

    #[getter]
    fn price_ticks(&self) -> i32 {
        self.event.price
    }

    /// Lots of this fill, lots cancelled or expired, or the total quantity of the order for the other kinds.
    #[getter]
    fn quantity_lots(&self) -> i64 {
        self.event.qty
    }

    #[getter]
    fn leaves_lots(&self) -> i64 {
        self.event.leaves
    }

    #[getter]
    fn is_maker(&self) -> bool {
        self.event.kind == EventKind::Filled && self.event.liquidity == Liquidity::Maker
    }

    /// Empty, or why the event has its kind.
    #[getter]
    fn reason<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        match self.event.reason {
            Reason::None => intern!(py, ""),
            Reason::PostOnly => intern!(py, "post_only"),
            Reason::PriceLimit => intern!(py, "price_limit"),
            Reason::Quantity => intern!(py, "quantity"),
            Reason::MarketNeedsIoc => intern!(py, "market_needs_ioc"),
            Reason::SelfMatch => intern!(py, "self_match"),
            Reason::UnknownOrder => intern!(py, "unknown_order"),
            Reason::TooLate => intern!(py, "too_late"),
            Reason::BelowFilled => intern!(py, "below_filled"),
            Reason::Lost => intern!(py, "lost"),
            Reason::Ioc => intern!(py, "ioc"),
            Reason::Fok => intern!(py, "fok"),
            Reason::EndOfData => intern!(py, "end_of_data"),
            Reason::Phase => intern!(py, "phase"),
            Reason::Refused => intern!(py, "refused"),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let e = &self.event;
        format!(
            "OrderEvent({} order={} side={} price={} lots={} leaves={} exch_ns={} local_ns={} reason={:?})",
            self.kind(py),
            e.order_id,
            e.side as u8,
            e.price,
            e.qty,
            e.leaves,
            e.exch_ns,
            e.local_ns,
            self.reason(py).to_string()
        )
    }
}

/// Stands for "no such price" in the shared cells.
const ABSENT: i64 = i64::MIN;

/// The part of the host that Python reads often, as plain cells: written before a strategy is called, read by it under no lock.
#[derive(Debug)]
struct Cells {
    now_ns: AtomicI64,
    position: AtomicI64,
    exch_ns: AtomicI64,
    best_bid: AtomicI64,
    best_ask: AtomicI64,
    best_bid_lots: AtomicI64,
    best_ask_lots: AtomicI64,
    trade_price: AtomicI64,
    trade_lots: AtomicI64,
    trade_side: AtomicI64,
}

/// What an exchange, its view and a running replay share.
#[derive(Debug)]
pub(super) struct Shared {
    host: Mutex<Host>,
    cells: Cells,
}

impl Shared {
    pub(super) fn new() -> Self {
        let cell = || AtomicI64::new(0);
        let absent = || AtomicI64::new(ABSENT);
        Self {
            host: Mutex::new(Host::default()),
            cells: Cells {
                now_ns: cell(),
                position: cell(),
                exch_ns: cell(),
                best_bid: absent(),
                best_ask: absent(),
                best_bid_lots: cell(),
                best_ask_lots: cell(),
                trade_price: absent(),
                trade_lots: cell(),
                trade_side: cell(),
            },
        }
    }

    /// Returns the host that takes commands while Python is in control.
    pub(super) fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the host with the one of a running core.
    pub(super) fn swap_host(&self, other: &mut Host) {
        std::mem::swap(&mut *self.host(), other);
    }

    /// Copies what is read often out of `host`.
    pub(super) fn publish(&self, host: &Host) {
        let set = |cell: &AtomicI64, value: i64| cell.store(value, Ordering::Relaxed);
        let cells = &self.cells;
        let view = &host.view;
        set(&cells.now_ns, host.now_ns);
        set(&cells.position, host.position());
        set(&cells.exch_ns, view.exch_ns);
        set(&cells.best_bid, view.best_bid.map_or(ABSENT, i64::from));
        set(&cells.best_ask, view.best_ask.map_or(ABSENT, i64::from));
        set(&cells.best_bid_lots, view.best_bid_lots.into());
        set(&cells.best_ask_lots, view.best_ask_lots.into());
        set(
            &cells.trade_price,
            view.last_trade.map_or(ABSENT, |t| t.price.into()),
        );
        set(
            &cells.trade_lots,
            view.last_trade.map_or(0, |t| t.lots.into()),
        );
        set(
            &cells.trade_side,
            view.last_trade.map_or(0, |t| t.side as i64),
        );
    }

    pub(super) fn now_ns(&self) -> i64 {
        self.cells.now_ns.load(Ordering::Relaxed)
    }

    pub(super) fn position(&self) -> i64 {
        self.cells.position.load(Ordering::Relaxed)
    }
}

/// What the strategy sees of the market; one object, updated in place before every wake-up.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct MarketView {
    pub(super) shared: Arc<Shared>,
}

impl MarketView {
    fn get(cell: &AtomicI64) -> i64 {
        cell.load(Ordering::Relaxed)
    }

    fn price(cell: &AtomicI64) -> Option<i64> {
        let value = cell.load(Ordering::Relaxed);
        (value != ABSENT).then_some(value)
    }
}

#[pymethods]
impl MarketView {
    #[getter]
    fn local_ns(&self) -> i64 {
        self.shared.now_ns()
    }

    /// Exchange time of the newest group seen.
    #[getter]
    fn exch_ns(&self) -> i64 {
        Self::get(&self.shared.cells.exch_ns)
    }

    #[getter]
    fn best_bid_ticks(&self) -> Option<i64> {
        Self::price(&self.shared.cells.best_bid)
    }

    #[getter]
    fn best_ask_ticks(&self) -> Option<i64> {
        Self::price(&self.shared.cells.best_ask)
    }

    #[getter]
    fn best_bid_lots(&self) -> i64 {
        Self::get(&self.shared.cells.best_bid_lots)
    }

    #[getter]
    fn best_ask_lots(&self) -> i64 {
        Self::get(&self.shared.cells.best_ask_lots)
    }

    /// Twice the mid (bid + ask), None while a side is empty.
    #[getter]
    fn mid2_ticks(&self) -> Option<i64> {
        Some(self.best_bid_ticks()? + self.best_ask_ticks()?)
    }

    #[getter]
    fn last_trade_ticks(&self) -> Option<i64> {
        Self::price(&self.shared.cells.trade_price)
    }

    #[getter]
    fn last_trade_lots(&self) -> i64 {
        Self::get(&self.shared.cells.trade_lots)
    }

    /// 0 it hit bids, 1 it hit asks.
    #[getter]
    fn last_trade_side(&self) -> i64 {
        Self::get(&self.shared.cells.trade_side)
    }
}
