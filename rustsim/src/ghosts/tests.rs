//! Ghosts on small books worked by hand, and fits that find what made the cancels.

use super::*;
use crate::types::FLAG_LAST;

const SECOND: Nanos = 1_000_000_000;

fn row(exch_ns: Nanos, kind: u8, side: Side, price: TickIndex, qty: i32, join: u32) -> Tick {
    Tick {
        exch_ns,
        local_ns: exch_ns,
        price,
        qty,
        join,
        kind,
        side: side as u8,
        flags: FLAG_LAST,
        reserved: 0,
    }
}

fn bid(at: Nanos, qty: i32, join: u32) -> Tick {
    row(at * SECOND, KIND_LEVEL, Side::Bid, 100, qty, join)
}

fn sell(at: Nanos, qty: i32, join: u32) -> Tick {
    row(at * SECOND, KIND_TRADE, Side::Bid, 100, qty, join)
}

// Orders 1 (7 lots) and 2 (3 lots) at the bid, 3 at the ask; ghosts join with the next row.
fn book() -> Vec<Tick> {
    vec![
        bid(0, 7, 0),
        bid(0, 10, 0),
        row(0, KIND_LEVEL, Side::Ask, 102, 50, 0),
    ]
}

fn scan(rows: &[Tick], models: &[&str]) -> GhostScan {
    let options = GhostOptions {
        every_ns: 1_000 * SECOND,
        horizon_ns: 60 * SECOND,
        block_ns: 100 * SECOND,
        replications: 4,
        seed: 1,
        models: models
            .iter()
            .map(|model| QueueSpec {
                model: (*model).into(),
                ..QueueSpec::default()
            })
            .collect(),
        keeps_cancels: true,
    };
    let mut scan = GhostScan::new(options).expect("sound options");
    scan.open(0, 1, 900 * SECOND);
    scan.add(&book());
    scan.add(rows);
    scan.add(&[row(100 * SECOND, KIND_LEVEL, Side::Ask, 102, 51, 0)]);
    scan.close();
    scan
}

fn seen(ahead: i32, behind: i32, is_size_behind: bool, is_ahead: bool) -> SeenCancel {
    SeenCancel {
        ahead,
        behind,
        is_size_behind,
        is_ahead,
    }
}

#[test]
fn joins_tell_which_cancels_were_ahead_and_sizes_which_might_have_been_behind() {
    // Row 4 joins after the ghosts (5 lots), row 5 too (3 lots). Then order 2 leaves, then that of row 4, then one lot of order 1.
    let rows = [
        bid(1, 15, 0),
        bid(2, 18, 0),
        bid(3, 15, 2),
        bid(4, 10, 4),
        bid(5, 9, 1),
    ];
    let scan = scan(&rows, &["uniform"]);
    let expected = [
        // The 3 lots that left were ahead, though an order of that size stands behind.
        seen(10, 8, true, true),
        seen(7, 8, true, false),
        seen(7, 3, false, true),
    ];
    assert_eq!(scan.cancels(), expected);
    let counts = scan.counts();
    assert_eq!((counts.joined, counts.consistent, counts.filled), (2, 2, 0));
    assert_eq!((counts.cancels, counts.cancels_ahead), (3, 2));
    let score = &scan.scores()[0];
    let loss = -(10_f64 / 18.0).ln() - (8_f64 / 15.0).ln() - (7_f64 / 10.0).ln();
    assert!((score.loss - loss).abs() < 1e-12, "{score:?}");
    // The estimate: 10 until 10 - 3 * 10/18, then less 5 of 15 and 1 of 10 of it. The truth: 10, 10, 7, 7, 6.
    let first = 10.0 - 30.0 / 18.0;
    let second = first - 5.0 * first / 15.0;
    let third = second - second / 10.0;
    let errors: [f64; 5] = [0.0, 0.0, first - 7.0, second - 7.0, third - 6.0];
    let mean = errors.iter().map(|error| error.abs()).sum::<f64>() / 50.0;
    // The ghost at the ask saw no row of its level within the horizon.
    assert_eq!(score.ghosts, 1);
    assert!((score.error_abs - mean).abs() < 1e-5, "{score:?}");
    assert!((score.error - errors.iter().sum::<f64>() / 50.0).abs() < 1e-5);
}

#[test]
fn worked_example_of_the_losses_of_cancels() {
    // A lot ahead trades. Then uniform says 9 of 10, 7 of 10, 3 of 15 and 3 of 30 before a cancel ahead, ahead, behind and ahead.
    let rows = [
        sell(1, 1, 1),
        bid(2, 10, 0),
        bid(3, 8, 1),
        bid(4, 10, 0),
        bid(5, 6, 1),
        bid(6, 15, 0),
        bid(7, 13, 7),
        bid(8, 30, 0),
        bid(9, 27, 2),
    ];
    let scan = scan(&rows, &["uniform"]);
    let score = &scan.scores()[0];
    assert_eq!((score.cancels, score.impossible), (4, 0));
    assert!((score.brier / 4.0 - 0.2375).abs() < 1e-12, "{score:?}");
    assert!((score.loss / 4.0 - 0.746_941).abs() < 5e-7, "{score:?}");
    let used: Vec<_> = score.bins.iter().filter(|bin| bin.count > 0).collect();
    assert_eq!(used.len(), 4);
}

