//! The walk of the exchange through a compiled tape: from one row that concerns it to the next.

use super::Compiled;
use super::layout::{Chunk, FLAG_CONTINUES, below, first_at, rows_of};
use super::place::Place;
use crate::error::Result;
use crate::matching::{Group, OwnLevels};
use crate::replay::Market;
use crate::sim::SimulatedExchange;
use crate::types::{Nanos, Side, Tick};

/// Rows of one block that concern own orders or memory of own takers.
#[derive(Clone, Copy, Debug)]
struct Concerns {
    /// Row number of the block that they were found in.
    first_row: u64,
    rows: u64,
}

/// How many rows of a block lie before a time.
#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    first_row: u64,
    before_ns: Nanos,
    rows: usize,
}

/// Where the exchange stands.
#[derive(Debug)]
pub(super) struct Walk<'t> {
    place: Place<'t>,
    /// First row that is not at hand.
    stop_row: u64,
    own: OwnLevels,
    /// Which own orders `own` knows.
    own_changes: u64,
    concerns: Option<Concerns>,
    limit: Limit,
    /// Rows of the group at hand that matching must see.
    rows: Vec<(Tick, u64)>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(start: Place<'t>) -> Self {
        Self {
            place: start,
            stop_row: 0,
            own: OwnLevels::default(),
            own_changes: 0,
            concerns: None,
            limit: Limit::default(),
            rows: Vec::new(),
        }
    }

    /// Says where to stop: the groups before that row are at hand.
    pub(super) fn set_stop(&mut self, stop_row: u64) {
        self.stop_row = stop_row;
    }

    /// Returns whether no group is at hand.
    #[inline]
    fn is_over(&self) -> bool {
        self.place.next_row() >= self.stop_row
    }

    /// Takes in where own orders stand now.
    #[inline]
    fn refresh(&mut self, exchange: &SimulatedExchange<Compiled<'t>>) {
        let changes = exchange.matching.own_changes();
        if self.own_changes != changes {
            self.own_changes = changes;
            exchange.matching.tell_own_levels(&mut self.own);
            self.concerns = None;
        }
    }

    /// Returns how many rows of the block at hand lie before a time.
    #[inline]
    fn limit(&mut self, before_ns: Nanos) -> usize {
        let block = self.place.block;
        if block.end_ns < before_ns {
            return block.count as usize;
        }
        let known = self.limit;
        if known.first_row != block.first_row || known.before_ns != before_ns {
            self.limit = Limit {
                first_row: block.first_row,
                before_ns,
                rows: first_at(block, self.place.row, before_ns),
            };
        }
        self.limit.rows
    }

    /// Returns the rows of the block at hand that matching must see, wherever the place is.
    #[inline]
    fn concerning(&mut self) -> u64 {
        let first_row = self.place.block.first_row;
        match self.concerns {
            Some(known) if known.first_row == first_row => known.rows,
            _ => {
                let rows = self.find_concerning();
                self.concerns = Some(Concerns { first_row, rows });
                rows
            }
        }
    }

    fn find_concerning(&self) -> u64 {
        let block = self.place.block;
        let mut rows = block.special;
        for (side, price) in self.own.levels() {
            rows |= self.place.rows_at(*side, *price);
        }
        for side in [Side::Bid, Side::Ask] {
            let Some(best) = self.own.best(side) else {
                continue;
            };
            if block.print != 0 && side.is_better(best, block.reach[side as usize]) {
                rows |= self.prints_through(side, best);
            }
        }
        rows
    }

    /// Returns the prints of a side that went past a price.
    #[cold]
    fn prints_through(&self, side: Side, price: i32) -> u64 {
        let block = self.place.block;
        let mut rows = 0;
        for row in rows_of(block.print) {
            let (at, printed) = self.place.chunk().level_of(block, row);
            if at == side && side.is_better(price, printed) {
                rows |= 1 << row;
            }
        }
        rows
    }
}

