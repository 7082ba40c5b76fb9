//! Worked examples of simulation-physics 10, and accounts of random fills.

use super::*;
use crate::types::{AHEAD_ONE, EventKind, Reason};
use proptest::prelude::*;

const SECOND: Nanos = 1_000_000_000;

fn schedule() -> FeeSchedule {
    FeeSchedule {
        commission_per_lot_minor: 20,
        tax_rate_e9: 20_000,
        grain: Grain::Fill,
        ..FeeSchedule::default()
    }
}

pub(super) fn fill(
    exch_ns: Nanos,
    signed_lots: Lots,
    price: TickIndex,
    liquidity: Liquidity,
) -> FillInput {
    FillInput {
        exch_ns,
        local_ns: exch_ns,
        order_id: 1,
        side: if signed_lots > 0 {
            Side::Bid
        } else {
            Side::Ask
        },
        price,
        lots: signed_lots.abs(),
        liquidity,
        ahead_units: 0,
        ahead_front_lots: -1,
        ahead_back_lots: -1,
        certain_lots: 0,
        arrival_ns: exch_ns,
        ahead_at_arrival_units: 0,
        cause_lots: 0,
        cause_row: -1,
        is_short_print: false,
        is_beyond_best: false,
        is_first_fill: false,
    }
}

/// Signed lots, price, liquidity, mid2; then the expected fee, position, cash, equity, FIFO and average result (times 3).
const WORKED: [(Lots, TickIndex, Liquidity, i64, [i64; 6]); 5] = [
    (
        2,
        18_000,
        Liquidity::Maker,
        36_001,
        [184, 2, -7_200_000, 16, 0, 0],
    ),
    (
        1,
        18_002,
        Liquidity::Taker,
        36_003,
        [92, 3, -10_800_400, 224, 0, 0],
    ),
    (
        -2,
        18_005,
        Liquidity::Maker,
        36_009,
        [184, 1, -3_598_400, 2_040, 2_000, 5_200],
    ),
    (
        -3,
        18_001,
        Liquidity::Taker,
        36_003,
        [276, -2, 7_202_200, 864, 1_800, 5_400],
    ),
    (
        2,
        17_998,
        Liquidity::Maker,
        35_997,
        [184, 0, 3_000, 2_080, 3_000, 9_000],
    ),
];

fn worked_ledger() -> ShadowLedger {
    let mut ledger = ShadowLedger::new(200, schedule(), 10);
    for (row, (signed_lots, price, liquidity, mid2, expected)) in (0..).zip(WORKED) {
        let [fee, position, cash, equity, fifo, average_x3] = expected;
        ledger.on_mark(row * SECOND, mid2).unwrap();
        ledger
            .on_fill(&fill(row * SECOND + 1, signed_lots, price, liquidity))
            .unwrap();
        let record = ledger.fills().last().unwrap();
        assert_eq!(record.fee + record.tax, fee, "row {row}");
        assert_eq!(ledger.position(), position, "row {row}");
        assert_eq!(ledger.cash(), cash, "row {row}");
        assert_eq!(ledger.equity2(), 2 * equity, "row {row}");
        assert_eq!(ledger.realised_fifo(), fifo, "row {row}");
        let (numerator, denominator) = ledger.realised_average();
        assert_eq!(
            numerator * 3,
            i128::from(average_x3) * denominator,
            "row {row}"
        );
    }
    ledger.finish(5 * SECOND).unwrap();
    ledger
}

#[test]
fn the_worked_example_is_reproduced_row_by_row() {
    let ledger = worked_ledger();
    assert_eq!(ledger.fees_total() + ledger.tax_total(), 920);
    assert_eq!(ledger.equity2(), 2 * 2_080);
    assert_eq!(ledger.spread_capture2(), 2 * 200);
    assert_eq!(ledger.inventory2(), 2 * 2_800);
}

