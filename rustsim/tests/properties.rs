//! Rules that hold for every market and every schedule of orders, on random ones. A failing seed is printed by the assertion.

mod draws;

use std::collections::BTreeMap;

use draws::Draws;
use rustsim::error::Result;
use rustsim::host::Host;
use rustsim::ledger::ChargeSpec;
use rustsim::queue::{Mode, QueueSpec};
use rustsim::replay::{Strategy, Wake, WakeFilter, replay};
use rustsim::sim::{Outcomes, RunOptions, SimulatedExchange};
use rustsim::spec::{SimSpec, World};
use rustsim::types::{
    EventKind, FLAG_LAST, KIND_LEVEL, KIND_TRADE, Lots, Nanos, OrderId, OrderRequest, OrderType,
    Side, TakePolicy, Tick, TimeInForce,
};

const SEEDS: u64 = 1_500;
const MS: Nanos = 1_000_000;

/// A market of a few levels around 100; prints take from the best of a side, additions and cancels hit any level.
fn random_market(draws: &mut Draws, rows: usize) -> Vec<Tick> {
    let mut sizes: BTreeMap<(u8, i32), i32> = BTreeMap::new();
    let mut out = Vec::new();
    let mut now = 1_000 * MS;
    let push = |out: &mut Vec<Tick>, now, kind, side, price, qty| {
        out.push(Tick {
            exch_ns: now,
            local_ns: now,
            price,
            qty,
            kind,
            side,
            flags: FLAG_LAST,
            ..Tick::default()
        });
    };
    for level in 0..4 {
        for (side, price) in [(0, 99 - level), (1, 100 + level)] {
            let size = 5 + draws.int(30);
            sizes.insert((side, price), size);
            push(&mut out, now, KIND_LEVEL, side, price, size);
        }
    }
    while out.len() < rows {
        now += i64::from(draws.int(8)) * MS;
        let side = u8::from(draws.below(2) == 0);
        let price = if side == 0 {
            99 - draws.int(4)
        } else {
            100 + draws.int(4)
        };
        let size = *sizes.get(&(side, price)).unwrap_or(&0);
        let best = sizes
            .iter()
            .filter(|(k, q)| k.0 == side && **q > 0)
            .map(|(k, _)| k.1);
        let best = if side == 0 { best.max() } else { best.min() };
        match (draws.below(10), best) {
            (0..=2, Some(best)) => {
                let lots = 1 + draws.int(12);
                push(&mut out, now, KIND_TRADE, side, best, lots);
                let left = (sizes[&(side, best)] - lots).max(0);
                sizes.insert((side, best), left);
                push(&mut out, now, KIND_LEVEL, side, best, left);
            }
            (3..=5, _) if size > 0 => {
                let left = size - 1 - draws.int(size);
                sizes.insert((side, price), left);
                push(&mut out, now, KIND_LEVEL, side, price, left);
            }
            _ => {
                let more = size + 1 + draws.int(10);
                sizes.insert((side, price), more);
                push(&mut out, now, KIND_LEVEL, side, price, more);
            }
        }
    }
    out
}

#[derive(Clone, Copy)]
enum Action {
    Place(Side, i32, Lots),
    Cancel(OrderId),
}

/// Sends a fixed schedule of requests, whatever the market does.
struct Scripted {
    schedule: Vec<(Nanos, Action)>,
    next: usize,
}

impl Scripted {
    fn random(draws: &mut Draws, start: Nanos, stop: Nanos) -> Self {
        let mut schedule = Vec::new();
        let mut placed = 0;
        let span = u64::try_from((stop - start).max(1)).unwrap();
        let mut times: Vec<Nanos> = (0..12)
            .map(|_| start + i64::try_from(draws.below(span)).unwrap())
            .collect();
        times.sort_unstable();
        for at in times {
            if placed > 0 && draws.below(4) == 0 {
                schedule.push((at, Action::Cancel(1 + draws.below(placed))));
            } else {
                let side = if draws.below(2) == 0 {
                    Side::Bid
                } else {
                    Side::Ask
                };
                let price = if side == Side::Bid {
                    99 - draws.int(2)
                } else {
                    100 + draws.int(2)
                };
                schedule.push((at, Action::Place(side, price, 1 + i64::from(draws.int(6)))));
                placed += 1;
            }
        }
        Self { schedule, next: 0 }
    }
}

