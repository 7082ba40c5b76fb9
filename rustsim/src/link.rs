//! The way between strategy and exchange: draws the latency of every message and keeps each session in order.
//!
//! A draw is keyed by the time at which its message is sent (`docs/semantics.md` section 2), never by trial or order number: parameter sets that act at the
//! same moment meet the same latency. Recorded latencies (`latency/trace.rs`) are looked up instead of drawn.

use crate::error::Result;
use crate::latency::backlog::Backlog;
use crate::latency::channel::FifoChannel;
use crate::latency::regime::Regime;
use crate::latency::weather::Weather;
use crate::latency::{LatencyModel, LatencySpec};
use crate::ledger::RequestKind;
use crate::rng::{Purpose, Streams};
use crate::spec::{LinkSpec, Sessions};
use crate::types::{FLAG_LAST, Nanos, Tick};

/// Sessions that a strategy may use.
pub const SESSIONS_MAX: u8 = 8;

/// Number of a message among those of one purpose and one instant.
#[derive(Debug, Clone, Copy)]
struct Ordinal {
    at_ns: Nanos,
    next: u64,
}

impl Default for Ordinal {
    fn default() -> Self {
        Self {
            at_ns: Nanos::MIN,
            next: 0,
        }
    }
}

impl Ordinal {
    fn take(&mut self, at_ns: Nanos) -> u64 {
        if self.at_ns != at_ns {
            *self = Self { at_ns, next: 0 };
        }
        self.next += 1;
        self.next - 1
    }
}

/// One kind of message: its model, its stream, its numbering.
#[derive(Debug, Clone)]
struct Leg {
    model: LatencyModel,
    stressed: Option<LatencyModel>,
    /// The latency, if it is always the same.
    constant_ns: Option<Nanos>,
    purpose: Purpose,
    ordinal: Ordinal,
}

impl Leg {
    fn new(spec: &LatencySpec, purpose: Purpose) -> Result<Self> {
        let (model, stressed) = LatencyModel::build_both(spec)?;
        let constant_ns = model.is_constant().filter(|_| stressed.is_none());
        Ok(Self {
            model,
            stressed,
            constant_ns,
            purpose,
            ordinal: Ordinal::default(),
        })
    }

    #[inline]
    fn draw(&mut self, times: &mut Times, at_ns: Nanos) -> Nanos {
        if let Some(latency_ns) = self.constant_ns {
            return latency_ns;
        }
        if let Some(trace) = self.model.trace() {
            return trace.latency_ns(at_ns);
        }
        let k = self.ordinal.take(at_ns);
        let mut u = times.streams.uniform(self.purpose, at_ns, k);
        if let Some(weather) = &mut times.weather {
            u = weather.blend(at_ns, u);
        }
        let is_stressed = |regime: &mut Regime| regime.is_stressed(at_ns);
        match &self.stressed {
            Some(stressed) if times.regime.as_mut().is_some_and(is_stressed) => {
                stressed.sample_ns(u)
            }
            _ => self.model.sample_ns(u),
        }
    }
}

/// What a draw depends on besides its leg: all functions of time.
#[derive(Debug, Clone)]
struct Times {
    streams: Streams,
    weather: Option<Weather>,
    regime: Option<Regime>,
}

/// Returns what the feed adds to every stamp, if that is always the same.
pub(crate) fn constant_feed_ns(spec: &LinkSpec) -> Result<Option<Nanos>> {
    Ok(Leg::new(&spec.feed, Purpose::Feed)?.constant_ns)
}

/// All channels of one strategy host.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    times: Times,
    requests: [Leg; 3],
    report: Leg,
    feed: Leg,
    out: Vec<FifoChannel>,
    home: Vec<FifoChannel>,
    feed_channel: FifoChannel,
    loss_probability: f64,
    loss_timeout_ns: Nanos,
    loss: Ordinal,
    reject_probability: f64,
    refusal: Ordinal,
    sessions: Sessions,
    /// What the venue has not worked off; none if load delays nothing.
    backlog: Option<Backlog>,
}

