//! Python face of the simulated exchange.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::compiled::CompiledTape;
use super::kernel::Kernel;
use super::message::{Message, side_of};
use super::result::ReplayResult;
use super::run::{COMPILED, DIRECT, Given, Job, run_side_by_side};
use super::strategy::PyStrategy;
use super::tape::Tape;
use super::values::{MarketView, OrderEvent, Shared};
use crate::error::{Error, Result};
use crate::filter::needs_direct;
use crate::gateway::ExecutionGateway;
use crate::latency::LatencySpec;
use crate::link::SESSIONS_MAX;
use crate::queue::QueueSpec;
use crate::replay::{Spectator, WakeFilter};
use crate::sim::{self, Outcomes, RunOptions};
use crate::spec::{LinkSpec, SimSpec};
use crate::types::{OrderRequest, OrderType, TakePolicy, TimeInForce};

/// Nanoseconds per microsecond.
const NS_PER_US: f64 = 1_000.0;

/// Where an exchange is in its life.
#[derive(Debug)]
enum Phase {
    /// Nothing happened yet.
    Fresh,
    /// Driven message by message.
    Stepping(Box<sim::SimulatedExchange>),
    /// A replay has the core.
    Replaying,
    /// Sealed.
    Finished,
}

/// The embedded exchange: also the gateway that a strategy trades through.
#[pyclass(frozen, subclass, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct SimulatedExchange {
    spec: SimSpec,
    shared: Arc<Shared>,
    view: Py<MarketView>,
    phase: Mutex<Phase>,
}

impl SimulatedExchange {
    /// Whether the queue model needs rows that name the orders that lose lots.
    fn follows_orders(&self) -> bool {
        self.spec.queue.model == "l3"
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the stepping core, building it first if needed, with the host lent to it.
    fn step<T>(&self, work: impl FnOnce(&mut sim::SimulatedExchange) -> Result<T>) -> PyResult<T> {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Fresh) {
            let core = sim::SimulatedExchange::new(
                self.spec.clone(),
                (0, 0),
                RunOptions {
                    keep_log: true,
                    has_join: self.follows_orders(),
                    ..RunOptions::default()
                },
            )?;
            *phase = Phase::Stepping(Box::new(core));
        }
        let Phase::Stepping(core) = &mut *phase else {
            return Err(busy_error(&phase).into());
        };
        self.shared.swap_host(core.host_mut());
        let done = work(core);
        self.shared.publish(core.host());
        self.shared.swap_host(core.host_mut());
        Ok(done?)
    }

    /// Reads the stepping core; `None` before the first tick.
    fn look<T>(&self, read: impl FnOnce(&sim::SimulatedExchange) -> T) -> PyResult<Option<T>> {
        match &*self.phase() {
            Phase::Fresh => Ok(None),
            Phase::Stepping(core) => Ok(Some(read(core))),
            phase => Err(busy_error(phase).into()),
        }
    }

    /// Joins reach back to the first 2^32 rows only.
    fn check_joins_reach(&self, stop: usize) -> Result<()> {
        if self.follows_orders() && stop > u32::MAX as usize {
            return Err(Error::Replay(format!(
                "queue.model: l3 follows orders up to row {}, as far as joins reach, and rows up to {stop} are asked for",
                u32::MAX
            )));
        }
        Ok(())
    }

    fn begin_replay(&self) -> Result<()> {
        let mut phase = self.phase();
        if !matches!(*phase, Phase::Fresh) {
            return Err(Error::Replay(
                "a replay needs a fresh exchange: build another one with the same spec".into(),
            ));
        }
        *phase = Phase::Replaying;
        Ok(())
    }
}

fn busy_error(phase: &Phase) -> Error {
    Error::Replay(match phase {
        Phase::Replaying => "not available while a replay runs: a strategy sees its view and its events, not the exchange".into(),
        _ => "this run is finished: build another exchange with the same spec".into(),
    })
}

fn session_of(session: u8) -> PyResult<u8> {
    if session < SESSIONS_MAX {
        Ok(session)
    } else {
        Err(PyValueError::new_err(format!(
            "session: expected 0 to {}, found {session}",
            SESSIONS_MAX - 1
        )))
    }
}

fn events_to_python(events: Vec<crate::types::OrderEvent>) -> Vec<OrderEvent> {
    events
        .into_iter()
        .map(|event| OrderEvent { event })
        .collect()
}