#[test]
fn spread_and_inventory_are_the_worked_terms() {
    let mut ledger = ShadowLedger::new(200, schedule(), 0);
    // Twice the sums so far, in ticks times lots: 1 - 0.5 + 1 - 1.5 + 1, and 2 * 1 + 3 * 3 - 1 * 3 + 2 * 3.
    let sums = [(2, 0), (1, 4), (3, 22), (0, 16), (2, 28)];
    for ((row, (signed_lots, price, liquidity, mid2, _)), (spread2, inventory2)) in
        (0..).zip(WORKED).zip(sums)
    {
        ledger.on_mark(row * SECOND, mid2).unwrap();
        ledger
            .on_fill(&fill(row * SECOND + 1, signed_lots, price, liquidity))
            .unwrap();
        assert_eq!(ledger.spread_capture2(), spread2 * 200, "row {row}");
        assert_eq!(ledger.inventory2(), inventory2 * 200, "row {row}");
    }
}

#[test]
fn average_cost_carries_the_third_of_a_unit() {
    let mut ledger = ShadowLedger::new(200, schedule(), 0);
    for (row, (signed_lots, price, liquidity, ..)) in (0..).zip(WORKED).take(3) {
        ledger
            .on_fill(&fill(row, signed_lots, price, liquidity))
            .unwrap();
    }
    assert_eq!(ledger.realised_average(), (5_200, 3));
}

#[test]
fn a_fill_before_any_mid_is_marked_at_its_own_price() {
    let mut ledger = ShadowLedger::new(200, FeeSchedule::default(), 10);
    ledger.on_fill(&fill(5, 3, 100, Liquidity::Taker)).unwrap();
    assert_eq!((ledger.equity2(), ledger.spread_capture2()), (0, 0));
    ledger.on_mark(6, 203).unwrap();
    assert_eq!(ledger.equity2(), 3 * 3 * 200);
    ledger.finish(7).unwrap();
    assert_eq!(ledger.inventory2(), 3 * 3 * 200);
}

#[test]
fn the_mean_inventory_weighs_time_from_the_first_mid_to_the_end() {
    let mut ledger = ShadowLedger::new(1, FeeSchedule::default(), 10);
    ledger.on_mark(0, 200).unwrap();
    ledger.on_fill(&fill(4, -2, 100, Liquidity::Taker)).unwrap();
    ledger.on_fill(&fill(7, 5, 100, Liquidity::Taker)).unwrap();
    ledger.finish(8).unwrap();
    let metrics: std::collections::HashMap<_, _> = ledger.metrics().into_iter().collect();
    assert!((metrics["inventory_mean_lots"] - (2.0 * 3.0 + 3.0) / 8.0).abs() < 1e-12);
    assert!((metrics["inventory_max_lots"] - 3.0).abs() < 1e-12);
}

#[test]
fn queue_figures_come_from_makers_with_a_known_place() {
    let mut ledger = ShadowLedger::new(1, FeeSchedule::default(), 10);
    let maker = |lots, ahead_lots: i64, cause_lots, is_first_fill| FillInput {
        ahead_units: ahead_lots * AHEAD_ONE,
        ahead_at_arrival_units: 10 * AHEAD_ONE,
        arrival_ns: 0,
        cause_lots,
        cause_row: cause_lots,
        is_first_fill,
        ..fill(2 * SECOND, lots, 100, Liquidity::Maker)
    };
    ledger.on_fill(&maker(1, 3, 4, true)).unwrap();
    ledger.on_fill(&maker(1, 0, 10, false)).unwrap();
    ledger
        .on_fill(&FillInput {
            ahead_units: -1,
            ..maker(1, 0, 0, false)
        })
        .unwrap();
    ledger.finish(3 * SECOND).unwrap();
    let metrics: std::collections::HashMap<_, _> = ledger.metrics().into_iter().collect();
    for (name, expected) in [
        ("opi_at_arrival_mean_lots", 10.0),
        ("opi_at_fill_mean_lots", 1.5),
        ("queue_time_mean_s", 2.0),
        ("own_share_p95", 0.25),
        ("maker_share", 1.0),
    ] {
        assert!(
            (metrics[name] - expected).abs() < 1e-12,
            "{name}: {}",
            metrics[name]
        );
    }
}

