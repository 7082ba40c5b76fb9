//! The synthetic market held against its own orders: queues, images, determinism, limits.

use proptest::prelude::*;
use rustsim::synthetic::{
    ACTION_ADD, ACTION_CANCEL, ACTION_EXECUTE, LotsTable, Mode, OrderRow, SyntheticMarket,
    SyntheticOptions, generate,
};
use rustsim::tape::validate::Validator;
use rustsim::tape::view::scan_book;
use rustsim::types::{FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Side, Tick};
use std::collections::{BTreeMap, VecDeque};
use xxhash_rust::xxh3::Xxh3;

fn options(mode: Mode) -> SyntheticOptions {
    SyntheticOptions {
        mode,
        events: 20_000,
        seed: 5,
        start_ns: 1_767_573_900_000_000_000,
        session_minutes: 0,
        mid_ticks: 20_000,
        mean_gap_us: 12_000.0,
        trade_share: 0.05,
        burstiness: 0.9,
        trade_burstiness: 0.6,
        cluster_gaps: 1.5,
        cluster_scales: 1,
        trade_cluster_gaps: 0.15,
        trade_cluster_scales: 1,
        sign_persistence: 0.7,
        sign_decay: 1.3,
        amend_share: 0.0,
        stale_ticks: 0.6,
        inside_share: 0.07,
        refill_share: 0.7,
        levels: 14,
        activity_decay: 0.0,
        activity_levels: 1.0,
        round_ticks: 0,
        round_lots: 1.0,
        selective_share: 0.0,
        limit_lots: LotsTable::default(),
        market_lots: LotsTable::default(),
        cancel_back_bias: 3.3,
        volatility_ticks: 2.0,
        impact_ticks: 0.8,
        half_spread_ticks: 1.6,
        level_lots: 5,
        lots_tail: 2.1,
        lots_max: 50,
        conflate_us: 0,
    }
}

fn market(options: &SyntheticOptions) -> SyntheticMarket {
    generate(options).expect("the options are within bounds")
}

/// The obvious book: first in, first out, one deque per price.
#[derive(Default)]
struct PlainBook {
    queues: [BTreeMap<i32, VecDeque<(u64, i32)>>; 2],
}

impl PlainBook {
    fn apply(&mut self, row: &OrderRow) {
        let side = &mut self.queues[row.side as usize];
        let queue = side.entry(row.price).or_default();
        match row.action {
            ACTION_ADD => queue.push_back((row.order_id, row.qty)),
            ACTION_CANCEL => {
                let place = queue
                    .iter()
                    .position(|order| order.0 == row.order_id)
                    .expect("it rests");
                assert_eq!(
                    queue.remove(place),
                    Some((row.order_id, row.qty)),
                    "cancelled whole"
                );
            }
            ACTION_EXECUTE => {
                let front = queue.front_mut().expect("somebody rests");
                assert_eq!(front.0, row.order_id, "only the front of the queue trades");
                assert!(row.qty >= 1 && row.qty <= front.1, "never more than rests");
                front.1 -= row.qty;
                if front.1 == 0 {
                    queue.pop_front();
                }
            }
            other => panic!("action {other}"),
        }
        if side[&row.price].is_empty() {
            side.remove(&row.price);
        }
    }

    fn lots(&self, side: Side, price: i32) -> i32 {
        self.queues[side as usize]
            .get(&price)
            .map_or(0, |queue| queue.iter().map(|order| order.1).sum())
    }

    fn best(&self) -> (Option<i32>, Option<i32>) {
        let bid = self.queues[0].last_key_value().map(|entry| *entry.0);
        (bid, self.queues[1].first_key_value().map(|entry| *entry.0))
    }
}

#[test]
fn executions_hit_the_front_and_the_book_is_never_crossed_or_one_sided() {
    let rows = market(&options(Mode::L3)).orders;
    let mut book = PlainBook::default();
    let mut filled = false;
    for row in &rows {
        book.apply(row);
        if let (Some(bid), Some(ask)) = book.best() {
            filled = true;
            assert!(bid < ask, "crossed at {row:?}");
        } else {
            assert!(!filled, "a side is empty at {row:?}");
        }
    }
    let count = |action| rows.iter().filter(|row| row.action == action).count();
    assert!(count(ACTION_EXECUTE) > 500 && count(ACTION_CANCEL) > 5_000);
}

