//! The validated description that an exchange is built from.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::latency::backlog::Backlog;
use crate::latency::regime::{Regime, RegimeSpec};
use crate::latency::weather::{Weather, WeatherSpec};
use crate::latency::{LatencyModel, LatencySpec};
use crate::ledger::{ChargeSpec, FeeSchedule};
use crate::queue::{QueueDecay, QueueSpec};
use crate::rng::Streams;
use crate::types::{Lots, Money, Nanos, TickIndex};

/// Longest time-out of a lost request: one day.
const TIMEOUT_NS_MAX: Nanos = 86_400_000_000_000;

/// What is traded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstrumentSpec {
    /// Display name.
    pub name: String,
    /// Minor money units per tick and lot.
    pub tick_value_minor: Money,
    /// Lowest price of the day, if there is a limit.
    pub price_min: Option<TickIndex>,
    /// Highest price of the day, if there is a limit.
    pub price_max: Option<TickIndex>,
    /// Levels that the feed shows per side, 0 for the whole book.
    pub visible_levels: u32,
    /// Largest order that the venue takes.
    pub max_order_lots: Option<Lots>,
}

impl Default for InstrumentSpec {
    fn default() -> Self {
        Self {
            name: "instrument".into(),
            tick_value_minor: 1,
            price_min: None,
            price_max: None,
            visible_levels: 0,
            max_order_lots: None,
        }
    }
}

/// Whether the messages of one session can overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Sessions {
    /// A session is one ordered channel in each direction.
    #[default]
    Fifo,
    /// Every message takes its own time; market data stays in order.
    Independent,
}

/// Latency of every kind of message, and the channel's own rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSpec {
    /// New orders, strategy to exchange.
    pub place: LatencySpec,
    /// Cancels.
    pub cancel: LatencySpec,
    /// Amends.
    pub amend: LatencySpec,
    /// Acks, fills and rejects, exchange to strategy.
    pub report: LatencySpec,
    /// Market data, exchange to strategy.
    pub feed: LatencySpec,
    /// Whether a session keeps its order.
    pub sessions: Sessions,
    /// Least distance of two arrivals on one session.
    pub gap_ns: Nanos,
    /// Share of requests that never arrive.
    pub loss_probability: f64,
    /// When the strategy gives up on a lost request.
    pub loss_timeout_ns: Nanos,
    /// Share of the requests that arrive and are refused there, before they reach the order book.
    pub reject_probability: f64,
    /// Messages that the venue works off per microsecond; none = load delays nothing.
    pub backlog_capacity_per_us: Option<f64>,
    /// What draws of one moment share; none = they are independent.
    pub weather: Option<WeatherSpec>,
    /// Calm and stressed stretches; none = always calm.
    pub regime: Option<RegimeSpec>,
}

impl LinkSpec {
    /// Returns every kind of message by its key.
    fn legs(&self) -> [(&'static str, &LatencySpec); 5] {
        [
            ("place", &self.place),
            ("cancel", &self.cancel),
            ("amend", &self.amend),
            ("report", &self.report),
            ("feed", &self.feed),
        ]
    }

    /// Checks the latencies, and that what is declared is read.
    fn check(&self) -> Result<()> {
        let mut has_stressed = false;
        let mut is_random = false;
        for (key, latency) in self.legs() {
            let (calm, stressed) = LatencyModel::build_both(latency)
                .map_err(|e| Error::Spec(format!("latency.{key}: {e}")))?;
            has_stressed |= stressed.is_some();
            is_random |= calm.is_constant().is_none() && calm.trace().is_none()
                || stressed.is_some_and(|model| model.is_constant().is_none());
        }
        let streams = Streams::new(0, 0);
        if let Some(weather) = &self.weather {
            Weather::new(weather, streams)
                .map_err(|e| Error::Spec(format!("latency.weather: {e}")))?;
            require(is_random, || {
                "latency.weather: every latency is constant or recorded, so none would follow it"
                    .into()
            })?;
        }
        if let Some(regime) = &self.regime {
            Regime::new(regime, streams)
                .map_err(|e| Error::Spec(format!("latency.regime: {e}")))?;
        }
        require(self.regime.is_some() == has_stressed, || {
            if has_stressed {
                "latency.regime: missing, so no stretch would be stressed".into()
            } else {
                "latency.regime: no latency has a stressed part".into()
            }
        })
    }
}

impl Default for LinkSpec {
    fn default() -> Self {
        Self {
            place: LatencySpec::default(),
            cancel: LatencySpec::default(),
            amend: LatencySpec::default(),
            report: LatencySpec::default(),
            feed: LatencySpec::default(),
            sessions: Sessions::Fifo,
            gap_ns: 0,
            loss_probability: 0.0,
            loss_timeout_ns: 1_000_000_000,
            reject_probability: 0.0,
            backlog_capacity_per_us: None,
            weather: None,
            regime: None,
        }
    }
}

/// What the venue does with an amend to a quantity that is already filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum BelowFilled {
    /// The amend is refused.
    #[default]
    Reject,
    /// The rest of the order is cancelled.
    Cancel,
}

