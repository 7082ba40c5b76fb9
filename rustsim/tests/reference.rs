//! The engine against its slow twin: equal event logs, equal sights of the strategy, equal accounts. Then the compiled engine against the direct one.
//!
//! Length: both comparisons make their runs in one way and compare the same lines.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::pedantic,
    reason = "plain code that is read beside the rules, not linked"
)]

pub mod twin; // for rustsim/fuzz, which compares the same way

use std::collections::BTreeMap;
use std::path::Path;

use rustsim::certificate::OrderCertificate;
use rustsim::error::Result;
use rustsim::filter::layout::Carries;
use rustsim::filter::mask::forms;
use rustsim::filter::{CompiledTape, needs_direct, replay_compiled};
use rustsim::host::Host;
use rustsim::latency::LatencySpec;
use rustsim::ledger::{ChargeSpec, FeeSchedule};
use rustsim::replay::{Strategy, Wake as Woken, WakeFilter, replay};
use rustsim::sim::{Outcomes, RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::tape::MappedTape;
use rustsim::types::{EventKind, Lots, Nanos, OrderEvent, Tick};

use serde_json::json;

use twin::market::{Gambler, PRICES, naive, rows, rules};
use twin::orders::{order_rows, order_rules};
use twin::run::{Story, run};
use twin::{Actor, Command, Moment, Queue, Rules, View, Wake};

/// Seeds of the random runs; `SWEEP_TWIN_SEEDS=first..last` runs others.
const SEEDS: std::ops::Range<u64> = 0..10_000;
const ROWS: usize = 120;
/// Runs that differ before the test gives up.
const FAILURES_MAX: usize = 10;

/// Lets an actor of the twin trade through the engine.
struct Adapter<'a> {
    actor: &'a mut dyn Actor,
    moments: Vec<(Moment, Vec<bool>)>,
}

fn apply(host: &mut Host, command: Command) -> bool {
    match command {
        Command::Place(order) => {
            host.place_order(order);
            true
        }
        Command::Cancel { order_id, session } => host.cancel_order(order_id, session),
        Command::Amend {
            order_id,
            price,
            qty,
            session,
        } => host.amend_order(order_id, price, qty, session),
        Command::Timer { at_ns } => {
            host.set_timer(at_ns);
            true
        }
    }
}

fn view_of(host: &Host) -> View {
    let view = &host.view;
    View {
        exch_ns: view.exch_ns,
        bid: view
            .best_bid
            .map(|price| (price, Lots::from(view.best_bid_lots))),
        ask: view
            .best_ask
            .map(|price| (price, Lots::from(view.best_ask_lots))),
        last_trade: view
            .last_trade
            .map(|print| (print.price, Lots::from(print.lots), print.side)),
    }
}

impl Strategy for Adapter<'_> {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        for command in self.actor.start(host.now_ns) {
            apply(host, command);
        }
        Ok(())
    }

    fn on_wake(&mut self, wake: &Woken<'_>, host: &mut Host) -> Result<()> {
        let moment = Moment {
            now_ns: host.now_ns,
            view: view_of(host),
            position: host.position(),
            events: wake.events.to_vec(),
            is_timer: wake.is_timer,
            is_tick: wake.is_tick,
        };
        let taken = self
            .actor
            .wake(&moment)
            .into_iter()
            .map(|command| apply(host, command))
            .collect();
        self.moments.push((moment, taken));
        Ok(())
    }

    fn on_end(&mut self, _: &mut Host) -> Result<()> {
        Ok(())
    }
}

