//! Waiting times and price moves whose expectation is known.

use crate::venue::{Draws, SECOND, Venue, assert_mean, fills};
use rustsim::types::{Nanos, Side};
use serde_json::json;

const PATHS: usize = 20_000;

/// Returns when an order behind `n` lots fills: unit prints at rate `mu`, lots ahead leave at rate `theta` each.
#[allow(clippy::cast_possible_truncation, reason = "a few seconds")]
fn wait(draws: &mut Draws, queue: &str, n: i32, mu: f64, theta: f64) -> f64 {
    let mut venue = Venue::new(&json!({"queue": {"model": queue}}));
    venue.level(0, Side::Bid, 100, n);
    let order = venue.place(Side::Bid, 100, 1, 0);
    venue.advance(0);
    let (mut seconds, mut left) = (0.0, n);
    loop {
        let rate = mu + theta * f64::from(left);
        seconds += draws.exponential(rate);
        let now = (seconds * 1e9) as Nanos + 1;
        if draws.uniform() * rate < mu {
            let events = venue.trade(now, Side::Bid, 100, 1);
            if fills(&events) == [(order, 1)] {
                return seconds;
            }
        } else {
            venue.level(now, Side::Bid, 100, left - 1);
        }
        left = (left - 1).max(0);
        assert!((venue.ahead(order) - f64::from(left)).abs() < 1e-9);
    }
}

#[test]
fn without_cancels_the_wait_is_erlang() {
    let mut draws = Draws::new(1);
    let times: Vec<f64> = (0..PATHS)
        .map(|_| wait(&mut draws, "uniform", 3, 2.0, 0.0))
        .collect();
    assert_mean(&times, 4.0 / 2.0, 0.0);
    // Erlang(4, 2) has the variance 4 / 2^2.
    let squares: Vec<f64> = times
        .iter()
        .map(|time| (time - 2.0) * (time - 2.0))
        .collect();
    assert_mean(&squares, 1.0, 0.0);
}

#[test]
fn with_cancels_ahead_the_wait_is_a_pure_death_chain() {
    // 1 + 1 / 1.5 + 1 / 2 + 1 / 2.5. Nobody joins behind, so every model lets every cancel come from ahead.
    for queue in ["uniform", "front", "back"] {
        let mut draws = Draws::new(2);
        let times: Vec<f64> = (0..PATHS)
            .map(|_| wait(&mut draws, queue, 3, 1.0, 0.5))
            .collect();
        assert_mean(&times, 2.566_667, 0.0);
    }
}

/// Lots that stand for one unit of a queue, and the most that a queue holds: both change the probability by less than `LATTICE_BIAS`.
const UNIT: i32 = 2;
const LOTS_MAX: i32 = 60;
const LATTICE_BIAS: f64 = 0.0025;

/// Lets both best queues walk by single lots until one is empty; returns whether the account of a buyer says that the price rose.
///
/// A share of `opposite` of the steps moves the queues against each other, the rest moves one of them: their correlation is `-2 w / (1 + w)`.
fn rises(draws: &mut Draws, queues: (i32, i32), opposite: f64) -> bool {
    let mut venue = Venue::new(&json!({}));
    let best = [(Side::Bid, 100), (Side::Ask, 101)];
    venue.level(0, Side::Bid, 99, 1);
    venue.level(0, Side::Ask, 102, 1);
    venue.level(0, Side::Bid, 100, queues.0 * UNIT);
    // One lot more, which the buyer takes and the record takes after him.
    venue.level(0, Side::Ask, 101, queues.1 * UNIT + 1);
    venue.take(Side::Bid, 101, 1);
    assert_eq!(fills(&venue.advance(0)), [(1, 1)]);
    venue.trade(0, Side::Ask, 101, 1);
    let mut now = 0;
    while best
        .iter()
        .all(|(side, price)| venue.0.level_lots(*side, *price) > 0)
    {
        now += SECOND;
        let grows = draws.below(2);
        let moved: &[(usize, i32)] = if draws.uniform() < opposite {
            &[(0, grows), (1, 1 - grows)]
        } else {
            &[(usize::from(draws.uniform() < 0.5), grows)]
        };
        for (index, grows) in moved {
            let (side, price) = best[*index];
            let lots = venue.0.level_lots(side, price);
            if *grows == 1 {
                venue.level(now, side, price, (lots + 1).min(LOTS_MAX));
            } else if draws.uniform() < 0.5 {
                venue.trade(now, side, price, 1);
            } else {
                venue.level(now, side, price, lots - 1);
            }
        }
    }
    let ledger = venue.finish().ledger;
    assert_eq!(ledger.inventory2().abs(), 1);
    ledger.inventory2() > 0
}

#[test]
fn the_longer_queue_moves_the_price_as_often_as_the_diffusion_limit_says() {
    // Lots of bid and ask, share of opposite steps for a correlation of 0, -0.5 and -1, P(up).
    for (queues, opposite, expected) in [
        ((1, 1), 0.0, 0.5),
        ((2, 1), 0.0, 0.704_833),
        ((3, 1), 0.0, 0.795_167),
        ((3, 1), 1.0 / 3.0, 0.768_369),
        ((3, 1), 1.0, 0.75),
    ] {
        let mut draws = Draws::new(3);
        let path = |_| f64::from(u8::from(rises(&mut draws, queues, opposite)));
        let ups: Vec<f64> = (0..PATHS).map(path).collect();
        assert_mean(&ups, expected, LATTICE_BIAS);
    }
}

#[test]
fn alone_at_the_front_every_print_fills() {
    for printed in 1..12 {
        let mut venue = Venue::new(&json!({}));
        venue.level(0, Side::Bid, 100, 5);
        let order = venue.place(Side::Bid, 101, 7, 0);
        venue.advance(0);
        let events = venue.trade(1, Side::Bid, 101, printed);
        assert_eq!(fills(&events), [(order, i64::from(printed.min(7)))]);
    }
}
