//! The displayed book: sizes per price with the best price of each side at hand.
//!
//! Layout: one dense array of sizes per side over the price range seen so far, a bit per non-empty price and a bit per non-empty word of
//! those. The ask side is stored mirrored, so that on both sides the best price is the *highest* slot and one piece of code serves both.
//! Cost: a size change is one load and one store; losing the best price scans words downwards, 4,096 prices per summary word.
//! Known limits: memory is 9 bytes per price of the range; ranges beyond [`SPAN_MAX`] prices are refused.

use crate::error::{Error, Result};
use crate::types::{Print, Side, TickIndex};

/// What matching asks of a book, and what rows do to it: kept row by row, or looked up in rows that were worked off before (`filter/book.rs`).
pub trait Book: std::fmt::Debug {
    /// Says that all rows before number `row` of the run are applied, and no other.
    fn seek(&mut self, row: u64);

    /// Sets the size of a level by the next row and returns what it was.
    ///
    /// # Errors
    /// `Error::Tick` if the book would have to span more than [`SPAN_MAX`] prices.
    fn set(&mut self, side: Side, price: TickIndex, size: i32) -> Result<i32>;

    /// Empties both sides.
    fn clear(&mut self);

    /// Returns the displayed size of a level.
    fn size(&self, side: Side, price: TickIndex) -> i32;

    /// Returns the best price of a side.
    fn best(&self, side: Side) -> Option<TickIndex>;

    /// Returns the next non-empty price behind `price`, which is one that the book has shown.
    fn next_worse(&self, side: Side, price: TickIndex) -> Option<TickIndex>;

    /// Returns whether a best price changed (at least once) since this was asked last.
    fn take_best_changed(&mut self) -> bool;

    /// Returns the last print; `told` is the last one that its owner was told of.
    fn last_print(&self, told: Option<Print>) -> Option<Print>;

    /// Returns the price of the `n`-th level of a side, counted from 1 at the best.
    fn nth_best(&self, side: Side, n: u32) -> Option<TickIndex> {
        let mut price = self.best(side)?;
        for _ in 1..n {
            price = self.next_worse(side, price)?;
        }
        Some(price)
    }

    /// Returns the best bid and the best ask, [`NO_PRICE`] for an empty side.
    #[inline]
    fn touch(&self) -> [TickIndex; 2] {
        [Side::Bid, Side::Ask].map(|side| self.best(side).unwrap_or(NO_PRICE))
    }

    /// Returns both best prices if both sides show something.
    #[inline]
    fn two_sided(&self) -> Option<(TickIndex, TickIndex)> {
        let [bid, ask] = self.touch();
        (bid != NO_PRICE && ask != NO_PRICE).then_some((bid, ask))
    }
}

/// Stands for "no price"; no tape holds it.
pub const NO_PRICE: TickIndex = TickIndex::MIN;

/// Widest price range that a book covers, in ticks.
pub const SPAN_MAX: i64 = 1 << 26;
const NO_SLOT: u32 = u32::MAX;
const GROW_MARGIN: i64 = 1024;

#[derive(Debug, Clone)]
struct Ladder {
    sizes: Vec<i32>,
    words: Vec<u64>,
    summary: Vec<u64>,
    best: u32,
}

impl Ladder {
    fn new(span: usize) -> Self {
        let words = span.div_ceil(64);
        Self {
            sizes: vec![0; words * 64],
            words: vec![0; words],
            summary: vec![0; words.div_ceil(64)],
            best: NO_SLOT,
        }
    }

    /// Sets a size; returns the size before and whether the best slot is another now.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    fn set(&mut self, slot: usize, size: i32) -> (i32, bool) {
        let before = std::mem::replace(&mut self.sizes[slot], size);
        if (before == 0) == (size == 0) {
            return (before, false);
        }
        let best = self.best;
        self.set_presence(slot, size != 0);
        (before, self.best != best)
    }

    #[inline(never)]
    fn set_presence(&mut self, slot: usize, present: bool) {
        let word = slot >> 6;
        if present {
            self.words[word] |= 1 << (slot & 63);
            self.summary[word >> 6] |= 1 << (word & 63);
            let slot = slot_code(slot);
            if self.best == NO_SLOT || slot > self.best {
                self.best = slot;
            }
        } else {
            self.words[word] &= !(1 << (slot & 63));
            if self.words[word] == 0 {
                self.summary[word >> 6] &= !(1 << (word & 63));
            }
            if slot_code(slot) == self.best {
                self.best = self.highest_below(slot).map_or(NO_SLOT, slot_code);
            }
        }
    }

    /// Returns the highest non-empty slot below `slot`.
    #[inline]
    fn highest_below(&self, slot: usize) -> Option<usize> {
        let word = slot >> 6;
        let within = self.words[word] & ((1u64 << (slot & 63)) - 1);
        if within != 0 {
            return Some((word << 6) + 63 - within.leading_zeros() as usize);
        }
        let mut group = word >> 6;
        let mut mask = self.summary[group] & ((1u64 << (word & 63)) - 1);
        while mask == 0 {
            if group == 0 {
                return None;
            }
            group -= 1;
            mask = self.summary[group];
        }
        let word = (group << 6) + 63 - mask.leading_zeros() as usize;
        Some((word << 6) + 63 - self.words[word].leading_zeros() as usize)
    }
}