#[test]
fn worked_example_of_the_losses_of_fills() {
    let mut score = Score::default();
    for (filled, is_filled) in [(9, true), (7, true), (2, false), (1, true)] {
        score.add_fills(filled, 10, is_filled);
    }
    assert_eq!(score.episodes, 4);
    assert!((score.fill_brier / 4.0 - 0.2375).abs() < 1e-12, "{score:?}");
    assert!((score.fill_loss / 4.0 - 0.746_941).abs() < 5e-7);
}

#[test]
fn a_ghost_is_filled_when_an_order_behind_it_is() {
    // All ahead trades, then two lots of the order behind.
    let rows = [bid(1, 15, 0), sell(2, 7, 1), sell(2, 3, 2), sell(3, 2, 4)];
    let scan = scan(&rows, &["back", "front"]);
    assert_eq!(scan.counts().filled, 1);
    for score in scan.scores() {
        assert_eq!(score.episodes, 2);
        assert!(score.fill_brier.abs() < 1e-12, "{score:?}");
        assert_eq!(score.both_filled, 4);
    }
}

#[test]
fn a_cancel_that_cannot_happen_is_told_as_such() {
    let rows = [bid(1, 15, 0), bid(2, 12, 2)];
    let scan = scan(&rows, &["back", "front"]);
    let impossible: Vec<_> = scan.scores().iter().map(|score| score.impossible).collect();
    assert_eq!(impossible, [1, 0]);
}

#[test]
fn contradictions_and_lost_ghosts_are_left_out() {
    // An order behind executes while others rest ahead.
    let counts = scan(&[bid(1, 15, 0), sell(2, 1, 4)], &[]).counts();
    assert_eq!((counts.contradicted, counts.consistent), (1, 1));
    // An image says nothing about single orders.
    let mut image = bid(1, 4, 0);
    image.flags |= FLAG_IMAGE;
    let counts = scan(&[image], &[]).counts();
    assert_eq!((counts.lost, counts.consistent), (1, 1));
    // A trade at a worse price passes nobody by.
    let through = row(2 * SECOND, KIND_TRADE, Side::Bid, 99, 1, 0);
    let counts = scan(&[through], &[]).counts();
    assert_eq!((counts.contradicted, counts.consistent), (1, 1));
}

#[test]
fn newton_finds_the_parameters_that_made_the_cancels() {
    // As many ahead as the formula says, of many alike.
    let truth = QueueSpec {
        model: "odds_size".into(),
        alpha: -0.7,
        beta: 0.4,
        gamma: -1.5,
        ..QueueSpec::default()
    };
    let model = QueueDecay::build(&truth).expect("sound");
    let mut cancels = Vec::new();
    for (ahead, behind) in [(3, 40), (20, 30), (50, 10), (90, 2)] {
        for is_size_behind in [false, true] {
            let p = model.probability_ahead(f64::from(ahead), f64::from(behind), is_size_behind);
            for number in 0..20_000 {
                let is_ahead = (f64::from(number) + 0.5) / 20_000.0 < p;
                cancels.push(seen(ahead, behind, is_size_behind, is_ahead));
            }
        }
    }
    let found = fit("odds_size", &cancels).expect("a fit").queue;
    for (found, truth) in [
        (found.alpha, truth.alpha),
        (found.beta, truth.beta),
        (found.gamma, truth.gamma),
    ] {
        assert!((found - truth).abs() < 1e-3, "{found} {truth}");
    }
    let odds = fit("odds", &cancels).expect("a fit");
    assert!(odds.loss > fit("odds_size", &cancels).expect("a fit").loss);
}

#[test]
fn a_slope_below_zero_becomes_zero_and_the_rest_follows() {
    // The more is ahead, the less often the cancel is.
    let mut cancels = Vec::new();
    for (ahead, ahead_of_ten) in [(1, 6), (100, 2)] {
        for number in 0..1_000 {
            cancels.push(seen(ahead, 10, false, number % 10 < ahead_of_ten));
        }
    }
    let found = fit("odds", &cancels).expect("a fit");
    assert!(found.queue.beta.abs() < 1e-12, "{found:?}");
    let share: f64 = 0.4;
    assert!((found.queue.alpha - (share / (1.0 - share)).ln()).abs() < 1e-9);
}

#[test]
fn exponents_are_found_between_their_ends() {
    for (name, n) in [("power", 0.6), ("power2", 0.3), ("power3", 4.0)] {
        let spec = QueueSpec {
            model: name.into(),
            n,
            ..QueueSpec::default()
        };
        let model = QueueDecay::build(&spec).expect("sound");
        let mut cancels = Vec::new();
        for (ahead, behind) in [(3, 40), (20, 30), (50, 10)] {
            let p = model.probability_ahead(f64::from(ahead), f64::from(behind), false);
            for number in 0..20_000 {
                let is_ahead = (f64::from(number) + 0.5) / 20_000.0 < p;
                cancels.push(seen(ahead, behind, false, is_ahead));
            }
        }
        let found = fit(name, &cancels).expect("a fit").queue.n;
        assert!((found - n).abs() < 2e-3 * n, "{name}: {found}");
    }
}

#[test]
fn nothing_can_be_fitted_to_one_kind_of_cancel() {
    assert!(fit("odds", &[seen(1, 1, false, true)]).is_err());
    assert!(fit("odds", &[]).is_err());
    let both = [seen(1, 1, false, true), seen(1, 1, false, false)];
    assert!(fit("middle", &both).is_err());
}
