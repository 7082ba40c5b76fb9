//! Rows by columns, as sources have them: what a writer takes, checks and packs without turning them into rows first.

use super::block::BLOCK_ROWS;
use super::format::ROW_BYTES;
use crate::types::{FLAG_LAST, Nanos, Tick, TickIndex};

/// A run of rows by columns, all of one length.
#[derive(Clone, Copy, Debug)]
pub struct RowColumns<'a> {
    /// Exchange times.
    pub exch_ns: &'a [Nanos],
    /// Local times; the exchange times again without a local clock.
    pub local_ns: &'a [Nanos],
    /// Prices as tick indices.
    pub price: &'a [TickIndex],
    /// Lots.
    pub qty: &'a [i32],
    /// Join ordinals, 0 where there is none; empty: no row has one.
    pub join: &'a [u32],
    /// Kinds.
    pub kind: &'a [u8],
    /// Book sides.
    pub side: &'a [u8],
    /// Sums of flags; `LAST` does not count here.
    pub flags: &'a [u8],
}

impl RowColumns<'_> {
    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exch_ns.len()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exch_ns.is_empty()
    }

    /// Returns the rows from `start` up to `stop`.
    #[must_use]
    pub fn part(&self, start: usize, stop: usize) -> Self {
        Self {
            exch_ns: &self.exch_ns[start..stop],
            local_ns: &self.local_ns[start..stop],
            price: &self.price[start..stop],
            qty: &self.qty[start..stop],
            join: if self.join.is_empty() {
                self.join
            } else {
                &self.join[start..stop]
            },
            kind: &self.kind[start..stop],
            side: &self.side[start..stop],
            flags: &self.flags[start..stop],
        }
    }

    /// Returns one row, without `LAST`.
    #[must_use]
    pub fn row(&self, row: usize) -> Tick {
        Tick {
            exch_ns: self.exch_ns[row],
            local_ns: self.local_ns[row],
            price: self.price[row],
            qty: self.qty[row],
            join: self.join.get(row).copied().unwrap_or(0),
            kind: self.kind[row],
            side: self.side[row],
            flags: self.flags[row] & !FLAG_LAST,
            reserved: 0,
        }
    }
}

/// The rows of one block under way, by columns.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    len: usize,
    exch_ns: [Nanos; BLOCK_ROWS],
    local_ns: [Nanos; BLOCK_ROWS],
    price: [TickIndex; BLOCK_ROWS],
    qty: [i32; BLOCK_ROWS],
    join: [u32; BLOCK_ROWS],
    kind: [u8; BLOCK_ROWS],
    side: [u8; BLOCK_ROWS],
    flags: [u8; BLOCK_ROWS],
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            len: 0,
            exch_ns: [0; BLOCK_ROWS],
            local_ns: [0; BLOCK_ROWS],
            price: [0; BLOCK_ROWS],
            qty: [0; BLOCK_ROWS],
            join: [0; BLOCK_ROWS],
            kind: [0; BLOCK_ROWS],
            side: [0; BLOCK_ROWS],
            flags: [0; BLOCK_ROWS],
        }
    }
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes rows behind those that are here; they fit.
    pub(super) fn extend(&mut self, rows: &RowColumns<'_>) {
        let to = self.len..self.len + rows.len();
        self.len = to.end;
        self.exch_ns[to.clone()].copy_from_slice(rows.exch_ns);
        self.local_ns[to.clone()].copy_from_slice(rows.local_ns);
        self.price[to.clone()].copy_from_slice(rows.price);
        self.qty[to.clone()].copy_from_slice(rows.qty);
        if rows.join.is_empty() {
            self.join[to.clone()].fill(0);
        } else {
            self.join[to.clone()].copy_from_slice(rows.join);
        }
        self.kind[to.clone()].copy_from_slice(rows.kind);
        self.side[to.clone()].copy_from_slice(rows.side);
        self.flags[to].copy_from_slice(rows.flags);
    }

    /// Takes rows as `extend` does; their flags are taken as they are.
    pub(super) fn extend_rows(&mut self, rows: &[Tick]) {
        for row in rows {
            let at = self.len;
            self.exch_ns[at] = row.exch_ns;
            self.local_ns[at] = row.local_ns;
            self.price[at] = row.price;
            self.qty[at] = row.qty;
            self.join[at] = row.join;
            self.kind[at] = row.kind;
            self.side[at] = row.side;
            self.flags[at] = row.flags;
            self.len = at + 1;
        }
    }

    /// Puts `LAST` on the last row of each time and on no other; `next_ns` is the time of the row behind these, None for none.
    pub(super) fn mark_last(&mut self, next_ns: Option<Nanos>) {
        let Some(last) = self.len.checked_sub(1) else {
            return;
        };
        let times = &self.exch_ns[..self.len];
        for (flags, (a, b)) in self.flags.iter_mut().zip(times.iter().zip(&times[1..])) {
            *flags = (*flags & !FLAG_LAST) | (u8::from(a != b) * FLAG_LAST);
        }
        let ends = next_ns != Some(times[last]);
        self.flags[last] = (self.flags[last] & !FLAG_LAST) | (u8::from(ends) * FLAG_LAST);
    }

    pub(super) fn columns(&self) -> RowColumns<'_> {
        let rows = ..self.len;
        RowColumns {
            exch_ns: &self.exch_ns[rows],
            local_ns: &self.local_ns[rows],
            price: &self.price[rows],
            qty: &self.qty[rows],
            join: &self.join[rows],
            kind: &self.kind[rows],
            side: &self.side[rows],
            flags: &self.flags[rows],
        }
    }

    /// Writes the canonical form of the rows over `out`; see [`super::format::canonical_rows`].
    pub(super) fn canonical(&self, out: &mut Vec<u8>) {
        out.resize(self.len * ROW_BYTES, 0);
        let (chunks, _) = out.as_chunks_mut::<ROW_BYTES>();
        for (row, bytes) in chunks.iter_mut().enumerate().take(BLOCK_ROWS) {
            // Four stores of eight bytes each.
            let amounts = u64::from(self.price[row].cast_unsigned())
                | u64::from(self.qty[row].cast_unsigned()) << 32;
            let label = u64::from(self.join[row])
                | u64::from(self.kind[row]) << 32
                | u64::from(self.side[row]) << 40
                | u64::from(self.flags[row]) << 48;
            bytes[0..8].copy_from_slice(&self.exch_ns[row].to_le_bytes());
            bytes[8..16].copy_from_slice(&self.local_ns[row].to_le_bytes());
            bytes[16..24].copy_from_slice(&amounts.to_le_bytes());
            bytes[24..32].copy_from_slice(&label.to_le_bytes());
        }
    }
}