impl Strategy for Scripted {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        self.schedule
            .iter()
            .for_each(|entry| host.set_timer(entry.0));
        Ok(())
    }

    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        while wake.is_timer
            && self.next < self.schedule.len()
            && self.schedule[self.next].0 <= host.now_ns
        {
            match self.schedule[self.next].1 {
                Action::Cancel(id) => {
                    host.cancel_order(id, 0);
                }
                Action::Place(side, price, qty) => {
                    host.place_order(OrderRequest {
                        side,
                        price,
                        qty,
                        order_type: OrderType::Limit,
                        time_in_force: TimeInForce::Rod,
                        take_policy: TakePolicy::PostOnly,
                        session: 0,
                    });
                }
            }
            self.next += 1;
        }
        Ok(())
    }

    fn on_end(&mut self, _: &mut Host) -> Result<()> {
        Ok(())
    }
}

fn spec(queue: &str, mode: Mode, latency_ns: f64) -> SimSpec {
    let mut spec = SimSpec {
        queue: QueueSpec {
            model: queue.into(),
            mode,
            ..QueueSpec::default()
        },
        seed: 5,
        ..SimSpec::default()
    };
    for leg in [
        &mut spec.latency.place,
        &mut spec.latency.cancel,
        &mut spec.latency.report,
    ] {
        leg.mean_ns = latency_ns;
    }
    spec
}

fn run(seed: u64, spec: SimSpec) -> Outcomes {
    let mut draws = Draws(seed);
    let rows = random_market(&mut draws, 150);
    let mut script = Scripted::random(&mut draws, rows[0].exch_ns, rows[rows.len() - 1].exch_ns);
    let options = RunOptions {
        keep_log: true,
        ..RunOptions::default()
    };
    let exchange = SimulatedExchange::new(spec, (90, 110), options).unwrap();
    replay(exchange, rows.as_slice(), 0, WakeFilter::Own, &mut script).unwrap()
}

fn filled(outcomes: &Outcomes) -> BTreeMap<OrderId, Lots> {
    let mut lots = BTreeMap::new();
    for event in outcomes
        .log
        .iter()
        .filter(|event| event.kind == EventKind::Filled)
    {
        *lots.entry(event.order_id).or_insert(0) += event.qty;
    }
    lots
}

#[test]
fn front_fills_no_less_and_back_no_more_than_any_model() {
    let mut differing = 0;
    for seed in 0..SEEDS {
        let front = filled(&run(seed, spec("front", Mode::Expected, 2e6)));
        let back = filled(&run(seed, spec("back", Mode::Expected, 2e6)));
        differing += u32::from(front != back);
        for (model, mode) in [
            ("log2", Mode::Expected),
            ("odds", Mode::Sampled),
            ("odds_size", Mode::Sampled),
            ("power3", Mode::Expected),
            ("uniform", Mode::Expected),
            ("uniform", Mode::Sampled),
            ("power", Mode::Expected),
            ("power", Mode::Sampled),
        ] {
            let lots = filled(&run(seed, spec(model, mode, 2e6)));
            for id in 1..=12 {
                let get = |fills: &BTreeMap<OrderId, Lots>| fills.get(&id).copied().unwrap_or(0);
                assert!(
                    get(&back) <= get(&lots) && get(&lots) <= get(&front),
                    "seed {seed}, {model} {mode:?}, order {id}: back {} model {} front {}",
                    get(&back),
                    get(&lots),
                    get(&front)
                );
            }
        }
    }
    assert!(
        differing > 20,
        "the bounds differ in {differing} runs only: the test shows nothing"
    );
}

