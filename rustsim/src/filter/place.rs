//! A place between two rows of a compiled tape, and the market as it is there.
//!
//! Nothing is kept from place to place: the size of a level is what the last row at it left behind, found by one comparison of 64 bytes and, if the block
//! tells nothing, in the levels that it knows at its start; failing that, in earlier blocks back to a checkpoint.

use super::layout::{
    BLOCK_ROWS, Bests, Block, CHECKPOINT_CHUNKS, Chunk, FAR_STAMP, FLAG_CLEARS, LISTED, Level,
    below, code_of, rows_of,
};
use super::tape::OpenTape;
use crate::book::NO_PRICE;
use crate::types::{Nanos, Print, Side, TickIndex};

/// A place in a compiled tape: all rows before `row` of the block have happened, the others have not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'t> {
    tape: &'t OpenTape<'t>,
    /// Number of the chunk.
    number: usize,
    /// Number of the block in its chunk.
    pub(super) index: usize,
    pub(super) block: &'t Block,
    /// Rows of the block that have happened; all of them only at the end of the tape, or between the calls that move on.
    pub(super) row: usize,
}

impl<'t> Place<'t> {
    /// Returns the start of a tape, None if it has no rows.
    pub(super) fn start(tape: &'t OpenTape<'t>) -> Option<Self> {
        (!tape.chunks.is_empty()).then(|| Self::in_chunk(tape, 0))
    }

    fn in_chunk(tape: &'t OpenTape<'t>, number: usize) -> Self {
        Self {
            tape,
            number,
            index: 0,
            block: &tape.chunks[number].blocks[0],
            row: 0,
        }
    }

    /// Returns the chunk that it lies in.
    #[inline]
    pub(super) fn chunk(&self) -> &'t Chunk<'t> {
        &self.tape.chunks[self.number]
    }

    /// Returns the tape number of the next row.
    #[inline]
    pub(super) fn next_row(&self) -> u64 {
        self.block.first_row + self.row as u64
    }

    /// Goes to the start of the next block; false, and nowhere, if there is none.
    #[inline]
    pub(super) fn enter_next_block(&mut self) -> bool {
        if let Some(block) = self.chunk().blocks.get(self.index + 1) {
            self.index += 1;
            self.block = block;
            self.row = 0;
            return true;
        }
        self.number + 1 < self.tape.chunks.len() && {
            *self = Self::in_chunk(self.tape, self.number + 1);
            true
        }
    }

    fn enter_block_before(&mut self) -> bool {
        if self.index == 0 {
            if self.number == 0 {
                return false;
            }
            *self = Self::in_chunk(self.tape, self.number - 1);
            self.index = self.chunk().blocks.len();
        }
        self.index -= 1;
        self.block = &self.chunk().blocks[self.index];
        self.row = self.block.count as usize;
        true
    }

