//! One block of a tape: up to [`BLOCK_ROWS`] rows, column by column, each column as narrow as its block allows.
//!
//! ```text
//! head    48 bytes: bases, units and widths of the columns, number of groups
//! codes   1 byte a row                    kind | side << 2 | flags << 3
//! price   0, 1, 2 or 4 a row              price - price_base
//! qty     0, 1, 2 or 4 a row              qty - qty_base
//! join    0, 1, 2 or 4 a row              how many rows ago the removed order joined, 0 for none (`join_code`)
//! time    0, 1, 2, 4 or 8 a group         (time - time of the group before) / time_unit; the first group's is in the head
//! local   0, 1, 2, 4 or 8 a group or row  (local time - exchange time - local_base) / local_unit
//! ```
//!
//! A group is a run of rows of one exchange time: the time is told once, and the `LAST` flag of its last row ends it. The local column
//! goes by groups if the rows of each group were received at one time. A unit is the largest number that divides the whole column (a feed
//! in milliseconds costs two bytes a group), a width the smallest that holds it; width 0 means that every value is the base.
//!
//! Nothing here trusts its bytes: a head whose columns do not fill the block exactly is refused, and all arithmetic wraps, so that a
//! forged block gives rows, which the row rules then judge, and never a panic.

use super::bytes::field;
use super::column::{Column, Width};
use crate::types::{FLAG_LAST, Nanos, Tick};

pub use super::pack::pack;

/// Rows of every block but the last; a power of two.
pub const BLOCK_ROWS: usize = 256;
/// Bytes in front of the columns.
pub const HEAD_BYTES: usize = 48;
/// Most bytes of one block.
pub const BLOCK_BYTES_MAX: usize = HEAD_BYTES + BLOCK_ROWS * (1 + 3 * 4 + 2 * 8);

/// Rows unpacked at once: what lies between the two passes stays in the nearest cache.
const TILE_ROWS: usize = 64;
pub(super) const SIDE_SHIFT: u32 = 2;
pub(super) const FLAGS_SHIFT: u32 = 3;

const _: () = assert!(BLOCK_ROWS.is_power_of_two() && BLOCK_ROWS.is_multiple_of(TILE_ROWS));

/// What a block says of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) exch_ns_first: Nanos,
    pub(super) time_unit: u64,
    pub(super) local_base: i64,
    pub(super) local_unit: u64,
    pub(super) price_base: i32,
    pub(super) qty_base: i32,
    pub(super) group_count: u16,
    pub(super) price: Width,
    pub(super) qty: Width,
    pub(super) join: Width,
    pub(super) time: Width,
    pub(super) local: Width,
    pub(super) is_local_by_group: bool,
}

impl Head {
    /// Returns the head as it lies in front of a block.
    pub(super) fn bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&self.exch_ns_first.to_le_bytes());
        put(&self.time_unit.to_le_bytes());
        put(&self.local_base.to_le_bytes());
        put(&self.local_unit.to_le_bytes());
        put(&self.price_base.to_le_bytes());
        put(&self.qty_base.to_le_bytes());
        put(&self.group_count.to_le_bytes());
        put(&[self.price, self.qty, self.join, self.time, self.local].map(Width::bytes));
        put(&[u8::from(self.is_local_by_group)]);
        bytes
    }

    fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        Some(Self {
            exch_ns_first: i64::from_le_bytes(field(bytes, 0)),
            time_unit: u64::from_le_bytes(field(bytes, 8)),
            local_base: i64::from_le_bytes(field(bytes, 16)),
            local_unit: u64::from_le_bytes(field(bytes, 24)),
            price_base: i32::from_le_bytes(field(bytes, 32)),
            qty_base: i32::from_le_bytes(field(bytes, 36)),
            group_count: u16::from_le_bytes(field(bytes, 40)),
            price: Width::from_bytes(bytes[42])?,
            qty: Width::from_bytes(bytes[43])?,
            join: Width::from_bytes(bytes[44])?,
            time: Width::from_bytes(bytes[45])?,
            local: Width::from_bytes(bytes[46])?,
            is_local_by_group: bytes[47] == 1,
        })
    }
}

