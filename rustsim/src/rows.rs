//! Market rows in order, lent window by window: what a replay reads, wherever the rows come from.

use crate::error::Result;
use crate::types::{Nanos, Tick};

/// Rows sorted by exchange time.
pub trait RowSource {
    /// Returns the exchange times of the first and of the last row, None if there is no row.
    fn span_ns(&self) -> Option<(Nanos, Nanos)>;

    /// Returns the rows at hand: the next ones, in order.
    fn window(&self) -> &[Tick];

    /// Drops the first `used` rows of the window and puts at least one more behind the rest; false, and nothing is dropped, if there is
    /// none. A source may start with an empty window.
    ///
    /// # Errors
    /// `Error::Tape` if the rows cannot be read any more.
    fn advance(&mut self, used: usize) -> Result<bool>;
}

impl RowSource for &[Tick] {
    fn span_ns(&self) -> Option<(Nanos, Nanos)> {
        Some((self.first()?.exch_ns, self.last()?.exch_ns))
    }

    fn window(&self) -> &[Tick] {
        self
    }

    fn advance(&mut self, _: usize) -> Result<bool> {
        Ok(false)
    }
}

/// Returns how many rows stand before those of the window's last time, which may go on behind the window.
pub(crate) fn rows_of_finished_times(window: &[Tick]) -> usize {
    let last_ns = window.last().map(|row| row.exch_ns);
    if window.first().map(|row| row.exch_ns) == last_ns {
        return 0; // also what keeps a time of very many rows from being searched for each of its blocks
    }
    let before = window.iter().rposition(|row| Some(row.exch_ns) != last_ns);
    before.map_or(0, |index| index + 1)
}
