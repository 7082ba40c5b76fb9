//! How a compiled tape lies in memory: chunks of blocks of 64 rows.
//!
//! ```text
//! chunk       head, 64 bytes: how many of everything
//!             blocks       832 each, at most 64
//!             bests        16 each    best bid and ask: first those before the chunk, then one for each row that changes one
//!             prints       8 each     first the last one before the chunk, then one for each print
//!             checkpoint   8 a level  the whole book before the chunk, best first, bids then asks (every 8th chunk)
//!             far stamps   16 each    local stamps too far from the exchange time for their column
//!             joins        256 each   one column per block, or none
//!             stamps       256 each   one column per block, or none
//!             specials     8 each     what the masks of a block do not tell
//!             offsets      256 each   exact prices of blocks that span more than 128 of them
//! ```
//!
//! All numbers are in the order of this machine (little endian; others refuse the file). A block answers three questions without a look at its rows: which
//! rows are at a given price (one comparison of 64 bytes), which change a best price, which are unusual.

use crate::book::NO_PRICE;
use crate::types::{KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Nanos, Print, Side, Tick, TickIndex};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Rows of a block.
pub const BLOCK_ROWS: usize = 64;
/// Blocks of a chunk: about 55 KB, which a core keeps at hand while several parameter sets go through it.
pub const CHUNK_BLOCKS: usize = 64;
/// Chunks from one checkpoint to the next.
pub const CHECKPOINT_CHUNKS: usize = 8;
/// Steps of time that a block may count in, in ns.
pub const UNITS_NS: [i64; 3] = [1, 1_000, 1_000_000];
/// Levels a side that every block knows at its start.
pub const LISTED: usize = 8;
/// Stands for "no such column".
pub const NO_COLUMN: u32 = u32::MAX;
/// Stands for a stamp that lies in the list of far ones.
pub const FAR_STAMP: u32 = u32::MAX;
/// The first row of the block goes on with the group of the block before.
pub const FLAG_CONTINUES: u32 = 1;
/// The last row of the block wipes the book.
pub const FLAG_CLEARS: u32 = 2;

/// What rows carry besides the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carries {
    /// Local receive times.
    pub local: bool,
    /// Joins.
    pub join: bool,
}

/// One level of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Level {
    /// Price.
    pub price: TickIndex,
    /// Displayed lots.
    pub lots: i32,
}

/// Best bid and ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Bests {
    /// Prices, [`NO_PRICE`] for an empty side.
    pub prices: [TickIndex; 2],
    /// Lots there after the group in which they became the best; those before a chunk are not told.
    pub lots: [i32; 2],
}

/// A print as it lies in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PackedPrint {
    price: TickIndex,
    /// Lots, and the side in the highest bit.
    lots: u32,
}

impl PackedPrint {
    /// Packs a print.
    #[must_use]
    pub fn of(print: Option<Print>) -> Self {
        print.map_or(
            Self {
                price: NO_PRICE,
                lots: 0,
            },
            |print| Self {
                price: print.price,
                lots: print.lots.cast_unsigned() | ((print.side as u32) << 31),
            },
        )
    }

    /// Returns the print, None if there was none.
    #[must_use]
    pub fn print(self) -> Option<Print> {
        (self.price != NO_PRICE).then(|| Print {
            price: self.price,
            lots: self.lots(),
            side: if self.lots >> 31 == 0 {
                Side::Bid
            } else {
                Side::Ask
            },
        })
    }

    fn lots(self) -> i32 {
        (self.lots & (u32::MAX >> 1)).cast_signed()
    }
}

/// A local stamp that no column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FarStamp {
    /// Tape number of the row.
    pub row: u64,
    /// The stamp.
    pub at_ns: Nanos,
}

/// Kind and flags of an unusual row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Special {
    /// Place of the row in its chunk: 64 times the block, plus the row.
    pub place: u32,
    /// Kind.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// Up to 64 rows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Block {
    /// `side << 7 | price & 127` of each row.
    pub code: [u8; BLOCK_ROWS],
    /// What the level of each row shows after it.
    pub after: [i32; BLOCK_ROWS],
    /// Time of each row after `start_ns`, in units of `unit_ns`.
    pub time: [u32; BLOCK_ROWS],
    /// Exchange time of the first row.
    pub start_ns: Nanos,
    /// Exchange time of the last row.
    pub end_ns: Nanos,
    /// Tape number of the first row.
    pub first_row: u64,
    /// Rows after which a best price is another.
    pub best: u64,
    /// Rows that are prints (of continuous trading).
    pub print: u64,
    /// Rows that set the size of a level.
    pub sets: u64,
    /// Last rows of their group.
    pub last: u64,
    /// Last rows of groups that are not auction data alone.
    pub shown: u64,
    /// Rows that wipe the book, follow lost data or are auction data.
    pub special: u64,
    /// Rows whose level left the view.
    pub away: u64,
    /// Lowest price of the rows that set a size, per side.
    pub low: [TickIndex; 2],
    /// Highest price, below `low` if there is none.
    pub high: [TickIndex; 2],
    /// Prints that go furthest: the lowest on bids, the highest on asks.
    pub reach: [TickIndex; 2],
    /// Nanoseconds of one step of `time`.
    pub unit_ns: u32,
    /// Rows in use.
    pub count: u32,
    /// Which entry of the chunk's bests holds before the first row.
    pub bests: u32,
    /// Which entry of the chunk's prints holds before the first row.
    pub prints: u32,
    /// Which column of the chunk's offsets holds exact prices, [`NO_COLUMN`] if the codes do.
    pub offsets: u32,
    /// Levels in `levels`, per side.
    pub listed: [u8; 2],
    /// 1 where `levels` are all of the side.
    pub is_whole: [u8; 2],
    /// Sum of `FLAG_*`.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// The best levels before the first row, best first.
    pub levels: [[Level; LISTED]; 2],
}

