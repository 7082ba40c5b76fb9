//! Works off what no parameter can change: the book after every row, once per tape instead of once per replay.
//!
//! Rows go through the same recorded book as in the direct engine. A block ends after 64 rows, and earlier where times
//! are more than 2^32 steps apart or a row wipes the book. Memory: one chunk. Cost: about 20 ns a row.

use super::layout::{
    BLOCK_ROWS, Bests, Block, CHECKPOINT_CHUNKS, CHUNK_BLOCKS, Carries, ChunkHead, FAR_STAMP,
    FLAG_CLEARS, FLAG_CONTINUES, FarStamp, LISTED, Level, NO_COLUMN, PackedPrint, Special,
    UNITS_NS, code_of,
};
use crate::book::{Book, LimitOrderBook};
use crate::error::Result;
use crate::recorded::RecordedBook;
use crate::rows::{RowSource, rows_of_finished_times};
use crate::types::{
    FLAG_GAP, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Nanos, Side,
    Tick, TickIndex,
};
use zerocopy::IntoBytes;

/// Furthest that two prices may lie apart for their codes to tell them apart.
const CODE_SPAN: i64 = 127;

/// Compiles `rows`, of which `first_row` is the tape number of the first; `take` gets the bytes of each chunk, in order. Returns the number after the last.
///
/// # Errors
/// Those of the rows, `Error::Tick` if a book cannot hold them, and whatever `take` returns.
pub fn compile<R: RowSource>(
    mut rows: R,
    first_row: u64,
    carries: Carries,
    prices: (TickIndex, TickIndex),
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let mut builder = Builder::new(carries, prices, first_row, take)?;
    let mut used = 0;
    while rows.advance(used)? {
        let window = rows.window();
        used = rows_of_finished_times(window);
        builder.push(&window[..used])?;
    }
    builder.push(&rows.window()[used..])?;
    builder.finish()
}

/// A block that is being filled.
struct Open {
    block: Block,
    price: [TickIndex; BLOCK_ROWS],
    since_ns: [Nanos; BLOCK_ROWS],
    join: [u32; BLOCK_ROWS],
    stamp: [u32; BLOCK_ROWS],
    /// Which of `UNITS_NS` all times are whole numbers of.
    is_whole_in: [bool; UNITS_NS.len()],
}

struct Builder<F> {
    carries: Carries,
    take: F,
    recorded: RecordedBook<LimitOrderBook>,
    next_row: u64,
    /// Latest stamp so far: nobody overtakes on the way to the strategy.
    stamp_ns: Nanos,
    is_inside_group: bool,
    open: Option<Box<Open>>,
    chunks: usize,
    blocks: Vec<Block>,
    bests: Vec<Bests>,
    prints: Vec<PackedPrint>,
    checkpoint: Option<[Vec<Level>; 2]>,
    far_stamps: Vec<FarStamp>,
    joins: Vec<[u32; BLOCK_ROWS]>,
    stamps: Vec<[u32; BLOCK_ROWS]>,
    specials: Vec<Special>,
    offsets: Vec<[u32; BLOCK_ROWS]>,
    bytes: Vec<u8>,
}

impl<F: FnMut(&[u8]) -> Result<()>> Builder<F> {
    fn new(
        carries: Carries,
        prices: (TickIndex, TickIndex),
        first_row: u64,
        take: F,
    ) -> Result<Self> {
        let mut builder = Self {
            carries,
            take,
            recorded: RecordedBook::new(LimitOrderBook::new(prices.0, prices.1)?),
            next_row: first_row,
            stamp_ns: Nanos::MIN,
            is_inside_group: false,
            open: None,
            chunks: 0,
            blocks: Vec::with_capacity(CHUNK_BLOCKS),
            bests: Vec::new(),
            prints: Vec::new(),
            checkpoint: None,
            far_stamps: Vec::new(),
            joins: Vec::new(),
            stamps: Vec::new(),
            specials: Vec::new(),
            offsets: Vec::new(),
            bytes: Vec::new(),
        };
        builder.begin_chunk();
        Ok(builder)
    }

