//! Memory of the liquidity that own takers consumed: the record still shows it, the market would not.
//!
//! Per level `c` lots are remembered; available = `max(0, floor(L - c))`. A recorded trade of q removes q from c (the record removes the same
//! volume itself), a recorded cancel of k removes `k * c / L`, time removes half per half-life, an empty level forgets.
//! Source: simulation-physics 9.2. Worked: L = 10, half-life 1 s, buy 10: available 0; after 1 s: 5; recorded buy of 4: L = 6, c = 1, available 5.
//! Known limit: no other participant reacts to what we took.

use crate::types::{AHEAD_ONE, AHEAD_SHIFT, Lots, Nanos, Side, TickIndex};

#[derive(Debug, Clone, Copy)]
struct Entry {
    side: Side,
    price: TickIndex,
    /// Consumed, in 1/2^20 lot, as of `at_ns`.
    units: i64,
    at_ns: Nanos,
}

/// Levels that own takers took from.
#[derive(Debug, Clone)]
pub(crate) struct Consumed {
    half_life_ns: Option<Nanos>,
    /// Counts entries that came and went.
    changes: u64,
    entries: Vec<Entry>,
}

impl Consumed {
    pub(crate) fn new(half_life_ns: Option<Nanos>) -> Self {
        Self {
            half_life_ns,
            changes: 0,
            entries: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns another number whenever there are other levels.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns the levels that own takers took from.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (Side, TickIndex)> + '_ {
        self.entries.iter().map(|entry| (entry.side, entry.price))
    }

    /// Returns the whole lots that a taker may still take of `size` displayed ones.
    pub(crate) fn available(&self, side: Side, price: TickIndex, size: i32, now_ns: Nanos) -> Lots {
        let size = i64::from(size);
        match self
            .entries
            .iter()
            .find(|e| e.side == side && e.price == price)
        {
            None => size,
            Some(entry) => {
                (((size << AHEAD_SHIFT) - self.decayed(entry, now_ns)) >> AHEAD_SHIFT).max(0)
            }
        }
    }

    /// Remembers a fill of `lots` against a level.
    pub(crate) fn take(&mut self, side: Side, price: TickIndex, lots: Lots, now_ns: Nanos) {
        if self.half_life_ns == Some(0) {
            return;
        }
        if !self
            .entries
            .iter()
            .any(|e| e.side == side && e.price == price)
        {
            self.changes += 1;
            self.entries.push(Entry {
                side,
                price,
                units: 0,
                at_ns: now_ns,
            });
        }
        self.update(side, price, now_ns, |units| units + (lots << AHEAD_SHIFT));
    }

    /// Follows a recorded print of `lots`.
    pub(crate) fn on_trade(
        &mut self,
        side: Side,
        price: TickIndex,
        lots: i32,
        after: i32,
        now_ns: Nanos,
    ) {
        let cap = i64::from(after) << AHEAD_SHIFT;
        self.update(side, price, now_ns, |units| {
            (units - (i64::from(lots) << AHEAD_SHIFT)).max(0).min(cap)
        });
    }

    /// Follows a recorded level change.
    pub(crate) fn on_level(
        &mut self,
        side: Side,
        price: TickIndex,
        before: i32,
        after: i32,
        now_ns: Nanos,
    ) {
        let cap = i64::from(after) << AHEAD_SHIFT;
        self.update(side, price, now_ns, |units| {
            let cancelled = i128::from((before - after).max(0));
            let cut = if before > 0 {
                cancelled * i128::from(units) / i128::from(before)
            } else {
                0
            };
            (units - i64::try_from(cut).expect("a part of an i64 fits one")).clamp(0, cap)
        });
    }

    pub(crate) fn clear(&mut self) {
        self.changes += 1;
        self.entries.clear();
    }

    fn update(
        &mut self,
        side: Side,
        price: TickIndex,
        now_ns: Nanos,
        change: impl FnOnce(i64) -> i64,
    ) {
        let Some(index) = self
            .entries
            .iter()
            .position(|e| e.side == side && e.price == price)
        else {
            return;
        };
        let units = change(self.decayed(&self.entries[index], now_ns));
        if units > 0 {
            self.entries[index].units = units;
            self.entries[index].at_ns = now_ns;
        } else {
            self.changes += 1;
            self.entries.remove(index);
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "lots fit f64; the result is smaller"
    )]
    fn decayed(&self, entry: &Entry, now_ns: Nanos) -> i64 {
        match self.half_life_ns {
            None => entry.units,
            Some(half_life) => {
                let halvings = (now_ns - entry.at_ns) as f64 / half_life as f64;
                libm::floor(entry.units as f64 * libm::exp2(-halvings) + 0.5) as i64
            }
        }
    }
}

/// Returns lots in queue-position units.
#[must_use]
pub(crate) fn units(lots: Lots) -> i64 {
    lots * AHEAD_ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_example_of_the_refill() {
        let second = 1_000_000_000;
        let mut memory = Consumed::new(Some(second));
        memory.take(Side::Ask, 100, 10, 0);
        assert_eq!(memory.available(Side::Ask, 100, 10, 0), 0);
        assert_eq!(memory.available(Side::Ask, 100, 10, second), 5);
        memory.on_trade(Side::Ask, 100, 4, 6, second);
        assert_eq!(memory.available(Side::Ask, 100, 6, second), 5);
    }

    #[test]
    fn no_half_life_keeps_until_the_level_empties() {
        let mut memory = Consumed::new(None);
        memory.take(Side::Bid, 7, 3, 0);
        assert_eq!(memory.available(Side::Bid, 7, 5, i64::MAX), 2);
        memory.on_level(Side::Bid, 7, 5, 0, 1);
        assert!(memory.is_empty());
    }

    #[test]
    fn zero_half_life_remembers_nothing() {
        let mut memory = Consumed::new(Some(0));
        memory.take(Side::Bid, 7, 3, 0);
        assert!(memory.is_empty());
    }
}