/// How many of everything a chunk has.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ChunkHead {
    /// Blocks.
    pub blocks: u32,
    /// Entries of best prices.
    pub bests: u32,
    /// Prints.
    pub prints: u32,
    /// Levels of the checkpoint, per side.
    pub checkpoint: [u32; 2],
    /// 1 if there is a checkpoint.
    pub has_checkpoint: u32,
    /// Far stamps.
    pub far_stamps: u32,
    /// Columns of joins.
    pub joins: u32,
    /// Columns of stamps.
    pub stamps: u32,
    /// Unusual rows.
    pub specials: u32,
    /// Columns of exact prices.
    pub offsets: u32,
    /// Zero.
    pub reserved: [u32; 5],
}

/// A chunk, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'t> {
    /// Blocks, at least one.
    pub blocks: &'t [Block],
    /// Best prices.
    pub bests: &'t [Bests],
    /// Prints.
    pub prints: &'t [PackedPrint],
    /// The book before the chunk.
    pub checkpoint: Option<[&'t [Level]; 2]>,
    /// Far stamps, by row.
    pub far_stamps: &'t [FarStamp],
    /// Joins, per block.
    pub joins: &'t [[u32; BLOCK_ROWS]],
    /// Local stamps after the exchange time, per block.
    pub stamps: &'t [[u32; BLOCK_ROWS]],
    /// Unusual rows, by place.
    pub specials: &'t [Special],
    /// Exact prices above the lowest of their side.
    pub offsets: &'t [[u32; BLOCK_ROWS]],
}

impl<'t> Chunk<'t> {
    /// Reads a chunk from its bytes; None if they are not exactly one.
    #[must_use]
    pub fn read(bytes: &'t [u8]) -> Option<Self> {
        let (head, rest) = ChunkHead::ref_from_prefix(bytes).ok()?;
        let count = |count: u32| usize::try_from(count).ok();
        let (blocks, rest) =
            <[Block]>::ref_from_prefix_with_elems(rest, count(head.blocks)?).ok()?;
        let (bests, rest) = <[Bests]>::ref_from_prefix_with_elems(rest, count(head.bests)?).ok()?;
        let (prints, rest) =
            <[PackedPrint]>::ref_from_prefix_with_elems(rest, count(head.prints)?).ok()?;
        let (bids, rest) =
            <[Level]>::ref_from_prefix_with_elems(rest, count(head.checkpoint[0])?).ok()?;
        let (asks, rest) =
            <[Level]>::ref_from_prefix_with_elems(rest, count(head.checkpoint[1])?).ok()?;
        let (far_stamps, rest) =
            <[FarStamp]>::ref_from_prefix_with_elems(rest, count(head.far_stamps)?).ok()?;
        let (joins, rest) =
            <[[u32; BLOCK_ROWS]]>::ref_from_prefix_with_elems(rest, count(head.joins)?).ok()?;
        let (stamps, rest) =
            <[[u32; BLOCK_ROWS]]>::ref_from_prefix_with_elems(rest, count(head.stamps)?).ok()?;
        let (specials, rest) =
            <[Special]>::ref_from_prefix_with_elems(rest, count(head.specials)?).ok()?;
        let offsets =
            <[[u32; BLOCK_ROWS]]>::ref_from_bytes_with_elems(rest, count(head.offsets)?).ok()?;
        Some(Self {
            blocks,
            bests,
            prints,
            checkpoint: (head.has_checkpoint != 0).then_some([bids, asks]),
            far_stamps,
            joins,
            stamps,
            specials,
            offsets,
        })
    }

    /// Returns whether everything that its rows point to is there; `number` is that of the chunk.
    #[must_use]
    pub fn is_sound(&self, number: usize, carries: Carries) -> bool {
        let columns = |is_carried: bool| if is_carried { self.blocks.len() } else { 0 };
        let ones = |mask: u64| mask.count_ones() as usize;
        !self.blocks.is_empty()
            && self.stamps.len() == columns(carries.local)
            && self.joins.len() == columns(carries.join)
            && (!number.is_multiple_of(CHECKPOINT_CHUNKS) || self.checkpoint.is_some())
            && self.blocks.iter().all(|block| {
                let masks = [block.best, block.print, block.sets, block.last, block.shown];
                let all = masks.iter().fold(block.special, |all, mask| all | mask);
                (1..=BLOCK_ROWS).contains(&(block.count as usize))
                    && all & !below(block.count as usize) == 0
                    && block
                        .listed
                        .iter()
                        .all(|listed| usize::from(*listed) <= LISTED)
                    && (block.bests as usize) + ones(block.best) < self.bests.len()
                    && (block.prints as usize) + ones(block.print) < self.prints.len()
                    && (block.offsets == NO_COLUMN || (block.offsets as usize) < self.offsets.len())
                    && UNITS_NS.contains(&i64::from(block.unit_ns))
            })
    }

