//! Random markets and random strategies, each a pure function of a seed.

use std::sync::atomic::{AtomicU64, Ordering};

use rustsim::latency::{LatencySpec, ModeSpec};
use rustsim::ledger::{ChargeSpec, FeeSchedule, Grain};
use rustsim::rng::philox4x64_10;
use rustsim::types::{
    FLAG_GAP, FLAG_INDICATIVE, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE,
    Lots, Nanos, OrderId, OrderRequest, OrderType, Side, TakePolicy, Tick, TickIndex, TimeInForce,
};

use super::{Actor, Command, Moment, Queue, Rules, Wake};

/// Random numbers for tests.
#[derive(Clone, Debug)]
pub struct Dice {
    key: [u64; 2],
    count: u64,
}

impl Dice {
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            key: [seed, stream],
            count: 0,
        }
    }

    /// A number from 0 to `sides` - 1.
    pub fn below(&mut self, sides: u64) -> u64 {
        self.count += 1;
        philox4x64_10([self.count, 0, 0, 0], self.key)[0] % sides
    }

    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    pub fn is_one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// Lowest and highest price of random markets.
pub const PRICES: (TickIndex, TickIndex) = (1_000, 1_019);

fn latency(dice: &mut Dice) -> LatencySpec {
    if dice.is_one_in(4) {
        return other_latency(dice);
    }
    let mean_ns = dice.pick(&[0.0, 0.0, 3.0, 20.0, 100.0, 400.0]);
    LatencySpec {
        model: dice
            .pick(&["constant", "gamma", "gamma", "lognormal", "pareto"])
            .to_owned(),
        mean_ns,
        cv: dice.pick(&[0.2, 0.5, 1.0, 3.0]),
        floor_ns: if dice.is_one_in(3) {
            mean_ns / 2.0
        } else {
            0.0
        },
        ..LatencySpec::default()
    }
}

/// A distribution that is not given by mean and cv, and one whose cv is bounded.
fn other_latency(dice: &mut Dice) -> LatencySpec {
    let model = dice.pick(&["uniform", "shifted_lognormal", "empirical", "mixture"]);
    let mut spec = LatencySpec {
        model: model.to_owned(),
        ..LatencySpec::default()
    };
    match model {
        "uniform" => (spec.mean_ns, spec.cv) = (dice.pick(&[3.0, 100.0]), 0.5),
        "shifted_lognormal" => {
            spec.floor_ns = dice.pick(&[0.0, 20.0]);
            spec.median_ns = Some(dice.pick(&[3.0, 100.0]));
            spec.sigma = Some(dice.pick(&[0.3, 1.5]));
        }
        "empirical" => spec.quantiles = vec![(0.0, 0.0), (0.5, 10.0), (1.0, 400.0)],
        _ => {
            let mode = |weight, mean_ns| ModeSpec {
                weight,
                latency: LatencySpec {
                    model: "gamma".to_owned(),
                    mean_ns,
                    ..LatencySpec::default()
                },
            };
            spec.modes = vec![mode(3.0, 10.0), mode(1.0, 300.0)];
        }
    }
    spec
}

/// Random rows of recorded latencies.
fn recorded(dice: &mut Dice) -> Vec<(Nanos, Nanos)> {
    let mut time = dice.range(-1_000, 1_000_000);
    let slowest = dice.pick(&[0, 30, 400]);
    (0..dice.range(1, 40))
        .map(|_| {
            time += dice.pick(&[0, 0, 5, 100, 3_000]);
            (time, dice.range(0, slowest))
        })
        .collect()
}

/// Writes recorded latencies as the engine maps them; returns the path.
pub fn write_trace(operation: usize, rows: &[(Nanos, Nanos)]) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("twin-{}-{count}.trace", std::process::id());
    // The fuzzer, which shares this file, is no test: Cargo names no folder to it.
    let folder = option_env!("CARGO_TARGET_TMPDIR")
        .map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    let path = folder.join(name);
    let mut bytes = b"RSTRACE1".to_vec();
    for at in 0..5 {
        let count = if at == operation { rows.len() } else { 0 };
        bytes.extend((count as u64).to_le_bytes());
    }
    bytes.extend(rows.iter().flat_map(|row| row.0.to_le_bytes()));
    bytes.extend(rows.iter().flat_map(|row| row.1.to_le_bytes()));
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Replaces some latencies by recorded ones.
fn record_some(
    dice: &mut Dice,
    latencies: &mut [LatencySpec; 5],
) -> [Option<Vec<(Nanos, Nanos)>>; 5] {
    let mut traces: [Option<Vec<(Nanos, Nanos)>>; 5] = Default::default();
    if !dice.is_one_in(4) {
        return traces;
    }
    let names = ["place", "cancel", "amend", "report", "feed"];
    for (operation, spec) in latencies.iter_mut().enumerate() {
        if spec.stressed.is_none() && dice.is_one_in(2) {
            let rows = recorded(dice);
            *spec = LatencySpec {
                model: "trace".to_owned(),
                file: Some(write_trace(operation, &rows)),
                operation: Some(names[operation].to_owned()),
                floor_ns: dice.pick(&[0.0, 0.0, 12.0]),
                scale: dice.pick(&[None, None, Some(0.3), Some(2.5)]),
                ..LatencySpec::default()
            };
            traces[operation] = Some(rows);
        }
    }
    traces
}