/// Venue rules that differ between venues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSpec {
    /// Amend to a quantity that is already filled.
    pub amend_below_filled: BelowFilled,
}

/// What the market makes of our orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ImpactSpec {
    /// Half-life of the refill of what own takers consumed: none = never, 0 = no memory.
    pub half_life_ns: Option<Nanos>,
    /// Reaction of cancels to our resting orders, -1 to 1.
    pub reaction: f64,
    /// Charge for own takes, in a line of its own; none = no such line.
    pub charge: Option<ChargeSpec>,
}

impl ImpactSpec {
    fn check(&self, queue: &QueueSpec) -> Result<()> {
        require(self.half_life_ns.is_none_or(|h| h >= 0), || {
            "impact.half_life_ns: expected >= 0 or null".into()
        })?;
        require((-1.0..=1.0).contains(&self.reaction), || {
            format!("impact.reaction: expected -1 to 1, found {}", self.reaction)
        })?;
        require(self.reaction == 0.0 || queue.model != "l3", || {
            "impact.reaction: the queue model l3 knows who cancels, so nothing would read it".into()
        })?;
        if let Some(charge) = &self.charge {
            charge.check()?;
        }
        Ok(())
    }
}

/// How much of a market is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// Latency, queues, sizes: what live trading meets.
    #[default]
    LiveLike,
    /// None of them: what a naive backtest assumes, for comparison.
    Naive,
}

/// Everything that a simulated exchange depends on besides its ticks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct SimSpec {
    /// What is traded.
    pub instrument: InstrumentSpec,
    /// What it costs.
    pub fees: FeeSchedule,
    /// How long messages take.
    pub latency: LinkSpec,
    /// Where cancels fall in a queue.
    pub queue: QueueSpec,
    /// Venue rules.
    pub rules: RuleSpec,
    /// Own impact.
    pub impact: ImpactSpec,
    /// How much of a market is simulated.
    pub world: World,
    /// Whether every own resting order carries the bounds of its queue position and fills.
    pub certificates: bool,
    /// Study seed.
    pub seed: u64,
    /// Replication of the random streams.
    pub replication: u64,
}