impl<'t> Market<Compiled<'t>> for Walk<'t> {
    #[inline]
    fn next_ns(&self) -> Option<Nanos> {
        (!self.is_over()).then(|| Chunk::time_ns(self.place.block, self.place.row))
    }

    fn apply_next(&mut self, exchange: &mut SimulatedExchange<Compiled<'t>>) -> Result<bool> {
        self.refresh(exchange);
        Ok(self.apply_group(exchange)?.is_scheduled)
    }

    fn pass_quiet(
        &mut self,
        exchange: &mut SimulatedExchange<Compiled<'t>>,
        before_ns: Nanos,
    ) -> Result<(usize, bool)> {
        self.refresh(exchange);
        let start_row = self.place.next_row();
        let mut told_row = start_row;
        let mut is_news = false;
        while !self.is_over() {
            let block = self.place.block;
            let limit = self.limit(before_ns).max(self.place.row);
            let here = !below(self.place.row) & below(limit);
            let concerning = self.concerning() & here;
            let mut stops = concerning | block.best & here;
            if exchange.matching.needs_every_group() {
                stops = here;
            }
            if stops == 0 {
                if limit < block.count as usize {
                    self.place.row = limit;
                    break;
                }
                self.place.row = block.count as usize;
                if !self.place.enter_next_block() {
                    break;
                }
                continue;
            }
            let row = stops.trailing_zeros() as usize;
            let last = block.last & !below(row);
            let end = last.trailing_zeros() as usize + 1;
            let exch_ns = Chunk::time_ns(block, row);
            if last != 0 && concerning & below(end) == 0 && !exchange.matching.needs_every_group() {
                // A best price is another, and nothing else concerns anybody.
                self.place.row = end;
                self.place.settle();
                let next_row = self.place.next_row();
                is_news = exchange.pass(&self.place, exch_ns, next_row - told_row, true)?;
                told_row = next_row;
            } else {
                self.place.row = row;
                let next_row = self.place.next_row();
                if next_row > told_row {
                    let exch_ns = self.place.last_ns().unwrap_or(exch_ns);
                    exchange.pass(&self.place, exch_ns, next_row - told_row, false)?;
                }
                let applied = self.apply_group(exchange)?;
                is_news = applied.is_scheduled || applied.is_seen && exchange.is_instant();
                told_row = self.place.next_row();
                self.refresh(exchange);
            }
            if is_news {
                break;
            }
        }
        let end_row = self.place.next_row();
        if end_row > told_row {
            let exch_ns = self.place.last_ns().unwrap_or(exchange.exch_ns);
            exchange.pass(&self.place, exch_ns, end_row - told_row, false)?;
        }
        let passed = usize::try_from(end_row - start_row).unwrap_or(usize::MAX);
        Ok((passed, is_news))
    }
}

/// What came of a group that matching had to see.
#[derive(Clone, Copy, Debug)]
struct Applied {
    /// Something new is under way.
    is_scheduled: bool,
    /// A strategy that sees the market as it happens may see another best price.
    is_seen: bool,
}

impl<'t> Walk<'t> {
    /// Lets matching see the group at hand.
    fn apply_group(&mut self, exchange: &mut SimulatedExchange<Compiled<'t>>) -> Result<Applied> {
        let start_row = self.place.next_row();
        let exch_ns = Chunk::time_ns(self.place.block, self.place.row);
        self.rows.clear();
        let (mut is_shown, mut is_several) = (false, self.is_inside_group());
        let mut best = 0;
        loop {
            let block = self.place.block;
            let last = block.last & !below(self.place.row);
            let end = if last == 0 {
                block.count as usize
            } else {
                last.trailing_zeros() as usize + 1
            };
            let here = !below(self.place.row) & below(end);
            best |= block.best & here;
            for row in rows_of(self.concerning() & here) {
                let tick = self.place.chunk().row(self.place.index, row);
                self.rows.push((tick, block.first_row + row as u64));
            }
            self.place.row = end;
            if last != 0 {
                is_shown = block.shown >> (end - 1) & 1 != 0;
                break;
            }
            if !self.place.enter_next_block() {
                break;
            }
        }
        let end_row = self.place.next_row();
        is_several |= end_row > start_row + 1;
        self.place.settle();
        let is_best_changed = best != 0 || exchange.matching.needs_every_group();
        let group = Group {
            exch_ns,
            start_row,
            end_row,
            is_several,
            is_shown,
            is_best_changed,
        };
        let is_scheduled = exchange.apply_touched(&self.rows, group)?;
        exchange.matching.book_mut().place = self.place;
        Ok(Applied {
            is_scheduled,
            is_seen: is_shown && is_best_changed,
        })
    }
}

impl Walk<'_> {
    /// Returns whether rows of the group at hand have passed already.
    fn is_inside_group(&self) -> bool {
        match self.place.row {
            0 => self.place.block.flags & FLAG_CONTINUES != 0,
            row => self.place.block.last >> (row - 1) & 1 == 0,
        }
    }
}

impl<'t> SimulatedExchange<Compiled<'t>> {
    /// Goes on to a place behind rows that concern nothing but the book, the last at `exch_ns`. Returns whether somebody may have to act.
    #[inline]
    fn pass(
        &mut self,
        place: &Place<'t>,
        exch_ns: Nanos,
        rows: u64,
        is_best_changed: bool,
    ) -> Result<bool> {
        self.matching.book_mut().place = *place;
        self.passed(exch_ns, rows, is_best_changed)
    }
}