#[inline]
fn slot_code(slot: usize) -> u32 {
    u32::try_from(slot).expect("slots stay below SPAN_MAX, which fits u32")
}

/// Sizes of both sides of one instrument.
#[derive(Debug, Clone)]
pub struct LimitOrderBook {
    low: TickIndex,
    high: TickIndex,
    /// `high - low`, the last slot.
    offset_max: u32,
    /// A best price changed since the last [`LimitOrderBook::take_best_changed`].
    best_changed: bool,
    sides: [Ladder; 2],
}

impl LimitOrderBook {
    /// Creates an empty book that covers `low..=high` and grows beyond it when it must.
    ///
    /// # Errors
    /// `Error::Tick` if the range is wider than [`SPAN_MAX`].
    ///
    /// # Panics
    /// Never: the span was checked to fit.
    pub fn new(low: TickIndex, high: TickIndex) -> Result<Self> {
        let high = high.max(low);
        let span = i64::from(high) - i64::from(low) + 1;
        let high = i32::try_from(i64::from(low) + (span + 63) / 64 * 64 - 1).unwrap_or(high);
        let span = i64::from(high) - i64::from(low) + 1;
        if span > SPAN_MAX {
            return Err(Error::Tick(format!(
                "prices {low}..={high} span {span} ticks, more than the {SPAN_MAX} that a book covers; check the tick size"
            )));
        }
        let span = usize::try_from(span).expect("span is positive and below SPAN_MAX");
        let offset_max = u32::try_from(span - 1).expect("span is positive and below SPAN_MAX");
        Ok(Self {
            low,
            high,
            offset_max,
            best_changed: false,
            sides: [Ladder::new(span), Ladder::new(span)],
        })
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    fn slot(&self, side: Side, price: TickIndex) -> Option<usize> {
        // Unsigned, so that one comparison refuses prices on either side of the range.
        let offset = price.wrapping_sub(self.low).cast_unsigned();
        if offset > self.offset_max {
            return None;
        }
        let slot = match side {
            Side::Bid => offset,
            Side::Ask => self.offset_max - offset,
        };
        Some(slot as usize)
    }

    #[inline]
    fn price(&self, side: Side, slot: u32) -> TickIndex {
        // The slot lies inside low..=high, so the sum fits again.
        match side {
            Side::Bid => self.low.wrapping_add_unsigned(slot),
            Side::Ask => self.high.wrapping_sub_unsigned(slot),
        }
    }

    /// Sets the size of a level and returns what it was.
    ///
    /// # Errors
    /// `Error::Tick` if the book would have to span more than [`SPAN_MAX`] prices.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    pub fn set(&mut self, side: Side, price: TickIndex, size: i32) -> Result<i32> {
        debug_assert!(size >= 0, "level size {size} is negative");
        let Some(slot) = self.slot(side, price) else {
            return self.set_outside(side, price, size);
        };
        let (before, best_changed) = self.sides[side as usize].set(slot, size);
        self.best_changed |= best_changed;
        Ok(before)
    }

    #[cold]
    fn set_outside(&mut self, side: Side, price: TickIndex, size: i32) -> Result<i32> {
        if size == 0 {
            return Ok(0);
        }
        self.grow(price)?;
        self.set(side, price, size)
    }

    /// Returns what the next [`LimitOrderBook::take_best_changed`] will say.
    #[inline]
    #[must_use]
    pub fn has_best_changed(&self) -> bool {
        self.best_changed
    }

    /// Returns whether a best price changed (at least once) since this was asked last.
    #[inline]
    pub fn take_best_changed(&mut self) -> bool {
        std::mem::take(&mut self.best_changed)
    }

    #[cold]
    fn grow(&mut self, price: TickIndex) -> Result<()> {
        let clamp = |value: i64| {
            i32::try_from(value.clamp(i64::from(i32::MIN), i64::from(i32::MAX))).unwrap_or(price)
        };
        let mut low = clamp(i64::from(price) - GROW_MARGIN);
        let mut high = clamp(i64::from(price) + GROW_MARGIN);
        // An empty book may move instead: it has nothing to keep.
        let is_empty = self.best(Side::Bid).is_none() && self.best(Side::Ask).is_none();
        if !is_empty {
            low = low.min(self.low);
            high = high.max(self.high);
        }
        let mut wider = Self::new(low, high)?;
        for side in [Side::Bid, Side::Ask] {
            let mut next = self.best(side);
            while let Some(level) = next {
                wider.set(side, level, self.size(side, level))?;
                next = self.next_worse(side, level);
            }
        }
        wider.best_changed = self.best_changed;
        *self = wider;
        Ok(())
    }

