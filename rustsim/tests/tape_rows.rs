//! Any rows come back from blocks and tapes, and a replay of a tape is one of its rows.

mod sample;

use proptest::prelude::*;
use rustsim::host::Host;
use rustsim::replay::{self, Wake, WakeFilter, replay};
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::tape::MappedTape;
use rustsim::tape::block::{BLOCK_BYTES_MAX, BLOCK_ROWS, Block, Scratch, pack};
use rustsim::tape::limits::{EXCH_NS_END, PRICE_ABS_MAX};
use rustsim::types::{
    FLAG_IMAGE, FLAG_LAST, OrderRequest, OrderType, Side, TakePolicy, Tick, TimeInForce,
};
use sample::{Folder, Random, all, sample_rows, without_last, write};

/// Any row at all, within the rules or not; only what a code byte cannot hold is left out.
fn any_row() -> impl Strategy<Value = Tick> {
    let time = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), 0..1_000_i64];
    let number = prop_oneof![any::<i32>(), Just(i32::MIN), Just(i32::MAX), 0..300_i32];
    let join = prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), 0..600_u32];
    let codes = (0..3_u8, 0..2_u8, 0..32_u8);
    (time.clone(), time, number.clone(), number, join, codes).prop_map(
        |(exch_ns, local_ns, price, qty, join, (kind, side, flags))| Tick {
            exch_ns,
            local_ns,
            price,
            qty,
            join,
            kind,
            side,
            flags,
            reserved: 0,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // Goal: a block gives back every bit of its rows: extreme values, all widths, any place in the tape, with and without a local clock.
    #[test]
    fn blocks_give_back_any_rows(
        mut rows in prop::collection::vec(any_row(), 1..BLOCK_ROWS + 1),
        first_row in prop_oneof![Just(0_u64), any::<u64>().prop_map(|row| row >> 24)],
        has_local in any::<bool>(),
    ) {
        // Blocks hold times by groups, whose ends are the LAST flags.
        for index in 0..rows.len() {
            if !has_local {
                rows[index].local_ns = rows[index].exch_ns;
            }
            let ends = index + 1 == rows.len() || rows[index + 1].exch_ns != rows[index].exch_ns;
            rows[index].flags = rows[index].flags & !FLAG_LAST | u8::from(ends);
        }
        let mut bytes = vec![7];
        pack(&rows, first_row, &mut bytes);
        prop_assert!(bytes.len() - 1 <= BLOCK_BYTES_MAX);
        let mut out = [Tick::default(); BLOCK_ROWS];
        let block = Block::read(&bytes[1..], rows.len(), first_row).expect("just packed");
        let count = block.unpack(&mut Scratch::default(), &mut out);
        prop_assert_eq!(&out[..count], rows.as_slice());
        prop_assert!(Block::read(&bytes[1..], rows.len() + 1, first_row).is_err());
    }

    // Goal: good rows come back from a tape whatever their sizes, gaps and blocks are, in any stretch.
    #[test]
    fn tapes_give_back_any_good_rows(
        steps in prop::collection::vec(
            (prop_oneof![4 => Just(0_i64), 4 => 0..2_000_000_i64, 1 => 0..(1_i64 << 52)], 0..1_000_000_000_i64, any::<i32>(), 1..=i32::MAX, any::<u32>()),
            1..1_500,
        ),
        unit in prop_oneof![Just(1_i64), Just(1_000)],
        has_local in any::<bool>(),
        cut in any::<(u16, u16)>(),
    ) {
        let (mut exch_ns, mut local_ns) = (0_i64, 0_i64);
        let rows: Vec<Tick> = steps.iter().map_while(|&(step, delay, price, qty, join)| {
            exch_ns = exch_ns.saturating_add(step * unit);
            local_ns = if has_local { local_ns.max(exch_ns.saturating_add(delay)) } else { exch_ns };
            (exch_ns < EXCH_NS_END).then_some(Tick {
                exch_ns,
                local_ns,
                price: price % PRICE_ABS_MAX,
                qty,
                join,
                kind: u8::from(qty % 3 == 0),
                side: u8::from(price % 2 == 0),
                flags: if join % 5 == 0 { FLAG_IMAGE } else { 0 },
                reserved: 0,
            })
        }).collect();
        let folder = Folder::new("any-rows");
        let path = folder.file("a.tape");
        write(&path, &rows, has_local, 700);
        let tape = MappedTape::open(&path).expect("opens");
        let back = all(&tape);
        prop_assert_eq!(&without_last(&back), &rows);
        prop_assert_eq!(tape.has_join(), rows.iter().any(|row| row.join != 0));
        let (a, b) = (usize::from(cut.0) % (rows.len() + 1), usize::from(cut.1) % (rows.len() + 1));
        let (start, stop) = (a.min(b), a.max(b));
        prop_assert_eq!(&tape.rows(start..stop).expect("inside")[..], &back[start..stop]);
        if let Some(row) = back.get(a) {
            prop_assert_eq!(tape.exch_ns(a), Ok(row.exch_ns));
            let first = back.partition_point(|other| other.exch_ns < row.exch_ns);
            prop_assert_eq!(tape.first_row_at(row.exch_ns), Ok(first));
        }
    }
}

// Goal: a replay gives one result, whether its rows lie in memory or come out of blocks, from any row to any other.
#[test]
fn replays_of_a_tape_and_of_its_rows_are_equal() {
    let folder = Folder::new("replay");
    let path = folder.file("a.tape");
    let mut rows = sample_rows(4000, true);
    // One time with more rows than several blocks.
    let start = rows[1000].exch_ns;
    for row in &mut rows[1000..2500] {
        let delay = row.local_ns - row.exch_ns;
        (row.exch_ns, row.local_ns) = (start, start + delay);
    }
    write(&path, &rows, true, 4000);
    let tape = MappedTape::open(&path).expect("opens");
    let rows = all(&tape);
    let exchange = || {
        let options = RunOptions {
            has_local: true,
            keep_log: true,
            ..RunOptions::default()
        };
        SimulatedExchange::new(SimSpec::default(), (20_000, 20_050), options).expect("a good spec")
    };
    let mut random = Random(9);
    for round in 0..40 {
        let cuts = [random.below(4001) as usize, random.below(4001) as usize];
        let (start, stop) = match round {
            0 => (0, 4000),
            1 => (0, 0),
            2 => (1200, 2000),
            _ => (cuts[0].min(cuts[1]), cuts[0].max(cuts[1])),
        };
        for filter in [WakeFilter::Best, WakeFilter::Every] {
            let (mut one, mut other) = (Quoter::default(), Quoter::default());
            let cursor = tape.cursor(start..stop).expect("inside");
            let a = replay(exchange(), cursor, start, filter, &mut one).expect("runs");
            let b =
                replay(exchange(), &rows[start..stop], start, filter, &mut other).expect("runs");
            assert_eq!(
                (a.digest, a.events, a.wakes),
                (b.digest, b.events, b.wakes),
                "{start}..{stop}"
            );
            assert_eq!(one.orders, other.orders);
        }
    }
    let fault = tape.cursor(3000..4001).expect_err("one row too many");
    assert!(fault.to_string().contains("3000..4001"), "{fault}");
}

/// Places an order at the best bid whenever it is woken by the market.
#[derive(Default)]
struct Quoter {
    orders: Vec<(i64, i32)>,
}

impl replay::Strategy for Quoter {
    fn on_start(&mut self, _: &mut Host) -> rustsim::error::Result<()> {
        Ok(())
    }

    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> rustsim::error::Result<()> {
        if let (true, Some(price)) = (wake.is_tick, host.view.best_bid) {
            self.orders.push((host.now_ns, price));
            host.place_order(OrderRequest {
                side: Side::Bid,
                price,
                qty: 1,
                order_type: OrderType::Limit,
                time_in_force: TimeInForce::Rod,
                take_policy: TakePolicy::MayTake,
                session: 0,
            });
        }
        Ok(())
    }

    fn on_end(&mut self, _: &mut Host) -> rustsim::error::Result<()> {
        Ok(())
    }
}