pub fn try_spec_of(rules: &Rules) -> Result<SimSpec> {
    let mode = if rules.is_sampled {
        "sampled"
    } else {
        "expected"
    };
    let queue = match rules.queue {
        Queue::Back => json!({"model": "back", "mode": mode}),
        Queue::Front => json!({"model": "front", "mode": mode}),
        Queue::Uniform => json!({"model": "uniform", "mode": mode}),
        Queue::Power(n) => json!({"model": "power", "n": n, "mode": mode}),
        Queue::Power2(n) => json!({"model": "power2", "n": n, "mode": mode}),
        Queue::Power3(n) => json!({"model": "power3", "n": n, "mode": mode}),
        Queue::Log => json!({"model": "log", "mode": mode}),
        Queue::Log2 => json!({"model": "log2", "mode": mode}),
        Queue::Odds(alpha, beta) => {
            json!({"model": "odds", "alpha": alpha, "beta": beta, "mode": mode})
        }
        Queue::OddsSize(alpha, beta, gamma) => {
            json!({"model": "odds_size", "alpha": alpha, "beta": beta, "gamma": gamma, "mode": mode})
        }
        Queue::L3 => json!({"model": "l3"}),
    };
    let [place, cancel, amend, report, feed] = &rules.latency;
    let mut json = json!({
        "instrument": {
            "name": "twin", "tick_value_minor": rules.tick_value, "price_min": rules.price_min, "price_max": rules.price_max,
            "visible_levels": rules.visible_levels, "max_order_lots": rules.max_order_lots,
        },
        "fees": rules.fees,
        "latency": {
            "place": place, "cancel": cancel, "amend": amend, "report": report, "feed": feed,
            "sessions": if rules.is_independent { "independent" } else { "fifo" }, "reject_probability": rules.reject_probability,
            "gap_ns": rules.gap_ns, "loss_probability": rules.loss_probability, "loss_timeout_ns": rules.loss_timeout_ns,
            "backlog_capacity_per_us": rules.backlog_capacity_per_us,
            "weather": rules.weather.map(|(tau_ns, weight)| json!({"tau_ns": tau_ns, "weight": weight})),
            "regime": rules.regime.map(|(calm_ns, stressed_ns)| json!({"calm_ns": calm_ns, "stressed_ns": stressed_ns})),
        },
        "queue": queue,
        "rules": {"amend_below_filled": if rules.below_filled_cancels { "cancel" } else { "reject" }},
        "impact": {"half_life_ns": rules.half_life_ns, "reaction": rules.kappa, "charge": rules.charge},
        "certificates": rules.certificates,
        "seed": rules.seed, "replication": rules.replication,
    });
    if rules.is_naive {
        let description = json.as_object_mut().unwrap();
        for key in ["latency", "queue", "impact"] {
            description.remove(key);
        }
        description.insert("world".to_owned(), json!("naive"));
    }
    SimSpec::from_json(&json.to_string())
}

fn spec_of(rules: &Rules) -> SimSpec {
    try_spec_of(rules).unwrap()
}

fn filter_of(rules: &Rules) -> WakeFilter {
    match rules.wake {
        Wake::Best => WakeFilter::Best,
        Wake::Touch => WakeFilter::Touch,
        Wake::Every => WakeFilter::Every,
        Wake::Own => WakeFilter::Own,
    }
}

fn options_of(rules: &Rules) -> RunOptions {
    RunOptions {
        samples: 50,
        keep_log: true,
        has_local: rules.has_local,
        has_join: rules.has_join,
        is_watched: true,
    }
}

/// What a run gave, and what its strategy saw and asked for.
type Played = (Outcomes, Vec<(Moment, Vec<bool>)>);

/// The same rules where the compiled engine can follow them: the feed is as slow for every group, and only best prices and own events wake.
fn tamed(rules: &Rules, seed: u64) -> Rules {
    let mut tame = rules.clone();
    let feed_ns = [0.0, 3.0, 250.0][usize::try_from(seed / 3 % 3).unwrap()];
    tame.latency[4] = LatencySpec {
        mean_ns: feed_ns,
        ..LatencySpec::default()
    };
    tame.traces[4] = None;
    tame.backlog_capacity_per_us = None;
    if try_spec_of(&tame).is_err() {
        // Only the feed followed the weather.
        tame.weather = None;
    }
    tame.wake = if seed.is_multiple_of(4) {
        Wake::Own
    } else {
        Wake::Best
    };
    tame
}

/// Runs the compiled engine where it can, on rows compiled from `first_row` on; the comparison of codes goes through all forms, seed by seed.
fn run_compiled(
    rules: &Rules,
    rows: &[Tick],
    first_row: usize,
    actor: &mut dyn Actor,
) -> Option<Played> {
    let (spec, filter) = (spec_of(rules), filter_of(rules));
    if needs_direct(&spec, filter).unwrap().is_some() {
        return None;
    }
    let carries = Carries {
        local: rules.has_local,
        join: rules.has_join,
    };
    let forms = forms();
    let form = forms[usize::try_from(rules.seed).unwrap() % forms.len()].1;
    let tape = CompiledTape::of(rows, first_row as u64, carries, PRICES)
        .unwrap()
        .comparing(form);
    let mut adapter = Adapter {
        actor,
        moments: Vec::new(),
    };
    let span_ns = (rows[0].exch_ns, rows[rows.len() - 1].exch_ns);
    let stop_row = tape.rows().end;
    let open = tape.read();
    let exchange = SimulatedExchange::on(spec, &open, options_of(rules)).unwrap();
    let outcomes =
        replay_compiled(exchange, &open, stop_row, span_ns, filter, &mut adapter).unwrap();
    Some((outcomes, adapter.moments))
}

