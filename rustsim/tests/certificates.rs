//! Bounds of queue positions hold at every moment and for every model, message by message. A failing seed is printed by the assertion.

use rustsim::gateway::ExecutionGateway;
use rustsim::queue::{Mode, QueueDecay, QueueSpec};
use rustsim::rng::philox4x64_10;
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::types::{
    FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_LEVEL, KIND_TRADE, OrderRequest, OrderType, Side, TakePolicy,
    Tick, TimeInForce,
};

const SEEDS: u64 = 300;
const STEPS: u64 = 120;

fn below(seed: u64, step: u64, which: u64, bound: u64) -> u64 {
    philox4x64_10([step, which, 0, 0], [seed, 77])[0] % bound
}

fn small(value: u64) -> i32 {
    i32::try_from(value).expect("a small number")
}

/// One message near the spread; several share a time, so prints may come after the decrease that they explain.
fn random_row(step: u64, draw: impl Fn(u64, u64) -> u64) -> Tick {
    let side = [Side::Bid, Side::Ask][usize::try_from(draw(0, 2)).expect("0 or 1")];
    let depth = small(draw(1, 2));
    let now = i64::try_from(step / 3 + 1).expect("small");
    let (kind, qty, flags) = match draw(2, 10) {
        0..=2 => (KIND_TRADE, 1 + small(draw(3, 9)), 0),
        3 => (KIND_LEVEL, 0, FLAG_OUT_OF_VIEW),
        _ => (KIND_LEVEL, small(draw(3, 40)), 0),
    };
    Tick {
        exch_ns: now,
        local_ns: now,
        price: if side == Side::Bid {
            99 - depth
        } else {
            101 + depth
        },
        qty,
        kind,
        side: side as u8,
        flags: flags | FLAG_LAST,
        ..Tick::default()
    }
}

#[test]
fn every_position_lies_within_its_bounds_at_every_moment() {
    let mut apart = 0_u32;
    let models = QueueDecay::NAMES.iter().filter(|name| **name != "l3");
    for (seed, model) in (0..SEEDS).flat_map(|seed| models.clone().map(move |name| (seed, name))) {
        let mode = if seed % 2 == 0 {
            Mode::Expected
        } else {
            Mode::Sampled
        };
        let spec = SimSpec {
            queue: QueueSpec {
                model: (*model).to_owned(),
                mode,
                ..QueueSpec::default()
            },
            certificates: true,
            seed,
            ..SimSpec::default()
        };
        let mut exchange =
            SimulatedExchange::new(spec, (95, 105), RunOptions::default()).expect("a good spec");
        let mut placed = 0;
        for step in 0..STEPS {
            let draw = |which, bound| below(seed, step, which, bound);
            let row = random_row(step, draw);
            exchange.on_tick(&[row]).expect("a good row");
            if draw(4, 4) == 0 {
                exchange.host_mut().place_order(OrderRequest {
                    side: if row.side == 0 { Side::Bid } else { Side::Ask },
                    price: row.price,
                    qty: 1 + i64::from(small(draw(5, 5))),
                    order_type: OrderType::Limit,
                    time_in_force: TimeInForce::Rod,
                    take_policy: TakePolicy::PostOnly,
                    session: 0,
                });
                placed += 1;
            } else if placed > 0 && draw(4, 4) == 1 {
                exchange.host_mut().cancel_order(1 + draw(5, placed), 0);
            }
            exchange.advance_to(row.exch_ns).expect("time runs on");
            for id in 1..=placed {
                let (Some(ahead), Some((low, high))) =
                    (exchange.queue_ahead(id), exchange.queue_ahead_range(id))
                else {
                    continue;
                };
                let range = f64::from(small(u64::try_from(low).expect("no less than 0")))
                    ..=f64::from(small(u64::try_from(high).expect("no less than 0")));
                assert!(
                    range.contains(&ahead),
                    "seed {seed}, {model}, step {step}, order {id}: {ahead} is not in {range:?}"
                );
                apart += u32::from(low < high);
            }
        }
        // The account checks certain <= filled <= possible <= rested for every order.
        exchange
            .finish()
            .unwrap_or_else(|error| panic!("seed {seed}, {model}: {error}"));
    }
    assert!(apart > 1_000, "the bounds differ {apart} times only");
}
