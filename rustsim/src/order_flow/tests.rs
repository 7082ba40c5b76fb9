//! Small flows whose rows can be written down by hand.

use super::*;
use crate::types::{
    FLAG_GAP, FLAG_IMAGE, FLAG_INDICATIVE, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL,
    KIND_TRADE, Side,
};

// Kind, side, price, qty, join.
type Row = (u8, u8, i32, i32, u32);

fn event(action: u8, order_id: u64, side: u8, price: i32, qty: i32) -> FlowEvent {
    FlowEvent {
        exch_ns: 1,
        local_ns: 1,
        order_id,
        price,
        qty,
        action,
        side,
        flags: 0,
        ends_packet: true,
    }
}

fn run(flow: &mut OrderFlow, events: &[FlowEvent]) -> FlowRows {
    let mut out = FlowRows::default();
    for (event, index) in events.iter().zip(0..) {
        flow.push(event, None, index, &mut out);
    }
    out
}

fn told(out: &FlowRows) -> Vec<Row> {
    out.rows
        .iter()
        .map(|row| (row.kind, row.side, row.price, row.qty, row.join))
        .collect()
}

fn open_packet(event: FlowEvent) -> FlowEvent {
    FlowEvent {
        ends_packet: false,
        ..event
    }
}

fn flagged(flags: u8, event: FlowEvent) -> FlowEvent {
    FlowEvent { flags, ..event }
}

#[test]
fn removals_carry_the_ordinal_by_which_their_order_joined() {
    let mut flow = OrderFlow::new(true, true);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 7, 0, 100, 5),
            event(ACTION_ADD, 8, 0, 100, 3),
            event(ACTION_ADD, 9, 0, 100, 2),
            event(ACTION_REDUCE, 8, 0, 100, 1),
            event(ACTION_EXECUTE, 7, 0, 100, 5),
            event(ACTION_DELETE, 9, 0, 100, 0),
            event(ACTION_EXECUTE, 8, 0, 100, 2),
        ],
    );
    let expected = [
        (KIND_LEVEL, 0, 100, 5, 0),
        (KIND_LEVEL, 0, 100, 8, 0),
        (KIND_LEVEL, 0, 100, 10, 0),
        (KIND_LEVEL, 0, 100, 9, 2),
        (KIND_TRADE, 0, 100, 5, 1),
        (KIND_LEVEL, 0, 100, 2, 3),
        (KIND_TRADE, 0, 100, 2, 2),
    ];
    assert_eq!(told(&out), expected);
    assert_eq!(out.faults, []);
    let places: Vec<_> = out.places.iter().map(|p| (p.ahead, p.behind)).collect();
    let none = (-1, -1);
    assert_eq!(places, [none, none, none, (5, 2), (0, 4), (2, 0), (0, 0)]);
    assert_eq!((flow.order_count(), flow.levels(Side::Bid).count()), (0, 0));
}

#[test]
fn modify_keeps_its_place_only_for_a_smaller_size_at_its_price() {
    let mut flow = OrderFlow::new(false, false);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 1, 1, 50, 4),
            event(ACTION_ADD, 2, 1, 50, 4),
            event(ACTION_MODIFY, 1, 1, 50, 3),
            event(ACTION_MODIFY, 1, 1, 50, 3),
            event(ACTION_MODIFY, 1, 1, 50, 6),
            event(ACTION_EXECUTE, 1, 1, 50, 1),
            event(ACTION_MODIFY, 1, 1, 51, 5),
            event(ACTION_DELETE, 1, 1, 51, 5),
        ],
    );
    let expected = [
        (KIND_LEVEL, 1, 50, 4, 0),
        (KIND_LEVEL, 1, 50, 8, 0),
        (KIND_LEVEL, 1, 50, 7, 1),
        (KIND_LEVEL, 1, 50, 4, 1),
        (KIND_LEVEL, 1, 50, 10, 0),
        (KIND_TRADE, 1, 50, 1, 5),
        (KIND_LEVEL, 1, 50, 4, 5),
        (KIND_LEVEL, 1, 51, 5, 0),
        (KIND_LEVEL, 1, 51, 0, 8),
    ];
    assert_eq!(told(&out), expected);
    assert_eq!(out.faults, [(FlowFault::NotFront, 5)]);
    assert_eq!(out.events, [0, 1, 2, 4, 4, 5, 6, 6, 7]);
}