    fn push(&mut self, rows: &[Tick]) -> Result<()> {
        for group in rows.chunk_by(|a, b| a.exch_ns == b.exch_ns) {
            self.recorded.begin_group();
            let track = group.len() > 1 && !self.carries.join;
            let is_shown = group.iter().any(|row| row.flags & FLAG_INDICATIVE == 0);
            if let Some(last) = group.last() {
                let stamp_ns = if self.carries.local {
                    last.local_ns.max(last.exch_ns)
                } else {
                    last.exch_ns
                };
                self.stamp_ns = self.stamp_ns.max(stamp_ns);
            }
            for (index, row) in group.iter().enumerate() {
                let is_last = index + 1 == group.len();
                self.add(row, track)?;
                if let Some(open) = &mut self.open {
                    let bit = u64::from(is_last) << (open.block.count - 1);
                    open.block.last |= bit;
                    open.block.shown |= if is_shown { bit } else { 0 };
                }
                if is_last && self.recorded.book.take_best_changed() {
                    self.tell_best_lots();
                }
                self.is_inside_group = !is_last;
                self.next_row += 1;
                let is_full =
                    |open: &Open| open.block.count as usize == BLOCK_ROWS || row.kind == KIND_CLEAR;
                if self.open.as_deref().is_some_and(is_full) {
                    self.close_block();
                }
            }
        }
        Ok(())
    }

