//! What may not change when sizes are scaled, sides are swapped, or days are put together. A failing seed is printed by the assertion.

use crate::venue::{Draws, SECOND, Venue};
use rustsim::sim::Outcomes;
use rustsim::types::{Lots, Nanos, OrderId, Side, TickIndex};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 300;

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Level,
    Trade,
    Order,
}

/// One step of a script; level 0 of a side is its best one.
#[derive(Clone, Copy)]
struct Step {
    what: What,
    at: Nanos,
    side: Side,
    level: i32,
    lots: i32,
}

/// Market rows and own orders on two levels a side.
fn script(seed: u64) -> Vec<Step> {
    let mut draws = Draws::new(seed);
    let mut sizes = [[0; 2]; 2];
    let mut steps = Vec::new();
    for side in [Side::Bid, Side::Ask] {
        for level in [0, 1] {
            let lots = 5 + draws.below(26);
            sizes[side as usize][usize::from(level == 1)] = lots;
            steps.push(Step {
                what: What::Level,
                at: 0,
                side,
                level,
                lots,
            });
        }
    }
    let mut at = 0;
    for _ in 0..80 {
        at += 1 + Nanos::from(draws.below(2_000_000_000));
        let side = [Side::Bid, Side::Ask][usize::from(draws.below(2) == 1)];
        let deep = draws.below(2) == 1;
        let kind = draws.below(5);
        let size = &mut sizes[side as usize][usize::from(deep && kind != 1)];
        let (what, lots) = match kind {
            0 => (What::Order, 1 + draws.below(5)),
            1 if *size > 0 => {
                let lots = 1 + draws.below(12);
                *size = (*size - lots).max(0);
                (What::Trade, lots)
            }
            3 | 4 if *size > 1 => {
                *size -= 1 + draws.below(*size - 1);
                (What::Level, *size)
            }
            _ => {
                *size += 1 + draws.below(10);
                (What::Level, *size)
            }
        };
        let level = i32::from(deep && kind != 1);
        steps.push(Step {
            what,
            at,
            side,
            level,
            lots,
        });
    }
    steps
}

fn price(side: Side, level: i32) -> TickIndex {
    match side {
        Side::Bid => 100 - level,
        Side::Ask => 101 + level,
    }
}

fn play(venue: &mut Venue, steps: &[Step], start: Nanos, scale: i32, is_mirrored: bool) {
    for step in steps {
        let (at, lots) = (step.at + start, step.lots * scale);
        let (side, price) = if is_mirrored {
            (step.side.opposite(), -price(step.side, step.level))
        } else {
            (step.side, price(step.side, step.level))
        };
        match step.what {
            What::Level => drop(venue.level(at, side, price, lots)),
            What::Trade => drop(venue.trade(at, side, price, lots)),
            What::Order => {
                venue.advance(at);
                venue.post(side, price, Lots::from(lots));
                venue.advance(at);
            }
        }
    }
}

fn outcomes(steps: &[Step], queue: &str, scale: i32, is_mirrored: bool) -> Outcomes {
    let mut venue = Venue::new(&json!({"queue": {"model": queue}}));
    play(&mut venue, steps, 0, scale, is_mirrored);
    venue.finish()
}

fn story(outcomes: &Outcomes) -> Vec<(Nanos, OrderId, Lots)> {
    let fills = outcomes.ledger.fills().iter();
    fills
        .map(|record| (record.fill.exch_ns, record.fill.order_id, record.fill.lots))
        .collect()
}

fn by_order(outcomes: &Outcomes) -> BTreeMap<OrderId, Lots> {
    let mut lots = BTreeMap::new();
    for (_, order, filled) in story(outcomes) {
        *lots.entry(order).or_insert(0) += filled;
    }
    lots
}