#[test]
fn an_order_that_trades_out_of_turn_stands_in_front_from_then_on() {
    let mut flow = OrderFlow::new(true, false);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 1, 1, 50, 4),
            event(ACTION_ADD, 2, 1, 50, 4),
            event(ACTION_ADD, 3, 1, 50, 4),
            event(ACTION_EXECUTE, 2, 1, 50, 1),
            event(ACTION_EXECUTE, 2, 1, 50, 1),
            event(ACTION_EXECUTE, 3, 1, 50, 1),
            event(ACTION_DELETE, 2, 1, 50, 2),
            event(ACTION_DELETE, 1, 1, 50, 4),
            event(ACTION_DELETE, 3, 1, 50, 3),
        ],
    );
    assert_eq!(
        out.faults,
        [(FlowFault::NotFront, 3), (FlowFault::NotFront, 5)]
    );
    let places: Vec<_> = out.places[3..]
        .iter()
        .map(|p| (p.ahead, p.behind))
        .collect();
    assert_eq!(places, [(4, 4), (0, 8), (6, 0), (3, 4), (3, 0), (0, 0)]);
    assert_eq!(flow.levels(Side::Ask).count(), 0);
}

#[test]
fn hidden_lots_of_an_iceberg_trade_behind_the_displayed_ones() {
    let mut flow = OrderFlow::new(false, false);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 1, 0, 100, 3),
            event(ACTION_ADD, 2, 0, 100, 4),
            event(ACTION_ADD, 3, 0, 99, 4),
            open_packet(event(ACTION_FILL, 1, 0, 100, 5)),
            open_packet(event(ACTION_FILL, 2, 0, 100, 4)),
            open_packet(event(ACTION_REDUCE, 2, 0, 100, 4)),
            event(ACTION_MODIFY, 1, 0, 100, 3),
            // Others are displayed: they were not reached, so the hidden lots were not either.
            event(ACTION_ADD, 4, 0, 100, 1),
            event(ACTION_FILL, 1, 0, 100, 5),
        ],
    );
    let expected = [
        (KIND_TRADE, 0, 100, 3, 1),
        (KIND_TRADE, 0, 100, 4, 2),
        (KIND_TRADE, 0, 100, 2, 0),
        (KIND_LEVEL, 0, 100, 3, 0),
        (KIND_LEVEL, 0, 100, 4, 0),
        (KIND_TRADE, 0, 100, 3, 7),
    ];
    assert_eq!(told(&out)[3..], expected);
    assert_eq!(out.faults, [(FlowFault::Excess, 3), (FlowFault::Excess, 8)]);
    assert_eq!(flow.counts().prints_beside, 1);
}

#[test]
fn a_fill_is_not_removed_twice_within_its_packet() {
    let mut flow = OrderFlow::new(false, false);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 1, 0, 10, 5),
            event(ACTION_ADD, 2, 0, 10, 5),
            open_packet(event(ACTION_FILL, 1, 0, 10, 5)),
            event(ACTION_REDUCE, 1, 0, 10, 5), // told again: nothing to remove
            open_packet(event(ACTION_FILL, 2, 0, 10, 2)),
            event(ACTION_MODIFY, 2, 0, 10, 3), // told again: nothing to change
            event(ACTION_FILL, 2, 0, 10, 1),   // ends its packet: nothing is owed afterwards
            event(ACTION_REDUCE, 2, 0, 10, 1),
            open_packet(event(ACTION_FILL, 2, 0, 10, 1)),
            event(ACTION_MODIFY, 2, 0, 10, 4), // an iceberg shows again, at the back
        ],
    );
    let expected = [
        (KIND_LEVEL, 0, 10, 5, 0),
        (KIND_LEVEL, 0, 10, 10, 0),
        (KIND_TRADE, 0, 10, 5, 1),
        (KIND_TRADE, 0, 10, 2, 2),
        (KIND_TRADE, 0, 10, 1, 2),
        (KIND_LEVEL, 0, 10, 1, 2),
        (KIND_TRADE, 0, 10, 1, 2),
        (KIND_LEVEL, 0, 10, 4, 0),
    ];
    assert_eq!(told(&out), expected);
    assert_eq!(out.faults, []);
    assert_eq!(flow.order_count(), 1);
}

