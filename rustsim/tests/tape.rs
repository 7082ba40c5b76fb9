//! Tapes written, read back, and damaged in every way that we could think of.

use proptest::prelude::*;
use rustsim::host::Host;
use rustsim::replay::{self, Wake, WakeFilter, replay};
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::tape::block::{BLOCK_BYTES_MAX, BLOCK_ROWS, Block, Scratch, pack};
use rustsim::tape::validate::{EXCH_NS_END, PRICE_ABS_MAX};
use rustsim::tape::{MappedTape, TapeSummary, TapeWriter};
use rustsim::types::{
    FLAG_IMAGE, FLAG_LAST, KIND_CLEAR, KIND_TRADE, OrderRequest, OrderType, Side, TakePolicy, Tick,
    TimeInForce,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// Flips and cuts tried by `every_damage_is_refused`, on top of every bit of the header.
const DAMAGES: u64 = 3000;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rustsim-tape-{}-{name}", process::id()));
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder is there");
        entries
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// A small generator with a fixed seed: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("below a u32")
    }
}

fn sample_rows(count: usize, has_local: bool) -> Vec<Tick> {
    let mut random = Random(count as u64);
    let mut exch_ns = 1_700_000_000_000_000_000;
    let mut rows = vec![Tick {
        exch_ns,
        local_ns: exch_ns + 40,
        kind: KIND_CLEAR,
        ..Tick::default()
    }];
    while rows.len() < count {
        exch_ns += i64::from(random.below(4)) * 1_000_000;
        let trade = random.below(5) == 0;
        rows.push(Tick {
            exch_ns,
            local_ns: exch_ns + 40,
            price: 20_000 + i32::try_from(random.below(50)).expect("small"),
            qty: 1 + i32::try_from(random.below(9)).expect("small"),
            join: 0,
            kind: if trade { KIND_TRADE } else { 0 },
            side: u8::from(random.below(2) == 1),
            flags: if trade { 0 } else { FLAG_IMAGE },
            reserved: 0,
        });
    }
    rows.truncate(count);
    if !has_local {
        for row in &mut rows {
            row.local_ns = row.exch_ns;
        }
    }
    rows
}

fn write(path: &Path, rows: &[Tick], has_local: bool, chunk: usize) -> TapeSummary {
    let mut writer = TapeWriter::create(path, has_local, "sample").expect("the folder is writable");
    for part in rows.chunks(chunk) {
        writer.append(part).expect("the rows are good");
    }
    writer
        .finish("{\"name\": \"sample\"}")
        .expect("the disk has room")
}

fn all(tape: &MappedTape) -> Vec<Tick> {
    tape.rows(0..tape.row_count()).expect("rows of the tape")
}

fn without_last(rows: &[Tick]) -> Vec<Tick> {
    rows.iter()
        .map(|row| Tick {
            flags: row.flags & !FLAG_LAST,
            ..*row
        })
        .collect()
}

#[test]
fn rows_come_back_as_written() {
    let folder = Folder::new("round-trip");
    for count in [0, 1, 2, 255, 256, 257, 512, 10_000] {
        for has_local in [false, true] {
            let rows = sample_rows(count, has_local);
            let path = folder.file("a.tape");
            let summary = write(&path, &rows, has_local, 777);
            let tape = MappedTape::open(&path).expect("a sealed tape opens");
            assert_eq!(without_last(&all(&tape)), rows);
            assert_eq!(tape.has_local(), has_local);
            assert_eq!(tape.metadata(), "{\"name\": \"sample\"}");
            assert_eq!(tape.content_hash(), summary.content_hash);
            assert_eq!(tape.price_range(), summary.price_range);
            assert_eq!(summary.bytes, fs::metadata(&path).expect("written").len());
        }
    }
    assert_eq!(folder.names(), ["a.tape"], "no temporary file is left");
}

#[test]
fn last_flag_stands_on_the_last_row_of_each_time_only() {
    let folder = Folder::new("last");
    let mut rows = sample_rows(3000, false);
    for row in &mut rows {
        row.flags |= FLAG_LAST;
    }
    write(&folder.file("a.tape"), &rows, false, 1);
    let tape = MappedTape::open(&folder.file("a.tape")).expect("opens");
    let rows = all(&tape);
    for pair in rows.windows(2) {
        assert_eq!(
            pair[0].flags & FLAG_LAST != 0,
            pair[0].exch_ns != pair[1].exch_ns
        );
    }
    assert_ne!(rows[2999].flags & FLAG_LAST, 0);
}

#[test]
fn bytes_do_not_depend_on_the_chunks() {
    let folder = Folder::new("chunks");
    let rows = sample_rows(9000, true);
    write(&folder.file("a.tape"), &rows, true, 1);
    write(&folder.file("b.tape"), &rows, true, 9000);
    let (a, b) = (
        fs::read(folder.file("a.tape")),
        fs::read(folder.file("b.tape")),
    );
    assert_eq!(a.expect("written"), b.expect("written"));
}

