//! Where the mid went after own fills.

use super::FillRecord;
use crate::types::{Lots, Nanos};

/// Horizons, in the order of every array here.
pub(super) const HORIZONS_NS: [Nanos; 3] = [1_000_000_000, 5_000_000_000, 30_000_000_000];

/// Markouts per horizon: `s q (mid(t + h) - p)`, summed in half ticks times lots; each fill keeps its own.
///
/// `mid(t + h)` is the last mark at or before `t + h`, so a fill waits until a later mark, or the end of the data, shows that no other mark comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Markouts {
    /// Fills that are settled; they settle in their order.
    settled: [usize; 3],
    /// First time that is still awaited, the end of time if none is.
    pub(super) due_ns: Nanos,
    /// Half ticks times lots.
    pub(super) half_tick_lots: [i64; 3],
    /// Lots whose markout is known.
    pub(super) lots: [Lots; 3],
    /// Fills whose horizon passed the end of the data.
    pub(super) dropped: [i64; 3],
}

impl Default for Markouts {
    fn default() -> Self {
        Self {
            settled: [0; 3],
            due_ns: Nanos::MAX,
            half_tick_lots: [0; 3],
            lots: [0; 3],
            dropped: [0; 3],
        }
    }
}

impl Markouts {
    /// Waits for the horizons of a fill at this time.
    pub(super) fn expect(&mut self, exch_ns: Nanos) {
        self.due_ns = self.due_ns.min(exch_ns.saturating_add(HORIZONS_NS[0]));
    }

    /// Settles everything due before `until_ns` at this mid; `None` if a sum does not fit.
    pub(super) fn settle_before(
        &mut self,
        until_ns: Nanos,
        mid2: i64,
        fills: &mut [FillRecord],
    ) -> Option<()> {
        if self.due_ns >= until_ns {
            return Some(());
        }
        self.due_ns = Nanos::MAX;
        for (index, horizon) in HORIZONS_NS.into_iter().enumerate() {
            for record in &mut fills[self.settled[index]..] {
                let fill = &record.fill;
                let due_ns = fill.exch_ns.saturating_add(horizon);
                if due_ns >= until_ns {
                    self.due_ns = self.due_ns.min(due_ns);
                    break;
                }
                let gain = mid2
                    .checked_sub(2 * i64::from(fill.price))?
                    .checked_mul(fill.side.sign())?;
                let gain_lots = gain.checked_mul(fill.lots)?;
                self.half_tick_lots[index] = self.half_tick_lots[index].checked_add(gain_lots)?;
                self.lots[index] = self.lots[index].checked_add(fill.lots)?;
                self.settled[index] += 1;
                record.markout2[index] = Some(gain);
            }
        }
        Some(())
    }

    /// Settles what was due by the end of the data and drops the rest.
    pub(super) fn finish(
        &mut self,
        end_ns: Nanos,
        mid2: i64,
        fills: &mut [FillRecord],
    ) -> Option<()> {
        self.settle_before(end_ns.saturating_add(1), mid2, fills)?;
        for (dropped, settled) in self.dropped.iter_mut().zip(&mut self.settled) {
            *dropped += i64::try_from(fills.len() - *settled).ok()?;
            *settled = fills.len();
        }
        self.due_ns = Nanos::MAX;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FeeSchedule, ShadowLedger};
    use super::*;
    use crate::ledger::tests::fill;
    use crate::types::Liquidity;

    const SECOND: Nanos = 1_000_000_000;

    fn after(marks: &[(Nanos, i64)], lots: Lots, end_ns: Nanos) -> ShadowLedger {
        let mut ledger = ShadowLedger::new(1, FeeSchedule::default(), 0);
        ledger.on_mark(0, 201).unwrap();
        ledger
            .on_fill(&fill(0, lots, 100, Liquidity::Maker))
            .unwrap();
        for (at_ns, mid2) in marks {
            ledger.on_mark(*at_ns, *mid2).unwrap();
        }
        ledger.finish(end_ns).unwrap();
        ledger
    }

    #[test]
    fn a_buy_before_a_fall_has_a_negative_markout() {
        // Buy 2 at 100 with mid 100.5; 99.5 five seconds later: -1 tick times lots for each.
        let ledger = after(&[(4 * SECOND, 199)], 2, 6 * SECOND);
        assert_eq!(ledger.markouts.half_tick_lots, [2, -2, 0]);
        assert_eq!(ledger.markouts.lots, [2, 2, 0]);
        assert_eq!(ledger.markouts.dropped, [0, 0, 1]);
        assert_eq!(ledger.fills()[0].markout2, [Some(1), Some(-1), None]);
        // Spread capture +1, less 2 of adverse selection.
        assert_eq!(ledger.spread_capture2(), 2);
    }

    #[test]
    fn a_mark_exactly_at_the_horizon_counts() {
        let ledger = after(&[(SECOND, 205), (SECOND + 1, 209)], 1, 2 * SECOND);
        assert_eq!(ledger.markouts.half_tick_lots, [5, 0, 0]);
        let ledger = after(&[(SECOND + 1, 209)], 1, 2 * SECOND);
        assert_eq!(ledger.markouts.half_tick_lots, [1, 0, 0]);
    }

    #[test]
    fn every_fill_is_settled_once_and_in_order() {
        let mut ledger = ShadowLedger::new(1, FeeSchedule::default(), 0);
        for step in 0..100 {
            ledger.on_mark(step * SECOND / 3, 200 + step % 5).unwrap();
            let lots = if step % 2 == 0 { 1 } else { -1 };
            ledger
                .on_fill(&fill(step * SECOND / 3, lots, 100, Liquidity::Maker))
                .unwrap();
        }
        ledger.finish(33 * SECOND).unwrap();
        for index in 0..3 {
            let known: Vec<i64> = ledger
                .fills()
                .iter()
                .filter_map(|record| Some(record.markout2[index]? * record.fill.lots))
                .collect();
            assert_eq!(
                known.iter().sum::<i64>(),
                ledger.markouts.half_tick_lots[index]
            );
            assert_eq!(
                known.len(),
                usize::try_from(ledger.markouts.lots[index]).unwrap()
            );
        }
        assert_eq!(ledger.markouts.dropped, [3, 15, 90]);
    }
}