#[test]
fn amends_that_add_lots_count_as_lots_that_reached_the_engine() {
    let event = |kind, qty, leaves, reason| OrderEvent {
        kind,
        order_id: 1,
        exch_ns: 0,
        local_ns: 0,
        side: Side::Bid,
        price: 100,
        qty,
        leaves,
        liquidity: Liquidity::Maker,
        reason,
    };
    let mut ledger = ShadowLedger::new(1, FeeSchedule::default(), 0);
    ledger.on_request(RequestKind::Place);
    for event in [
        event(EventKind::Accepted, 5, 5, Reason::None),
        event(EventKind::Amended, 3, 3, Reason::None),
        event(EventKind::Amended, 7, 7, Reason::None),
        event(EventKind::Cancelled, 7, 0, Reason::None),
        event(EventKind::CancelRejected, 7, 0, Reason::TooLate),
    ] {
        ledger.on_order_event(&event);
    }
    let totals: std::collections::HashMap<_, _> = ledger.totals().into_iter().collect();
    let expected = [
        ("accepted_lots", 9),
        ("amended", 2),
        ("cancelled", 1),
        ("cancel_rejected_too_late", 1),
        ("orders_sent", 1),
    ];
    for (name, count) in expected {
        assert_eq!(totals[name], count, "{name}");
    }
}

#[test]
fn an_amount_that_does_not_fit_stops_at_its_event() {
    let mut ledger = ShadowLedger::new(i64::MAX / 4, FeeSchedule::default(), 0);
    let error = ledger
        .on_fill(&FillInput {
            order_id: 9,
            ..fill(77, 3, 100, Liquidity::Taker)
        })
        .unwrap_err();
    assert_eq!(
        error,
        Error::Ledger(
            "fill of 3 lots at 100 of order 9 at 77 ns: an amount does not fit 64 bits".to_owned()
        )
    );
}

#[test]
fn the_names_of_totals_and_metrics_are_unique() {
    let ledger = worked_ledger();
    let totals: std::collections::BTreeSet<_> =
        ledger.totals().into_iter().map(|(name, _)| name).collect();
    let metrics: std::collections::BTreeSet<_> =
        ledger.metrics().into_iter().map(|(name, _)| name).collect();
    assert_eq!(totals.len(), ledger.totals().len());
    assert_eq!(metrics.len(), ledger.metrics().len());
}

proptest! {
    #[test]
    fn every_identity_holds_for_random_fills_and_marks(
        steps in proptest::collection::vec((-9_i64..=9, -50_i32..=50, -100_i64..=100, 0_i64..3 * SECOND), 0..200),
    ) {
        let mut ledger = ShadowLedger::new(7, FeeSchedule { maker_rate_e9: -3_000_000, ..schedule() }, 16);
        let mut now = 0;
        let mut deepest = 0;
        let mut peak = 0;
        for (signed_lots, price, mid2, wait) in steps {
            now += wait;
            if signed_lots == 0 {
                ledger.on_mark(now, mid2).unwrap();
            } else {
                ledger.on_fill(&fill(now, signed_lots, price, Liquidity::Maker)).unwrap();
            }
            peak = peak.max(ledger.equity2());
            deepest = deepest.max(peak - ledger.equity2());
        }
        ledger.finish(now).unwrap();
        prop_assert_eq!(ledger.drawdown2(), deepest);
        prop_assert_eq!(ledger.spread_capture2() + ledger.inventory2() - 2 * (ledger.fees_total() + ledger.tax_total()), ledger.equity2());
        prop_assert!(ledger.equity_samples().len() <= 16);
    }
}
