//! Where the mid went after own fills.

use std::collections::VecDeque;

use crate::types::{Lots, Nanos, TickIndex};

/// Horizons, in the order of every array here.
pub(super) const HORIZONS_NS: [Nanos; 3] = [1_000_000_000, 5_000_000_000, 30_000_000_000];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    due_ns: Nanos,
    price: TickIndex,
    signed_lots: Lots,
}

/// Markouts per horizon: `s q (mid(t + h) - p)`, summed in half ticks times lots.
///
/// `mid(t + h)` is the last mark at or before `t + h`, so a fill waits until a later mark, or the end of the data, shows that no other mark comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markouts {
    pending: [VecDeque<Pending>; 3],
    /// Half ticks times lots.
    pub(super) half_tick_lots: [i64; 3],
    /// Lots whose markout is known.
    pub(super) lots: [Lots; 3],
    /// Fills whose horizon passed the end of the data.
    pub(super) dropped: [i64; 3],
}

impl Markouts {
    pub(super) fn push(&mut self, exch_ns: Nanos, price: TickIndex, signed_lots: Lots) {
        for (queue, horizon) in self.pending.iter_mut().zip(HORIZONS_NS) {
            queue.push_back(Pending {
                due_ns: exch_ns.saturating_add(horizon),
                price,
                signed_lots,
            });
        }
    }

    /// Returns the first time that is still awaited, the end of time if none is.
    pub(super) fn due_ns(&self) -> Nanos {
        self.pending
            .iter()
            .filter_map(|queue| queue.front())
            .map(|fill| fill.due_ns)
            .min()
            .unwrap_or(Nanos::MAX)
    }

    /// Settles everything due before `until_ns` at this mid; `None` if a sum does not fit.
    pub(super) fn settle_before(&mut self, until_ns: Nanos, mid2: i64) -> Option<()> {
        for (index, queue) in self.pending.iter_mut().enumerate() {
            while let Some(fill) = queue.front().filter(|fill| fill.due_ns < until_ns) {
                let gain = mid2
                    .checked_sub(2 * i64::from(fill.price))?
                    .checked_mul(fill.signed_lots)?;
                self.half_tick_lots[index] = self.half_tick_lots[index].checked_add(gain)?;
                self.lots[index] = self.lots[index].checked_add(fill.signed_lots.abs())?;
                queue.pop_front();
            }
        }
        Some(())
    }

    /// Settles what was due by the end of the data and drops the rest.
    pub(super) fn finish(&mut self, end_ns: Nanos, mid2: i64) -> Option<()> {
        self.settle_before(end_ns.saturating_add(1), mid2)?;
        for (index, queue) in self.pending.iter_mut().enumerate() {
            self.dropped[index] += i64::try_from(queue.len()).ok()?;
            queue.clear();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn a_buy_before_a_fall_has_a_negative_markout() {
        // Buy 2 at 100 with mid 100.5; 99.5 five seconds later: -1 tick times lots.
        let mut markouts = Markouts::default();
        markouts.push(0, 100, 2);
        markouts.settle_before(4 * SECOND, 201).unwrap();
        markouts.finish(6 * SECOND, 199).unwrap();
        assert_eq!(markouts.half_tick_lots, [2, -2, 0]);
        assert_eq!(markouts.lots, [2, 2, 0]);
        assert_eq!(markouts.dropped, [0, 0, 1]);
    }

    #[test]
    fn a_mark_exactly_at_the_horizon_counts() {
        let mut markouts = Markouts::default();
        markouts.push(0, 100, 1);
        markouts.settle_before(SECOND, 201).unwrap();
        assert_eq!(
            markouts.lots, [0; 3],
            "the mark that comes at the horizon is not known yet"
        );
        markouts.settle_before(SECOND + 1, 205).unwrap();
        assert_eq!(markouts.half_tick_lots, [5, 0, 0]);
    }
}
