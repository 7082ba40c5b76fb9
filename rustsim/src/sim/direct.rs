//! Market groups of the direct engine: every row goes through the book.

use super::SimulatedExchange;
use crate::error::Result;
use crate::sight::view_of;
use crate::spec::World;
use crate::types::{FLAG_INDICATIVE, Nanos, Tick};

impl SimulatedExchange {
    /// Applies one market group on the exchange clock; `start` is the number of its first row, `STEPPED` says that more of its time may follow. Returns
    /// whether something new is under way.
    #[inline]
    pub(crate) fn apply_group<const STEPPED: bool>(
        &mut self,
        rows: &[Tick],
        start: usize,
    ) -> Result<bool> {
        if rows[0].flags & FLAG_INDICATIVE != 0 && self.is_instant {
            self.refresh_view();
        }
        let exch_ns = rows[0].exch_ns;
        self.exch_ns = exch_ns;
        self.group_ns = exch_ns;
        self.events += rows.len() as u64;
        self.link.on_group(rows);
        self.matching.apply_group::<STEPPED>(rows, start as u64)?;
        let mut is_scheduled = !self.is_instant;
        if !self.matching.output.is_empty() {
            self.send_home()?;
            is_scheduled = true;
        }
        if !self.matching.is_indicative()
            && (self.matching.recorded.book.take_best_changed() || self.spec.world == World::Naive)
        {
            self.mark(exch_ns)?;
        }
        let is_indicative = self.matching.is_indicative();
        if self.is_instant {
            self.is_view_stale |= !is_indicative;
        } else {
            let stamp_ns = self.options.stamp_ns(&rows[rows.len() - 1]);
            let at_ns = self.link.seen_ns(exch_ns, stamp_ns);
            // Auction data is nothing to act on, and the view stays what it was.
            if !is_indicative {
                let view = view_of(&self.matching.recorded, exch_ns);
                self.sight.expect(exch_ns, at_ns, view);
            }
        }
        Ok(is_scheduled)
    }

    /// Applies groups before `before_ns` that concern nothing but the book, up to the first after which a best price is another; returns their rows
    /// and whether there was such a one. Only with `has_short_way`.
    #[inline]
    pub(crate) fn apply_quiet(&mut self, rows: &[Tick], before_ns: Nanos) -> Result<(usize, bool)> {
        let used = if self.is_instant {
            self.matching.apply_quiet(rows, before_ns, |_, _| {})?
        } else {
            let Self {
                matching,
                link,
                sight,
                options,
                ..
            } = self;
            matching.apply_quiet(rows, before_ns, |recorded, last| {
                let stamp_ns = options.stamp_ns(last);
                let at_ns = link.seen_ns(last.exch_ns, stamp_ns);
                sight.expect(last.exch_ns, at_ns, view_of(recorded, last.exch_ns));
            })?
        };
        let Some(last) = rows[..used].last() else {
            return Ok((0, false));
        };
        let is_best_changed = self.matching.recorded.book.take_best_changed();
        self.passed(last.exch_ns, used as u64, is_best_changed)?;
        Ok((used, is_best_changed))
    }
}