/// Two engines did and showed the same.
fn check_engines(direct: &Played, compiled: &Played) -> std::result::Result<(), String> {
    let sights = |moments: &[(Moment, Vec<bool>)]| moments.iter().map(sight).collect::<Vec<_>>();
    compare("compiled moment", &sights(&compiled.1), &sights(&direct.1))?;
    let events = |run: &Outcomes| run.log.iter().map(essence).collect::<Vec<_>>();
    compare("compiled event", &events(&compiled.0), &events(&direct.0))?;
    let facts = |run: &Outcomes| {
        let mut facts: Vec<String> = run
            .ledger
            .totals()
            .iter()
            .map(|x| format!("{x:?}"))
            .collect();
        facts.push(format!("{:?}", run.ledger.equity_samples()));
        facts.push(format!("{} rows, {} wakes", run.events, run.wakes));
        facts.push(format!("{} out of turn", run.fills_out_of_turn));
        facts.push(run.digest.clone());
        facts
    };
    compare("compiled fact", &facts(&compiled.0), &facts(&direct.0))
}

pub fn run_engine(rules: &Rules, rows: &[Tick], first_row: usize, actor: &mut dyn Actor) -> Played {
    let filter = filter_of(rules);
    let low = rows
        .iter()
        .map(|tick| tick.price)
        .min()
        .unwrap()
        .min(PRICES.0);
    let high = rows
        .iter()
        .map(|tick| tick.price)
        .max()
        .unwrap()
        .max(PRICES.1);
    let options = options_of(rules);
    let exchange = SimulatedExchange::new(spec_of(rules), (low, high), options).unwrap();
    let mut adapter = Adapter {
        actor,
        moments: Vec::new(),
    };
    let outcomes = replay(exchange, rows, first_row, filter, &mut adapter).unwrap();
    (outcomes, adapter.moments)
}

/// An event without what it does not say: the liquidity of anything but a fill.
fn essence(event: &OrderEvent) -> String {
    let liquidity = (event.kind == EventKind::Filled).then_some(event.liquidity);
    format!(
        "{:?} #{} at {}/{} {:?} {} x {} leaves {} {:?} {:?}",
        event.kind,
        event.order_id,
        event.exch_ns,
        event.local_ns,
        event.side,
        event.price,
        event.qty,
        event.leaves,
        liquidity,
        event.reason
    )
}

fn sight(moment: &(Moment, Vec<bool>)) -> String {
    let (seen, taken) = moment;
    let events: Vec<String> = seen.events.iter().map(essence).collect();
    format!(
        "{} {:?} position {} tick {} timer {} taken {taken:?} {}",
        seen.now_ns,
        seen.view,
        seen.position,
        seen.is_tick,
        seen.is_timer,
        events.join("; ")
    )
}

/// Finds the first difference of two lists of lines.
fn compare(what: &str, engine: &[String], twin: &[String]) -> std::result::Result<(), String> {
    let count = engine.len().max(twin.len());
    for index in 0..count {
        if engine.get(index) != twin.get(index) {
            let before = index.saturating_sub(6);
            let context = twin[before.min(twin.len())..index.min(twin.len())].join("\n  ");
            return Err(format!(
                "{what} {index} differs, after\n  {context}\nengine: {:?}\ntwin:   {:?}",
                engine.get(index),
                twin.get(index)
            ));
        }
    }
    Ok(())
}