#[pymethods]
impl SimulatedExchange {
    #[new]
    #[pyo3(signature = (latency_model="constant", mean=0.0, *, cv=0.5, floor=0.0, queue="uniform", queue_power=2.0, seed=0, spec=None))]
    #[allow(
        clippy::too_many_arguments,
        reason = "the convenient face: one keyword per knob"
    )]
    fn new(
        py: Python<'_>,
        latency_model: &str,
        mean: f64,
        cv: f64,
        floor: f64,
        queue: &str,
        queue_power: f64,
        seed: u64,
        spec: Option<&str>,
    ) -> PyResult<Self> {
        let spec = if let Some(text) = spec {
            SimSpec::from_json(text)?
        } else {
            let latency = LatencySpec {
                model: latency_model.to_owned(),
                mean_ns: mean * NS_PER_US,
                cv,
                floor_ns: floor * NS_PER_US,
                ..LatencySpec::default()
            };
            let link = LinkSpec {
                place: latency.clone(),
                cancel: latency.clone(),
                amend: latency.clone(),
                report: latency,
                ..LinkSpec::default()
            };
            let queue = QueueSpec {
                model: queue.to_owned(),
                n: queue_power,
                ..QueueSpec::default()
            };
            let spec = SimSpec {
                latency: link,
                queue,
                seed,
                ..SimSpec::default()
            };
            spec.check()?;
            spec
        };
        let shared = Arc::new(Shared::new());
        let view = Py::new(
            py,
            MarketView {
                shared: Arc::clone(&shared),
            },
        )?;
        Ok(Self {
            spec,
            shared,
            view,
            phase: Mutex::new(Phase::Fresh),
        })
    }

    /// The full description as canonical JSON.
    #[getter]
    fn spec(&self) -> PyResult<String> {
        Ok(self.spec.to_json()?)
    }

    #[getter]
    fn view(&self, py: Python<'_>) -> Py<MarketView> {
        self.view.clone_ref(py)
    }

    /// Local time of the strategy host.
    #[getter]
    fn now_ns(&self) -> i64 {
        self.shared.now_ns()
    }

    /// Position from the fills the strategy has seen.
    #[getter]
    fn position_lots(&self) -> i64 {
        self.shared.position()
    }

    /// Send an order (side 0 buy, 1 sell); return its id. Outcomes arrive as events.
    #[pyo3(signature = (side, price_ticks, quantity_lots, *, order_type="limit", time_in_force="rod", post_only=false, session=0))]
    #[allow(clippy::too_many_arguments, reason = "the face of an order")]
    fn place_order(
        &self,
        side: u8,
        price_ticks: i32,
        quantity_lots: i64,
        order_type: &str,
        time_in_force: &str,
        post_only: bool,
        session: u8,
    ) -> PyResult<u64> {
        let request = OrderRequest {
            side: side_of(side)?,
            price: price_ticks,
            qty: quantity_lots,
            order_type: match order_type {
                "limit" => OrderType::Limit,
                "market" => OrderType::Market,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "order_type: expected limit or market, found {other:?}"
                    )));
                }
            },
            time_in_force: match time_in_force {
                "rod" => TimeInForce::Rod,
                "ioc" => TimeInForce::Ioc,
                "fok" => TimeInForce::Fok,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "time_in_force: expected rod, ioc or fok, found {other:?}"
                    )));
                }
            },
            take_policy: if post_only {
                TakePolicy::PostOnly
            } else {
                TakePolicy::MayTake
            },
            session: session_of(session)?,
        };
        Ok(self.shared.host().place_order(request))
    }

    #[pyo3(signature = (order_id, *, session=0))]
    fn cancel_order(&self, order_id: u64, session: u8) -> PyResult<bool> {
        Ok(self
            .shared
            .host()
            .cancel_order(order_id, session_of(session)?))
    }

    #[pyo3(signature = (order_id, *, price_ticks=None, quantity_lots=None, session=0))]
    fn amend_order(
        &self,
        order_id: u64,
        price_ticks: Option<i32>,
        quantity_lots: Option<i64>,
        session: u8,
    ) -> PyResult<bool> {
        Ok(self.shared.host().amend_order(
            order_id,
            price_ticks,
            quantity_lots,
            session_of(session)?,
        ))
    }

    /// Ask for on_timer at local time at_ns (now, if it is past).
    fn set_timer(&self, at_ns: i64) {
        self.shared.host().set_timer(at_ns);
    }

    /// Advance to one market event and return what the strategy sees by then.
    fn on_tick(&self, tick: &Bound<'_, PyTuple>) -> PyResult<Vec<OrderEvent>> {
        let message = Message::read(tick, self.follows_orders())?;
        let events = self.step(|core| {
            let rows = message.rows(core);
            core.on_tick(&rows)
        })?;
        Ok(events_to_python(events))
    }

    /// Let time pass without a market event.
    fn advance_to(&self, local_ns: i64) -> PyResult<Vec<OrderEvent>> {
        Ok(events_to_python(
            self.step(|core| core.advance_to(local_ns))?,
        ))
    }

    /// OPI of a resting order in lots (exchange truth), None if it is unknown or the order does not rest.
    fn queue_ahead(&self, order_id: u64) -> PyResult<Option<f64>> {
        Ok(self.look(|core| core.queue_ahead(order_id))?.flatten())
    }

    /// Least and greatest OPI of a resting order, whatever the queue model.
    fn queue_ahead_range(&self, order_id: u64) -> PyResult<Option<(i64, i64)>> {
        Ok(self
            .look(|core| core.queue_ahead_range(order_id))?
            .flatten())
    }

    /// Displayed size on the exchange clock.
    fn level_lots(&self, side: u8, price_ticks: i32) -> PyResult<i32> {
        let side = side_of(side)?;
        Ok(self
            .look(|core| core.level_lots(side, price_ticks))?
            .unwrap_or(0))
    }

    /// Displayed size less what own takers consumed (exchange clock).
    fn available_lots(&self, side: u8, price_ticks: i32) -> PyResult<i64> {
        let side = side_of(side)?;
        Ok(self
            .look(|core| core.available_lots(side, price_ticks))?
            .unwrap_or(0))
    }

    /// End the run: expire what is under way, mark the position, seal the ledger.
    fn finish(&self) -> PyResult<ReplayResult> {
        self.step(|_| Ok(()))?;
        let Phase::Stepping(mut core) = std::mem::replace(&mut *self.phase(), Phase::Finished)
        else {
            return Err(Error::Replay("this run is finished already".into()).into());
        };
        self.shared.swap_host(core.host_mut());
        Ok(ReplayResult {
            outcomes: core.finish()?,
            engine_ns: 0,
            engine: DIRECT,
        })
    }

    /// Replay tape rows [start, stop) and finish. The interpreter lock is released except inside strategy calls.
    #[pyo3(signature = (tape, start, stop, strategy=None, *, wake="best", samples=200, log=false, compiled=None))]
    #[allow(clippy::too_many_arguments, reason = "the face of a replay")]
    fn replay(
        &self,
        py: Python<'_>,
        tape: &Bound<'_, Tape>,
        start: usize,
        stop: usize,
        strategy: Option<&Bound<'_, PyAny>>,
        wake: &str,
        samples: usize,
        log: bool,
        compiled: Option<&Bound<'_, CompiledTape>>,
    ) -> PyResult<ReplayResult> {
        let filter = WakeFilter::from_name(wake)?;
        let mapped = tape.get().shared();
        let rows = start..stop;
        self.check_joins_reach(stop)?;
        let compiled = match compiled.map(Bound::get) {
            Some(compiled) if compiled.holds(&mapped, &rows)? => Some(compiled.shared()),
            _ => None,
        };
        self.begin_replay()?;
        let options = RunOptions {
            samples,
            keep_log: log,
            has_local: mapped.has_local(),
            has_join: mapped.has_join(),
            is_watched: strategy.is_some(),
        };
        let job = Job {
            spec: self.spec.clone(),
            tape: mapped,
            compiled,
            rows,
            options,
            filter: if strategy.is_some() {
                filter
            } else {
                WakeFilter::Own
            },
        };
        let clock = Instant::now();
        let done = self.run(py, job, strategy);
        *self.phase() = Phase::Finished;
        let (outcomes, engine) = done?;
        let engine_ns = u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(ReplayResult {
            outcomes,
            engine_ns,
            engine,
        })
    }
}

