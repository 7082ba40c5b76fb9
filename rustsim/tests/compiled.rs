//! The compiled engine against the direct one where blocks, chunks and checkpoints meet: deep books, far prices, long silences, wiped books, large groups.
//!
//! `tests/reference.rs` compares both engines on short random runs in every world; here runs are long enough for several chunks.

mod draws;

use draws::Draws;
use rustsim::error::Result;
use rustsim::filter::lanes::{Lane, replay_lanes};
use rustsim::filter::layout::Carries;
use rustsim::filter::mask::forms;
use rustsim::filter::{CompiledTape, replay_compiled};
use rustsim::host::Host;
use rustsim::replay::{Strategy, Wake, WakeFilter, replay};
use rustsim::sim::{Outcomes, RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::types::{
    FLAG_GAP, FLAG_INDICATIVE, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE,
    Nanos, OrderRequest, OrderType, Side, TakePolicy, Tick, TickIndex, TimeInForce,
};

const MID: TickIndex = 50_000;
/// Rows of two chunks.
const ROWS: usize = 9_000;
/// Rows from one checkpoint to the next, and more.
const MANY_ROWS: usize = 45_000;

/// How a market differs from an ordinary one.
#[derive(Clone, Copy, Debug)]
struct Nature {
    /// Furthest that levels lie from the mid.
    depth: i32,
    /// Now and then nothing happens for so long.
    silence_ns: Nanos,
    /// Rows of the largest groups.
    group: i32,
    has_local: bool,
}

fn market(seed: u64, nature: Nature, count: usize) -> Vec<Tick> {
    let mut draws = Draws(seed);
    let mut rows = Vec::with_capacity(count);
    let (mut exch_ns, mut mid, mut local_ns) = (1_700_000_000_000_000_000, MID, 0);
    while rows.len() < count {
        exch_ns += match draws.below(400) {
            0 => nature.silence_ns,
            1..80 => 1 + i64::from(draws.int(900)),
            _ => 1_000 * i64::from(1 + draws.int(5_000)),
        };
        mid = (mid + draws.int(3) - 1).clamp(MID - 300, MID + 300);
        let unusual = draws.below(600);
        let group = if draws.below(40) == 0 {
            1 + draws.int(nature.group)
        } else {
            1 + draws.int(4)
        };
        let flags = [FLAG_GAP, FLAG_INDICATIVE, FLAG_INDICATIVE];
        let flags = usize::try_from(unusual)
            .ok()
            .and_then(|unusual| flags.get(unusual));
        let flags = flags.copied().unwrap_or(0);
        // Stamps stay behind the exchange and now and then far behind.
        let late = if draws.below(500) == 0 {
            6_000_000_000
        } else {
            1 + i64::from(draws.int(1_000_000))
        };
        local_ns = local_ns.max(exch_ns + late);
        for index in 0..group {
            let side = u8::from(draws.below(2) == 0);
            let away = match draws.below(20) {
                0 => draws.int(nature.depth),
                1..5 => draws.int(40),
                _ => draws.int(4),
            };
            let price = if side == 0 {
                mid - 1 - away
            } else {
                mid + 1 + away
            };
            let kind = match draws.below(30) {
                0 if unusual == 3 && index == 0 => KIND_CLEAR,
                0..4 => KIND_TRADE,
                _ => KIND_LEVEL,
            };
            let qty = match kind {
                KIND_LEVEL => (draws.int(12) - 3).max(0),
                KIND_TRADE => 1 + draws.int(6),
                _ => 0,
            };
            let is_away = kind == KIND_LEVEL && qty == 0 && draws.below(3) == 0;
            rows.push(Tick {
                exch_ns,
                local_ns: if nature.has_local { local_ns } else { exch_ns },
                price: if kind == KIND_CLEAR { 0 } else { price },
                qty,
                join: 0,
                kind,
                side: if kind == KIND_CLEAR { 0 } else { side },
                flags: flags + u8::from(is_away) * FLAG_OUT_OF_VIEW,
                reserved: 0,
            });
        }
        if let Some(last) = rows.last_mut() {
            last.flags |= FLAG_LAST;
        }
    }
    rows
}

/// Quotes anywhere, takes sometimes, remembers nothing but ids.
struct Wanderer {
    draws: Draws,
    orders: u64,
    depth: i32,
    pause_ns: Nanos,
}

impl Strategy for Wanderer {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        host.set_timer(host.now_ns + 1);
        Ok(())
    }

    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        if wake.is_timer {
            host.set_timer(host.now_ns + self.pause_ns);
        }
        if !wake.is_timer && self.draws.below(6) != 0 {
            return Ok(());
        }
        let (Some(bid), Some(ask)) = (host.view.best_bid, host.view.best_ask) else {
            return Ok(());
        };
        let side = if self.draws.below(2) == 0 {
            Side::Bid
        } else {
            Side::Ask
        };
        let away = match self.draws.below(8) {
            0 => self.draws.int(self.depth),
            1 => -2,
            _ => self.draws.int(5),
        };
        let price = if side == Side::Bid {
            bid - away
        } else {
            ask + away
        };
        let is_taker = self.draws.below(9) == 0;
        // What it sees decides, so that a wrong view shows in the orders.
        let lots = i64::from(1 + (host.view.best_bid_lots + host.view.best_ask_lots).rem_euclid(4));
        self.orders = host.place_order(OrderRequest {
            side,
            price,
            qty: if is_taker { 20 * lots } else { lots },
            order_type: OrderType::Limit,
            time_in_force: if is_taker {
                TimeInForce::Ioc
            } else {
                TimeInForce::Rod
            },
            take_policy: if is_taker {
                TakePolicy::MayTake
            } else {
                TakePolicy::PostOnly
            },
            session: 0,
        });
        if self.orders > 3 {
            host.cancel_order(self.orders - 3, 0);
        }
        if self.draws.below(10) == 0 {
            host.amend_order(self.orders - self.orders.min(2), Some(price - 1), None, 0);
        }
        Ok(())
    }

    fn on_end(&mut self, _: &mut Host) -> Result<()> {
        Ok(())
    }
}

