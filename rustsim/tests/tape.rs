//! Tapes written, read back, and damaged in every way that we could think of.

mod sample;

use rustsim::tape::block::{BLOCK_ROWS, Block, Scratch, pack};
use rustsim::tape::{MappedTape, TapeWriter};
use rustsim::types::{FLAG_LAST, Tick};
use sample::{Folder, Random, all, sample_rows, without_last, write};
use std::fs;
use std::path::Path;

/// Flips and cuts tried by `every_damage_is_refused`, on top of every bit of the header.
const DAMAGES: u64 = 3000;

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