// Goal: the level rows are the sums of the orders, at every row, and prints are the executions.
#[test]
fn level_rows_are_the_sums_of_the_orders() {
    let orders = market(&options(Mode::L3)).orders;
    let ticks = market(&options(Mode::L2)).ticks;
    let start = options(Mode::L3).start_ns;
    let mut book = PlainBook::default();
    let (first, rest) = orders.split_at(orders.partition_point(|row| row.exch_ns == start));
    for row in first {
        book.apply(row);
    }
    let (image, told) = ticks.split_at(ticks.partition_point(|row| row.exch_ns == start));
    for row in image.iter().filter(|row| row.kind == KIND_LEVEL) {
        assert_eq!(book.lots(side_of(row), row.price), row.qty);
    }
    let mut rest = rest.iter();
    let mut after_print = false;
    for (at, row) in told.iter().enumerate() {
        let mut left = if row.kind == KIND_TRADE {
            row.qty
        } else {
            i32::from(!after_print)
        };
        while left > 0 {
            let Some(order) = rest.next() else {
                assert!(at > 15_000, "only {at} rows were compared");
                return;
            };
            book.apply(order);
            assert_eq!(
                (order.side, order.price, order.exch_ns),
                (side_of(row), row.price, row.exch_ns)
            );
            assert_eq!(order.action == ACTION_EXECUTE, row.kind == KIND_TRADE);
            left -= if row.kind == KIND_TRADE { order.qty } else { 1 };
        }
        assert_eq!(left, 0, "a print is the sum of its executions");
        if row.kind == KIND_LEVEL {
            assert_eq!(book.lots(side_of(row), row.price), row.qty, "row {at}");
        }
        after_print = row.kind == KIND_TRADE;
    }
}

fn side_of(row: &Tick) -> Side {
    Side::from_code(row.side).expect("a row has a side")
}

fn five_best(levels: &[BTreeMap<i32, i32>; 2]) -> [Vec<(i32, i32)>; 2] {
    let bids = levels[0]
        .iter()
        .rev()
        .take(5)
        .map(|(price, lots)| (*price, *lots))
        .collect();
    let asks = levels[1]
        .iter()
        .take(5)
        .map(|(price, lots)| (*price, *lots))
        .collect();
    [bids, asks]
}

fn apply(levels: &mut [BTreeMap<i32, i32>; 2], row: &Tick) {
    match row.kind {
        KIND_CLEAR => levels.iter_mut().for_each(BTreeMap::clear),
        KIND_LEVEL if row.qty == 0 => {
            levels[usize::from(row.side)].remove(&row.price);
        }
        KIND_LEVEL => {
            levels[usize::from(row.side)].insert(row.price, row.qty);
        }
        _ => {}
    }
}

// Goal: images taken after every event show exactly the five best levels of the full book.
#[test]
fn images_show_the_five_best_levels() {
    let full = market(&options(Mode::L2)).ticks;
    let images = market(&options(Mode::FiveLevel)).ticks;
    let mut book: [BTreeMap<i32, i32>; 2] = Default::default();
    let mut shown = book.clone();
    let mut seen = full.iter().peekable();
    let mut compared = 0;
    for group in images.chunk_by(|a, b| a.exch_ns == b.exch_ns) {
        for row in group {
            apply(&mut shown, row);
        }
        // Images carry whole milliseconds: take every event of that millisecond.
        let end = group[0].exch_ns + 1_000_000;
        while let Some(row) = seen.next_if(|row| row.exch_ns < end) {
            apply(&mut book, row);
        }
        if seen.peek().is_none() {
            break;
        }
        assert_eq!(five_best(&shown), five_best(&book));
        compared += 1;
    }
    assert!(compared > 1_000, "{compared} images");
}