    /// Adds a row to the open block, or to a new one if it does not fit.
    fn add(&mut self, row: &Tick, track: bool) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| !open.fits(row)) {
            self.close_block();
        }
        if self.open.is_none() {
            if self.blocks.len() == CHUNK_BLOCKS {
                self.close_chunk()?;
                self.begin_chunk();
            }
            self.open = Some(Box::new(self.begin_block(row)));
        }
        let is_print = row.kind == KIND_TRADE && row.flags & FLAG_INDICATIVE == 0;
        let best = self.best_prices();
        self.apply(row, track)?;
        let after = match row.kind {
            KIND_LEVEL => row.qty,
            KIND_TRADE if is_print => self.recorded.book.size(side_of(row), row.price),
            _ => 0,
        };
        if is_print {
            self.prints
                .push(PackedPrint::of(self.recorded.last_trade()));
        }
        let best_after = self.best_prices();
        if best != best_after {
            self.bests.push(Bests {
                prices: best_after,
                lots: [0; 2],
            });
        }
        let Some(open) = &mut self.open else {
            return Ok(()); // it was opened above
        };
        let slot = open.block.count as usize;
        let bit = 1u64 << slot;
        if row.flags & (FLAG_GAP | FLAG_INDICATIVE) != 0 || row.kind == KIND_CLEAR {
            open.block.special |= bit;
            let place = self.blocks.len() * BLOCK_ROWS + slot;
            self.specials.push(Special {
                place: u32::try_from(place).unwrap_or(u32::MAX),
                kind: row.kind,
                flags: row.flags,
                reserved: [0; 2],
            });
        }
        open.block.best |= if best == best_after { 0 } else { bit };
        open.add(row, after, is_print);
        if self.carries.join {
            open.join[slot] = row.join;
        }
        if self.carries.local {
            let ahead = u32::try_from(self.stamp_ns - row.exch_ns).unwrap_or(FAR_STAMP);
            open.stamp[slot] = ahead;
            if ahead == FAR_STAMP {
                self.far_stamps.push(FarStamp {
                    row: self.next_row,
                    at_ns: self.stamp_ns,
                });
            }
        }
        Ok(())
    }

    /// Lets a row change the book as matching would.
    fn apply(&mut self, row: &Tick, track: bool) -> Result<()> {
        let is_indicative = row.flags & FLAG_INDICATIVE != 0;
        match row.kind {
            KIND_CLEAR => self.recorded.clear(),
            KIND_LEVEL => {
                let is_plain = !is_indicative && row.flags & FLAG_OUT_OF_VIEW == 0;
                self.recorded
                    .level(side_of(row), row.price, row.qty, track && is_plain)?;
            }
            _ if is_indicative => {}
            _ => {
                self.recorded.trade(side_of(row), row.price, row.qty)?;
            }
        }
        Ok(())
    }

    fn best_prices(&self) -> [TickIndex; 2] {
        self.recorded.book.touch()
    }

    /// Tells the lots at the best prices that a group left.
    fn tell_best_lots(&mut self) {
        let book = &self.recorded.book;
        if let Some(bests) = self.bests.last_mut() {
            for side in [Side::Bid, Side::Ask] {
                bests.lots[side as usize] = book.size(side, bests.prices[side as usize]);
            }
        }
    }

    fn begin_block(&self, row: &Tick) -> Open {
        let mut levels = [[Level { price: 0, lots: 0 }; LISTED]; 2];
        let (mut listed, mut is_whole) = ([0; 2], [1; 2]);
        for side in [Side::Bid, Side::Ask] {
            let mut next = self.recorded.book.best(side);
            let place = side as usize;
            while let Some(price) = next {
                let Some(level) = levels[place].get_mut(usize::from(listed[place])) else {
                    is_whole[place] = 0;
                    break;
                };
                let lots = self.recorded.book.size(side, price);
                *level = Level { price, lots };
                listed[place] += 1;
                next = self.recorded.book.next_worse(side, price);
            }
        }
        let continues = if self.is_inside_group {
            FLAG_CONTINUES
        } else {
            0
        };
        Open {
            block: Block {
                code: [0; BLOCK_ROWS],
                after: [0; BLOCK_ROWS],
                time: [u32::MAX; BLOCK_ROWS],
                start_ns: row.exch_ns,
                end_ns: row.exch_ns,
                first_row: self.next_row,
                best: 0,
                print: 0,
                sets: 0,
                last: 0,
                shown: 0,
                special: 0,
                away: 0,
                low: [TickIndex::MAX; 2],
                high: [TickIndex::MIN; 2],
                reach: [TickIndex::MAX, TickIndex::MIN],
                unit_ns: 1,
                count: 0,
                bests: count(self.bests.len() - 1),
                prints: count(self.prints.len() - 1),
                offsets: NO_COLUMN,
                listed,
                is_whole,
                flags: continues,
                reserved: 0,
                levels,
            },
            price: [0; BLOCK_ROWS],
            since_ns: [0; BLOCK_ROWS],
            join: [0; BLOCK_ROWS],
            stamp: [0; BLOCK_ROWS],
            is_whole_in: [true; UNITS_NS.len()],
        }
    }

    fn close_block(&mut self) {
        if let Some(mut open) = self.open.take() {
            if let Some(offsets) = open.seal() {
                open.block.offsets = count(self.offsets.len());
                self.offsets.push(offsets);
            }
            if self.carries.join {
                self.joins.push(open.join);
            }
            if self.carries.local {
                self.stamps.push(open.stamp);
            }
            self.blocks.push(open.block);
        }
    }

    fn begin_chunk(&mut self) {
        self.bests.push(Bests {
            prices: self.best_prices(),
            lots: [0; 2],
        });
        self.prints
            .push(PackedPrint::of(self.recorded.last_trade()));
        self.checkpoint = self.chunks.is_multiple_of(CHECKPOINT_CHUNKS).then(|| {
            [Side::Bid, Side::Ask].map(|side| {
                let levels = self.recorded.book.levels(side).into_iter();
                levels.map(|(price, lots)| Level { price, lots }).collect()
            })
        });
    }

    fn close_chunk(&mut self) -> Result<()> {
        let none = [Vec::new(), Vec::new()];
        let checkpoint = self.checkpoint.as_ref().unwrap_or(&none);
        let head = ChunkHead {
            blocks: count(self.blocks.len()),
            bests: count(self.bests.len()),
            prints: count(self.prints.len()),
            checkpoint: [count(checkpoint[0].len()), count(checkpoint[1].len())],
            has_checkpoint: u32::from(self.checkpoint.is_some()),
            far_stamps: count(self.far_stamps.len()),
            joins: count(self.joins.len()),
            stamps: count(self.stamps.len()),
            specials: count(self.specials.len()),
            offsets: count(self.offsets.len()),
            reserved: [0; 5],
        };
        self.bytes.clear();
        for part in [
            head.as_bytes(),
            self.blocks.as_slice().as_bytes(),
            self.bests.as_slice().as_bytes(),
            self.prints.as_slice().as_bytes(),
            checkpoint[0].as_slice().as_bytes(),
            checkpoint[1].as_slice().as_bytes(),
            self.far_stamps.as_slice().as_bytes(),
            self.joins.as_slice().as_bytes(),
            self.stamps.as_slice().as_bytes(),
            self.specials.as_slice().as_bytes(),
            self.offsets.as_slice().as_bytes(),
        ] {
            self.bytes.extend_from_slice(part);
        }
        (self.take)(&self.bytes)?;
        self.chunks += 1;
        self.blocks.clear();
        self.bests.clear();
        self.prints.clear();
        self.far_stamps.clear();
        self.joins.clear();
        self.stamps.clear();
        self.specials.clear();
        self.offsets.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<u64> {
        self.close_block();
        if !self.blocks.is_empty() {
            self.close_chunk()?;
        }
        Ok(self.next_row)
    }
}