    /// Returns the time of a row.
    #[inline]
    #[must_use]
    pub fn time_ns(block: &Block, row: usize) -> Nanos {
        block.start_ns + i64::from(block.time[row]) * i64::from(block.unit_ns)
    }

    /// Returns side and price of a row that sets a size.
    #[inline]
    #[must_use]
    pub fn level_of(&self, block: &Block, row: usize) -> (Side, TickIndex) {
        let code = block.code[row];
        let side = if code >> 7 == 0 { Side::Bid } else { Side::Ask };
        let low = block.low[side as usize];
        let above = match self.offsets.get(block.offsets as usize) {
            Some(offsets) => offsets[row].cast_signed(),
            None => i32::from(code).wrapping_sub(low) & 127,
        };
        (side, low.wrapping_add(above))
    }

    /// Returns whether a row, which sets no size, wipes the book.
    #[must_use]
    pub fn is_clear(&self, index: usize, row: usize) -> bool {
        let block = &self.blocks[index];
        block.flags & FLAG_CLEARS != 0 && row + 1 == block.count as usize
    }

    /// Returns what a print of the block traded.
    #[inline]
    fn printed(&self, block: &Block, row: usize) -> i32 {
        let before = (block.print & below(row)).count_ones() as usize;
        self.prints[block.prints as usize + before + 1].lots()
    }

    /// Returns a row as the tape told it, but for its local time and the marks of images and groups.
    #[must_use]
    pub fn row(&self, index: usize, row: usize) -> Tick {
        let block = &self.blocks[index];
        let bit = 1u64 << row;
        let exch_ns = Self::time_ns(block, row);
        let (side, price) = self.level_of(block, row);
        let mut tick = Tick {
            exch_ns,
            local_ns: exch_ns,
            price,
            qty: block.after[row],
            join: self.joins.get(index).map_or(0, |joins| joins[row]),
            kind: KIND_LEVEL,
            side: side as u8,
            flags: if block.away & bit == 0 {
                0
            } else {
                crate::types::FLAG_OUT_OF_VIEW
            },
            reserved: 0,
        };
        if block.print & bit != 0 {
            tick.kind = KIND_TRADE;
            tick.qty = self.printed(block, row);
        }
        if block.special & bit != 0 {
            let place = u32::try_from(index * BLOCK_ROWS + row).unwrap_or(u32::MAX);
            let found = self
                .specials
                .binary_search_by_key(&place, |special| special.place);
            if let Some(special) = found.ok().and_then(|found| self.specials.get(found)) {
                tick.kind = special.kind;
                tick.flags = special.flags;
            }
            if tick.kind == KIND_CLEAR {
                tick.price = 0;
            }
        }
        tick
    }
}

/// Returns the bits of rows before `row`, which may be 64.
#[inline]
#[must_use]
pub fn below(row: usize) -> u64 {
    // Two shifts by at most 63 each: no branch, and none of 64 bits.
    let half = row / 2;
    !((u64::MAX << half) << (row - half))
}

/// Returns the rows that a mask names, in order.
#[inline]
pub fn rows_of(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let row = mask.trailing_zeros() as usize;
        (mask != 0).then(|| {
            mask &= mask - 1;
            row
        })
    })
}

/// Returns the code of a level.
#[inline]
#[must_use]
pub fn code_of(side: Side, price: TickIndex) -> u8 {
    let low = price.to_le_bytes()[0] & 127;
    ((side as u8) << 7) | low
}

/// Rows that are looked at one by one before all are counted: messages of an active strategy are seldom many rows apart.
const NEAR_ROWS: usize = 8;

/// Returns the first row of a block at or after `at_ns`, which lies at or behind row `from`.
#[inline]
#[must_use]
pub fn first_at(block: &Block, from: usize, at_ns: Nanos) -> usize {
    let count = block.count as usize;
    if block.end_ns < at_ns {
        return count;
    }
    let since = at_ns.saturating_sub(block.start_ns);
    let since = since.max(0).cast_unsigned();
    // Divisors that the compiler knows: a division by any other number costs as much as the search.
    let steps = match block.unit_ns {
        1 => since,
        1_000 => since.div_ceil(1_000),
        _ => since.div_ceil(1_000_000),
    };
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    let near = &block.time[from.min(count)..count.min(from + NEAR_ROWS)];
    if let Some(ahead) = near.iter().position(|time| *time >= steps) {
        return from + ahead;
    }
    // Counted rather than searched: a search of sorted times guesses wrong at every step, and 64 comparisons side by side do not.
    let before: u32 = block.time.iter().map(|time| u32::from(*time < steps)).sum();
    before as usize
}
