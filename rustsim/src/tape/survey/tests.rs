//! What the survey counts, on rows written out by hand.

use super::*;

fn row(exch_ns: i64, kind: u8, side: u8, price: i32, qty: i32, join: u32) -> Tick {
    Tick {
        exch_ns,
        local_ns: exch_ns + 7,
        kind,
        side,
        price,
        qty,
        join,
        ..Tick::default()
    }
}

fn measure(rows: &[Tick], chunk: usize) -> Report {
    let has_joins = rows.iter().any(|row| row.join != 0);
    let mut survey = Survey::new(1_000, true, has_joins);
    for (index, part) in rows.chunks(chunk).enumerate() {
        survey.add(part, index * chunk);
    }
    survey.finish().clone()
}

/// Three orders of 2 lots at 10 (rows 1, 2, 3), an ask at 12 (row 4).
fn queue() -> Vec<Tick> {
    vec![
        row(1_000, KIND_CLEAR, 0, 0, 0, 0),
        row(1_000, KIND_LEVEL, 0, 10, 2, 0),
        row(1_000, KIND_LEVEL, 0, 10, 4, 0),
        row(1_000, KIND_LEVEL, 0, 10, 6, 0),
        row(1_000, KIND_LEVEL, 1, 12, 1, 0),
    ]
}

#[test]
fn places_of_cancels_are_counted_from_the_back() {
    let mut rows = queue();
    // The middle order (row 2, ordinal 3) goes: half of the others stand behind it.
    rows.push(row(2_000, KIND_LEVEL, 0, 10, 4, 3));
    // The last one loses a lot, the first one goes, the last one then stands alone.
    rows.push(row(3_000, KIND_LEVEL, 0, 10, 3, 4));
    rows.push(row(4_000, KIND_LEVEL, 0, 10, 1, 2));
    rows.push(row(5_000, KIND_LEVEL, 0, 10, 0, 4));
    // An order that joined before the tape began.
    rows.push(row(6_000, KIND_LEVEL, 1, 12, 0, 99));
    let report = measure(&rows, 3);
    let queues = &report.queues;
    assert_eq!((queues.cancels_placed, queues.cancels_alone), (3, 1));
    assert_eq!(
        (queues.cancels_unknown, queues.first, queues.last),
        (1, 1, 1)
    );
    assert_eq!(queues.place_from_back[10], 1);
    assert_eq!(queues.place_from_back[0], 1);
    assert_eq!(queues.place_from_back[PLACE_BINS - 1], 1);
    assert!((queues.place_sum - 1.5).abs() < 1e-12);
    assert_eq!((report.mix.reduced, report.mix.emptied), (3, 2));
}

#[test]
fn lots_from_before_the_rows_are_taken_from_the_front() {
    let mut rows = queue();
    // Nobody knows who sold two lots: the first order's place is free, the second one is first now.
    rows.push(row(2_000, KIND_TRADE, 0, 10, 2, 0));
    rows.push(row(3_000, KIND_TRADE, 0, 10, 1, 3));
    let report = measure(&rows, 100);
    assert_eq!(report.queues.prints_unknown, 1);
    assert_eq!(report.queues.prints_first, 1);
}

#[test]
fn prints_take_from_queues_and_from_the_book_where_joins_are_known() {
    let mut rows = queue();
    rows.push(row(2_000, KIND_TRADE, 0, 10, 2, 2));
    rows.push(row(3_000, KIND_TRADE, 0, 10, 1, 4));
    rows.push(row(4_000, KIND_TRADE, 0, 11, 1, 0));
    let report = measure(&rows, 100);
    assert_eq!(report.queues.prints_first, 1);
    assert_eq!(report.queues.prints_not_first, 1);
    assert_eq!(report.queues.prints_unknown, 1);
    assert_eq!((report.prints.at_best, report.prints.inside), (2, 1));
    assert_eq!(report.best_lots.bins.get(&3), Some(&2));
    assert_eq!((report.prints.lots, report.trade_lots.max), (4, 2));
}

#[test]
fn chunks_do_not_matter() {
    let mut rows = queue();
    for step in 0..50 {
        let time = 2_000 + step / 3 * 500;
        rows.push(row(
            time,
            KIND_LEVEL,
            0,
            9,
            1 + i32::try_from(step % 5).unwrap(),
            0,
        ));
    }
    let whole = measure(&rows, 1_000);
    for chunk in [1, 2, 7] {
        assert_eq!(measure(&rows, chunk), whole);
    }
    assert_eq!(whole.groups, 18);
    assert_eq!(whole.time_step_ns, 500);
    assert_eq!(whole.delay_ns.bins.get(&7), Some(&55));
}

#[test]
fn spread_is_weighted_by_time_and_crossed_books_are_found() {
    let us = 1_000;
    let rows = [
        row(0, KIND_LEVEL, 0, 10, 1, 0),
        row(0, KIND_LEVEL, 1, 12, 1, 0),
        row(30 * us, KIND_LEVEL, 0, 11, 1, 0),
        row(40 * us, KIND_LEVEL, 0, 12, 1, 0),
        row(50 * us, KIND_LEVEL, 0, 13, 1, 0),
        row(55 * us, KIND_TRADE, 1, 12, 1, 0),
    ];
    let report = measure(&rows, 2);
    let spreads: Vec<_> = report.spread_us.bins.clone().into_iter().collect();
    assert_eq!(spreads, [(-1, 5), (0, 10), (1, 10), (2, 30)]);
    // The print empties the ask, so that the book is not crossed any more.
    assert_eq!((report.crossed_groups, report.locked_groups), (1, 1));
    assert_eq!(report.crossed_first_ns, Some(50 * us));
    assert_eq!(report.longest_gaps[0], (0, 30 * us));
    assert_eq!(report.longest_gaps.len(), 4);
    assert_eq!((report.price_min, report.price_max), (Some(10), Some(13)));
}

#[test]
fn print_after_the_decrease_that_it_caused_takes_nothing_more() {
    let rows = [
        row(0, KIND_LEVEL, 0, 10, 5, 0),
        row(0, KIND_LEVEL, 1, 11, 5, 0),
        row(1_000, KIND_LEVEL, 0, 10, 2, 0),
        row(1_000, KIND_TRADE, 0, 10, 3, 0),
        row(2_000, KIND_TRADE, 0, 10, 1, 0),
        row(2_000, KIND_LEVEL, 0, 10, 1, 0),
    ];
    let report = measure(&rows, 4);
    assert_eq!(report.best_lots.bins.get(&2), Some(&1));
    assert_eq!(report.best_lots.bins.get(&1), Some(&1));
    assert_eq!((report.mix.reduced, report.mix.unchanged), (1, 1));
}

#[test]
fn auction_data_move_the_book_and_count_as_nothing_else() {
    let auction = |row: Tick| Tick {
        flags: FLAG_INDICATIVE,
        ..row
    };
    let rows = [
        auction(row(0, KIND_LEVEL, 0, 10, 1, 0)),
        auction(row(0, KIND_LEVEL, 1, 9, 1, 0)),
        auction(row(1_000, KIND_TRADE, 1, 9, 1, 0)),
    ];
    let report = measure(&rows, 9);
    assert_eq!(
        (report.rows, report.trading_rows, report.trading_groups),
        (3, 0, 0)
    );
    assert_eq!(
        (report.crossed_groups, report.mix.trades, report.mix.added),
        (0, 0, 0)
    );
}
