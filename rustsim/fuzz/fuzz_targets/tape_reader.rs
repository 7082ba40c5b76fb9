//! Tapes that are damaged, or forged with true checksums: opening one gives an error or a tape that keeps every promise, never a panic.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;
use rustsim::replay::{Spectator, WakeFilter, replay};
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::tape::MappedTape;
use rustsim::tape::block::{BLOCK_ROWS, Block, Scratch, pack};
use rustsim::tape::format::{HEADER_BYTES, Header, canonical_rows};
use rustsim::types::{FLAG_LAST, KIND_LEVEL, KIND_TRADE, Tick};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Rows of the tape that damages start from: more than one block.
const ROWS: usize = 300;

fn honest_blocks() -> &'static Vec<Vec<u8>> {
    static BLOCKS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let rows: Vec<Tick> = (0..ROWS as i32)
            .map(|i| Tick {
                exch_ns: 1_000_000 + i64::from(i / 2) * 1_000,
                local_ns: 1_000_500 + i64::from(i / 2) * 1_000,
                price: 100 + i % 7,
                qty: 1 + i % 40,
                kind: if i % 5 == 0 { KIND_TRADE } else { KIND_LEVEL },
                side: (i % 2) as u8,
                flags: if i % 2 == 1 { FLAG_LAST } else { 0 },
                ..Tick::default()
            })
            .collect();
        rows.chunks(BLOCK_ROWS)
            .enumerate()
            .map(|(number, rows)| {
                let mut bytes = Vec::new();
                pack(rows, (number * BLOCK_ROWS) as u64, &mut bytes);
                bytes
            })
            .collect()
    })
}

/// Puts blocks, true or forged, into a tape whose checksums, hashes and bounds are all true.
fn sealed(blocks: &[Vec<u8>], row_count: usize, has_local: bool, metadata: &[u8]) -> Vec<u8> {
    let (mut content, mut directory, mut body) = (Xxh3::new(), Vec::new(), Vec::new());
    let mut seen: Vec<Tick> = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        body.extend_from_slice(block);
        directory.extend(((HEADER_BYTES + body.len()) as u64).to_le_bytes());
        directory.extend(xxh3_64(block).to_le_bytes());
        let count = row_count
            .saturating_sub(number * BLOCK_ROWS)
            .min(BLOCK_ROWS);
        let mut rows = [Tick::default(); BLOCK_ROWS];
        if let Ok(read) = Block::read(block, count, (number * BLOCK_ROWS) as u64) {
            let count = read.unpack(&mut Scratch::default(), &mut rows);
            let mut canonical = Vec::new();
            canonical_rows(&rows[..count], &mut canonical);
            content.update(&canonical);
            seen.extend_from_slice(&rows[..count]);
        }
    }
    content.update(metadata);
    let priced = |tick: &&Tick| tick.kind == KIND_LEVEL || tick.kind == KIND_TRADE;
    let prices = seen.iter().filter(priced).map(|tick| tick.price);
    let header = Header {
        row_count: row_count as u64,
        exch_ns_first: seen.first().map_or(0, |tick| tick.exch_ns),
        exch_ns_last: seen.last().map_or(0, |tick| tick.exch_ns),
        price_min: prices.clone().min().unwrap_or(i32::MAX),
        price_max: prices.max().unwrap_or(i32::MIN),
        blocks_bytes: body.len() as u64,
        metadata_bytes: metadata.len() as u64,
        has_local,
        has_join: seen.iter().any(|tick| tick.join != 0),
        content_hash: content.digest128(),
        directory_hash: xxh3_64(&directory),
        metadata_hash: xxh3_64(metadata),
    };
    let mut bytes = header.encode().to_vec();
    bytes.extend(body);
    bytes.extend(directory);
    bytes.extend_from_slice(metadata);
    bytes
}

/// Overwrites, inserts and removes bytes as `orders` say, three bytes each.
fn damage(bytes: &mut Vec<u8>, orders: &[u8]) {
    for order in orders.chunks_exact(3) {
        if bytes.is_empty() {
            return;
        }
        let at = (usize::from(order[0]) << 3 | usize::from(order[1] >> 5)) % bytes.len();
        match order[1] & 7 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, order[2]),
            2 => drop(bytes.remove(at)),
            _ => bytes[at] = order[2],
        }
    }
}

fn tape_of(data: &[u8]) -> Vec<u8> {
    let Some((&[how, count, flags], rest)) = data.split_first_chunk::<3>() else {
        return data.to_vec();
    };
    let has_local = flags & 1 != 0;
    match how % 4 {
        // As it comes.
        0 => rest.to_vec(),
        // One forged block.
        1 => sealed(&[rest.to_vec()], usize::from(count), has_local, b"{}"),
        // An honest tape, damaged from outside.
        2 => {
            let mut bytes = sealed(honest_blocks(), ROWS, true, b"{\"a\": 1}");
            damage(&mut bytes, rest);
            bytes
        }
        // Honest blocks, damaged from within and sealed again.
        _ => {
            let mut blocks = honest_blocks().clone();
            let which = usize::from(count) % blocks.len();
            damage(&mut blocks[which], rest);
            let rows = ROWS + usize::from(flags >> 1) - 63;
            sealed(&blocks, rows, has_local, b"{}")
        }
    }
}

/// A tape that opens keeps its promises: rows in order, all of them, found by time, and a replay lives through them.
fn use_tape(tape: &MappedTape) {
    let rows = tape
        .rows(0..tape.row_count())
        .expect("an opened tape gives its rows");
    assert_eq!(rows.len(), tape.row_count());
    assert!(rows.is_sorted_by_key(|row| row.exch_ns));
    for row in rows.iter().step_by(37) {
        let first = tape.first_row_at(row.exch_ns).expect("a time of the tape");
        assert_eq!(
            rows.partition_point(|other| other.exch_ns < row.exch_ns),
            first
        );
    }
    let prices = tape.price_range().unwrap_or((0, 0));
    // A book over a range that no instrument has is refused; so is a row outside of what a level can hold.
    if let Ok(exchange) = SimulatedExchange::new(SimSpec::default(), prices, RunOptions::default())
    {
        let cursor = tape.cursor(0..tape.row_count()).expect("all rows");
        let _ = replay(exchange, cursor, 0, WakeFilter::Every, &mut Spectator);
    }
}

fuzz_target!(|data: &[u8]| {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path =
        PATH.get_or_init(|| env::temp_dir().join(format!("rustsim-fuzz-{}.tape", process::id())));
    fs::write(path, tape_of(data)).expect("the temporary folder takes a file");
    if let Ok(tape) = MappedTape::open(path) {
        use_tape(&tape);
    }
});
