//! One short market, one short script, every line of the outcome committed: a change of results shows as a diff.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes the file anew; the diff then has to be explained in the change log.

use std::fmt::Write as _;
use std::path::Path;

use rustsim::error::Result;
use rustsim::host::Host;
use rustsim::replay::{Strategy, Wake, WakeFilter, replay};
use rustsim::sim::{Outcomes, RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::types::{
    FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_LEVEL, KIND_TRADE, Nanos, OrderRequest, OrderType, Side,
    TakePolicy, Tick, TimeInForce,
};

const MS: Nanos = 1_000_000;
const SPEC: &str = r#"{
    "instrument": {"name": "GOLD", "tick_value_minor": 200, "price_min": 17900, "price_max": 18100},
    "fees": {"commission_per_lot_minor": 13, "tax_rate_e9": 20000},
    "latency": {"place": {"model": "gamma", "mean_ns": 5e6, "cv": 0.5, "floor_ns": 3e5}, "cancel": {"mean_ns": 4e6},
                "amend": {"mean_ns": 4e6}, "report": {"mean_ns": 2e6}, "feed": {"mean_ns": 1e6}},
    "queue": {"model": "power", "n": 3.0}, "impact": {"half_life_ns": 1000000000}, "seed": 11}"#;

/// (time in ms, kind, side, price, lots, flags)
const MARKET: &[(i64, u8, u8, i32, i32, u8)] = &[
    (0, KIND_LEVEL, 0, 18_000, 20, 0),
    (0, KIND_LEVEL, 0, 17_999, 30, 0),
    (0, KIND_LEVEL, 1, 18_001, 15, 0),
    (0, KIND_LEVEL, 1, 18_002, 25, 0),
    (40, KIND_LEVEL, 0, 18_000, 26, 0),
    (55, KIND_LEVEL, 0, 18_000, 18, 0),
    (60, KIND_TRADE, 0, 18_000, 12, 0),
    (60, KIND_LEVEL, 0, 18_000, 6, 0),
    (75, KIND_LEVEL, 0, 18_000, 4, 0),
    (75, KIND_TRADE, 0, 18_000, 2, 0),
    (90, KIND_TRADE, 0, 18_000, 7, 0),
    (90, KIND_LEVEL, 0, 18_000, 0, 0),
    (90, KIND_LEVEL, 1, 18_000, 3, 0),
    (130, KIND_LEVEL, 0, 17_999, 0, FLAG_OUT_OF_VIEW),
    (130, KIND_LEVEL, 1, 18_000, 0, 0),
    (140, KIND_LEVEL, 0, 17_999, 9, 0),
    (180, KIND_TRADE, 1, 18_001, 15, 0),
    (180, KIND_LEVEL, 1, 18_001, 0, 0),
    (180, KIND_LEVEL, 0, 18_001, 5, 0),
    (400, KIND_TRADE, 1, 18_002, 26, 0),
    (1_400, KIND_LEVEL, 0, 18_001, 9, 0),
    (6_000, KIND_LEVEL, 1, 18_003, 4, 0),
];

struct Script;

fn order(side: Side, price: i32, qty: i64) -> OrderRequest {
    OrderRequest {
        side,
        price,
        qty,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Rod,
        take_policy: TakePolicy::MayTake,
        session: 0,
    }
}

impl Strategy for Script {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        for at in [10, 20, 70, 100, 120, 150, 200, 210, 500] {
            host.set_timer(at * MS);
        }
        Ok(())
    }

    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        match host.now_ns / MS {
            _ if !wake.is_timer => {}
            10 => {
                host.place_order(order(Side::Bid, 18_000, 3));
                host.place_order(OrderRequest {
                    take_policy: TakePolicy::PostOnly,
                    ..order(Side::Bid, 18_001, 1)
                });
            }
            20 => {
                host.place_order(order(Side::Bid, 18_000, 4));
            }
            70 => {
                host.amend_order(3, None, Some(2), 0);
            }
            100 => {
                host.place_order(OrderRequest {
                    time_in_force: TimeInForce::Ioc,
                    ..order(Side::Bid, 18_002, 20)
                });
            }
            120 => {
                host.place_order(OrderRequest {
                    order_type: OrderType::Market,
                    time_in_force: TimeInForce::Ioc,
                    ..order(Side::Ask, 0, 4)
                });
                host.cancel_order(1, 0);
            }
            150 => {
                host.place_order(OrderRequest {
                    time_in_force: TimeInForce::Fok,
                    ..order(Side::Bid, 18_002, 99)
                });
                host.place_order(order(Side::Ask, 18_200, 1));
            }
            200 => {
                host.place_order(order(Side::Ask, 18_002, 5));
            }
            210 => {
                host.place_order(order(Side::Bid, 18_003, 2));
                host.cancel_order(9, 0);
            }
            _ => {
                host.place_order(order(Side::Ask, 18_004, 2));
            }
        }
        Ok(())
    }

    fn on_end(&mut self, _: &mut Host) -> Result<()> {
        Ok(())
    }
}

fn run() -> Outcomes {
    let rows: Vec<Tick> = MARKET
        .iter()
        .map(|&(at, kind, side, price, qty, flags)| Tick {
            exch_ns: at * MS,
            local_ns: at * MS,
            price,
            qty,
            kind,
            side,
            flags: flags | FLAG_LAST,
            ..Tick::default()
        })
        .collect();
    let options = RunOptions {
        keep_log: true,
        ..RunOptions::default()
    };
    let exchange =
        SimulatedExchange::new(SimSpec::from_json(SPEC).unwrap(), (17_900, 18_100), options)
            .unwrap();
    replay(exchange, rows.as_slice(), 0, WakeFilter::Best, &mut Script).unwrap()
}

fn rendered(outcomes: &Outcomes) -> String {
    let mut text = String::new();
    for e in &outcomes.log {
        writeln!(
            text,
            "{:>10} {:>10} order {:>2} {:<14} {:<3} {:>6} lots {:>3} leaves {:>3} {:<5} {:?}",
            e.exch_ns,
            e.local_ns,
            e.order_id,
            format!("{:?}", e.kind),
            format!("{:?}", e.side),
            e.price,
            e.qty,
            e.leaves,
            format!("{:?}", e.liquidity),
            e.reason
        )
        .unwrap();
    }
    for (name, value) in outcomes.ledger.totals() {
        writeln!(text, "{name} = {value}").unwrap();
    }
    writeln!(text, "digest = {}", outcomes.digest).unwrap();
    text
}

#[test]
fn short_replay_gives_the_committed_log_and_ledger() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/short_replay.txt");
    let found = rendered(&run());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        expected, found,
        "results changed: explain the change, or run with UPDATE_GOLDEN=1"
    );
}