impl SimulatedExchange {
    fn run(
        &self,
        py: Python<'_>,
        job: Job,
        strategy: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Outcomes, &'static str)> {
        let mut given = self.take(py, strategy)?;
        let shared = Arc::clone(&self.shared);
        let done = py.detach(|| job.run(&shared, &mut given));
        match done {
            Ok(done) => {
                given.blame(None);
                Ok(done)
            }
            Err(error) => Err(given
                .blame(Some(error))
                .unwrap_or_else(|| Error::Replay("ended without saying why".into()).into())),
        }
    }

    /// Takes a strategy over from Python.
    fn take(&self, py: Python<'_>, strategy: Option<&Bound<'_, PyAny>>) -> PyResult<Given> {
        let Some(strategy) = strategy else {
            return Ok(Given::Nothing(Spectator));
        };
        if let Ok(kernel) = strategy.cast::<Kernel>() {
            return Ok(Given::Compiled(
                kernel.get().lend(),
                kernel.clone().unbind(),
            ));
        }
        let shared = Arc::clone(&self.shared);
        let strategy = PyStrategy::new(strategy, self.view.clone_ref(py), shared)?;
        Ok(Given::Hooks(strategy))
    }
}

/// Replay rows [start, stop) of a compiled tape with several exchanges side by side, each with its strategy.
#[pyfunction]
#[pyo3(signature = (exchanges, strategies, tape, start, stop, *, compiled, wake="best", samples=200, log=false))]
#[allow(clippy::too_many_arguments, reason = "the face of a replay")]
pub(crate) fn replay_lanes(
    py: Python<'_>,
    exchanges: Vec<Bound<'_, SimulatedExchange>>,
    strategies: Vec<Bound<'_, PyAny>>,
    tape: &Bound<'_, Tape>,
    start: usize,
    stop: usize,
    compiled: &Bound<'_, CompiledTape>,
    wake: &str,
    samples: usize,
    log: bool,
) -> PyResult<Vec<ReplayResult>> {
    if exchanges.len() != strategies.len() {
        return Err(PyValueError::new_err(format!(
            "strategies: expected one for each of {} exchanges, found {}",
            exchanges.len(),
            strategies.len()
        )));
    }
    let filter = WakeFilter::from_name(wake)?;
    let mapped = tape.get().shared();
    let rows = start..stop;
    if !compiled.get().holds(&mapped, &rows)? {
        return Err(Error::Replay(format!(
            "rows {start} to {stop} cannot be replayed on this compiled tape: it must be of the same tape, start there, and not cut a group"
        ))
        .into());
    }
    let options = RunOptions {
        samples,
        keep_log: log,
        has_local: mapped.has_local(),
        has_join: mapped.has_join(),
        is_watched: true,
    };
    let mut jobs = Vec::with_capacity(exchanges.len());
    let mut given = Vec::with_capacity(exchanges.len());
    for (exchange, strategy) in exchanges.iter().zip(&strategies) {
        let exchange = exchange.get();
        if let Some(reason) = needs_direct(&exchange.spec, filter)? {
            return Err(
                Error::Replay(format!("a compiled tape cannot replay this: {reason}")).into(),
            );
        }
        exchange.check_joins_reach(stop)?;
        given.push(exchange.take(py, Some(strategy))?);
        jobs.push((exchange.spec.clone(), options, Arc::clone(&exchange.shared)));
    }
    for (index, exchange) in exchanges.iter().enumerate() {
        exchange.get().begin_replay().inspect_err(|_| {
            for begun in &exchanges[..index] {
                *begun.get().phase() = Phase::Finished;
            }
        })?;
    }
    let clock = Instant::now();
    let compiled = compiled.get().shared();
    let done = py.detach(|| run_side_by_side(&mapped, &compiled, &rows, jobs, filter, &mut given));
    for exchange in &exchanges {
        *exchange.get().phase() = Phase::Finished;
    }
    let lanes = u64::try_from(exchanges.len().max(1)).unwrap_or(u64::MAX);
    let engine_ns = u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX) / lanes;
    let failed = done.as_ref().err().map(|(place, _)| *place);
    let (outcomes, mut error) = match done {
        Ok(outcomes) => (outcomes, None),
        Err((_, error)) => (Vec::new(), Some(error)),
    };
    let mut raised = None;
    for (place, given) in given.into_iter().enumerate() {
        let error = error.take_if(|_| failed == Some(place));
        raised = given.blame(error).or(raised);
    }
    if let Some(raised) = raised {
        return Err(raised);
    }
    let results = outcomes.into_iter().map(|outcomes| ReplayResult {
        outcomes,
        engine_ns,
        engine: COMPILED,
    });
    Ok(results.collect())
}