    /// At the end of a block that is not the last one, goes to where the next one starts: there the book is listed.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.row == self.block.count as usize {
            self.enter_next_block();
        }
    }

    /// Goes to before row `row`, which lies at or behind this place.
    #[inline]
    pub(super) fn seek(&mut self, row: u64) {
        loop {
            let ahead = row - self.block.first_row;
            if ahead < u64::from(self.block.count) || !self.enter_next_block() {
                self.row = usize::try_from(ahead).map_or(BLOCK_ROWS, |ahead| ahead);
                self.row = self.row.min(self.block.count as usize);
                return;
            }
        }
    }

    /// Returns the time of the last row before this place.
    #[inline]
    pub(super) fn last_ns(&self) -> Option<Nanos> {
        if self.row > 0 {
            return Some(Chunk::time_ns(self.block, self.row - 1));
        }
        let mut before = *self;
        before.enter_block_before().then_some(before.block.end_ns)
    }

    /// Returns when a row's group is seen, before what the feed adds: its local stamp, or its time.
    #[inline]
    pub(super) fn stamp_ns(&self, row: usize) -> Nanos {
        let at_ns = Chunk::time_ns(self.block, row);
        match self
            .chunk()
            .stamps
            .get(self.index)
            .map(|stamps| stamps[row])
        {
            None => at_ns,
            Some(FAR_STAMP) => {
                let number = self.block.first_row + row as u64;
                let found = self
                    .chunk()
                    .far_stamps
                    .binary_search_by_key(&number, |far| far.row);
                found.map_or(at_ns, |found| self.chunk().far_stamps[found].at_ns)
            }
            Some(ahead) => at_ns + i64::from(ahead),
        }
    }

    /// Returns the rows of the block that set the size of a level, wherever the place is.
    #[inline]
    pub(super) fn rows_at(&self, side: Side, price: TickIndex) -> u64 {
        let block = self.block;
        let place = side as usize;
        if price < block.low[place] || price > block.high[place] {
            return 0;
        }
        let mut rows = (self.tape.compare)(&block.code, code_of(side, price)) & block.sets;
        if let Some(offsets) = self.chunk().offsets.get(block.offsets as usize) {
            // Prices 128 apart share a code.
            let wanted = price.wrapping_sub(block.low[place]).cast_unsigned();
            for row in rows_of(rows) {
                if offsets[row] != wanted {
                    rows &= !(1 << row);
                }
            }
        }
        rows
    }

    /// Returns the best prices.
    #[inline]
    pub(super) fn bests(&self) -> &'t Bests {
        let before = (self.block.best & below(self.row)).count_ones() as usize;
        &self.chunk().bests[self.block.bests as usize + before]
    }

    /// Returns the best prices and the lots there; the place must lie behind a whole group.
    #[inline]
    pub(super) fn touch(&self) -> Bests {
        let mut bests = *self.bests();
        let groups_before = self.block.last & below(self.row.saturating_sub(1));
        let start = 64 - groups_before.leading_zeros() as usize;
        let is_told = groups_before != 0 && self.block.best & below(self.row) & !below(start) != 0;
        if !is_told {
            // What became the best before this group may have another size by now.
            for side in [Side::Bid, Side::Ask] {
                let price = bests.prices[side as usize];
                bests.lots[side as usize] = if price == NO_PRICE {
                    0
                } else {
                    self.size(side, price)
                };
            }
        }
        bests
    }

    /// Returns the best price of a side.
    #[inline]
    pub(super) fn best(&self, side: Side) -> Option<TickIndex> {
        Some(self.bests().prices[side as usize]).filter(|price| *price != NO_PRICE)
    }

    /// Returns the last print.
    #[inline]
    pub(super) fn last_print(&self) -> Option<Print> {
        let before = (self.block.print & below(self.row)).count_ones() as usize;
        self.chunk().prints[self.block.prints as usize + before].print()
    }

    /// Returns the displayed size of a level.
    #[inline]
    pub(super) fn size(&self, side: Side, price: TickIndex) -> i32 {
        self.size_here(side, price)
            .unwrap_or_else(|| self.size_from_before(side, price))
    }

    /// Returns the displayed size of a level if the block tells it.
    #[inline]
    fn size_here(&self, side: Side, price: TickIndex) -> Option<i32> {
        if self.clears_before_here() {
            return Some(0);
        }
        let rows = self.rows_at(side, price) & below(self.row);
        if rows != 0 {
            let last = 63 - rows.leading_zeros() as usize;
            return Some(self.block.after[last]);
        }
        let place = side as usize;
        let listed = &self.block.levels[place][..usize::from(self.block.listed[place])];
        // The worst one first: most blocks that are asked know nothing so far from the best.
        let reaches = |level: &Level| !side.is_better(level.price, price);
        if self.block.is_whole[place] == 0 && !listed.last().is_some_and(reaches) {
            return None;
        }
        let found = listed.iter().find(|level| level.price == price);
        Some(found.map_or(0, |level| level.lots))
    }

    /// Returns the displayed size of a level as blocks before this one tell it, back to a checkpoint.
    #[cold]
    fn size_from_before(&self, side: Side, price: TickIndex) -> i32 {
        let mut place = *self;
        let at = side as usize;
        loop {
            if place.index == 0
                && let Some(levels) = place.chunk().checkpoint
            {
                let found = levels[at]
                    .binary_search_by_key(&side.rank(price), |level| side.rank(level.price));
                return found.map_or(0, |found| levels[at][found].lots);
            }
            if !place.enter_block_before() {
                return 0;
            }
            if let Some(lots) = place.size_here(side, price) {
                return lots;
            }
        }
    }

    /// Returns the next non-empty price behind `price`; the error says that the block does not know.
    pub(super) fn next_worse(
        &self,
        side: Side,
        price: TickIndex,
    ) -> std::result::Result<Option<TickIndex>, Unknown> {
        let (levels, is_whole) = self.listing(side);
        let found = levels
            .iter()
            .find(|level| side.is_better(price, level.price));
        known(found, is_whole)
    }

    /// Returns the price of the `n`-th level of a side, counted from 1 at the best; the error says that the block does not know.
    pub(super) fn nth_best(
        &self,
        side: Side,
        n: u32,
    ) -> std::result::Result<Option<TickIndex>, Unknown> {
        let (levels, is_whole) = self.listing(side);
        known(levels.get(n as usize - 1), is_whole)
    }

    /// Returns the levels of a side, best first, as far as the block tells them, and whether that is all.
    fn listing(&self, side: Side) -> (Vec<Level>, bool) {
        let place = side as usize;
        let block = self.block;
        if self.clears_before_here() {
            return (Vec::new(), true);
        }
        let mut levels = Vec::with_capacity(2 * LISTED);
        levels.extend_from_slice(&block.levels[place][..usize::from(block.listed[place])]);
        let is_whole = block.is_whole[place] != 0;
        let worst = levels.last().map(|level| level.price);
        for row in rows_of(block.sets & below(self.row)) {
            let (at, price) = self.chunk().level_of(block, row);
            let is_known = is_whole || worst.is_some_and(|worst| !side.is_better(worst, price));
            if at != side || !is_known {
                continue;
            }
            let lots = block.after[row];
            let found = levels.binary_search_by_key(&side.rank(price), |l| side.rank(l.price));
            match found {
                Ok(index) if lots == 0 => {
                    levels.remove(index);
                }
                Ok(index) => levels[index].lots = lots,
                Err(_) if lots == 0 => {}
                Err(index) => levels.insert(index, Level { price, lots }),
            }
        }
        (levels, is_whole)
    }

    /// Returns whether the row before this place wiped the book; only at the end of a tape is there no block behind it that says so.
    fn clears_before_here(&self) -> bool {
        self.block.flags & FLAG_CLEARS != 0 && self.row == self.block.count as usize
    }

    /// Returns the start of the last chunk with a checkpoint.
    pub(super) fn checkpoint(&self) -> Self {
        Self::in_chunk(
            self.tape,
            self.number / CHECKPOINT_CHUNKS * CHECKPOINT_CHUNKS,
        )
    }

    pub(super) fn chunk_number(&self) -> usize {
        self.number
    }
}

/// The levels that a block knows end before the one that is asked for.
#[derive(Debug)]
pub(super) struct Unknown;

fn known(found: Option<&Level>, is_whole: bool) -> std::result::Result<Option<TickIndex>, Unknown> {
    match found {
        Some(level) => Ok(Some(level.price)),
        None if is_whole => Ok(None),
        None => Err(Unknown),
    }
}