    /// Returns the displayed size of a level.
    #[inline]
    #[must_use]
    pub fn size(&self, side: Side, price: TickIndex) -> i32 {
        self.slot(side, price)
            .map_or(0, |slot| self.sides[side as usize].sizes[slot])
    }

    /// Returns the best price of a side.
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<TickIndex> {
        let best = self.sides[side as usize].best;
        (best != NO_SLOT).then(|| self.price(side, best))
    }

    /// Returns the next non-empty price behind `price`.
    #[must_use]
    pub fn next_worse(&self, side: Side, price: TickIndex) -> Option<TickIndex> {
        let slot = self.slot(side, price)?;
        self.sides[side as usize]
            .highest_below(slot)
            .map(|slot| self.price(side, slot_code(slot)))
    }

    /// Returns the levels of a side, best first, as (price, size).
    #[must_use]
    pub fn levels(&self, side: Side) -> Vec<(TickIndex, i32)> {
        let mut levels = Vec::new();
        let mut next = self.best(side);
        while let Some(price) = next {
            levels.push((price, self.size(side, price)));
            next = self.next_worse(side, price);
        }
        levels
    }

    /// Empties both sides.
    pub fn clear(&mut self) {
        for side in [Side::Bid, Side::Ask] {
            while let Some(price) = self.best(side) {
                if let Some(slot) = self.slot(side, price) {
                    self.sides[side as usize].set(slot, 0);
                    self.best_changed = true;
                }
            }
        }
    }
}

impl Book for LimitOrderBook {
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; there is nothing to do"
    )]
    fn seek(&mut self, _: u64) {}

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "every market row passes here; a call costs as much as the work"
    )]
    fn set(&mut self, side: Side, price: TickIndex, size: i32) -> Result<i32> {
        Self::set(self, side, price, size)
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    #[inline]
    fn size(&self, side: Side, price: TickIndex) -> i32 {
        Self::size(self, side, price)
    }

    #[inline]
    fn best(&self, side: Side) -> Option<TickIndex> {
        Self::best(self, side)
    }

    fn next_worse(&self, side: Side, price: TickIndex) -> Option<TickIndex> {
        Self::next_worse(self, side, price)
    }

    #[inline]
    fn take_best_changed(&mut self) -> bool {
        Self::take_best_changed(self)
    }

    #[inline]
    fn last_print(&self, told: Option<Print>) -> Option<Print> {
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn agrees_with_a_sorted_map_on_random_updates() {
        let mut book = LimitOrderBook::new(100, 131).unwrap();
        let mut maps = [BTreeMap::new(), BTreeMap::new()];
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let side = if state >> 63 == 0 {
                Side::Bid
            } else {
                Side::Ask
            };
            let price = 100
                + i32::try_from((state >> 33) % 9_000).unwrap()
                    * (1 + i32::try_from((state >> 50) % 2).unwrap());
            let size = i32::try_from((state >> 20) % 3).unwrap();
            let before = book.set(side, price, size).unwrap();
            let map: &mut BTreeMap<i32, i32> = &mut maps[side as usize];
            let expected = if size == 0 {
                map.remove(&price)
            } else {
                map.insert(price, size)
            };
            assert_eq!(before, expected.unwrap_or(0));
            assert_eq!(book.best(Side::Bid), maps[0].last_key_value().map(|x| *x.0));
            assert_eq!(
                book.best(Side::Ask),
                maps[1].first_key_value().map(|x| *x.0)
            );
        }
        assert_eq!(
            book.levels(Side::Bid),
            maps[0]
                .iter()
                .rev()
                .map(|(p, q)| (*p, *q))
                .collect::<Vec<_>>()
        );
        assert_eq!(
            book.levels(Side::Ask),
            maps[1].iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn empty_side_has_no_best() {
        let mut book = LimitOrderBook::new(0, 10).unwrap();
        assert_eq!(book.best(Side::Bid), None);
        book.set(Side::Bid, 5, 3).unwrap();
        book.set(Side::Bid, 5, 0).unwrap();
        assert_eq!(book.best(Side::Bid), None);
        assert_eq!(book.two_sided(), None);
    }

    #[test]
    fn range_beyond_the_limit_is_refused() {
        let mut book = LimitOrderBook::new(0, 10).unwrap();
        book.set(Side::Bid, 5, 1).unwrap();
        assert!(book.set(Side::Ask, i32::MAX, 1).is_err());
        assert_eq!(book.set(Side::Ask, i32::MAX, 0).unwrap(), 0);
    }

    #[test]
    fn an_empty_book_moves_to_where_its_first_price_is() {
        for far in [i32::MAX, i32::MIN, 1_000_000_000] {
            let mut book = LimitOrderBook::new(0, 10).unwrap();
            book.set(Side::Bid, far, 3).unwrap();
            assert_eq!(book.levels(Side::Bid), [(far, 3)]);
            assert!(book.offset_max < 4 * u32::try_from(GROW_MARGIN).unwrap());
        }
    }
}
