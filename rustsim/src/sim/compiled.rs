//! Market groups of an engine that knows rows without being told each of them.

use super::SimulatedExchange;
use crate::engine::Engine;
use crate::error::Result;
use crate::matching::Group;
use crate::types::Tick;

impl<E: Engine> SimulatedExchange<E> {
    /// Applies a group of which `rows` alone concern own orders, each with its tape number. Returns whether something new is under way.
    pub(crate) fn apply_touched(&mut self, rows: &[(Tick, u64)], group: Group) -> Result<bool> {
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
}