#[test]
fn conflated_images_come_on_the_grid_and_mark_what_leaves_the_view() {
    let wanted = SyntheticOptions {
        conflate_us: 125_000,
        session_minutes: 3,
        ..options(Mode::FiveLevel)
    };
    let made = market(&wanted);
    assert!(made.session_starts.len() > 2);
    for row in made.ticks.iter().filter(|row| row.kind == KIND_LEVEL) {
        assert_eq!((row.exch_ns - wanted.start_ns) % 125_000_000, 0);
    }
    for start in &made.session_starts {
        assert_eq!(
            made.ticks[*start].kind, KIND_CLEAR,
            "a session stands alone"
        );
    }
    let scan = scan_book(&made.ticks, 5, false);
    let flagged: Vec<usize> = made
        .ticks
        .iter()
        .enumerate()
        .filter(|(_, row)| row.flags & FLAG_OUT_OF_VIEW != 0)
        .map(|(index, _)| index)
        .collect();
    assert_eq!(scan.out_of_view, flagged);
    assert!(!flagged.is_empty());
    assert_eq!(
        (scan.crossed_groups, scan.locked_groups, scan.levels_max),
        (0, 0, 5)
    );
}

#[test]
fn cancels_come_from_the_back_as_asked() {
    let deep = SyntheticOptions {
        level_lots: 200,
        events: 60_000,
        lots_max: 3,
        ..options(Mode::L3)
    };
    let mut book = PlainBook::default();
    let (mut last_tenth, mut first_tenth, mut count) = (0.0, 0.0, 0.0);
    for row in market(&deep).orders {
        if row.action == ACTION_CANCEL {
            let queue = &book.queues[row.side as usize][&row.price];
            if queue.len() >= 40 {
                let place = queue
                    .iter()
                    .position(|order| order.0 == row.order_id)
                    .expect("it rests");
                let from_front = (f64::from(u32::try_from(place).expect("small")) + 0.5)
                    / f64::from(u32::try_from(queue.len()).expect("small"));
                last_tenth += f64::from(u8::from(from_front > 0.9));
                first_tenth += f64::from(u8::from(from_front < 0.1));
                count += 1.0;
            }
        }
        book.apply(&row);
    }
    assert!(count > 2_000.0, "{count} cancels in long queues");
    // u^3.3 < 0.1 has the probability 0.1^(1/3.3) = 0.498, u^3.3 > 0.9 has 0.031.
    assert!(
        (last_tenth / count - 0.498_f64).abs() < 0.04,
        "{}",
        last_tenth / count
    );
    assert!(
        (first_tenth / count - 0.031_f64).abs() < 0.02,
        "{}",
        first_tenth / count
    );
}

fn digest(made: &SyntheticMarket) -> u128 {
    let mut hash = Xxh3::new();
    for row in made.ticks.iter().filter(|_| made.orders.is_empty()) {
        hash.update(&row.exch_ns.to_le_bytes());
        hash.update(&row.price.to_le_bytes());
        hash.update(&row.qty.to_le_bytes());
        hash.update(&[row.kind, row.side, row.flags]);
    }
    for row in &made.orders {
        hash.update(&row.exch_ns.to_le_bytes());
        hash.update(&row.order_id.to_le_bytes());
        hash.update(&row.price.to_le_bytes());
        hash.update(&row.qty.to_le_bytes());
        hash.update(&[row.action, row.side as u8]);
    }
    hash.digest128()
}

// Goal: equal options give equal bytes on every machine. If a change of the model is meant, set the new
// figures and raise SYNTHETIC_VERSION in sweep/readers/synthetic.py, so that cached tapes are made anew.
#[test]
fn bytes_are_those_of_version_1() {
    let conflated = SyntheticOptions {
        conflate_us: 125_000,
        ..options(Mode::FiveLevel)
    };
    let found =
        [options(Mode::L2), options(Mode::L3), conflated].map(|wanted| digest(&market(&wanted)));
    let expected: [u128; 3] = [
        0xaede_9a5b_a0e6_11b7_655d_97d9_6f34_e2da,
        0x0468_49ee_eb43_270b_50cb_75cc_b422_4448,
        0x9dcb_dfeb_2af3_6d9d_0f4e_2751_5f12_68b5,
    ];
    assert_eq!(found, expected, "{found:#034x?}");
}

