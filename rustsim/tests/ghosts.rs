//! Own orders in the places of recorded ones: the engine's queue position against a plain list of orders, on a whole tape.
//!
//! Every recorded order whose row of joining and whose end are told is replaced by a ghost: an own order that arrives right before that row. From then on
//! the lots ahead of the ghost must be those ahead of the recorded order, after every row of its level, and the ghost must trade whenever an order
//! behind its place is hit. Ghosts that rest at one level at one time are given to different passes, so that none stands before another.
//!
//! `tests/integration/test_order_positions.py` makes the tapes and runs this.

#![allow(
    missing_docs,
    clippy::pedantic,
    reason = "plain code that is read beside the rules, not linked"
)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use rustsim::gateway::ExecutionGateway;
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::tape::MappedTape;
use rustsim::types::{
    EventKind, FLAG_INDICATIVE, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Lots, OrderEvent, OrderId,
    OrderRequest, OrderType, Side, TakePolicy, Tick, TickIndex, TimeInForce,
};

/// More than any print takes.
const GHOST_LOTS: Lots = 1_000_000_000;

type Key = (u8, TickIndex);

/// The recorded queues: join and lots of each order, oldest first; join 0 for lots without a name.
#[derive(Default)]
struct Lists {
    levels: BTreeMap<Key, Vec<(u32, i32)>>,
}

/// What a row did to its list.
#[derive(Clone, Copy, Default)]
struct Done {
    joined: bool,
    /// The order that left whole.
    left: Option<u32>,
}

impl Lists {
    fn apply(&mut self, row: &Tick, number: usize) -> Done {
        if row.kind == KIND_CLEAR {
            self.levels.clear();
            return Done::default();
        }
        let level = self.levels.entry((row.side, row.price)).or_default();
        let before: i32 = level.iter().map(|order| order.1).sum();
        let after = match row.kind {
            KIND_LEVEL => row.qty,
            KIND_TRADE if row.flags & FLAG_INDICATIVE == 0 => (before - row.qty).max(0),
            _ => before,
        };
        if after > before {
            level.push((number as u32 + 1, after - before));
            return Done {
                joined: true,
                left: None,
            };
        }
        let mut lots = before - after;
        let named = level
            .iter()
            .position(|order| row.join > 0 && order.0 == row.join);
        let mut left = None;
        for place in named.into_iter().chain(0..level.len()) {
            let part = lots.min(level[place].1);
            lots -= part;
            level[place].1 -= part;
            if part > 0 && level[place].1 == 0 && Some(place) == named {
                left = Some(row.join);
            }
        }
        level.retain(|order| order.1 > 0);
        Done {
            joined: false,
            left,
        }
    }

    fn ahead(&self, key: Key, join: u32) -> Option<i64> {
        let level = self.levels.get(&key)?;
        let place = level.iter().position(|order| order.0 == join)?;
        Some(level[..place].iter().map(|order| i64::from(order.1)).sum())
    }
}

/// A recorded order with a known beginning and end.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    key: Key,
    first: usize,
    last: usize,
}

fn trackable(rows: &[Tick]) -> Vec<Recorded> {
    let mut lists = Lists::default();
    let mut joined: HashMap<u32, (Key, usize)> = HashMap::new();
    let mut found = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let done = lists.apply(row, number);
        let key = (row.side, row.price);
        if row.kind == KIND_CLEAR {
            joined.clear();
        }
        if done.joined {
            joined.insert(number as u32 + 1, (key, number));
        }
        if let Some((key, first)) = done.left.and_then(|join| joined.remove(&join)) {
            found.push(Recorded {
                key,
                first,
                last: number,
            });
        }
    }
    found.sort_by_key(|order| order.first);
    found
}

/// Deals the orders out so that no two of one pass rest at one level at one time.
fn passes(orders: &[Recorded]) -> Vec<Vec<Recorded>> {
    let mut busy: HashMap<Key, Vec<usize>> = HashMap::new();
    let mut passes: Vec<Vec<Recorded>> = Vec::new();
    for order in orders {
        let until = busy.entry(order.key).or_default();
        let pass = until
            .iter()
            .position(|last| *last < order.first)
            .unwrap_or(until.len());
        if pass == until.len() {
            until.push(0);
        }
        until[pass] = order.last;
        if pass == passes.len() {
            passes.push(Vec::new());
        }
        passes[pass].push(*order);
    }
    passes
}

#[derive(Debug, Default)]
struct Tally {
    ghosts: u64,
    /// The exchange did not let it rest, by reason: an auction, or the book was crossed in the middle of a packet.
    not_placed: BTreeMap<String, u64>,
    /// Filled by a better opposite price or a print behind it, while the recorded order stayed.
    ended_early: u64,
    compared: u64,
    changes: u64,
    lots_traded: i64,
    /// First rows with another position or other fills.
    errors: Vec<String>,
    error_count: u64,
    /// Per end of an order: join, row and lots ahead before it.
    ends: String,
}

impl Tally {
    fn expect(&mut self, what: &str, row: usize, join: usize, engine: i64, list: i64) {
        if engine != list {
            self.error_count += 1;
            if self.errors.len() < 10 {
                self.errors.push(format!(
                    "row {row}, order of join {join}: {what} {engine}, by the list {list}"
                ));
            }
        }
    }
}

struct Ghost {
    order: Recorded,
    id: OrderId,
    ahead: i64,
    traded: i64,
    traded_expected: i64,
}

struct Pass<'a> {
    exchange: SimulatedExchange,
    lists: Lists,
    ghosts: HashMap<Key, Ghost>,
    tally: &'a mut Tally,
}