impl SimSpec {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// `Error::Spec` naming the key, what was found and what is allowed.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |e| Error::Spec(format!("description of the exchange: {e}"));
        let spec: Self = serde_json::from_str(text).map_err(wrong)?;
        // Serde takes an array for a struct, by position; a description is read by key only.
        let value: serde_json::Value = serde_json::from_str(text).map_err(wrong)?;
        require(value.is_object(), || {
            "description of the exchange: expected an object".into()
        })?;
        if let Some(key) = first_array(&value) {
            return Err(Error::Spec(format!(
                "{key}: expected no array, as no key takes one"
            )));
        }
        spec.check()?;
        Ok(spec)
    }

    /// Returns the canonical text: every key, in a fixed order.
    ///
    /// # Errors
    /// `Error::Spec` if a number can't be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::Spec(format!("description of the exchange: {e}")))
    }

    /// Checks every value.
    ///
    /// # Errors
    /// `Error::Spec` naming the first key that is wrong.
    pub fn check(&self) -> Result<()> {
        let instrument = &self.instrument;
        require(instrument.tick_value_minor > 0, || {
            format!(
                "instrument.tick_value_minor: expected a positive integer, found {}",
                instrument.tick_value_minor
            )
        })?;
        if let (Some(low), Some(high)) = (instrument.price_min, instrument.price_max) {
            require(low <= high, || {
                format!("instrument.price_min: {low} is above price_max {high}")
            })?;
        }
        require(
            instrument
                .max_order_lots
                .is_none_or(|lots| (1..=Lots::from(i32::MAX)).contains(&lots)),
            || {
                format!(
                    "instrument.max_order_lots: expected 1 to {} or null, found {}",
                    i32::MAX,
                    instrument.max_order_lots.unwrap_or_default()
                )
            },
        )?;
        require(instrument.visible_levels <= 1_000, || {
            format!(
                "instrument.visible_levels: expected at most 1000, found {}",
                instrument.visible_levels
            )
        })?;
        let link = &self.latency;
        link.check()?;
        if let Some(capacity) = link.backlog_capacity_per_us {
            Backlog::new(capacity).map_err(|e| Error::Spec(format!("latency.{e}")))?;
        }
        require(link.gap_ns >= 0, || {
            format!("latency.gap_ns: expected >= 0, found {}", link.gap_ns)
        })?;
        require(link.gap_ns == 0 || link.sessions == Sessions::Fifo, || {
            "latency.gap_ns: independent messages keep no distance, so nothing would read it".into()
        })?;
        for (key, share) in [
            ("loss_probability", link.loss_probability),
            ("reject_probability", link.reject_probability),
        ] {
            require((0.0..=1.0).contains(&share), || {
                format!("latency.{key}: expected 0 to 1, found {share}")
            })?;
        }
        require((0..=TIMEOUT_NS_MAX).contains(&link.loss_timeout_ns), || {
            format!(
                "latency.loss_timeout_ns: expected 0 to {TIMEOUT_NS_MAX}, found {}",
                link.loss_timeout_ns
            )
        })?;
        QueueDecay::build(&self.queue)?;
        self.impact.check(&self.queue)?;
        self.check_world()?;
        self.fees.check()
    }

    /// Refuses what the naive world does not read.
    fn check_world(&self) -> Result<()> {
        if self.world == World::LiveLike {
            return Ok(());
        }
        for (key, is_default) in [
            ("latency", self.latency == LinkSpec::default()),
            ("queue", self.queue == QueueSpec::default()),
            ("impact", self.impact == ImpactSpec::default()),
            ("certificates", !self.certificates),
        ] {
            require(is_default, || {
                format!("{key}: the naive world has none; remove the key, or world: naive")
            })?;
        }
        Ok(())
    }
}

/// Returns the dotted key of the first array in `value` that is not a list by its nature.
fn first_array(value: &serde_json::Value) -> Option<String> {
    value.as_object()?.iter().find_map(|(key, value)| {
        let inner = match (key.as_str(), value) {
            ("quantiles", serde_json::Value::Array(_)) => None,
            ("modes", serde_json::Value::Array(modes)) => {
                if modes.iter().all(serde_json::Value::is_object) {
                    modes.iter().find_map(first_array)
                } else {
                    Some(String::new())
                }
            }
            (_, serde_json::Value::Array(_)) => Some(String::new()),
            _ => first_array(value),
        };
        inner.map(|rest| {
            if rest.is_empty() {
                key.clone()
            } else {
                format!("{key}.{rest}")
            }
        })
    })
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::Spec(message()))
    }
}
