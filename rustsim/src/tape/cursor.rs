//! Walks a stretch of a tape: unpacks block by block into one buffer that stays in the cache.

use super::block::{BLOCK_ROWS, Scratch};
use super::reader::MappedTape;
use crate::error::Result;
use crate::rows::RowSource;
use crate::types::{Nanos, Tick};
use std::ops::Range;

/// Rows of a tape in order, window by window.
///
/// Memory: two blocks (16 KiB), more only while one exchange time has more rows than a block.
#[derive(Debug)]
pub struct Cursor<'a> {
    tape: &'a MappedTape,
    /// Tape numbers of the rows that are still packed.
    packed: Range<usize>,
    scratch: Box<Scratch>,
    buffer: Vec<Tick>,
    /// The window's place in the buffer.
    window: Range<usize>,
    span_ns: Option<(Nanos, Nanos)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tape: &'a MappedTape, rows: Range<usize>) -> Result<Self> {
        if rows.start > rows.end || rows.end > tape.row_count() {
            return Err(tape.outside(&rows));
        }
        let span_ns = if rows.is_empty() {
            None
        } else {
            Some((tape.exch_ns(rows.start)?, tape.exch_ns(rows.end - 1)?))
        };
        Ok(Self {
            tape,
            packed: rows,
            scratch: Box::default(),
            buffer: Vec::new(),
            window: 0..0,
            span_ns,
        })
    }
}

impl MappedTape {
    /// Returns the rows `rows` one window after the other.
    ///
    /// # Errors
    /// [`crate::error::Error::Replay`] if they do not lie inside of the tape, [`crate::error::Error::Tape`] as [`MappedTape::rows`].
    pub fn cursor(&self, rows: Range<usize>) -> Result<Cursor<'_>> {
        Cursor::new(self, rows)
    }

    /// Returns a copy of the rows `rows`.
    ///
    /// # Errors
    /// [`crate::error::Error::Replay`] if they do not lie inside of the tape, [`crate::error::Error::Tape`] if a foreign program has written into the file since it
    /// was opened.
    pub fn rows(&self, rows: Range<usize>) -> Result<Vec<Tick>> {
        let count = rows.len();
        let mut cursor = self.cursor(rows)?;
        let mut out = Vec::with_capacity(count);
        while cursor.advance(cursor.window().len())? {
            out.extend_from_slice(cursor.window());
        }
        Ok(out)
    }
}

impl RowSource for Cursor<'_> {
    fn span_ns(&self) -> Option<(Nanos, Nanos)> {
        self.span_ns
    }

    #[inline]
    fn window(&self) -> &[Tick] {
        &self.buffer[self.window.clone()]
    }

    fn advance(&mut self, used: usize) -> Result<bool> {
        if self.packed.is_empty() {
            return Ok(false);
        }
        let kept = self.window.start + used..self.window.end;
        // Rows that open the window stay where they are, so that a time of very many rows is not moved for each of its blocks.
        if kept.start > 0 {
            self.buffer.copy_within(kept.clone(), 0);
        }
        let kept = kept.len();
        if self.buffer.len() < kept + BLOCK_ROWS {
            self.buffer.resize(kept + BLOCK_ROWS, Tick::default());
        }
        let block = self.packed.start / BLOCK_ROWS;
        let room = self.buffer[kept..]
            .first_chunk_mut()
            .expect("made above if it was missing");
        let rows = self.tape.unpack(block, &mut self.scratch, room)?;
        self.tape.prefetch(block + 1);
        let block_start = block * BLOCK_ROWS;
        let skipped = self.packed.start - block_start;
        let stop = self.packed.end.min(block_start + rows);
        if skipped > 0 {
            // The stretch starts in the middle of a block.
            self.buffer.copy_within(kept + skipped..kept + rows, kept);
        }
        self.window = 0..kept + (stop - self.packed.start);
        self.packed.start = stop;
        Ok(true)
    }
}