#[test]
fn no_order_fills_before_it_arrives_or_after_it_ended() {
    for seed in 0..SEEDS {
        let outcomes = run(seed, spec("uniform", Mode::Expected, 3e6));
        let mut state: BTreeMap<OrderId, (Nanos, Lots, bool)> = BTreeMap::new();
        for event in &outcomes.log {
            assert!(
                event.local_ns >= event.exch_ns,
                "seed {seed}: {event:?} is seen before it happens"
            );
            match event.kind {
                EventKind::Accepted => {
                    assert!(
                        state
                            .insert(event.order_id, (event.exch_ns, event.qty, false))
                            .is_none(),
                        "seed {seed}"
                    );
                }
                EventKind::Filled => {
                    let (arrival, open, ended) =
                        state.get_mut(&event.order_id).expect("accepted first");
                    assert!(
                        event.exch_ns >= *arrival && !*ended,
                        "seed {seed}: {event:?}"
                    );
                    *open -= event.qty;
                    assert_eq!(*open, event.leaves, "seed {seed}: {event:?}");
                    *ended = *open == 0;
                }
                EventKind::Cancelled | EventKind::Expired => {
                    if let Some((_, open, ended)) = state.get_mut(&event.order_id) {
                        assert!(!*ended && *open == event.qty, "seed {seed}: {event:?}");
                        *ended = true;
                    }
                }
                _ => {}
            }
        }
        assert!(
            state.values().all(|(_, _, ended)| *ended),
            "seed {seed}: an order never ended"
        );
    }
}

#[test]
fn maker_fills_of_one_print_never_exceed_it() {
    for seed in 0..SEEDS {
        let rows = random_market(&mut Draws(seed), 150);
        let outcomes = run(seed, spec("front", Mode::Expected, 0.0));
        let mut traded: BTreeMap<(Nanos, u8, i32), Lots> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.kind == KIND_TRADE) {
            *traded
                .entry((row.exch_ns, row.side, row.price))
                .or_insert(0) += i64::from(row.qty);
        }
        let mut own: BTreeMap<(Nanos, u8, i32), Lots> = BTreeMap::new();
        for event in outcomes
            .log
            .iter()
            .filter(|event| event.kind == EventKind::Filled)
        {
            *own.entry((event.exch_ns, event.side as u8, event.price))
                .or_insert(0) += event.qty;
        }
        for (key, lots) in own {
            // A fill without a print at its price comes from a print or a quote through it.
            if let Some(printed) = traded.get(&key) {
                let through = rows.iter().any(|row| {
                    row.exch_ns == key.0 && row.kind == KIND_TRADE && row.price != key.2
                });
                assert!(
                    lots <= *printed || through,
                    "seed {seed}: {lots} own lots of {printed} printed at {key:?}"
                );
            }
        }
    }
}

#[test]
fn equal_runs_have_equal_digests_and_other_seeds_other_ones() {
    let mut sampled = spec("uniform", Mode::Sampled, 2e6);
    let mut other = sampled.clone();
    other.seed = 6;
    let mut differing = 0;
    for seed in 0..200 {
        let digest = run(seed, sampled.clone()).digest;
        assert_eq!(digest, run(seed, sampled.clone()).digest, "seed {seed}");
        differing += u32::from(digest != run(seed, other.clone()).digest);
    }
    assert!(
        differing > 10,
        "the study seed changes {differing} of 200 runs only"
    );
    // A replication is another path of the same study.
    sampled.replication = 1;
    assert!((0..200).any(|seed| run(seed, sampled.clone()).digest
        != run(seed, spec("uniform", Mode::Sampled, 2e6)).digest));
}