#[test]
fn anonymous_lots_stand_in_front_and_serve_unknown_ids() {
    let mut flow = OrderFlow::new(true, true);
    let out = run(
        &mut flow,
        &[
            event(ACTION_SEED, 0, 0, 10, 6),
            event(ACTION_ADD, 1, 0, 10, 2),
            event(ACTION_EXECUTE, 77, 0, 10, 1),
            event(ACTION_REDUCE, 78, 0, 10, 2),
            open_packet(event(ACTION_FILL, 79, 0, 10, 2)),
            event(ACTION_DELETE, 79, 0, 10, 2), // told again
            event(ACTION_EXECUTE, 1, 0, 10, 1), // one anonymous lot stands in front
            event(ACTION_DELETE, 80, 0, 10, 2), // there is only one
            event(ACTION_DELETE, 80, 0, 11, 1),
            event(ACTION_DELETE, 80, SIDE_NOT_STATED, 10, 1),
        ],
    );
    let expected = [
        (KIND_LEVEL, 0, 10, 6, 0),
        (KIND_LEVEL, 0, 10, 8, 0),
        (KIND_TRADE, 0, 10, 1, 0),
        (KIND_LEVEL, 0, 10, 5, 0),
        (KIND_TRADE, 0, 10, 2, 0),
        (KIND_TRADE, 0, 10, 1, 2),
    ];
    assert_eq!(told(&out), expected);
    assert_eq!(
        out.faults,
        [
            (FlowFault::NotFront, 6),
            (FlowFault::UnknownOrder, 7),
            (FlowFault::UnknownOrder, 8),
            (FlowFault::UnknownOrder, 9),
        ]
    );
    assert_eq!(
        out.places.last(),
        Some(&QueuePlace {
            ahead: 1,
            behind: 0
        })
    );
    assert_eq!(flow.levels(Side::Bid).collect::<Vec<_>>(), [(10, 2, 1)]);
}

#[test]
fn prints_are_rows_only_strictly_between_the_best_prices() {
    let mut flow = OrderFlow::new(false, false);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 1, 0, 10, 2),
            event(ACTION_ADD, 2, 1, 13, 2),
            event(ACTION_PRINT, 0, 1, 12, 5),
            event(ACTION_PRINT, 0, 0, 11, 5),
            event(ACTION_PRINT, 0, 1, 13, 5),
            event(ACTION_PRINT, 0, 1, 14, 5),
            event(ACTION_PRINT, 0, 1, 10, 5),
            event(ACTION_PRINT, 0, 0, 10, 5),
        ],
    );
    assert_eq!(
        told(&out)[2..],
        [(KIND_TRADE, 1, 12, 5, 0), (KIND_TRADE, 0, 11, 5, 0)]
    );
    assert_eq!(
        (flow.counts().prints_inside, flow.counts().prints_beside),
        (2, 4)
    );
}