#[test]
fn first_row_at_finds_the_first_of_equal_times() {
    let folder = Folder::new("search");
    let rows = sample_rows(3000, false);
    write(&folder.file("a.tape"), &rows, false, 100);
    let tape = MappedTape::open(&folder.file("a.tape")).expect("opens");
    for row in &rows {
        let expected = rows
            .iter()
            .position(|other| other.exch_ns >= row.exch_ns)
            .expect("itself");
        assert_eq!(tape.first_row_at(row.exch_ns), Ok(expected));
    }
    assert_eq!(tape.first_row_at(i64::MAX), Ok(rows.len()));
    assert_eq!(tape.first_row_at(i64::MIN), Ok(0));
}

#[test]
fn bad_row_names_source_and_row_and_leaves_nothing_behind() {
    let folder = Folder::new("bad-row");
    let mut rows = sample_rows(5000, false);
    rows[4321].qty = -1;
    let mut writer =
        TapeWriter::create(&folder.file("a.tape"), false, "day.parquet").expect("writable");
    writer.append(&rows[..4000]).expect("good");
    let fault = writer
        .append(&rows[4000..])
        .expect_err("row 4321 is bad")
        .to_string();
    assert!(
        fault.starts_with("day.parquet: row 4321: qty -1"),
        "{fault}"
    );
    assert_eq!(folder.names(), Vec::<String>::new());
    assert!(
        writer.append(&rows[..1]).is_err(),
        "a failed writer takes no more rows"
    );
    assert!(
        writer.finish("{}").is_err(),
        "a failed writer can't be sealed"
    );
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn aborted_or_dropped_writer_leaves_nothing_behind() {
    let folder = Folder::new("abort");
    let rows = sample_rows(5000, false);
    let mut writer = TapeWriter::create(&folder.file("a.tape"), false, "").expect("writable");
    writer.append(&rows).expect("good");
    writer.abort();
    assert_eq!(folder.names(), Vec::<String>::new());
    let mut writer = TapeWriter::create(&folder.file("a.tape"), false, "").expect("writable");
    writer.append(&rows).expect("good");
    assert_eq!(folder.names().len(), 1, "the temporary file is there");
    assert!(
        MappedTape::open(&folder.file(&folder.names()[0])).is_err(),
        "and is no tape"
    );
    drop(writer);
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn sealed_tape_replaces_an_older_one_under_its_readers() {
    let folder = Folder::new("replace");
    let path = folder.file("a.tape");
    write(&path, &sample_rows(100, false), false, 100);
    let old = MappedTape::open(&path).expect("opens");
    write(&path, &sample_rows(200, false), false, 100);
    assert_eq!(old.row_count(), 100, "the old mapping lives on");
    assert_eq!(MappedTape::open(&path).expect("opens").row_count(), 200);
}

/// Reads the directory of a good tape by hand.
fn block_ends(bytes: &[u8]) -> Vec<usize> {
    let number = |at: usize| {
        let bytes = bytes[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(bytes)).expect("small")
    };
    let (rows, blocks_bytes) = (number(16), number(48));
    (0..rows.div_ceil(BLOCK_ROWS))
        .map(|block| number(128 + blocks_bytes + block * 16))
        .collect()
}

// Goal: no damage passes silently, none panics, and each is refused with the file's name.
#[test]
fn every_damage_is_refused() {
    let folder = Folder::new("damage");
    let path = folder.file("a.tape");
    write(&path, &sample_rows(5000, true), true, 5000);
    let good = fs::read(&path).expect("written");
    let ends = block_ends(&good);
    assert_eq!(ends.len(), 5000_usize.div_ceil(BLOCK_ROWS));
    let bad_path = folder.file("bad.tape");
    let refuse = |bytes: &[u8], what: &str| {
        fs::write(&bad_path, bytes).expect("writable");
        let fault = MappedTape::open(&bad_path).expect_err(what).to_string();
        assert!(fault.contains("bad.tape"), "{what}: {fault}");
        fault
    };
    for bit in 0..128 * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        refuse(&bad, &format!("header bit {bit}"));
    }
    let size = u32::try_from(good.len()).expect("a small tape");
    let mut random = Random(20_261_122);
    for round in 0..DAMAGES {
        let at = random.below(size) as usize;
        let mut bad = good.clone();
        let what = format!("round {round} at byte {at}");
        match round % 4 {
            0 | 1 => bad[at] ^= 1 << random.below(8),
            2 => bad.truncate(at),
            _ => bad.push(0),
        }
        let fault = refuse(&bad, &what);
        let block = ends.iter().position(|end| at < *end);
        if let (true, Some(block)) = (round % 4 <= 1 && at >= 128, block) {
            assert!(
                fault.contains(&format!("block {block} ")),
                "{what}: {fault}"
            );
        }
    }
}

/// Seals bytes as the only block of a tape, with every checksum right.
fn forge(
    path: &Path,
    row: &Tick,
    price_max: i32,
    block: &[u8],
) -> rustsim::error::Result<MappedTape> {
    use rustsim::tape::format::{HEADER_BYTES, Header, canonical_rows};
    use xxhash_rust::xxh3::{xxh3_64, xxh3_128};
    let mut canonical = Vec::new();
    canonical_rows(&[*row], &mut canonical);
    let end = (HEADER_BYTES + block.len()) as u64;
    let directory = [end.to_le_bytes(), xxh3_64(block).to_le_bytes()].concat();
    let header = Header {
        row_count: 1,
        exch_ns_first: row.exch_ns,
        exch_ns_last: row.exch_ns,
        price_min: row.price,
        price_max,
        blocks_bytes: block.len() as u64,
        metadata_bytes: 0,
        has_local: false,
        has_join: row.join != 0,
        content_hash: xxh3_128(&canonical),
        directory_hash: xxh3_64(&directory),
        metadata_hash: xxh3_64(&[]),
    };
    fs::write(path, [&header.encode(), block, &directory].concat()).expect("writable");
    MappedTape::open(path)
}

fn good_row() -> Tick {
    Tick {
        exch_ns: 5,
        local_ns: 5,
        price: 9,
        qty: 1,
        flags: FLAG_LAST,
        ..Tick::default()
    }
}

// Goal: even a file whose checksums are right is refused if its rows break the rules.
#[test]
fn forged_rows_with_good_checksums_are_refused() {
    let folder = Folder::new("forged");
    let path = folder.file("a.tape");
    let good = good_row();
    let forge = |row: Tick, price_max: i32| {
        let mut block = Vec::new();
        pack(&[row], 0, &mut block);
        forge(&path, &row, price_max, &block)
    };
    assert!(forge(good, 9).is_ok());
    assert!(
        forge(good, 10).is_err(),
        "the header must tell the prices of the rows"
    );
    assert!(forge(Tick { flags: 0, ..good }, 9).is_err());
    assert!(forge(Tick { kind: 3, ..good }, 9).is_err());
    assert!(forge(Tick { qty: -4, ..good }, 9).is_err());
    assert!(
        forge(Tick { exch_ns: 6, ..good }, 9).is_err(),
        "no local clock"
    );
}

// Goal: a block of any bytes under a right checksum gives an error or exactly its rows, never a panic.
#[test]
fn forged_blocks_with_good_checksums_never_panic() {
    let folder = Folder::new("forged-blocks");
    let path = folder.file("a.tape");
    let good = good_row();
    let mut block = Vec::new();
    pack(&[good], 0, &mut block);
    for bit in 0..block.len() * 8 {
        let mut bad = block.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(tape) = forge(&path, &good, 9, &bad) {
            assert_eq!(all(&tape), [good], "bit {bit}");
        }
    }
    for length in 0..block.len() {
        assert!(forge(&path, &good, 9, &block[..length]).is_err());
    }
    let rows: Vec<Tick> = sample_rows(BLOCK_ROWS, true);
    let mut large = Vec::new();
    pack(&rows, 0, &mut large);
    let mut random = Random(5);
    let mut out = [Tick::default(); BLOCK_ROWS];
    let mut scratch = Scratch::default();
    let size = u32::try_from(large.len()).expect("small");
    for _ in 0..DAMAGES {
        let mut bad = large.clone();
        for _ in 0..=random.below(4) {
            let at = if random.below(2) == 0 {
                random.below(48)
            } else {
                random.below(size)
            };
            bad[at as usize] = u8::try_from(random.below(256)).expect("a byte");
        }
        if let Ok(block) = Block::read(&bad, BLOCK_ROWS, u64::from(random.below(u32::MAX))) {
            block.unpack(&mut scratch, &mut out);
        }
    }
}

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

#[test]
fn missing_empty_and_foreign_files_are_refused() {
    let folder = Folder::new("foreign");
    assert!(MappedTape::open(&folder.file("none.tape")).is_err());
    assert!(MappedTape::open(&folder.0).is_err(), "a folder is no tape");
    fs::write(folder.file("empty.tape"), []).expect("writable");
    assert!(MappedTape::open(&folder.file("empty.tape")).is_err());
    fs::write(folder.file("text.tape"), vec![b'x'; 4096]).expect("writable");
    let fault = MappedTape::open(&folder.file("text.tape"))
        .expect_err("no tape")
        .to_string();
    assert!(fault.contains("no tape"), "{fault}");
    assert!(TapeWriter::create(&folder.file("no/such/folder.tape"), false, "").is_err());
}