pub fn check_equal(
    outcomes: &Outcomes,
    moments: &[(Moment, Vec<bool>)],
    story: &Story,
    certificates: bool,
) -> std::result::Result<(), String> {
    let lines = |events: &[OrderEvent]| events.iter().map(essence).collect::<Vec<_>>();
    compare("event", &lines(&outcomes.log), &lines(&story.log))?;
    let sights = |moments: &[(Moment, Vec<bool>)]| moments.iter().map(sight).collect::<Vec<_>>();
    compare("sight", &sights(moments), &sights(&story.moments))?;
    let fills: Vec<String> = outcomes
        .ledger
        .fills()
        .iter()
        .map(|record| {
            format!(
                "{:?} markouts {:?} fee {} tax {} impact {} position {} mid2 {}",
                record.fill,
                record.markout2,
                record.fee,
                record.tax,
                record.impact,
                record.position,
                record.mid2
            )
        })
        .collect();
    compare("fill", &fills, &story.account.fill_lines(certificates))?;
    let ledger: BTreeMap<&str, i64> = outcomes.ledger.totals().into_iter().collect();
    let account = story.account.totals();
    for (name, value) in &ledger {
        match account.get(name) {
            Some(twin) if twin == value => {}
            Some(twin) => return Err(format!("ledger {name}: engine {value}, twin {twin}")),
            // The only total without a definition of its own: the floor of a fraction that unit tests hold.
            None if *name == "realised_average_minor_floor" => {}
            None => return Err(format!("the twin does not know the total {name}")),
        }
    }
    if outcomes.fills_out_of_turn != story.fills_out_of_turn {
        return Err(format!(
            "fills out of turn: engine {}, twin {}",
            outcomes.fills_out_of_turn, story.fills_out_of_turn
        ));
    }
    let metrics: BTreeMap<&str, f64> = outcomes.ledger.metrics().into_iter().collect();
    for (name, percent) in [
        ("own_share_p50", 50.0),
        ("own_share_p95", 95.0),
        ("own_share_max", 100.0),
    ] {
        if (metrics[name] - story.account.own_share(percent)).abs() > 1e-12 {
            return Err(format!("{name} differs"));
        }
    }
    let kept = certificates.then_some(story.certificates.as_slice());
    let orders = |list: &[OrderCertificate]| {
        list.iter()
            .map(|order| format!("{order:?}"))
            .collect::<Vec<_>>()
    };
    compare(
        "certificate",
        &orders(outcomes.ledger.certificates()),
        &orders(kept.unwrap_or_default()),
    )?;
    let side: BTreeMap<&str, i64> = outcomes.ledger.side_totals().into_iter().collect();
    let twin = story.account.side_totals(kept);
    if side == twin {
        Ok(())
    } else {
        Err(format!("side totals: engine {side:?}, twin {twin:?}"))
    }
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SWEEP_TWIN_SEEDS") else {
        return SEEDS;
    };
    let (first, last) = text.split_once("..").expect("SWEEP_TWIN_SEEDS=first..last");
    first.parse().expect("a number")..last.parse().expect("a number")
}

/// Random markets, descriptions and strategies; every 50th run is long.
#[test]
fn engine_and_twin_agree_on_random_runs() {
    let kinds = compare_random_runs(|seed, count| {
        let first_row = (seed % 7) as usize;
        (rules(seed), rows(seed, count), first_row)
    });
    // The runs reach every kind of end.
    assert!(kinds.len() >= 23, "only {kinds:?}");
    for kind in ["Rejected", "CancelRejected", "AmendRejected"] {
        assert!(kinds.contains_key(&format!("{kind} Refused")), "{kinds:?}");
    }
    assert!(kinds["naive lots"] > 1_000, "only {kinds:?}");
    assert!(kinds["impact"] > 1_000, "only {kinds:?}");
    assert!(kinds["compiled"] > seeds().count() as u64 / 4);
    for feed_ns in [0, 3, 250] {
        assert!(kinds[&format!("compiled, feed {feed_ns}")] > 0, "{kinds:?}");
    }
}

/// The same where rows name the orders that lose lots, most of them with queues followed by order.
#[test]
fn engine_and_twin_agree_on_random_orders() {
    let kinds = compare_random_runs(|seed, count| {
        let rules = order_rules(seed);
        let (rows, first_row) = order_rows(seed, count);
        (rules, rows, first_row)
    });
    assert!(kinds.len() >= 20, "only {kinds:?}");
    assert!(kinds["fills out of turn"] > 0, "only {kinds:?}");
}