#[test]
fn rows_of_single_orders_tell_the_same_as_the_orders() {
    let wanted = SyntheticOptions {
        session_minutes: 1,
        amend_share: 0.3,
        ..options(Mode::L3)
    };
    let made = market(&wanted);
    assert!(made.session_starts.len() > 2);
    let mut orders = made.orders.iter();
    let mut joins: BTreeMap<u64, u32> = BTreeMap::new();
    let mut book = PlainBook::default();
    let mut retold = 0;
    for (ordinal, row) in made.ticks.iter().enumerate() {
        let join = u32::try_from(ordinal + 1).expect("a small market");
        if row.kind == KIND_CLEAR {
            // What stands is told again, queue by queue: as many rows as there are orders.
            retold = book
                .queues
                .iter()
                .flat_map(BTreeMap::values)
                .flatten()
                .count();
            joins.clear();
            continue;
        }
        if retold > 0 {
            retold -= 1;
            let queue = &book.queues[usize::from(row.side)][&row.price];
            let known = queue.iter().find(|order| !joins.contains_key(&order.0));
            joins.insert(known.expect("not told twice").0, join);
            continue;
        }
        let order = orders.next().expect("one row per order event");
        book.apply(order);
        assert_eq!((row.exch_ns, row.price), (order.exch_ns, order.price));
        let lots: i32 = book.queues[usize::from(row.side)]
            .get(&row.price)
            .map_or(0, |queue| queue.iter().map(|order| order.1).sum());
        match order.action {
            ACTION_ADD => {
                assert_eq!((row.kind, row.qty, row.join), (KIND_LEVEL, lots, 0));
                joins.insert(order.order_id, join);
            }
            ACTION_CANCEL => assert_eq!(
                (row.kind, row.qty, row.join),
                (KIND_LEVEL, lots, joins[&order.order_id])
            ),
            _ => assert_eq!(
                (row.kind, row.qty, row.join),
                (KIND_TRADE, order.qty, joins[&order.order_id])
            ),
        }
    }
    assert!(orders.next().is_none());
}

#[test]
fn measured_sizes_come_with_their_shares() {
    let table = |text: &str| LotsTable::try_from(text.to_owned()).expect("well formed");
    let wanted = SyntheticOptions {
        limit_lots: table("2:1 7:3"),
        market_lots: table("1:1"),
        ..options(Mode::L3)
    };
    let made = market(&wanted);
    let adds = made.orders.iter().filter(|row| row.action == ACTION_ADD);
    let sizes: Vec<i32> = adds.map(|row| row.qty).collect();
    assert!(sizes.iter().all(|lots| [2, 7].contains(lots)));
    let sevens = sizes.iter().filter(|lots| **lots == 7).count();
    assert!(
        (sevens * 100 / sizes.len()).abs_diff(75) <= 2,
        "{sevens} of {}",
        sizes.len()
    );
    let mut fills = made
        .orders
        .iter()
        .filter(|row| row.action == ACTION_EXECUTE);
    assert!(fills.all(|row| row.qty == 1));
}

#[test]
fn seed_changes_the_market() {
    let other = SyntheticOptions {
        seed: 6,
        ..options(Mode::L2)
    };
    assert_ne!(digest(&market(&other)), digest(&market(&options(Mode::L2))));
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let good = r#"{"mode": "l2", "events": 10, "seed": 1, "start_ns": 0, "session_minutes": 0, "mid_ticks": 20000,
        "mean_gap_us": 1000, "trade_share": 0.1, "burstiness": 0.5, "trade_burstiness": 0.5, "sign_persistence": 0.5,
        "cluster_gaps": 1, "cluster_scales": 1, "trade_cluster_gaps": 1, "trade_cluster_scales": 1, "sign_decay": 1,
        "amend_share": 0, "stale_ticks": 0, "inside_share": 0, "refill_share": 0, "levels": 9, "activity_decay": 0,
        "activity_levels": 1, "round_ticks": 0, "round_lots": 1, "selective_share": 0,
        "limit_lots": "1:0.5 3:0.5", "market_lots": "",
        "cancel_back_bias": 3, "volatility_ticks": 1, "impact_ticks": 1, "half_spread_ticks": 1, "level_lots": 5,
        "lots_tail": 2, "lots_max": 9, "conflate_us": 0}"#;
    SyntheticOptions::from_json(good).expect("all within bounds");
    let table = [
        ("\"events\": 10", "\"events\": 0", "events"),
        ("\"start_ns\": 0", "\"start_ns\": 1", "start_ns"),
        ("\"start_ns\": 0", "\"start_ns\": -1000000", "start_ns"),
        ("\"mean_gap_us\": 1000", "\"mean_gap_us\": 0", "mean_gap_us"),
        ("\"burstiness\": 0.5", "\"burstiness\": 1.0", "burstiness"),
        ("\"lots_max\": 9", "\"lots_max\": 0", "lots_max"),
        ("\"conflate_us\": 0", "\"conflate_us\": 1500", "conflate_us"),
        ("\"1:0.5 3:0.5\"", "\"3:0.5 1:0.5\"", "lots must rise"),
        ("\"1:0.5 3:0.5\"", "\"1:0\"", "lots:share"),
        ("\"1:0.5 3:0.5\"", "\"1000001:1\"", "lots:share"),
        ("\"mode\": \"l2\"", "\"mode\": \"l4\"", "l4"),
        ("\"seed\": 1", "\"sead\": 1", "sead"),
    ];
    for (from, to, word) in table {
        let fault = SyntheticOptions::from_json(&good.replace(from, to))
            .expect_err(to)
            .to_string();
        assert!(fault.contains(word), "{to}: {fault}");
    }
}

