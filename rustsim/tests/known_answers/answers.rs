//! Worked numbers of queues, fills, channels and consumed liquidity.

use crate::venue::{SECOND, Venue, fills};
use rustsim::gateway::ExecutionGateway;
use rustsim::queue::{QueueDecay, QueueSpec};
use rustsim::types::{EventKind, Lots, Nanos, Side};
use serde_json::{Value, json};

#[test]
fn queue_models_place_a_cancel() {
    // 70 lots ahead, 50 behind, 24 cancelled: what is left ahead.
    for (queue, left) in [
        (json!({"model": "back"}), 70.0),
        (json!({"model": "uniform"}), 56.0),
        (json!({"model": "power", "n": 2}), 54.108_11),
        (json!({"model": "power", "n": 3}), 52.410_26),
        (json!({"model": "power2", "n": 2}), 50.166_67),
        (json!({"model": "power3", "n": 3}), 65.236_11),
        (json!({"model": "log"}), 57.515_50),
        (json!({"model": "log2"}), 65.676_38),
        (
            json!({"model": "odds", "alpha": -1.81, "beta": 0.59}),
            66.006_81,
        ),
    ] {
        let mut venue = Venue::new(&json!({"queue": queue}));
        venue.level(1, Side::Bid, 100, 70);
        let order = venue.place(Side::Bid, 100, 1, 0);
        venue.level(2, Side::Bid, 100, 120);
        venue.level(3, Side::Bid, 100, 96);
        let found = venue.ahead(order);
        assert!((found - left).abs() < 6e-6, "{queue}: {found}, not {left}");
    }
}

#[test]
fn a_trade_leaves_the_queue_before_the_depth_update_that_reflects_it() {
    let mut venue = Venue::new(&json!({"queue": {"model": "uniform"}}));
    venue.level(1, Side::Bid, 100, 50);
    let order = venue.place(Side::Bid, 100, 1, 0);
    venue.level(2, Side::Bid, 100, 100);
    venue.trade(3, Side::Bid, 100, 30);
    assert!((venue.ahead(order) - 20.0).abs() < 1e-12);
    venue.level(4, Side::Bid, 100, 60);
    // 10 of 70 remaining lots cancelled; with the stale 80 behind it would be 18.
    assert!((venue.ahead(order) - 17.142_857).abs() < 1e-5);
    let uniform = QueueDecay::build(&QueueSpec {
        model: "uniform".into(),
        ..QueueSpec::default()
    })
    .unwrap();
    assert!((uniform.probability_ahead(20.0, 50.0, false) - 0.285_714).abs() < 5e-7);
    let stale = 20.0 - 10.0 * uniform.probability_ahead(20.0, 80.0, false);
    assert!((stale - 18.0).abs() < 1e-12);
}

#[test]
fn a_print_fills_what_exceeds_the_queue() {
    for (printed, filled) in [(10, 0), (11, 1), (13, 3), (20, 3)] {
        let mut venue = Venue::new(&json!({}));
        venue.level(1, Side::Bid, 100, 10);
        let order = venue.place(Side::Bid, 100, 3, 0);
        venue.level(2, Side::Bid, 100, 40);
        let lots = |events: &[_]| fills(events).iter().map(|fill| fill.1).sum::<Lots>();
        assert_eq!(lots(&venue.trade(3, Side::Bid, 100, printed)), filled);
        // The order leaves the book exactly when nothing is left, also when the print ends with it.
        assert_eq!(venue.0.queue_ahead(order).is_none(), filled == 3);
        assert_eq!(lots(&venue.trade(4, Side::Bid, 100, 20)), 3 - filled);
    }
}

#[test]
fn orders_of_one_level_share_one_print() {
    for (printed, first, second, market) in [(80, 5, 5, 70), (78, 5, 3, 70), (72, 5, 0, 67)] {
        let mut venue = Venue::new(&json!({}));
        venue.level(1, Side::Bid, 100, 40);
        let a = venue.place(Side::Bid, 100, 5, 0);
        venue.level(2, Side::Bid, 100, 70);
        let b = venue.place(Side::Bid, 100, 5, 0);
        venue.level(3, Side::Bid, 100, 100);
        // A third order, with lots behind it, shows what the market traded.
        let c = venue.place(Side::Bid, 100, 1, 0);
        venue.level(4, Side::Bid, 100, 200);
        let got = fills(&venue.trade(5, Side::Bid, 100, printed));
        let of = |id| {
            got.iter()
                .filter(|fill| fill.0 == id)
                .map(|fill| fill.1)
                .sum::<Lots>()
        };
        assert_eq!(
            (of(a), of(b)),
            (i64::from(first), i64::from(second)),
            "print of {printed}"
        );
        assert_eq!(first + second + market, printed);
        assert!((venue.ahead(c) - f64::from(100 - market)).abs() < 1e-12);
        if second < 5 {
            assert!((venue.ahead(b) - f64::from(70 - market)).abs() < 1e-12);
        }
    }
}