fn wanderer(seed: u64, nature: Nature) -> Wanderer {
    Wanderer {
        draws: Draws(seed ^ 0xabcd),
        orders: 0,
        depth: nature.depth,
        pause_ns: 700_000_000.max(nature.silence_ns / 1_000),
    }
}

fn spec(seed: u64) -> SimSpec {
    let queue = ["back", "front", "uniform", "odds", "odds_size"];
    let queue = queue[usize::try_from(seed).unwrap() % queue.len()];
    let feed_ns = [0, 2_000_000][usize::try_from(seed / 2).unwrap() % 2];
    let visible = [0, 5][usize::try_from(seed / 3).unwrap() % 2];
    // Memory of own takers lets matching look at every group: with none the filter alone decides.
    let half_life = ["0", "0", "400000000", "null"][usize::try_from(seed).unwrap() % 4];
    SimSpec::from_json(&format!(
        r#"{{"instrument": {{"name": "X", "tick_value_minor": 5, "visible_levels": {visible}}},
            "latency": {{"place": {{"model": "gamma", "mean_ns": 4e6}}, "report": {{"mean_ns": 1e6}}, "feed": {{"mean_ns": {feed_ns}}}}},
            "queue": {{"model": "{queue}"}}, "impact": {{"half_life_ns": {half_life}}}, "certificates": {}, "seed": {seed}}}"#,
        seed.is_multiple_of(2)
    ))
    .unwrap()
}

fn options(nature: Nature) -> RunOptions {
    RunOptions {
        keep_log: true,
        has_local: nature.has_local,
        ..RunOptions::default()
    }
}

fn direct(seed: u64, rows: &[Tick], nature: Nature) -> Outcomes {
    let exchange = SimulatedExchange::new(spec(seed), (MID, MID), options(nature)).unwrap();
    replay(
        exchange,
        rows,
        7,
        WakeFilter::Best,
        &mut wanderer(seed, nature),
    )
    .unwrap()
}

fn span_ns(rows: &[Tick]) -> (Nanos, Nanos) {
    (rows[0].exch_ns, rows[rows.len() - 1].exch_ns)
}

fn compiled(seed: u64, rows: &[Tick], tape: &CompiledTape, nature: Nature) -> Outcomes {
    let open = tape.read();
    let exchange = SimulatedExchange::on(spec(seed), &open, options(nature)).unwrap();
    let (stop_row, span_ns) = (tape.rows().end, span_ns(rows));
    let mut strategy = wanderer(seed, nature);
    replay_compiled(
        exchange,
        &open,
        stop_row,
        span_ns,
        WakeFilter::Best,
        &mut strategy,
    )
    .unwrap()
}

fn compile(rows: &[Tick], nature: Nature) -> CompiledTape {
    let carries = Carries {
        local: nature.has_local,
        join: false,
    };
    CompiledTape::of(rows, 7, carries, (MID, MID)).unwrap()
}

fn assert_equal(name: &str, compiled: &Outcomes, direct: &Outcomes) {
    let first = compiled
        .log
        .iter()
        .zip(&direct.log)
        .position(|(a, b)| a != b);
    if let Some(first) = first {
        panic!(
            "{name}, event {first}: compiled {:?}, direct {:?}",
            compiled.log[first], direct.log[first]
        );
    }
    assert_eq!(compiled.digest, direct.digest, "{name}");
    assert_eq!(compiled.wakes, direct.wakes, "{name}");
    assert_eq!(compiled.events, direct.events, "{name}");
    assert_eq!(
        compiled.ledger.equity_samples(),
        direct.ledger.equity_samples(),
        "{name}"
    );
}