/// Room for the columns that go by groups while a block is unpacked; reused, since clearing it would cost as much as filling it.
#[derive(Clone, Debug)]
pub struct Scratch {
    steps: [u64; BLOCK_ROWS],
    exch_ns: [Nanos; BLOCK_ROWS],
    local_ns: [Nanos; BLOCK_ROWS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            steps: [0; BLOCK_ROWS],
            exch_ns: [0; BLOCK_ROWS],
            local_ns: [0; BLOCK_ROWS],
        }
    }
}

/// A block as it lies in the file, cut into its columns.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    head: Head,
    first_row: u64,
    codes: &'a [u8],
    price: Column<'a>,
    qty: Column<'a>,
    join: Column<'a>,
    time: Column<'a>,
    local: Column<'a>,
}

impl<'a> Block<'a> {
    /// Cuts a block of `rows` rows, of which the first has the number `first_row` in its tape.
    ///
    /// # Errors
    /// The head and the length of the block do not fit together.
    pub fn read(bytes: &'a [u8], rows: usize, first_row: u64) -> Result<Self, String> {
        Self::cut(bytes, rows, first_row)
            .ok_or_else(|| format!("{} bytes are no block of {rows} rows", bytes.len()))
    }

    fn cut(bytes: &'a [u8], rows: usize, first_row: u64) -> Option<Self> {
        let (head, mut rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let head = Head::read(head)?;
        let groups = usize::from(head.group_count);
        if groups == 0 || groups > rows || rows > BLOCK_ROWS {
            return None;
        }
        let local_count = if head.is_local_by_group { groups } else { rows };
        let block = Self {
            head,
            first_row,
            codes: Column::cut(&mut rest, Width::One, rows)?.bytes,
            price: Column::cut(&mut rest, head.price, rows)?,
            qty: Column::cut(&mut rest, head.qty, rows)?,
            join: Column::cut(&mut rest, head.join, rows)?,
            time: Column::cut(&mut rest, head.time, groups - 1)?,
            local: Column::cut(&mut rest, head.local, local_count)?,
        };
        rest.is_empty().then_some(block)
    }

    /// Returns the exchange time of the first row.
    #[must_use]
    pub fn exch_ns_first(&self) -> Nanos {
        self.head.exch_ns_first
    }

    /// Writes all rows into the front of `out` and returns how many they are. What lies behind them is overwritten too.
    pub fn unpack(&self, scratch: &mut Scratch, out: &mut [Tick; BLOCK_ROWS]) -> usize {
        let Scratch {
            steps,
            exch_ns,
            local_ns,
        } = scratch;
        self.time
            .read_sums(self.head.exch_ns_first, self.head.time_unit, exch_ns);
        let (base, unit) = (self.head.local_base, self.head.local_unit);
        let local_of = |exch_ns: Nanos, steps: u64| {
            exch_ns
                .wrapping_add(base)
                .wrapping_add_unsigned(steps.wrapping_mul(unit))
        };
        if self.local.width == Width::None && base == 0 {
            self.assemble(exch_ns, |_, group| exch_ns[group], out);
            return self.codes.len();
        }
        self.local.read_wide(0, steps);
        if self.head.is_local_by_group {
            let groups = ..usize::from(self.head.group_count);
            for (local_ns, (exch_ns, steps)) in
                local_ns[groups].iter_mut().zip(exch_ns.iter().zip(&*steps))
            {
                *local_ns = local_of(*exch_ns, *steps);
            }
            self.assemble(exch_ns, |_, group| local_ns[group], out);
        } else {
            let local = |row: usize, group: usize| local_of(exch_ns[group], steps[row]);
            self.assemble(exch_ns, local, out);
        }
        self.codes.len()
    }

    /// Makes rows of columns; `local_ns` gives the local time by the numbers of row and group, both below [`BLOCK_ROWS`].
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "one copy of the loop per kind of local clock; a call per row would double its cost"
    )]
    fn assemble(
        &self,
        exch_ns: &[Nanos; BLOCK_ROWS],
        local_ns: impl Fn(usize, usize) -> Nanos,
        out: &mut [Tick; BLOCK_ROWS],
    ) {
        let (mut price, mut qty, mut join) = ([0; TILE_ROWS], [0; TILE_ROWS], [0; TILE_ROWS]);
        let mut codes = [0; TILE_ROWS];
        let mut amounts = [0; TILE_ROWS];
        let mut group = 0;
        let (tiles, _) = out.as_chunks_mut::<TILE_ROWS>();
        for (rows, start) in tiles
            .iter_mut()
            .zip((0..self.codes.len()).step_by(TILE_ROWS))
        {
            self.price.read_narrow(start, &mut price);
            self.qty.read_narrow(start, &mut qty);
            self.read_joins(start, &mut join);
            for (amount, (price, qty)) in amounts.iter_mut().zip(price.iter().zip(&qty)) {
                let price = self.head.price_base.wrapping_add_unsigned(*price);
                let qty = self.head.qty_base.wrapping_add_unsigned(*qty);
                *amount = u64::from(price.cast_unsigned()) | u64::from(qty.cast_unsigned()) << 32;
            }
            for (code, stored) in codes.iter_mut().zip(&self.codes[start..]) {
                *code = *stored;
            }
            // Halves of a row in one store each, and indices instead of iterators: no bounds check, no value outside of registers.
            for index in 0..TILE_ROWS {
                let [p0, p1, p2, p3, q0, q1, q2, q3] = amounts[index].to_le_bytes();
                let label = CODE_LABELS[usize::from(codes[index])] | u64::from(join[index]);
                let [j0, j1, j2, j3, kind, side, flags, reserved] = label.to_le_bytes();
                rows[index] = Tick {
                    exch_ns: exch_ns[group],
                    local_ns: local_ns((start + index) % BLOCK_ROWS, group),
                    price: i32::from_le_bytes([p0, p1, p2, p3]),
                    qty: i32::from_le_bytes([q0, q1, q2, q3]),
                    join: u32::from_le_bytes([j0, j1, j2, j3]),
                    kind,
                    side,
                    flags,
                    reserved,
                };
                group = (group + usize::from(flags & FLAG_LAST)) % BLOCK_ROWS;
            }
        }
    }

    fn read_joins(&self, start: usize, out: &mut [u32; TILE_ROWS]) {
        self.join.read_narrow(start, out);
        if self.join.width != Width::None {
            let ordinal = ordinal(self.first_row + start as u64);
            for (join, index) in out.iter_mut().zip(0..) {
                *join = join_code(ordinal.wrapping_add(index), *join);
            }
        }
    }
}

/// Kind, side and flags of every code, as the last four bytes of a row.
static CODE_LABELS: [u64; 256] = code_labels();

const fn code_labels() -> [u64; 256] {
    let mut labels = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bytes = (code & 3) | (code >> SIDE_SHIFT & 1) << 8 | (code >> FLAGS_SHIFT) << 16;
        labels[code] = (bytes as u64) << 32;
        code += 1;
    }
    labels
}

/// Low half of a row number: joins are told in 32 bits.
pub(super) fn ordinal(row: u64) -> u32 {
    u32::from_le_bytes(field(&row.to_le_bytes(), 0))
}

/// Turns a join ordinal into the number of rows since, and back: it is its own inverse for every row, and 0 stays 0.
#[inline]
pub(super) fn join_code(ordinal: u32, join: u32) -> u32 {
    let next = ordinal.wrapping_add(1);
    // No row removes the order that it adds itself, but arbitrary numbers must come back too: 0 and `next` stand for themselves.
    if join == 0 || join == next {
        join
    } else {
        next.wrapping_sub(join)
    }
}