/// Removes the files of recorded latencies.
pub fn forget(rules: &Rules) {
    for file in rules.latency.iter().filter_map(|spec| spec.file.as_ref()) {
        std::fs::remove_file(file).unwrap();
    }
}

fn charge(dice: &mut Dice) -> Option<ChargeSpec> {
    match dice.below(3) {
        0 => None,
        1 => Some(ChargeSpec::SquareRoot {
            y: 0.7,
            daily_sigma_bp: dice.pick(&[30.0, 120.0]),
            daily_volume_lots: 5_000.0,
            parent_gap_ns: dice.pick(&[0, 0, 40, 1_000_000]),
        }),
        _ => Some(ChargeSpec::Propagator {
            g0_ticks: dice.pick(&[0.3, 4.0]),
            delta: dice.pick(&[0.5, 1.0]),
            tau0_ns: dice.pick(&[20.0, 5_000.0]),
            gamma: dice.pick(&[0.5, 1.3]),
        }),
    }
}

/// A random description of an exchange; about a third of all switches are off.
pub fn rules(seed: u64) -> Rules {
    let dice = &mut Dice::new(seed, 1);
    let has_limits = dice.is_one_in(4);
    // Drawn apart, so that the other worlds stay what they are.
    let is_naive = Dice::new(seed, 4).is_one_in(8);
    let dice_impact = &mut Dice::new(seed, 5);
    let mut latencies: [LatencySpec; 5] = core::array::from_fn(|_| latency(dice));
    let regime = dice
        .is_one_in(4)
        .then(|| dice.pick(&[(900, 100), (64, 640)]));
    if regime.is_some() {
        for spec in &mut latencies[..3] {
            spec.stressed = Some(Box::new(latency(dice)));
        }
    }
    let traces = if is_naive {
        Default::default()
    } else {
        record_some(&mut Dice::new(seed, 7), &mut latencies)
    };
    let is_random = latencies
        .iter()
        .any(|spec| spec.model != "constant" && spec.mean_ns != 0.0);
    let is_independent = Dice::new(seed, 8).is_one_in(4);
    let rules = Rules {
        is_naive,
        traces,
        is_independent,
        reject_probability: Dice::new(seed, 9).pick(&[0.0, 0.0, 0.15]),
        kappa: if dice_impact.is_one_in(2) {
            0.0
        } else {
            dice_impact.pick(&[-1.0, -0.4, 0.3, 1.0])
        },
        charge: charge(dice_impact),
        weather: (is_random && dice.is_one_in(3)).then(|| dice.pick(&[(160, 1.0), (3_200, 0.4)])),
        regime,
        tick_value: dice.pick(&[1, 7, 200]),
        price_min: has_limits.then_some(PRICES.0 + 4),
        price_max: has_limits.then_some(PRICES.1 - 4),
        visible_levels: dice.pick(&[0, 0, 1, 2, 5]),
        max_order_lots: dice.is_one_in(4).then_some(6),
        fees: FeeSchedule {
            commission_per_lot_minor: dice.range(0, 20),
            maker_rate_e9: dice.range(-2_000_000, 2_000_000),
            taker_rate_e9: dice.range(0, 2_000_000),
            minimum_minor: dice.range(0, 15),
            tax_rate_e9: dice.range(0, 30_000),
            grain: dice.pick(&[Grain::Lot, Grain::Fill]),
        },
        latency: latencies,
        gap_ns: if is_independent {
            0
        } else {
            dice.pick(&[0, 0, 1, 25])
        },
        loss_probability: dice.pick(&[0.0, 0.0, 0.1]),
        loss_timeout_ns: dice.pick(&[0, 40, 500]),
        backlog_capacity_per_us: dice.is_one_in(4).then_some(20.0),
        queue: dice.pick(&[
            Queue::Back,
            Queue::Front,
            Queue::Uniform,
            Queue::Power(2.0),
            Queue::Power(0.7),
            Queue::Power(3.0),
            Queue::Power2(2.0),
            Queue::Power3(3.0),
            Queue::Log,
            Queue::Log2,
            Queue::Odds(-1.81, 0.59),
            Queue::OddsSize(0.7, 0.59, -2.5),
            Queue::OddsSize(-0.5, 1.0, 3.0),
        ]),
        is_sampled: dice.is_one_in(2),
        below_filled_cancels: dice.is_one_in(2),
        half_life_ns: dice.pick(&[None, Some(0), Some(50), Some(5_000)]),
        seed: dice.below(5),
        replication: dice.below(3),
        has_local: dice.is_one_in(2),
        has_join: false,
        wake: dice.pick(&[Wake::Best, Wake::Touch, Wake::Every, Wake::Own]),
        certificates: dice.is_one_in(2),
    };
    if is_naive { naive(rules) } else { rules }
}

