//! Rows and folders that the tests of tapes share.
#![allow(dead_code, reason = "each test file uses some of it")]

use rustsim::tape::{MappedTape, TapeSummary, TapeWriter};
use rustsim::types::{FLAG_IMAGE, FLAG_LAST, KIND_CLEAR, KIND_TRADE, Tick};
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rustsim-tape-{}-{name}", process::id()));
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
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

/// A small generator with a fixed seed: `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("below a u32")
    }
}

pub(crate) fn sample_rows(count: usize, has_local: bool) -> Vec<Tick> {
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

pub(crate) fn write(path: &Path, rows: &[Tick], has_local: bool, chunk: usize) -> TapeSummary {
    let mut writer = TapeWriter::create(path, has_local, "sample").expect("the folder is writable");
    for part in rows.chunks(chunk) {
        writer.append(part).expect("the rows are good");
    }
    writer
        .finish("{\"name\": \"sample\"}")
        .expect("the disk has room")
}

pub(crate) fn all(tape: &MappedTape) -> Vec<Tick> {
    tape.rows(0..tape.row_count()).expect("rows of the tape")
}

pub(crate) fn without_last(rows: &[Tick]) -> Vec<Tick> {
    rows.iter()
        .map(|row| Tick {
            flags: row.flags & !FLAG_LAST,
            ..*row
        })
        .collect()
}