#[test]
fn all_sizes_times_k_give_all_fills_times_k() {
    for queue in ["uniform", "power", "odds", "back", "front"] {
        let mut filled = 0;
        for seed in 0..SEEDS {
            // One own order a level: a second one would wait for what is left of the first.
            let mut seen = BTreeSet::new();
            let mut steps = script(seed);
            steps.retain(|step| {
                step.what != What::Order || seen.insert((step.side as u8, step.level))
            });
            let base = by_order(&outcomes(&steps, queue, 1, false));
            let scaled = by_order(&outcomes(&steps, queue, 4, false));
            for order in 1..=4 {
                let lots = |of: &BTreeMap<OrderId, Lots>| of.get(&order).copied().unwrap_or(0);
                let excess = lots(&scaled) - 4 * lots(&base);
                // Whole lots fill: what is left of one is up to three of the smaller ones.
                let most = if matches!(queue, "back" | "front") {
                    0
                } else {
                    3
                };
                assert!(
                    (0..=most).contains(&excess),
                    "{queue}, seed {seed}, order {order}"
                );
            }
            filled += base.values().sum::<Lots>();
        }
        assert!(filled > 300, "{queue}: only {filled} lots");
    }
}

#[test]
fn swapped_sides_and_negated_prices_give_equal_money() {
    for queue in ["uniform", "log2", "odds"] {
        let mut fills = 0;
        for seed in 0..SEEDS {
            let steps = script(seed);
            let (base, mirror) = (
                outcomes(&steps, queue, 1, false),
                outcomes(&steps, queue, 1, true),
            );
            assert_eq!(story(&base), story(&mirror), "{queue}, seed {seed}");
            let money = |of: &Outcomes| {
                let ledger = &of.ledger;
                (
                    ledger.equity2(),
                    ledger.spread_capture2(),
                    ledger.inventory2(),
                )
            };
            assert_eq!(money(&base), money(&mirror), "{queue}, seed {seed}");
            assert_eq!(base.ledger.position(), -mirror.ledger.position());
            fills += base.ledger.fills().len();
        }
        assert!(fills > 300, "{queue}: only {fills} fills");
    }
}

const DAY: Nanos = 86_400 * SECOND;
const LEVELS: [(Side, i32); 4] = [
    (Side::Bid, 0),
    (Side::Bid, 1),
    (Side::Ask, 0),
    (Side::Ask, 1),
];

/// Plays a script, ends with no orders and no position, and takes the book away.
fn trade_day(venue: &mut Venue, seed: u64, start: Nanos) {
    play(venue, &script(seed), start, 1, false);
    let close = start + DAY / 2;
    venue.advance(close);
    for order in 1..200 {
        venue.0.host_mut().cancel_order(order, 0);
    }
    venue.advance(close);
    for (side, level) in LEVELS {
        venue.level(close, side, price(side, level), 1_000);
    }
    let held = venue.0.host().position();
    if held != 0 {
        let side = if held > 0 { Side::Ask } else { Side::Bid };
        venue.take(side, price(side.opposite(), 0), held.abs());
        venue.advance(close);
    }
    assert_eq!(venue.0.host().position(), 0);
    for (side, level) in LEVELS {
        venue.level(close + 1, side, price(side, level), 0);
    }
}

#[test]
fn two_days_in_one_run_are_two_runs_if_the_night_is_flat() {
    let mut lots = 0;
    for seed in 0..SEEDS {
        let mut both = Venue::new(&json!({}));
        trade_day(&mut both, seed, 0);
        trade_day(&mut both, seed + SEEDS, DAY);
        let both: BTreeMap<_, _> = both.finish().ledger.totals().into_iter().collect();
        let parts = [(seed, 0), (seed + SEEDS, DAY)].map(|(seed, start)| {
            let mut venue = Venue::new(&json!({}));
            trade_day(&mut venue, seed, start);
            venue
                .finish()
                .ledger
                .totals()
                .into_iter()
                .collect::<BTreeMap<_, _>>()
        });
        for name in [
            "equity_minor_x2",
            "spread_capture_minor_x2",
            "lots",
            "turnover_minor",
        ] {
            assert_eq!(
                both[name],
                parts[0][name] + parts[1][name],
                "seed {seed}: {name}"
            );
        }
        lots += both["lots"];
    }
    assert!(lots > 300, "only {lots} lots");
}
