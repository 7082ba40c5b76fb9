//! Market groups of an engine that knows rows without being told each of them.

use super::SimulatedExchange;
use crate::book::Book;
use crate::engine::Engine;
use crate::error::Result;
use crate::matching::Group;
use crate::types::{Nanos, Tick};

impl<E: Engine> SimulatedExchange<E> {
    /// Applies a group of which `rows` alone concern own orders, each with its tape number. Returns whether something new is under way.
    pub(crate) fn apply_touched(&mut self, rows: &[(Tick, u64)], group: Group) -> Result<bool> {
        debug_assert!(E::Book::KNOWS_ROWS);
        if !group.is_shown && self.is_instant {
            self.refresh_view();
        }
        self.exch_ns = group.exch_ns;
        self.group_ns = group.exch_ns;
        self.events += group.end_row - group.start_row;
        self.matching.apply_touched(rows, group)?;
        let is_scheduled = !self.matching.output.is_empty();
        if is_scheduled {
            self.send_home()?;
        }
        if group.is_shown {
            if group.is_best_changed {
                self.mark(group.exch_ns)?;
            }
            self.is_view_stale |= self.is_instant;
        }
        Ok(is_scheduled)
    }

    /// Goes on behind `rows` that concern nothing but the book, the last at `exch_ns`. Returns whether somebody may have to act.
    #[inline]
    pub(crate) fn passed(
        &mut self,
        exch_ns: Nanos,
        rows: u64,
        is_best_changed: bool,
    ) -> Result<bool> {
        self.exch_ns = exch_ns;
        self.group_ns = exch_ns;
        self.events += rows;
        self.is_view_stale |= self.is_instant;
        self.matching.pass_quiet();
        let mut is_scheduled = false;
        if is_best_changed {
            self.matching.cross_after_quiet(exch_ns);
            is_scheduled = !self.matching.output.is_empty();
            if is_scheduled {
                self.send_home()?;
            }
            self.mark(exch_ns)?;
        }
        Ok(is_scheduled || is_best_changed && self.is_instant)
    }
}