impl Link {
    pub(crate) fn new(spec: &LinkSpec, streams: Streams) -> Result<Self> {
        let weather = spec.weather.as_ref();
        let regime = spec.regime.as_ref();
        Ok(Self {
            times: Times {
                streams,
                weather: weather
                    .map(|spec| Weather::new(spec, streams))
                    .transpose()?,
                regime: regime.map(|spec| Regime::new(spec, streams)).transpose()?,
            },
            requests: [
                Leg::new(&spec.place, Purpose::Place)?,
                Leg::new(&spec.cancel, Purpose::Cancel)?,
                Leg::new(&spec.amend, Purpose::Amend)?,
            ],
            report: Leg::new(&spec.report, Purpose::Report)?,
            feed: Leg::new(&spec.feed, Purpose::Feed)?,
            out: (0..SESSIONS_MAX)
                .map(|_| FifoChannel::new(spec.gap_ns))
                .collect(),
            home: (0..SESSIONS_MAX).map(|_| FifoChannel::new(0)).collect(),
            feed_channel: FifoChannel::new(0),
            loss_probability: spec.loss_probability,
            loss_timeout_ns: spec.loss_timeout_ns,
            loss: Ordinal::default(),
            reject_probability: spec.reject_probability,
            refusal: Ordinal::default(),
            sessions: spec.sessions,
            backlog: spec.backlog_capacity_per_us.map(Backlog::new).transpose()?,
        })
    }

    /// Returns whether every market row is seen at the moment it happens (on tapes without a local clock).
    pub(crate) fn feed_is_instant(&self) -> bool {
        self.feed.constant_ns == Some(0)
    }

    /// Returns whether market groups must be told to [`Link::on_group`].
    pub(crate) fn watches_load(&self) -> bool {
        self.backlog.is_some()
    }

    /// Takes in the messages of a market group: they are load for the venue.
    #[inline]
    pub(crate) fn on_group(&mut self, rows: &[Tick]) {
        if let Some(backlog) = &mut self.backlog {
            let messages = rows.iter().filter(|row| row.flags & FLAG_LAST != 0).count();
            let messages = u32::try_from(messages).unwrap_or(u32::MAX);
            backlog.on_messages(rows[0].exch_ns, messages.max(1));
        }
    }

    /// Returns when the strategy gives up on the request that it sends now, if that request is lost.
    pub(crate) fn lost_until(&mut self, send_ns: Nanos) -> Option<Nanos> {
        if self.loss_probability <= 0.0 {
            return None;
        }
        let k = self.loss.take(send_ns);
        let is_lost = self.times.streams.uniform(Purpose::Loss, send_ns, k) < self.loss_probability;
        is_lost.then(|| send_ns.saturating_add(self.loss_timeout_ns))
    }

    /// Tells whether the request that is sent now will be refused when it arrives.
    pub(crate) fn is_refused(&mut self, send_ns: Nanos) -> bool {
        if self.reject_probability <= 0.0 {
            return false;
        }
        let k = self.refusal.take(send_ns);
        self.times.streams.uniform(Purpose::Refusal, send_ns, k) < self.reject_probability
    }

    /// Returns when a request that is sent now reaches the exchange.
    pub(crate) fn arrival_ns(&mut self, kind: RequestKind, session: u8, send_ns: Nanos) -> Nanos {
        let load = self.backlog.map_or(0, |backlog| backlog.delay_ns(send_ns));
        let latency = self.requests[kind as usize]
            .draw(&mut self.times, send_ns)
            .saturating_add(load);
        match self.sessions {
            Sessions::Fifo => {
                self.out[usize::from(session % SESSIONS_MAX)].deliver(send_ns, latency)
            }
            Sessions::Independent => send_ns.saturating_add(latency),
        }
    }

    /// Returns when an outcome of `exch_ns` reaches the strategy.
    pub(crate) fn report_ns(&mut self, session: u8, exch_ns: Nanos) -> Nanos {
        let latency = self.report.draw(&mut self.times, exch_ns);
        match self.sessions {
            Sessions::Fifo => {
                self.home[usize::from(session % SESSIONS_MAX)].deliver(exch_ns, latency)
            }
            Sessions::Independent => exch_ns.saturating_add(latency),
        }
    }

    /// Returns when a market group reaches the strategy; `stamp_ns` is its recorded local time, or its exchange time.
    #[inline]
    pub(crate) fn seen_ns(&mut self, exch_ns: Nanos, stamp_ns: Nanos) -> Nanos {
        let latency = self.feed.draw(&mut self.times, exch_ns);
        self.feed_channel.deliver(stamp_ns.max(exch_ns), latency)
    }
}