impl Open {
    /// Returns whether a row's time can be told in the column of this block.
    fn fits(&self, row: &Tick) -> bool {
        let since = row.exch_ns - self.block.start_ns;
        UNITS_NS
            .iter()
            .zip(self.is_whole_in)
            .any(|(unit, is_whole)| {
                is_whole && since % unit == 0 && since / unit < i64::from(u32::MAX)
            })
    }

    fn add(&mut self, row: &Tick, after: i32, is_print: bool) {
        let block = &mut self.block;
        let slot = block.count as usize;
        let bit = 1u64 << slot;
        let side = side_of(row);
        let place = side as usize;
        block.count += 1;
        block.end_ns = row.exch_ns;
        let since = row.exch_ns - block.start_ns;
        for (is_whole, unit) in self.is_whole_in.iter_mut().zip(UNITS_NS) {
            *is_whole &= since % unit == 0 && since / unit < i64::from(u32::MAX);
        }
        self.since_ns[slot] = since;
        self.price[slot] = row.price;
        block.after[slot] = after;
        if row.kind == KIND_CLEAR {
            block.flags |= FLAG_CLEARS;
            return;
        }
        block.code[slot] = code_of(side, row.price);
        block.low[place] = block.low[place].min(row.price);
        block.high[place] = block.high[place].max(row.price);
        if is_print {
            block.print |= bit;
            block.reach[place] = match side {
                Side::Bid => block.reach[place].min(row.price),
                Side::Ask => block.reach[place].max(row.price),
            };
        }
        if is_print || row.kind == KIND_LEVEL {
            block.sets |= bit;
        }
        if row.flags & FLAG_OUT_OF_VIEW != 0 {
            block.away |= bit;
        }
    }

    /// Settles the unit of time; returns exact prices if the codes do not tell them.
    fn seal(&mut self) -> Option<[u32; BLOCK_ROWS]> {
        let used = self.block.count as usize;
        let whole = UNITS_NS.iter().zip(self.is_whole_in);
        let unit_ns = whole
            .filter(|(_, is_whole)| *is_whole)
            .map(|(unit, _)| *unit)
            .next()
            .unwrap_or(1);
        self.block.unit_ns = u32::try_from(unit_ns).unwrap_or(1);
        for (time, since_ns) in self.block.time.iter_mut().zip(&self.since_ns[..used]) {
            *time = u32::try_from(since_ns / unit_ns).unwrap_or(u32::MAX);
        }
        let is_wide = |side: usize| {
            i64::from(self.block.high[side]) - i64::from(self.block.low[side]) > CODE_SPAN
        };
        if !is_wide(0) && !is_wide(1) {
            return None;
        }
        let mut offsets = [0; BLOCK_ROWS];
        for (slot, offset) in offsets[..used].iter_mut().enumerate() {
            let low = self.block.low[usize::from(self.block.code[slot] >> 7)];
            // A row that wipes the book has no price of its own.
            *offset = u32::try_from(i64::from(self.price[slot]) - i64::from(low)).unwrap_or(0);
        }
        Some(offsets)
    }
}

fn side_of(row: &Tick) -> Side {
    if row.side == 0 { Side::Bid } else { Side::Ask }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