/// The same market and costs in the naive world.
pub fn naive(rules: Rules) -> Rules {
    Rules {
        is_naive: true,
        latency: core::array::from_fn(|_| LatencySpec::default()),
        traces: Default::default(),
        is_independent: false,
        reject_probability: 0.0,
        gap_ns: 0,
        loss_probability: 0.0,
        loss_timeout_ns: 0,
        backlog_capacity_per_us: None,
        weather: None,
        regime: None,
        queue: Queue::Uniform,
        is_sampled: false,
        half_life_ns: None,
        kappa: 0.0,
        charge: None,
        certificates: false,
        ..rules
    }
}

/// Random rows around a wandering mid: both sides of a spread most of the time, crossed, one-sided or empty now and then.
pub fn rows(seed: u64, count: usize) -> Vec<Tick> {
    let dice = &mut Dice::new(seed, 2);
    let has_auctions = dice.is_one_in(3);
    // Horizons of markouts lie within long runs only.
    let stretch = dice.pick(&[1, 1, 40, 50_000_000]);
    let mut now = dice.range(0, 1_000_000);
    let mut local = now;
    let mut mid = 1_010;
    let mut rows: Vec<Tick> = Vec::new();
    let mut is_auction = false;
    let mut last_level: Option<(u8, TickIndex, i32)> = None;
    while rows.len() < count {
        if !dice.is_one_in(3) {
            now += stretch * dice.range(1, 60);
            if has_auctions && dice.is_one_in(12) {
                is_auction = !is_auction;
            }
        }
        local = local.max(now + dice.range(0, 50));
        if dice.is_one_in(10) {
            mid = (mid + dice.pick(&[-1, 1])).clamp(PRICES.0 + 3, PRICES.1 - 3);
        }
        let mut tick = row(dice, mid, last_level);
        if tick.kind == KIND_LEVEL {
            last_level = Some((tick.side, tick.price, tick.qty));
        }
        tick.exch_ns = now;
        tick.local_ns = local;
        if is_auction != dice.is_one_in(15) && has_auctions {
            tick.flags |= FLAG_INDICATIVE;
        }
        if dice.is_one_in(60) {
            tick.flags |= FLAG_GAP;
        }
        rows.push(tick);
    }
    rows
}

fn row(dice: &mut Dice, mid: TickIndex, last_level: Option<(u8, TickIndex, i32)>) -> Tick {
    let mut tick = Tick {
        flags: FLAG_LAST,
        ..Tick::default()
    };
    let side = dice.below(2) as u8;
    // Distance from the mid; a negative one crosses.
    let distance = dice.pick(&[-2, -1, 1, 1, 1, 2, 2, 3, 4, 6]);
    let price = if side == 0 {
        mid - distance
    } else {
        mid + distance
    };
    tick.side = side;
    tick.price = price.clamp(PRICES.0, PRICES.1);
    match dice.below(20) {
        0 if dice.is_one_in(4) => {
            (tick.kind, tick.price, tick.side) = (KIND_CLEAR, 0, 0);
        }
        0..6 => {
            tick.kind = KIND_TRADE;
            tick.qty = dice.range(1, 9) as i32;
            if let Some((side, price, _)) = last_level.filter(|_| dice.is_one_in(2)) {
                (tick.side, tick.price) = (side, price);
            }
        }
        _ => {
            tick.kind = KIND_LEVEL;
            tick.qty = dice.pick(&[0, 0, 1, 2, 3, 4, 6, 9, 15]);
            if let Some((side, price, qty)) = last_level.filter(|_| dice.is_one_in(3)) {
                (tick.side, tick.price) = (side, price);
                tick.qty = (qty + dice.range(-4, 2) as i32).max(0);
            }
            if tick.qty == 0 && dice.is_one_in(3) {
                tick.flags |= FLAG_OUT_OF_VIEW;
            }
        }
    }
    tick
}

