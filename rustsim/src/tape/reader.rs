//! Opens tapes: maps, verifies once, then lends rows.

use super::format::{BLOCK_BYTES, HEADER_BYTES, Header, ROW_BYTES};
use super::map::FileMap;
use super::validate::first_fault;
use crate::error::{Error, Result};
use crate::types::{Nanos, Tick, TickIndex};
use std::fs::File;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A verified, read-only, mapped tape.
#[derive(Debug)]
pub struct MappedTape {
    path: PathBuf,
    header: Header,
    map: FileMap,
    rows_at: usize,
    metadata: String,
}

impl MappedTape {
    /// Maps the tape at `path` and checks its size, header, blocks, rows and metadata.
    ///
    /// # Errors
    /// [`Error::Tape`] with file, block and reason if anything is off.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_checked(path)
            .map_err(|fault| Error::Tape(format!("{}: {fault}", path.display())))
    }

    fn open_checked(path: &Path) -> std::result::Result<Self, String> {
        let file = File::open(path).map_err(|fault| format!("cannot open: {fault}"))?;
        let facts = file
            .metadata()
            .map_err(|fault| format!("cannot read the size: {fault}"))?;
        if !facts.is_file() {
            return Err("not a file".to_owned());
        }
        let size = facts.len();
        if size < HEADER_BYTES as u64 {
            return Err(format!(
                "{size} bytes are too few for a tape: truncated or unfinished"
            ));
        }
        let map = FileMap::new(&file).map_err(|fault| format!("cannot map: {fault}"))?;
        let head = map
            .bytes()
            .first_chunk::<HEADER_BYTES>()
            .ok_or("shrank while it was opened")?;
        let header = Header::decode(head)?;
        if size != header.file_bytes() || map.bytes().len() as u64 != size {
            let expected = header.file_bytes();
            return Err(format!(
                "{size} bytes, expected {expected}: truncated or overwritten"
            ));
        }
        let metadata = check_content(&header, map.bytes())?;
        let rows_at = HEADER_BYTES;
        let tape = Self {
            path: path.to_path_buf(),
            header,
            map,
            rows_at,
            metadata,
        };
        tape.check_rows()?;
        Ok(tape)
    }

    fn check_rows(&self) -> std::result::Result<(), String> {
        let rows = self.rows();
        if rows.len() as u64 != self.header.row_count {
            return Err(format!(
                "{} rows mapped, expected {}",
                rows.len(),
                self.header.row_count
            ));
        }
        let (seen, fault) = first_fault(rows, self.header.has_local);
        if let Some((row, fault)) = fault {
            return Err(format!("row {row}: {fault}"));
        }
        let bounds = (self.header.price_min, self.header.price_max);
        let times = (self.header.exch_ns_first, self.header.exch_ns_last);
        if seen.price_bounds() != bounds || (seen.exch_ns_first(), seen.exch_ns_last()) != times {
            return Err("the header's prices or times are not those of the rows".to_owned());
        }
        Ok(())
    }

    /// Returns where the tape lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all rows.
    #[must_use]
    pub fn rows(&self) -> &[Tick] {
        // `open` has checked that the count fits the mapped file.
        self.map.rows(
            self.rows_at,
            usize::try_from(self.header.row_count).unwrap_or(0),
        )
    }

    /// Returns the JSON text given when the tape was sealed.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Returns the xxh3-128 over all rows, then the metadata.
    #[must_use]
    pub fn content_hash(&self) -> u128 {
        self.header.content_hash
    }

    /// Returns whether `local_ns` was recorded.
    #[must_use]
    pub fn has_local(&self) -> bool {
        self.header.has_local
    }

    /// Returns the lowest and the highest price of any LEVEL or TRADE row, None if there is none.
    #[must_use]
    pub fn price_range(&self) -> Option<(TickIndex, TickIndex)> {
        let (low, high) = (self.header.price_min, self.header.price_max);
        (low <= high).then_some((low, high))
    }

    /// Returns the first row with exchange time `exch_ns` or later, the number of rows if there is none.
    #[must_use]
    pub fn first_row_at(&self, exch_ns: Nanos) -> usize {
        self.rows().partition_point(|row| row.exch_ns < exch_ns)
    }
}

// Checks block by block, so that the error names the damaged one, and returns the metadata.
fn check_content(header: &Header, bytes: &[u8]) -> std::result::Result<String, String> {
    let rows_end = HEADER_BYTES + usize_from(header.row_count)? * ROW_BYTES;
    let sums_end = rows_end + usize_from(header.block_count())? * 8;
    let parts = (
        bytes.get(HEADER_BYTES..rows_end),
        bytes.get(rows_end..sums_end),
        bytes.get(sums_end..),
    );
    let (Some(rows), Some(sums), Some(metadata)) = parts else {
        return Err("rows, checksums or metadata do not lie inside of the file".to_owned());
    };
    if xxh3_64(sums) != header.blocks_hash {
        return Err("the table of block checksums does not match its checksum".to_owned());
    }
    let mut content = Xxh3::new();
    for (block, (data, sum)) in rows.chunks(BLOCK_BYTES).zip(sums.chunks(8)).enumerate() {
        if xxh3_64(data).to_le_bytes() != *sum {
            let at = HEADER_BYTES + block * BLOCK_BYTES;
            return Err(format!(
                "block {block} (64 KiB at byte {at}) does not match its checksum"
            ));
        }
        content.update(data);
    }
    if xxh3_64(metadata) != header.metadata_hash {
        return Err("the metadata does not match its checksum".to_owned());
    }
    content.update(metadata);
    if content.digest128() != header.content_hash {
        return Err("rows and metadata do not match the content hash".to_owned());
    }
    String::from_utf8(metadata.to_vec())
        .map_err(|fault| format!("the metadata is not UTF-8: {fault}"))
}

fn usize_from(count: u64) -> std::result::Result<usize, String> {
    usize::try_from(count).map_err(|_| format!("a count of {count} does not fit this machine"))
}