#[test]
fn every_broken_rule_is_told_and_survived() {
    let mut flow = OrderFlow::new(true, true);
    let out = run(
        &mut flow,
        &[
            event(ACTION_ADD, 1, 0, 10, 2),
            event(ACTION_ADD, 1, 0, 10, 2),
            event(ACTION_ADD, 2, 2, 10, 2),
            event(ACTION_ADD, 2, 0, i32::MAX, 2),
            event(ACTION_ADD, 2, 0, 10, 0),
            event(ACTION_ADD, 2, 0, 10, i32::MAX),
            event(ACTION_EXECUTE, 1, 1, 10, 1),
            event(ACTION_EXECUTE, 1, 0, 10, 4),
            event(ACTION_EXECUTE, 1, 0, 10, 4),
            event(11, 1, 0, 10, 4),
            event(ACTION_MODIFY, 5, 0, 20, 4),
            event(ACTION_ADD, 6, 1, 20, 4),
            event(ACTION_DELETE, 5, 0, 20, 3),
            event(ACTION_ADD, 7, 0, 21, 4),
            event(ACTION_SEED, 0, 0, 20, -1),
            event(ACTION_REDUCE, 7, 0, 20, i32::MIN),
        ],
    );
    let faults: Vec<_> = out
        .faults
        .iter()
        .map(|(fault, event)| (FlowFault::NAMES[*fault as usize], *event))
        .collect();
    assert_eq!(
        faults,
        [
            ("duplicate_order", 1),
            ("bad_value", 2),
            ("bad_value", 3),
            ("bad_value", 4),
            ("too_many_lots", 5),
            ("mismatch", 6),
            ("excess", 7),
            ("unknown_order", 8),
            ("bad_value", 9),
            ("unknown_order", 10),
            ("locked", 11),
            ("mismatch", 12),
            ("crossed", 13),
            ("bad_value", 14),
            ("bad_value", 15),
        ]
    );
}

#[test]
fn flags_go_to_the_rows_they_belong_to() {
    let mut flow = OrderFlow::new(false, false);
    let out = run(
        &mut flow,
        &[
            flagged(FLAG_GAP | FLAG_LAST, event(ACTION_CLEAR, 0, 0, 0, 0)),
            flagged(FLAG_IMAGE, event(ACTION_ADD, 1, 0, 10, 4)),
            flagged(FLAG_INDICATIVE, event(ACTION_EXECUTE, 1, 0, 10, 1)),
            flagged(
                FLAG_GAP | FLAG_OUT_OF_VIEW,
                event(ACTION_MODIFY, 1, 0, 11, 3),
            ),
            flagged(FLAG_OUT_OF_VIEW, event(ACTION_SEED, 0, 0, 11, 0)),
            flagged(FLAG_OUT_OF_VIEW, event(ACTION_SEED, 0, 0, 11, 0)),
        ],
    );
    let rows: Vec<_> = out
        .rows
        .iter()
        .map(|row| (row.kind, row.flags, row.price, row.qty, row.join))
        .collect();
    assert_eq!(
        rows,
        [
            (KIND_CLEAR, FLAG_GAP, 0, 0, 0),
            (KIND_LEVEL, FLAG_IMAGE, 10, 4, 0),
            (KIND_TRADE, FLAG_INDICATIVE, 10, 1, 2),
            (KIND_LEVEL, FLAG_INDICATIVE, 10, 3, 2),
            (KIND_LEVEL, FLAG_GAP, 10, 0, 2),
            (KIND_LEVEL, 0, 11, 3, 0),
            (KIND_LEVEL, FLAG_OUT_OF_VIEW, 11, 0, 0),
        ]
    );
    assert_eq!((out.faults.len(), flow.order_count()), (0, 0));
}

#[test]
fn restating_tells_every_level_and_keeps_the_joins() {
    let mut flow = OrderFlow::new(false, false);
    run(
        &mut flow,
        &[
            event(ACTION_SEED, 0, 1, 12, 7),
            event(ACTION_ADD, 1, 0, 9, 4),
            event(ACTION_ADD, 2, 0, 10, 4),
        ],
    );
    let mut out = FlowRows::default();
    flow.restate(5, 6, &mut out);
    assert_eq!(
        told(&out),
        [
            (KIND_CLEAR, 0, 0, 0, 0),
            (KIND_LEVEL, 0, 10, 4, 0),
            (KIND_LEVEL, 0, 9, 4, 0),
            (KIND_LEVEL, 1, 12, 7, 0),
        ]
    );
    assert_eq!(flow.next_row(), 7);
    let out = run(&mut flow, &[event(ACTION_DELETE, 1, 0, 9, 4)]);
    assert_eq!(told(&out), [(KIND_LEVEL, 0, 9, 0, 2)]);
}