const NATURES: [Nature; 6] = [
    Nature {
        depth: 10,
        silence_ns: 1_000_000_000,
        group: 12,
        has_local: false,
    },
    Nature {
        depth: 10,
        silence_ns: 1_000_000_000,
        group: 12,
        has_local: true,
    },
    // Codes of prices are ambiguous, and times do not fit 32 bits of nanoseconds.
    Nature {
        depth: 3_000,
        silence_ns: 20_000_000_001,
        group: 12,
        has_local: false,
    },
    // Prices do not fit one block, and neither do the times of a night.
    Nature {
        depth: 300_000,
        silence_ns: 50_000_000_000_001,
        group: 12,
        has_local: true,
    },
    // Groups run over several blocks and over the ends of chunks.
    Nature {
        depth: 60,
        silence_ns: 3_000_000,
        group: 300,
        has_local: false,
    },
    Nature {
        depth: 900,
        silence_ns: 5_000_000_000,
        group: 9_000,
        has_local: true,
    },
];

#[test]
fn engines_agree_where_blocks_and_chunks_meet() {
    let forms = forms();
    let mut fills = 0;
    for (index, nature) in NATURES.into_iter().enumerate() {
        for turn in 0..4 {
            let seed = 5 * index as u64 + turn;
            let rows = market(seed, nature, if turn == 0 { MANY_ROWS } else { ROWS });
            let (name, form) = forms[usize::try_from(seed).unwrap() % forms.len()];
            let tape = compile(&rows, nature).comparing(form);
            let expected = direct(seed, &rows, nature);
            let found = compiled(seed, &rows, &tape, nature);
            assert_equal(
                &format!("seed {seed}, {name}, {nature:?}"),
                &found,
                &expected,
            );
            let totals = expected.ledger.totals();
            fills += totals.iter().find(|total| total.0 == "fills").unwrap().1;
        }
    }
    assert!(fills > 500, "only {fills} fills: the test shows little");
}

#[test]
fn lanes_give_what_each_gives_alone() {
    // Groups of many chunks, and stamps of a local clock.
    let nature = NATURES[5];
    let rows = market(99, nature, ROWS);
    let tape = compile(&rows, nature);
    let open = tape.read();
    let mut strategies: Vec<Wanderer> = (0..9).map(|seed| wanderer(seed, nature)).collect();
    let lanes = strategies.iter_mut().zip(0..).map(|(strategy, seed)| {
        let exchange = SimulatedExchange::on(spec(seed), &open, options(nature)).unwrap();
        let stop_row = tape.rows().end;
        let span_ns = span_ns(&rows);
        Lane::begin(
            exchange,
            &open,
            stop_row,
            span_ns,
            WakeFilter::Best,
            strategy,
        )
        .unwrap()
    });
    let lanes = lanes.collect();
    for (outcomes, seed) in replay_lanes(&open, lanes).unwrap().into_iter().zip(0..) {
        let alone = direct(seed, &rows, nature);
        assert_equal(&format!("lane {seed}"), &outcomes, &alone);
    }
}

#[test]
fn a_file_gives_what_memory_gives_and_every_flipped_bit_is_found() {
    let nature = NATURES[3];
    let rows = market(5, nature, ROWS);
    let folder = std::env::temp_dir().join(format!("compiled-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.compiled");
    let carries = Carries {
        local: true,
        join: false,
    };
    CompiledTape::write(&path, rows.as_slice(), 7, carries, (MID, MID), 42).unwrap();
    let expected = compiled(5, &rows, &compile(&rows, nature), nature);
    let opened = CompiledTape::open(&path, 42).unwrap();
    assert_equal("file", &compiled(5, &rows, &opened, nature), &expected);

    let wrong = CompiledTape::open(&path, 43).unwrap_err().to_string();
    assert!(wrong.contains("another tape"), "{wrong}");
    let bytes = std::fs::read(&path).unwrap();
    let damaged = folder.join("b.compiled");
    let mut draws = Draws(3);
    for turn in 0..400 {
        let mut copy = bytes.clone();
        if turn % 4 == 0 {
            copy.truncate(usize::try_from(draws.below(copy.len() as u64)).unwrap());
        } else {
            let place = usize::try_from(draws.below(copy.len() as u64)).unwrap();
            copy[place] ^= 1 << draws.below(8);
        }
        std::fs::write(&damaged, &copy).unwrap();
        let refused = CompiledTape::open(&damaged, 42);
        assert!(refused.is_err(), "turn {turn}: damage was not found");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
