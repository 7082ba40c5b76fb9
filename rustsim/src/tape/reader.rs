//! Opens tapes: maps, verifies once, then lends rows.

use super::block::{BLOCK_ROWS, Block, Scratch};
use super::bytes::field;
use super::format::{ENTRY_BYTES, HEADER_BYTES, Header, ROW_BYTES, canonical_rows};
use super::map::FileMap;
use super::validate::TapeValidator;
use crate::error::{Error, Result};
use crate::types::{Nanos, Tick, TickIndex};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A verified, read-only, mapped tape.
#[derive(Debug)]
pub struct MappedTape {
    path: PathBuf,
    header: Header,
    map: FileMap,
    row_count: usize,
    /// Where the directory starts in the file.
    directory_at: usize,
    metadata: String,
}

impl MappedTape {
    /// Maps the tape at `path` and checks its size, header, directory, blocks, rows and metadata.
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
        // The sum of all parts fits, for it is the length of a mapping.
        let too_large = |_| "too large for this machine".to_owned();
        let mut tape = Self {
            path: path.to_path_buf(),
            row_count: usize::try_from(header.row_count).map_err(too_large)?,
            directory_at: HEADER_BYTES + usize::try_from(header.blocks_bytes).map_err(too_large)?,
            header,
            map,
            metadata: String::new(),
        };
        tape.metadata = tape.check()?;
        Ok(tape)
    }

    /// Checks everything behind the header and returns the metadata. Damage is found block by block, so that the error names the place.
    fn check(&self) -> std::result::Result<String, String> {
        let header = &self.header;
        let bytes = self.map.bytes();
        let metadata_at = self.directory_at + self.block_count() * ENTRY_BYTES;
        let (Some(directory), Some(metadata)) = (
            bytes.get(self.directory_at..metadata_at),
            bytes.get(metadata_at..),
        ) else {
            return Err("directory or metadata do not lie inside of the file".to_owned());
        };
        if xxh3_64(directory) != header.directory_hash {
            return Err("the directory of blocks does not match its checksum".to_owned());
        }
        let mut content = Xxh3::new();
        self.check_rows(&mut content)?;
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

    fn check_rows(&self, content: &mut Xxh3) -> std::result::Result<(), String> {
        let header = &self.header;
        let mut rules = TapeValidator::new(header.has_local);
        let mut rows = [Tick::default(); BLOCK_ROWS];
        let mut scratch = Scratch::default();
        let mut canonical = Vec::with_capacity(BLOCK_ROWS * ROW_BYTES);
        for block in 0..self.block_count() {
            let place = self.place(block);
            let bytes = self.map.bytes().get(place.clone()).unwrap_or_default();
            let sum = u64::from_le_bytes(field(self.entry(block), 8));
            if place.end > self.directory_at || bytes.is_empty() || xxh3_64(bytes) != sum {
                return Err(format!(
                    "block {block} ({} rows from row {}, {} bytes at byte {}) does not match its checksum",
                    self.rows_of(block).len(),
                    self.rows_of(block).start,
                    place.len(),
                    place.start
                ));
            }
            let count = self.block(block)?.unpack(&mut scratch, &mut rows);
            rules.push(&rows[..count])?;
            canonical.clear();
            canonical_rows(&rows[..count], &mut canonical);
            content.update(&canonical);
        }
        let end = self
            .block_count()
            .checked_sub(1)
            .map(|last| self.place(last).end);
        if end.unwrap_or(HEADER_BYTES) != self.directory_at {
            return Err("the blocks do not end where the directory starts".to_owned());
        }
        let (seen, has_join) = rules.finish()?;
        let bounds = (header.price_min, header.price_max);
        let times = (header.exch_ns_first, header.exch_ns_last);
        if seen.price_bounds() != bounds
            || (seen.exch_ns_first(), seen.exch_ns_last()) != times
            || has_join != header.has_join
        {
            return Err("the header's prices, times or joins are not those of the rows".to_owned());
        }
        Ok(())
    }

    fn block_count(&self) -> usize {
        self.row_count.div_ceil(BLOCK_ROWS)
    }

    /// Returns the numbers of a block's rows.
    fn rows_of(&self, block: usize) -> Range<usize> {
        let start = block * BLOCK_ROWS;
        start..self.row_count.min(start + BLOCK_ROWS)
    }

    fn entry(&self, block: usize) -> &[u8] {
        let at = self.directory_at + block * ENTRY_BYTES;
        &self.map.bytes()[at..at + ENTRY_BYTES]
    }

    /// Returns where a block lies in the file, as the directory has it.
    fn place(&self, block: usize) -> Range<usize> {
        let end_of = |block: usize| {
            let end = u64::from_le_bytes(field(self.entry(block), 0));
            usize::try_from(end).unwrap_or(usize::MAX)
        };
        let start = block.checked_sub(1).map_or(HEADER_BYTES, end_of);
        start..end_of(block)
    }

    fn block(&self, block: usize) -> std::result::Result<Block<'_>, String> {
        let rows = self.rows_of(block);
        let bytes = self.map.bytes().get(self.place(block)).unwrap_or_default();
        Block::read(bytes, rows.len(), rows.start as u64)
            .map_err(|fault| format!("block {block}: {fault}"))
    }

    /// Writes the rows of a block into the front of `out` and returns how many they are.
    ///
    /// # Errors
    /// [`Error::Tape`] if a foreign program has written into the file since it was opened.
    pub(super) fn unpack(
        &self,
        block: usize,
        scratch: &mut Scratch,
        out: &mut [Tick; BLOCK_ROWS],
    ) -> Result<usize> {
        let block = self.block(block).map_err(|fault| self.changed(&fault))?;
        Ok(block.unpack(scratch, out))
    }

    /// Has the bytes of a block fetched, if there is such a block, while other work is done.
    pub(super) fn prefetch(&self, block: usize) {
        if block < self.block_count() {
            self.map.prefetch(self.place(block));
        }
    }

    fn changed(&self, fault: &str) -> Error {
        Error::Tape(format!(
            "{}: changed since it was opened: {fault}",
            self.path.display()
        ))
    }

    /// Returns where the tape lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Returns the exchange time of a row.
    ///
    /// # Errors
    /// As [`MappedTape::rows`].
    pub fn exch_ns(&self, row: usize) -> Result<Nanos> {
        if row >= self.row_count {
            return Err(self.outside(&(row..row + 1)));
        }
        let mut rows = [Tick::default(); BLOCK_ROWS];
        self.unpack(row / BLOCK_ROWS, &mut Scratch::default(), &mut rows)?;
        Ok(rows[row % BLOCK_ROWS].exch_ns)
    }

    pub(super) fn outside(&self, rows: &Range<usize>) -> Error {
        Error::Replay(format!(
            "rows {}..{} lie outside of the tape's 0..{}",
            rows.start, rows.end, self.row_count
        ))
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

    /// Returns whether any row carries a level-3 join ordinal.
    #[must_use]
    pub fn has_join(&self) -> bool {
        self.header.has_join
    }

    /// Returns the lowest and the highest price of any LEVEL or TRADE row, None if there is none.
    #[must_use]
    pub fn price_range(&self) -> Option<(TickIndex, TickIndex)> {
        let (low, high) = (self.header.price_min, self.header.price_max);
        (low <= high).then_some((low, high))
    }

    /// Returns the first row with exchange time `exch_ns` or later, the number of rows if there is none.
    ///
    /// # Errors
    /// [`Error::Tape`] if a foreign program has written into the file since it was opened.
    pub fn first_row_at(&self, exch_ns: Nanos) -> Result<usize> {
        let (mut low, mut high) = (0, self.block_count());
        while low < high {
            let middle = low.midpoint(high);
            let block = self.block(middle).map_err(|fault| self.changed(&fault))?;
            if block.exch_ns_first() < exch_ns {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // Every block from `low` on starts at that time or later: the row is in the one before, or is the first of `low`.
        let Some(block) = low.checked_sub(1) else {
            return Ok(0);
        };
        let mut rows = [Tick::default(); BLOCK_ROWS];
        let count = self.unpack(block, &mut Scratch::default(), &mut rows)?;
        Ok(block * BLOCK_ROWS + rows[..count].partition_point(|row| row.exch_ns < exch_ns))
    }
}