/// A strategy that does random things near the touch, on two sessions.
#[derive(Clone, Debug)]
pub struct Gambler {
    dice: Dice,
    placed: OrderId,
    /// Calls at one time, so that a run without latency ends.
    last_ns: Nanos,
    calls: u32,
    /// Calls still to answer: each may cause replies that cause commands.
    budget: u32,
    /// It answers one call in so many.
    one_in: u64,
}

impl Gambler {
    /// A calmer one, for long runs.
    pub fn slow(seed: u64, budget: u32, one_in: u64) -> Self {
        Self {
            one_in,
            ..Self::new(seed, budget)
        }
    }

    pub fn new(seed: u64, budget: u32) -> Self {
        Self {
            dice: Dice::new(seed, 3),
            placed: 0,
            last_ns: Nanos::MIN,
            calls: 0,
            budget,
            one_in: 1,
        }
    }

    fn price(&mut self, moment: &Moment, side: Side) -> TickIndex {
        let best = match side {
            Side::Bid => moment.view.bid,
            Side::Ask => moment.view.ask,
        };
        let base = best.map_or(1_010, |(price, _)| price);
        let deeper = self.dice.pick(&[-3, -2, -1, 0, 0, 0, 0, 1, 1, 2, 4]);
        base - side.sign() as TickIndex * deeper
    }

    fn place(&mut self, moment: &Moment) -> Command {
        let side = self.dice.pick(&[Side::Bid, Side::Ask]);
        self.placed += 1;
        Command::Place(OrderRequest {
            side,
            price: self.price(moment, side),
            qty: self.dice.pick(&[0, 1, 1, 2, 3, 5, 8]),
            order_type: self.dice.pick(&[
                OrderType::Limit,
                OrderType::Limit,
                OrderType::Limit,
                OrderType::Market,
            ]),
            time_in_force: self.dice.pick(&[
                TimeInForce::Rod,
                TimeInForce::Rod,
                TimeInForce::Rod,
                TimeInForce::Ioc,
                TimeInForce::Fok,
            ]),
            take_policy: self.dice.pick(&[
                TakePolicy::MayTake,
                TakePolicy::MayTake,
                TakePolicy::PostOnly,
            ]),
            session: self.dice.below(2) as u8,
        })
    }

    fn recent_order(&mut self) -> OrderId {
        let back = self.dice.pick(&[0, 0, 1, 1, 2, 3, 5, 9]);
        // One more than was placed: an order that does not exist.
        (self.placed + 1).saturating_sub(back)
    }

    fn command(&mut self, moment: &Moment) -> Command {
        let session = self.dice.below(2) as u8;
        match self.dice.below(10) {
            0..5 => self.place(moment),
            5..7 => Command::Cancel {
                order_id: self.recent_order(),
                session,
            },
            7..9 => {
                let order_id = self.recent_order();
                let side = self.dice.pick(&[Side::Bid, Side::Ask]);
                let price = (!self.dice.is_one_in(2)).then(|| self.price(moment, side));
                let qty: Option<Lots> = (!self.dice.is_one_in(3)).then(|| self.dice.range(0, 9));
                Command::Amend {
                    order_id,
                    price,
                    qty,
                    session,
                }
            }
            _ => Command::Timer {
                at_ns: moment.now_ns + self.dice.range(-3, 300),
            },
        }
    }
}

impl Actor for Gambler {
    fn start(&mut self, now_ns: Nanos) -> Vec<Command> {
        let moment = Moment {
            now_ns,
            view: super::View::default(),
            position: 0,
            events: Vec::new(),
            is_timer: false,
            is_tick: false,
        };
        (0..self.dice.below(3))
            .map(|_| self.command(&moment))
            .collect()
    }

    fn wake(&mut self, moment: &Moment) -> Vec<Command> {
        self.calls = if moment.now_ns == self.last_ns {
            self.calls + 1
        } else {
            0
        };
        self.last_ns = moment.now_ns;
        if self.calls > 5 || self.budget == 0 || !self.dice.is_one_in(self.one_in) {
            return Vec::new();
        }
        self.budget -= 1;
        let count = self.dice.pick(&[0, 0, 1, 1, 2, 3]);
        (0..count).map(|_| self.command(moment)).collect()
    }
}