#[test]
fn shifted_time_and_price_shift_the_result_and_nothing_else() {
    let rows = random_market(&mut Draws(3), 400);
    let moved: Vec<Tick> = rows
        .iter()
        .map(|row| Tick {
            exch_ns: row.exch_ns + 86_400_000 * MS,
            local_ns: row.local_ns + 86_400_000 * MS,
            price: row.price + 1_000,
            ..*row
        })
        .collect();
    let result = |rows: &[Tick], shift: i32| {
        let mut draws = Draws(9);
        let mut script =
            Scripted::random(&mut draws, rows[0].exch_ns, rows[rows.len() - 1].exch_ns);
        for entry in &mut script.schedule {
            if let Action::Place(_, price, _) = &mut entry.1 {
                *price += shift;
            }
        }
        let exchange = SimulatedExchange::new(
            spec("uniform", Mode::Expected, 1e6),
            (90, 110),
            RunOptions::default(),
        )
        .unwrap();
        replay(exchange, rows, 0, WakeFilter::Own, &mut script)
            .unwrap()
            .ledger
    };
    let (base, shifted) = (result(&rows, 0), result(&moved, 1_000));
    assert!(!base.fills().is_empty());
    assert_eq!(base.equity2(), shifted.equity2());
    assert_eq!(base.fills().len(), shifted.fills().len());
}

#[test]
fn a_charge_without_takers_is_zero_and_changes_nothing_else() {
    for seed in 0..SEEDS / 5 {
        let free = run(seed, spec("uniform", Mode::Expected, 2e6));
        for charge in [
            ChargeSpec::SquareRoot {
                y: 1.0,
                daily_sigma_bp: 100.0,
                daily_volume_lots: 1_000.0,
                parent_gap_ns: MS,
            },
            ChargeSpec::Propagator {
                g0_ticks: 1.0,
                delta: 0.5,
                tau0_ns: 1e6,
                gamma: 0.5,
            },
        ] {
            let mut charged = spec("uniform", Mode::Expected, 2e6);
            charged.impact.charge = Some(charge);
            let charged = run(seed, charged);
            // Every order of these schedules is post-only.
            assert_eq!(charged.ledger.impact_total(), Some(0), "seed {seed}");
            assert_eq!(charged.log, free.log, "seed {seed}");
            assert_eq!(charged.ledger.equity2(), free.ledger.equity2());
        }
    }
}

#[test]
fn a_reaction_keeps_to_the_bounds_and_makes_us_wait() {
    let with = |seed, kappa: f64| {
        let mut spec = spec("uniform", Mode::Expected, 2e6);
        spec.impact.reaction = kappa;
        filled(&run(seed, spec))
    };
    let (mut sooner, mut later) = (0, 0);
    for seed in 0..SEEDS {
        let front = filled(&run(seed, spec("front", Mode::Expected, 2e6)));
        let back = filled(&run(seed, spec("back", Mode::Expected, 2e6)));
        let none = with(seed, 0.0);
        for kappa in [-1.0, 1.0] {
            let lots = with(seed, kappa);
            for id in 1..=12 {
                let get = |fills: &BTreeMap<OrderId, Lots>| fills.get(&id).copied().unwrap_or(0);
                assert!(
                    get(&back) <= get(&lots) && get(&lots) <= get(&front),
                    "seed {seed}, kappa {kappa}, order {id}"
                );
            }
            let (all, base) = (lots.values().sum::<Lots>(), none.values().sum::<Lots>());
            if kappa < 0.0 {
                sooner += all - base;
            } else {
                later += base - all;
            }
        }
    }
    assert!(
        sooner > 0 && later > 0,
        "{sooner} lots sooner, {later} later"
    );
}

#[test]
fn the_naive_world_fills_at_least_what_queues_allow() {
    let (mut naive_lots, mut live_lots) = (0, 0);
    for seed in 0..SEEDS {
        let live = filled(&run(seed, spec("front", Mode::Expected, 0.0)));
        let mut naive = spec("uniform", Mode::Expected, 0.0);
        naive.world = World::Naive;
        let naive = filled(&run(seed, naive));
        for (id, lots) in &live {
            let touched = naive.get(id).copied().unwrap_or(0);
            assert!(
                touched >= *lots,
                "seed {seed}, order {id}: {touched} < {lots}"
            );
        }
        naive_lots += naive.values().sum::<Lots>();
        live_lots += live.values().sum::<Lots>();
    }
    assert!(naive_lots > live_lots, "{naive_lots} against {live_lots}");
}