/// Returns what differs between the engines where the rules are such that both can follow them.
fn differ(
    rules: &Rules,
    rows: &[Tick],
    first_row: usize,
    seed: u64,
    kinds: &mut BTreeMap<String, u64>,
) -> Option<String> {
    let tame = tamed(rules, seed);
    let gambler = || Gambler::new(seed, rows.len() as u32);
    let compiled = run_compiled(&tame, rows, first_row, &mut gambler())?;
    *kinds.entry("compiled".to_owned()).or_insert(0) += 1;
    let feed_ns = tame.latency[4].mean_ns;
    *kinds
        .entry(format!("compiled, feed {feed_ns}"))
        .or_insert(0) += 1;
    let direct = run_engine(&tame, rows, first_row, &mut gambler());
    let difference = check_engines(&direct, &compiled).err()?;
    Some(format!("seed {seed}: {difference}\n{tame:?}"))
}

/// Runs engine and twin over the seeds; returns what happened how often.
fn compare_random_runs(
    make: impl Fn(u64, usize) -> (Rules, Vec<Tick>, usize),
) -> BTreeMap<String, u64> {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in seeds() {
        let (rules, rows, first_row) = make(seed, if seed % 50 == 0 { 8 * ROWS } else { ROWS });
        let (outcomes, moments) = run_engine(
            &rules,
            &rows,
            first_row,
            &mut Gambler::new(seed, rows.len() as u32),
        );
        if seed.is_multiple_of(3)
            && let Some(difference) = differ(&rules, &rows, first_row, seed, &mut kinds)
        {
            failures.push(difference);
        }
        let story = run(
            &rules,
            &rows,
            first_row as u64,
            &mut Gambler::new(seed, rows.len() as u32),
        );
        if let Err(difference) = check_equal(&outcomes, &moments, &story, rules.certificates) {
            failures.push(format!("seed {seed}: {difference}\n{rules:?}"));
        }
        if rules.is_naive {
            *kinds.entry("naive lots".to_owned()).or_insert(0) +=
                u64::try_from(story.account.totals()["lots"]).unwrap();
        }
        *kinds.entry("impact".to_owned()).or_insert(0) +=
            u64::try_from(outcomes.ledger.impact_total().unwrap_or(0)).unwrap();
        twin::market::forget(&rules);
        for event in &outcomes.log {
            *kinds
                .entry(format!("{:?} {:?}", event.kind, event.reason))
                .or_insert(0) += 1;
        }
        *kinds.entry("fills out of turn".to_owned()).or_insert(0) += outcomes.fills_out_of_turn;
        if failures.len() >= FAILURES_MAX {
            break;
        }
    }
    assert!(
        failures.is_empty(),
        "{} runs differ:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    kinds
}

/// One hour of a recording, given as a tape: `SWEEP_TWIN_TAPE=file` and `SWEEP_TWIN_FROM_NS=start of the hour`.
///
/// `tests/integration/test_twin_on_recording.py` makes the tape and runs this.
#[test]
#[ignore = "needs a tape of a recording; tests/integration/test_twin_on_recording.py gives it one"]
fn engine_and_twin_agree_on_a_recorded_hour() {
    let path = std::env::var("SWEEP_TWIN_TAPE").expect("SWEEP_TWIN_TAPE names a tape");
    let from: i64 = std::env::var("SWEEP_TWIN_FROM_NS")
        .expect("SWEEP_TWIN_FROM_NS")
        .parse()
        .expect("nanoseconds");
    let tape = MappedTape::open(Path::new(&path)).unwrap();
    let start = tape.first_row_at(from).unwrap();
    let stop = tape.first_row_at(from + 3_600_000_000_000).unwrap();
    let rows = &tape.rows(start..stop).unwrap();
    assert!(rows.len() > 10_000, "only {} rows in the hour", rows.len());
    let mut summary = Vec::new();
    for mut rules in recorded_hour_rules(tape.has_local(), from) {
        rules.has_join = tape.has_join();
        if rules.has_join && !rules.is_sampled && !rules.is_naive {
            rules.queue = Queue::L3;
        }
        let seed = rules.seed;
        let (outcomes, moments) =
            run_engine(&rules, rows, start, &mut Gambler::slow(seed, 4_000, 4));
        let tame = tamed(&rules, seed);
        let gambler = || Gambler::slow(seed, 4_000, 4);
        if let Some(compiled) = run_compiled(&tame, rows, start, &mut gambler()) {
            let direct = run_engine(&tame, rows, start, &mut gambler());
            if let Err(difference) = check_engines(&direct, &compiled) {
                panic!("{difference}\n{tame:?}");
            }
        }
        let story = run(
            &rules,
            rows,
            start as u64,
            &mut Gambler::slow(seed, 4_000, 4),
        );
        twin::market::forget(&rules);
        if let Err(difference) = check_equal(&outcomes, &moments, &story, rules.certificates) {
            panic!("{difference}\n{rules:?}");
        }
        let totals: BTreeMap<&str, i64> = outcomes.ledger.totals().into_iter().collect();
        assert!(
            totals["maker_lots"] > 100,
            "the makers hardly traded: {totals:?}"
        );
        summary.push(format!(
            "{} orders, {} fills, {} wakes",
            totals["orders_sent"],
            totals["fills"],
            moments.len()
        ));
    }
    std::fs::write(
        format!("{path}.summary"),
        format!("{} rows\n{}\n", rows.len(), summary.join("\n")),
    )
    .unwrap();
}

/// Gives places and replies recorded latencies: a row every 7 seconds of the hour, 5 to 100 ms.
fn record_hour(mut rules: Rules, from: Nanos) -> Rules {
    for (operation, name) in [(0, "place"), (3, "report")] {
        let row = |k: Nanos| (from + k * 7_000_000_000, (5 + k * 37 % 96) * 1_000_000);
        let rows: Vec<(Nanos, Nanos)> = (0..520).map(row).collect();
        rules.latency[operation] = LatencySpec {
            model: "trace".to_owned(),
            file: Some(twin::market::write_trace(operation, &rows)),
            operation: Some(name.to_owned()),
            ..LatencySpec::default()
        };
        rules.traces[operation] = Some(rows);
    }
    rules
}

fn recorded_hour_rules(has_local: bool, from: Nanos) -> Vec<Rules> {
    let latency = |model: &str, mean_ns: f64, floor_ns: f64| LatencySpec {
        model: model.to_owned(),
        mean_ns,
        cv: 0.6,
        floor_ns,
        ..LatencySpec::default()
    };
    let fees = FeeSchedule {
        commission_per_lot_minor: 13,
        tax_rate_e9: 20_000,
        ..FeeSchedule::default()
    };
    let base = Rules {
        tick_value: 200,
        visible_levels: 5,
        fees,
        latency: [
            latency("gamma", 30e6, 5e6),
            latency("gamma", 20e6, 0.0),
            latency("lognormal", 38e6, 0.0),
            latency("gamma", 10e6, 0.0),
            latency("constant", 0.0, 0.0),
        ],
        queue: Queue::Uniform,
        wake: Wake::Best,
        has_local,
        ..rules(1)
    };
    let quiet = Rules {
        price_min: None,
        price_max: None,
        max_order_lots: None,
        traces: Default::default(),
        is_independent: false,
        reject_probability: 0.0,
        gap_ns: 0,
        loss_probability: 0.0,
        backlog_capacity_per_us: None,
        weather: None,
        regime: None,
        is_sampled: false,
        half_life_ns: None,
        is_naive: false,
        kappa: 0.0,
        charge: None,
        certificates: true,
        ..base
    };
    let sampled = Rules {
        queue: Queue::Power(2.0),
        is_sampled: true,
        half_life_ns: Some(2_000_000_000),
        kappa: 0.5,
        charge: Some(ChargeSpec::Propagator {
            g0_ticks: 0.1,
            delta: 0.5,
            tau0_ns: 1e9,
            gamma: 0.5,
        }),
        loss_probability: 0.01,
        loss_timeout_ns: 1_000_000_000,
        reject_probability: 0.02,
        is_independent: true,
        wake: Wake::Touch,
        seed: 2,
        latency: [
            latency("pareto", 30e6, 5e6),
            latency("constant", 20e6, 0.0),
            latency("gamma", 38e6, 0.0),
            latency("lognormal", 10e6, 0.0),
            latency("gamma", 5e6, 1e6),
        ],
        ..quiet.clone()
    };
    let back = Rules {
        queue: Queue::Back,
        seed: 3,
        visible_levels: 0,
        ..quiet.clone()
    };
    let back = record_hour(back, from);
    let sizes = Rules {
        queue: Queue::OddsSize(0.5, 0.4, -2.9),
        seed: 5,
        ..quiet.clone()
    };
    let touched = naive(quiet.clone());
    vec![quiet, sampled, back, sizes, touched]
}
