//! Markets, descriptions and commands out of bytes: engine and slow twin agree on all of them, and the same rows step by step end without a panic.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the twin and its comparison are shared with a test"
)]

#[path = "../../tests/reference.rs"]
mod reference;

use libfuzzer_sys::fuzz_target;
use reference::twin::market::{PRICES, forget, rules};
use reference::twin::run::run;
use reference::twin::{Actor, Command, Moment};
use reference::{check_equal, run_engine, spec_of};
use rustsim::gateway::ExecutionGateway;
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::types::{
    FLAG_GAP, FLAG_INDICATIVE, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE,
    Nanos, OrderRequest, OrderType, Side, TakePolicy, Tick, TimeInForce,
};

/// Bytes of one row.
const ROW_BYTES: usize = 4;
const ROWS_MAX: usize = 200;
/// Calls that an actor answers at one time.
const CALLS_MAX: u32 = 5;

fn rows_of(bytes: &[u8]) -> Vec<Tick> {
    let mut now = 1_000;
    let span = (PRICES.1 - PRICES.0 + 1) as u8;
    let row = |row: &[u8]| {
        let [what, place, lots, wait] = [row[0], row[1], row[2], row[3]];
        now += Nanos::from(wait >> 2) * if wait & 3 == 3 { 40 } else { 1 };
        let mut tick = Tick {
            exch_ns: now,
            local_ns: now + Nanos::from(wait & 3) * 10,
            kind: [KIND_LEVEL, KIND_LEVEL, KIND_TRADE, KIND_LEVEL][usize::from(what & 3)],
            side: what >> 2 & 1,
            price: PRICES.0 + i32::from(place % span),
            qty: i32::from(lots % 24),
            flags: FLAG_LAST,
            ..Tick::default()
        };
        match what >> 3 {
            0 => tick.flags |= FLAG_GAP,
            1 => tick.flags |= FLAG_INDICATIVE,
            2 if tick.kind == KIND_LEVEL => {
                (tick.qty, tick.flags) = (0, tick.flags | FLAG_OUT_OF_VIEW);
            }
            3 => (tick.kind, tick.side, tick.price, tick.qty) = (KIND_CLEAR, 0, 0, 0),
            _ => {}
        }
        if tick.kind == KIND_TRADE {
            tick.qty = tick.qty.max(1);
        }
        tick
    };
    bytes
        .chunks_exact(ROW_BYTES)
        .take(ROWS_MAX)
        .map(row)
        .collect()
}

/// Does what its bytes say, whatever it sees; without bytes it does nothing.
#[derive(Clone)]
struct Script {
    bytes: std::vec::IntoIter<u8>,
    placed: u64,
    last_ns: Nanos,
    calls: u32,
}

impl Script {
    fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec().into_iter(),
            placed: 0,
            last_ns: Nanos::MIN,
            calls: 0,
        }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    fn command(&mut self, now_ns: Nanos) -> Command {
        let (what, with) = (self.byte(), self.byte());
        let price = PRICES.0 + i32::from(with % 20);
        let (lots, session) = (i64::from(what >> 4 & 7), what >> 7);
        let order_id = (self.placed + 1).saturating_sub(u64::from(with % 8));
        match what & 7 {
            0..4 => {
                self.placed += 1;
                let how = self.byte();
                Command::Place(OrderRequest {
                    side: if what & 8 == 0 { Side::Bid } else { Side::Ask },
                    price,
                    qty: lots,
                    order_type: if how & 7 == 7 {
                        OrderType::Market
                    } else {
                        OrderType::Limit
                    },
                    time_in_force: [
                        TimeInForce::Rod,
                        TimeInForce::Rod,
                        TimeInForce::Ioc,
                        TimeInForce::Fok,
                    ][usize::from(how >> 3 & 3)],
                    take_policy: if how & 32 == 0 {
                        TakePolicy::MayTake
                    } else {
                        TakePolicy::PostOnly
                    },
                    session,
                })
            }
            4 => Command::Cancel { order_id, session },
            5 | 6 => {
                let how = self.byte();
                Command::Amend {
                    order_id,
                    price: (how & 1 != 0).then_some(PRICES.0 + i32::from(how >> 2) % 20),
                    qty: (how & 2 != 0).then_some(lots),
                    session,
                }
            }
            _ => Command::Timer {
                at_ns: now_ns + Nanos::from(with) - 3,
            },
        }
    }
}

impl Actor for Script {
    fn start(&mut self, now_ns: Nanos) -> Vec<Command> {
        (0..self.byte() & 3).map(|_| self.command(now_ns)).collect()
    }

    fn wake(&mut self, moment: &Moment) -> Vec<Command> {
        self.calls = if moment.now_ns == self.last_ns {
            self.calls + 1
        } else {
            0
        };
        self.last_ns = moment.now_ns;
        if self.calls > CALLS_MAX || self.bytes.len() == 0 {
            return Vec::new();
        }
        (0..self.byte() & 3)
            .map(|_| self.command(moment.now_ns))
            .collect()
    }
}

/// The same, message by message; commands go out between two rows.
fn step(spec: rustsim::spec::SimSpec, rows: &[Tick], mut script: Script, has_local: bool) {
    let options = RunOptions {
        samples: 5,
        keep_log: true,
        has_local,
        ..RunOptions::default()
    };
    let mut exchange = SimulatedExchange::new(spec, PRICES, options).expect("the twin ran it");
    for row in rows {
        exchange.on_tick(&[*row]).expect("rows are in order");
        for _ in 0..script.byte() & 1 {
            let _ = match script.command(row.exch_ns) {
                Command::Place(order) => exchange.place_order(order) > 0,
                Command::Cancel { order_id, session } => exchange.cancel_order(order_id, session),
                Command::Amend {
                    order_id,
                    price,
                    qty,
                    session,
                } => exchange.amend_order(order_id, price, qty, session),
                Command::Timer { .. } => false,
            };
        }
    }
    exchange.finish().expect("the account adds up");
}

fuzz_target!(|data: &[u8]| {
    let Some((&[low, high, middle], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let (rows, commands) = rest.split_at(rest.len() * usize::from(middle) / 256);
    let rows = rows_of(rows);
    if rows.is_empty() {
        return;
    }
    // The description is random; rows and commands are what the bytes say.
    let rules = rules(u64::from(u16::from_le_bytes([low, high])));
    let (outcomes, moments) = run_engine(&rules, &rows, 3, &mut Script::new(commands));
    let story = run(&rules, &rows, 3, &mut Script::new(commands));
    if let Err(difference) = check_equal(&outcomes, &moments, &story) {
        panic!("{difference}\n{rules:?}");
    }
    step(
        spec_of(&rules),
        &rows,
        Script::new(commands),
        rules.has_local,
    );
    forget(&rules);
});