fn exchange(prices: (TickIndex, TickIndex)) -> SimulatedExchange {
    let spec = SimSpec::from_json(r#"{"queue": {"model": "l3"}}"#).unwrap();
    let options = RunOptions {
        has_join: true,
        is_watched: false,
        ..RunOptions::default()
    };
    SimulatedExchange::new(spec, prices, options).unwrap()
}

impl Pass<'_> {
    fn place(&mut self, order: Recorded, at_ns: i64) {
        let (side, price) = order.key;
        let id = self.exchange.place_order(OrderRequest {
            side: Side::from_code(side).unwrap(),
            price,
            qty: GHOST_LOTS,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Rod,
            take_policy: TakePolicy::PostOnly,
            session: 0,
        });
        let events = self.exchange.advance_to(at_ns).unwrap();
        let Some(ahead) = self.exchange.queue_ahead(id) else {
            let reason = format!("{:?}", events.last().unwrap().reason);
            *self.tally.not_placed.entry(reason).or_insert(0) += 1;
            return;
        };
        self.tally.ghosts += 1;
        let ghost = Ghost {
            order,
            id,
            ahead: ahead as i64,
            traded: 0,
            traded_expected: 0,
        };
        self.ghosts.insert(order.key, ghost);
    }

    fn learn(&mut self, events: &[OrderEvent], number: usize) {
        for event in events
            .iter()
            .filter(|event| event.kind == EventKind::Filled)
        {
            let key = (event.side as u8, event.price);
            let ghost = self.ghosts.get_mut(&key).unwrap();
            if event.leaves > 0 {
                ghost.traded += event.qty;
            } else {
                let is_last = ghost.order.last == number;
                self.tally.ended_early += u64::from(!is_last);
                self.ghosts.remove(&key);
            }
        }
    }

    /// Applies a row to engine and list, and compares the ghost at its level.
    fn row(&mut self, row: &Tick, number: usize) {
        let key = (row.side, row.price);
        if let Some(ghost) = self.ghosts.get_mut(&key) {
            let join = ghost.order.first as u32 + 1;
            if row.kind == KIND_TRADE && row.flags & FLAG_INDICATIVE == 0 && row.join >= join {
                ghost.traded_expected += i64::from(row.qty);
            }
            if ghost.order.last == number {
                let (first, ahead) = (ghost.order.first + 1, ghost.ahead);
                writeln!(self.tally.ends, "{first},{number},{ahead}").unwrap();
            }
        }
        let events = self.exchange.on_tick(std::slice::from_ref(row)).unwrap();
        self.learn(&events, number);
        self.lists.apply(row, number);
        let Some(ghost) = self.ghosts.get_mut(&key) else {
            return;
        };
        let join = ghost.order.first + 1;
        if ghost.order.last > number {
            let ahead = self.exchange.queue_ahead(ghost.id).unwrap() as i64;
            let listed = self.lists.ahead(key, join as u32).unwrap();
            self.tally.compared += 1;
            self.tally.changes += u64::from(ahead != ghost.ahead);
            ghost.ahead = ahead;
            self.tally.expect("lots ahead", number, join, ahead, listed);
        } else {
            self.tally.lots_traded += ghost.traded;
            self.exchange.cancel_order(ghost.id, 0);
            self.exchange.advance_to(row.exch_ns).unwrap();
            self.ghosts.remove(&key);
            return;
        }
        let (traded, expected) = (ghost.traded, ghost.traded_expected);
        self.tally
            .expect("lots traded", number, join, traded, expected);
    }
}

fn run(rows: &[Tick], prices: (TickIndex, TickIndex)) -> (Tally, usize, usize) {
    let orders = trackable(rows);
    let passes = passes(&orders);
    let mut tally = Tally::default();
    for ghosts in &passes {
        let mut pass = Pass {
            exchange: exchange(prices),
            lists: Lists::default(),
            ghosts: HashMap::new(),
            tally: &mut tally,
        };
        let mut next = ghosts.iter().peekable();
        let mut now_ns = rows[0].exch_ns - 1;
        for (number, row) in rows.iter().enumerate() {
            while let Some(order) = next.next_if(|order| order.first == number) {
                pass.place(*order, now_ns);
            }
            pass.row(row, number);
            now_ns = row.exch_ns;
        }
    }
    (tally, orders.len(), passes.len())
}

#[test]
#[ignore = "needs a tape of a recording; tests/integration/test_order_positions.py gives it one"]
fn ghosts_stand_where_recorded_orders_stood() {
    let path = std::env::var("SWEEP_GHOST_TAPE").expect("SWEEP_GHOST_TAPE names a tape");
    let tape = MappedTape::open(Path::new(&path)).unwrap();
    assert!(tape.has_join(), "{path} names no orders");
    let rows = tape.rows(0..tape.row_count()).unwrap();
    let (tally, orders, passes) = run(&rows, tape.price_range().unwrap());
    let summary = format!(
        "{orders} orders in {passes} passes over {} rows\n{} ghosts, not placed {:?}, {} ended early\n{} positions compared, {} moved, {} lots traded\n{} errors\n",
        rows.len(),
        tally.ghosts,
        tally.not_placed,
        tally.ended_early,
        tally.compared,
        tally.changes,
        tally.lots_traded,
        tally.error_count,
    );
    std::fs::write(format!("{path}.ghosts"), &summary).unwrap();
    std::fs::write(format!("{path}.ends"), &tally.ends).unwrap();
    assert_eq!(tally.error_count, 0, "{summary}{}", tally.errors.join("\n"));
}