#[test]
fn pictures_tell_what_entered_and_left_the_view_and_correct_the_rest() {
    let mut flow = OrderFlow::new(false, true);
    let mut out = FlowRows::default();
    // Ask price, ask lots, bid price, bid lots; two levels a side.
    let steps: [(FlowEvent, [i32; 8]); 6] = [
        // Levels come into view: nobody knows their orders.
        (event(ACTION_NONE, 0, 0, 0, 0), [20, 1, 10, 5, 21, 1, 9, 4]),
        // A new best bid: the third level leaves the view.
        (event(ACTION_ADD, 1, 0, 11, 3), [20, 1, 11, 3, 21, 1, 10, 5]),
        // It goes again: the third level comes back.
        (
            event(ACTION_DELETE, 1, 0, 11, 3),
            [20, 1, 10, 5, 21, 1, 9, 6],
        ),
        // The last ask but one goes, and there is none behind: from here on all asks are shown.
        (
            event(ACTION_EXECUTE, 2, 1, 20, 1),
            [21, 1, 10, 5, 0, 0, 9, 6],
        ),
        // An ask from nowhere, a bid of another size.
        (event(ACTION_NONE, 0, 0, 0, 0), [21, 1, 10, 4, 25, 1, 9, 6]),
        // A level is missing in the middle.
        (event(ACTION_NONE, 0, 0, 0, 0), [25, 1, 10, 4, 0, 0, 9, 6]),
    ];
    for ((event, levels), index) in steps.iter().zip(0..) {
        flow.push(event, Some(Image::new(levels)), index, &mut out);
    }
    let rows: Vec<_> = out
        .rows
        .iter()
        .zip(&out.events)
        .map(|(row, event)| (*event, row.kind, row.flags, row.price, row.qty))
        .collect();
    let gone = FLAG_IMAGE | FLAG_OUT_OF_VIEW;
    assert_eq!(
        rows,
        [
            (0, KIND_LEVEL, FLAG_IMAGE, 10, 5),
            (0, KIND_LEVEL, FLAG_IMAGE, 9, 4),
            (0, KIND_LEVEL, FLAG_IMAGE, 20, 1),
            (0, KIND_LEVEL, FLAG_IMAGE, 21, 1),
            (1, KIND_LEVEL, 0, 11, 3),
            (1, KIND_LEVEL, gone, 9, 0),
            (2, KIND_LEVEL, 0, 11, 0),
            (2, KIND_LEVEL, FLAG_IMAGE, 9, 6),
            (3, KIND_TRADE, 0, 20, 1),
            (4, KIND_LEVEL, FLAG_IMAGE, 10, 4),
            (4, KIND_LEVEL, FLAG_IMAGE, 25, 1),
            (5, KIND_LEVEL, FLAG_IMAGE, 21, 0),
        ]
    );
    let faults = [(FlowFault::ImageMismatch, 4), (FlowFault::ImageMismatch, 5)];
    assert_eq!(out.faults, faults);
    let quotes: Vec<_> = out
        .quotes
        .iter()
        .map(|(quote, event)| (*event, quote.bid, quote.ask))
        .collect();
    assert_eq!(
        quotes,
        [
            (0, (10, 5), (20, 1)),
            (1, (11, 3), (20, 1)),
            (2, (10, 5), (20, 1)),
            (3, (10, 5), (21, 1)),
            (4, (10, 4), (21, 1)),
            (5, (10, 4), (25, 1)),
        ]
    );
}

#[test]
fn a_pause_is_a_row_that_changes_nothing() {
    let mut flow = OrderFlow::new(false, false);
    let pause = event(ACTION_PAUSE, 0, 0, 0, 0);
    let events = [
        pause,
        event(ACTION_ADD, 1, 0, 10, 3),
        pause,
        event(ACTION_ADD, 2, 1, 15, 3),
        pause,
    ];
    let out = run(&mut flow, &events);
    let rows: Vec<_> = out
        .rows
        .iter()
        .map(|row| (row.side, row.flags, row.price, row.qty))
        .collect();
    assert_eq!(
        rows,
        [
            (0, FLAG_INDICATIVE, 0, 0),
            (0, 0, 10, 3),
            (0, FLAG_INDICATIVE, 11, 0),
            (1, 0, 15, 3),
            (0, FLAG_INDICATIVE, 15, 0),
        ]
    );
}