#[test]
fn two_orders_with_the_same_queue_ahead_never_fill_more_than_the_print() {
    let mut venue = Venue::new(&json!({}));
    venue.level(1, Side::Bid, 100, 10);
    let first = venue.place(Side::Bid, 100, 2, 0);
    let second = venue.place(Side::Bid, 100, 2, 0);
    let events = venue.trade(2, Side::Bid, 100, 13);
    assert_eq!(fills(&events), [(first, 2), (second, 1)]);
}

/// Sends a new order, a cancel and an amend of others at 0, 10, 20 with draws 50, 15, 40; returns when they arrive.
fn arrivals(kind: &str, sessions: [u8; 3]) -> [Nanos; 3] {
    let constant = |mean: f64| json!({"model": "constant", "mean_ns": mean});
    let latency: Value = json!({
        "place": constant(50.0), "cancel": constant(15.0), "amend": constant(40.0), "sessions": kind,
    });
    let mut venue = Venue::new(&json!({"latency": latency}));
    venue.level(0, Side::Bid, 100, 10);
    let other = venue.place(Side::Bid, 99, 2, 3);
    let third = venue.place(Side::Bid, 98, 2, 3);
    let start = 1_000;
    venue.advance(start);
    let order = venue.place(Side::Bid, 100, 1, sessions[0]);
    let mut events = venue.advance(start + 10);
    assert!(venue.0.cancel_order(other, sessions[1]));
    events.extend(venue.advance(start + 20));
    assert!(venue.0.amend_order(third, None, Some(1), sessions[2]));
    events.extend(venue.advance(start + 100));
    [order, other, third].map(|id| {
        let event = events.iter().find(|event| event.order_id == id);
        event.expect("a reply").exch_ns - start
    })
}

#[test]
fn one_session_keeps_its_order_and_two_do_not() {
    assert_eq!(arrivals("fifo", [0, 0, 0]), [50, 50, 60]);
    assert_eq!(arrivals("fifo", [0, 1, 2]), [50, 25, 60]);
    assert_eq!(arrivals("independent", [0, 0, 0]), [50, 25, 60]);
}

#[test]
fn bursts_of_the_market_delay_requests() {
    // 0.1 messages per microsecond are worked off; messages and requests at 0, 1, 2, 3 microseconds.
    let mut venue = Venue::new(&json!({"latency": {"backlog_capacity_per_us": 0.1}}));
    for (at_us, lots) in (0..4).zip(10..) {
        venue.level(at_us * 1_000, Side::Bid, 100, lots);
        venue.place(Side::Bid, 90, 1, 0);
    }
    let events = venue.advance(SECOND);
    let waits: Vec<Nanos> = (0..)
        .zip(&events)
        .map(|(sent, event)| event.exch_ns - sent * 1_000)
        .collect();
    assert_eq!(waits, [10_000, 19_000, 28_000, 37_000]);
}

#[test]
fn what_was_taken_comes_back_with_its_half_life() {
    let mut venue = Venue::new(&json!({"impact": {"half_life_ns": SECOND}}));
    venue.level(0, Side::Ask, 100, 10);
    venue.place(Side::Bid, 100, 10, 0);
    assert_eq!(fills(&venue.advance(0)), [(1, 10)]);
    assert_eq!(venue.0.available_lots(Side::Ask, 100), 0);
    venue.take(Side::Bid, 100, 10);
    let kinds: Vec<EventKind> = venue.advance(0).iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Accepted, EventKind::Expired]);
    venue.advance(SECOND);
    assert_eq!(venue.0.available_lots(Side::Ask, 100), 5);
    venue.trade(SECOND, Side::Ask, 100, 4);
    assert_eq!(venue.0.level_lots(Side::Ask, 100), 6);
    assert_eq!(venue.0.available_lots(Side::Ask, 100), 5);
}