#[test]
fn market_past_the_last_time_of_a_tape_is_refused() {
    let slow = SyntheticOptions {
        mean_gap_us: 1e8,
        session_minutes: 1,
        start_ns: 3_999_999_999_999_000_000,
        events: 1_000_000_000,
        ..options(Mode::L2)
    };
    assert!(generate(&slow).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    // Goal: whatever is asked for within bounds gives rows that a tape takes, never crossed, never one-sided.
    #[test]
    fn any_options_within_bounds_give_a_sound_market(
        seed in any::<u64>(),
        five_level in any::<bool>(),
        mean_gap_us in 0.01_f64..1e8,
        shape in (0.0_f64..0.5, 0.0_f64..0.95, 0.0_f64..0.9, 0.0_f64..0.95),
        cancel_back_bias in 0.1_f64..20.0,
        value in (0.0_f64..1_000.0, 0.0_f64..100.0, 0.0_f64..100.0),
        clusters in (1e-3_f64..1e5, 1_u32..=10, 1e-3_f64..1e5, 1_u32..=10),
        placing in (-5.0_f64..100.0, 0.0_f64..1.0, 0.0_f64..1.0, 2_u32..500, 0.0_f64..5.0, 0.0_f64..1.0),
        sign_decay in 0.5_f64..5.0,
        crowds in (0.01_f64..1_000.0, 0_u32..60, 1.0_f64..100.0, 0.0_f64..1.0),
        sizes in (1_u32..60, 1.1_f64..20.0, 1_u32..1_000),
        session_minutes in 0_u32..100,
    ) {
        let wanted = SyntheticOptions {
            mode: if five_level { Mode::FiveLevel } else { Mode::L2 },
            events: 1_500,
            seed,
            session_minutes,
            mean_gap_us,
            trade_share: shape.0,
            burstiness: shape.1,
            trade_burstiness: shape.2,
            sign_persistence: shape.3,
            cancel_back_bias,
            volatility_ticks: value.0,
            impact_ticks: value.1,
            half_spread_ticks: value.2,
            level_lots: sizes.0,
            lots_tail: sizes.1,
            lots_max: sizes.2,
            conflate_us: 125_000,
            mid_ticks: 1_000,
            cluster_gaps: clusters.0,
            cluster_scales: clusters.1,
            trade_cluster_gaps: clusters.2,
            trade_cluster_scales: clusters.3,
            stale_ticks: placing.0,
            inside_share: placing.1,
            refill_share: placing.2,
            levels: placing.3,
            activity_decay: placing.4,
            amend_share: placing.5,
            sign_decay,
            activity_levels: crowds.0,
            round_ticks: crowds.1,
            round_lots: crowds.2,
            selective_share: crowds.3,
            ..options(Mode::L2)
        };
        let made = market(&wanted);
        let mut validator = Validator::new(false);
        for (row, tick) in made.ticks.iter().enumerate() {
            prop_assert!(validator.push(tick).is_ok(), "row {row}: {tick:?}");
            prop_assert!(tick.kind == KIND_CLEAR || tick.price > 0);
        }
        let scan = scan_book(&made.ticks, 5, false);
        prop_assert_eq!(scan.crossed_groups + scan.locked_groups, 0);
        prop_assert!(scan.best.iter().all(|best| best.bid_lots > 0 && best.ask_lots > 0));
        prop_assert_eq!(made.session_starts[0], 0);
    }
}
