//! Calls, commands and faults of compiled strategies, with functions of this crate in their place.

use super::*;
use crate::matching::Request;
use crate::types::Liquidity;

/// Notes every call in the state: how many, and the kinds so far as digits; then does as the first parameter says.
unsafe extern "C" fn noting(
    market: *const Market,
    event: *const Event,
    params: *const u64,
    state: *mut u64,
    out: *mut Out,
) -> i64 {
    // SAFETY: the tests below give one word of parameters, two of state, and live records.
    let (market, event, what, out) = unsafe { (&*market, &*event, *params, &mut *out) };
    // SAFETY: as above.
    let state = unsafe { std::slice::from_raw_parts_mut(state, 2) };
    state[0] += 1;
    state[1] = state[1] * 16 + event.kind.cast_unsigned();
    match what {
        1 if event.kind == TICK => {
            for side in 0..2 {
                let at = usize::try_from(out.count).expect("small");
                out.commands[at] = Command {
                    verb: PLACE,
                    order_id: out.next_id,
                    side,
                    price_ticks: market.best_bid_ticks + side,
                    quantity_lots: 3,
                    post_only: 1,
                    ..Command::default()
                };
                out.count += 1;
                out.next_id += 1;
            }
        }
        2 => out.count = 65,
        3 => return 0,
        _ => {}
    }
    1
}

fn strategy(what: u64) -> KernelStrategy {
    // SAFETY: `noting` is part of this program and keeps to one word of parameters and two of state.
    unsafe { KernelStrategy::new(noting, vec![what], vec![0, 0]) }
}

fn event(kind: EventKind) -> OrderEvent {
    OrderEvent {
        kind,
        order_id: 1,
        exch_ns: 5,
        local_ns: 6,
        side: Side::Ask,
        price: 7,
        qty: 8,
        leaves: 9,
        liquidity: Liquidity::Maker,
        reason: crate::types::Reason::None,
    }
}

#[test]
fn calls_come_per_own_event_then_for_timers_then_for_the_market() {
    let mut host = Host::default();
    let mut kernel = strategy(0);
    kernel.on_start(&mut host).expect("no fault");
    let events = [event(EventKind::Accepted), event(EventKind::Filled)];
    let wake = Wake {
        events: &events,
        is_timer: true,
        is_tick: true,
    };
    kernel.on_wake(&wake, &mut host).expect("no fault");
    kernel.on_end(&mut host).expect("no fault");
    assert_eq!(kernel.into_state(), [6, 0xA1_390B]);
}

#[test]
fn events_are_told_field_by_field() {
    let told = Event::from(&event(EventKind::Filled));
    let expected = Event {
        kind: 3,
        order_id: 1,
        side: 1,
        price_ticks: 7,
        quantity_lots: 8,
        leaves_lots: 9,
        is_maker: 1,
        reason: 0,
        exch_ns: 5,
        local_ns: 6,
    };
    assert_eq!(told, expected);
    assert_eq!(Event::from(&event(EventKind::Cancelled)).is_maker, 0);
}

#[test]
fn commands_are_sent_in_order_under_the_ids_foretold() {
    let mut host = Host::default();
    host.view.best_bid = Some(100);
    let mut kernel = strategy(1);
    kernel.on_start(&mut host).expect("no fault");
    let tick = Wake {
        events: &[],
        is_timer: false,
        is_tick: true,
    };
    kernel.on_wake(&tick, &mut host).expect("no fault");
    kernel.on_wake(&tick, &mut host).expect("no fault");
    let sent: Vec<_> = host
        .outbox
        .iter()
        .map(|request| match request {
            Request::Place { id, order } => (*id, order.side, order.price, order.qty),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    let (bid, ask) = (Side::Bid, Side::Ask);
    assert_eq!(
        sent,
        [
            (1, bid, 100, 3),
            (2, ask, 101, 3),
            (3, bid, 100, 3),
            (4, ask, 101, 3)
        ]
    );
}

#[test]
fn faults_have_names() {
    let mut host = Host::default();
    let words = |what, host: &mut Host| strategy(what).on_start(host).expect_err("a fault");
    let text = words(2, &mut host).to_string();
    assert!(text.contains("wrote 65 commands in one call"), "{text}");
    let text = words(3, &mut host).to_string();
    assert!(
        text.contains("raised an exception at 0 ns, called at the start"),
        "{text}"
    );
    assert!(host.outbox.is_empty());
}

#[test]
fn wrong_commands_are_refused_with_what_is_wrong() {
    let place = Command {
        verb: PLACE,
        order_id: 1,
        quantity_lots: 1,
        ..Command::default()
    };
    let cases = [
        (
            Command { verb: 9, ..place },
            "verb: expected 1 to 4, found 9",
        ),
        (
            Command { side: 2, ..place },
            "side: expected 0 (buy) or 1 (sell), found 2",
        ),
        (
            Command {
                order_type: 2,
                ..place
            },
            "order_type",
        ),
        (
            Command {
                time_in_force: -1,
                ..place
            },
            "time_in_force",
        ),
        (
            Command {
                session: 256,
                ..place
            },
            "session: expected 0 to",
        ),
        (
            Command {
                price_ticks: NONE,
                ..place
            },
            "no price can be",
        ),
        (
            Command {
                order_id: 7,
                ..place
            },
            "order 1 was expected to be 7",
        ),
    ];
    for (command, words) in cases {
        let text = command.send(&mut Host::default()).expect_err(words);
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn commands_for_orders_that_never_were_are_dropped() {
    let mut host = Host::default();
    for order_id in [-1, 0, 1, i64::MAX] {
        for verb in [CANCEL, AMEND] {
            let command = Command {
                verb,
                order_id,
                ..Command::default()
            };
            command.send(&mut host).expect("dropped");
        }
    }
    assert!(host.outbox.is_empty());
}
