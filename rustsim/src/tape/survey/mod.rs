//! Measures a run of rows in one pass and bounded memory: what happened how often, how large, how far apart.
//!
//! The book is the one that a replay keeps (docs/semantics.md, 3): `LEVEL` rows set it, prints take from it, less what a decrease of the
//! same instant already took. With joins each level is also a queue of (row by which an order joined, lots), so that the place of every
//! cancel is known; there a decrease names its order and explains no print. Figures of book and trades are those of trading time:
//! auction data only move the book.
//!
//! Cost: one tree look-up per row, one pass over the best levels per 8 groups; memory grows with levels, orders, time bins and histogram
//! bins, not with rows.
//!
//! Known limits: a `LEVEL` row that adds lots is one order, also where it is a sum of several (the first rows of a session).

mod report;

use report::PLACE_BINS;
pub use report::{Kinds, Mix, Prints, Queues, Report, TimeBin};

use crate::types::{
    FLAG_GAP, FLAG_IMAGE, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE,
    Nanos, Tick,
};
use std::collections::{BTreeMap, VecDeque};

/// Longest gaps that are remembered.
const GAPS_KEPT: usize = 10;
/// The depth is looked at after every so many groups.
const DEPTH_EVERY: u64 = 8;
/// Gaps between book messages are counted per millisecond up to this one.
const GAP_MS_MAX: i64 = 2_000;
const MS_NS: i64 = 1_000_000;

#[derive(Debug, Default)]
struct Level {
    lots: i64,
    queue: VecDeque<(u64, i64)>,
}

// By rank: ascending keys are worse prices on both sides.
type Levels = BTreeMap<i64, Level>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Best {
    rank: i64,
    lots: i64,
    orders: usize,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    exch_ns: Nanos,
    rows: u64,
    is_trading: bool,
    has_levels: bool,
    best_before: [Option<Best>; 2],
}

/// A measurement under way.
#[derive(Debug)]
pub struct Survey {
    bin_ns: i64,
    sides: [Levels; 2],
    group: Option<Group>,
    last_group_ns: Option<Nanos>,
    // Whether that group held rows of trading time.
    was_trading: bool,
    last_levels_ns: Option<Nanos>,
    last_local_ns: Nanos,
    // Spread that stands since the last group, in trading time.
    spread: Option<i64>,
    // Decreases of this instant that name no order: side, rank, lots.
    credits: Vec<(usize, i64, i64)>,
    has_local: bool,
    report: Report,
}

impl Survey {
    /// Starts with an empty book; `bin_ns` is the width of the stretches of time.
    #[must_use]
    pub fn new(bin_ns: i64, has_local: bool, has_joins: bool) -> Self {
        Self {
            bin_ns: bin_ns.max(1),
            sides: [Levels::new(), Levels::new()],
            group: None,
            last_group_ns: None,
            was_trading: false,
            last_levels_ns: None,
            last_local_ns: Nanos::MIN,
            spread: None,
            credits: Vec::new(),
            has_local,
            report: Report {
                has_joins,
                ..Report::default()
            },
        }
    }

    /// Measures the next rows; `row_start` is the place of the first in its tape.
    pub fn add(&mut self, rows: &[Tick], row_start: usize) {
        for (index, row) in rows.iter().enumerate() {
            if self.group.is_none_or(|group| group.exch_ns != row.exch_ns) {
                self.end_group();
                self.begin_group(row.exch_ns);
            }
            self.row(row, (row_start + index) as u64 + 1);
        }
    }

    /// Ends the last group and returns everything measured.
    pub fn finish(&mut self) -> &Report {
        self.end_group();
        self.group = None;
        &self.report
    }

    fn begin_group(&mut self, exch_ns: Nanos) {
        self.credits.clear();
        self.group = Some(Group {
            exch_ns,
            rows: 0,
            is_trading: false,
            has_levels: false,
            best_before: [self.best(0), self.best(1)],
        });
        let report = &mut self.report;
        if report.rows == 0 {
            report.first_ns = exch_ns;
        }
        report.last_ns = exch_ns;
        report.time_step_ns = greatest_divisor(report.time_step_ns, exch_ns.unsigned_abs());
        let start_ns = exch_ns.div_euclid(self.bin_ns) * self.bin_ns;
        if report
            .bins
            .last()
            .is_none_or(|bin| bin.start_ns != start_ns)
        {
            report.bins.push(TimeBin {
                start_ns,
                ..TimeBin::default()
            });
        }
    }

    fn best(&self, side: usize) -> Option<Best> {
        let (rank, level) = self.sides[side].first_key_value()?;
        Some(Best {
            rank: *rank,
            lots: level.lots,
            orders: level.queue.len(),
        })
    }

    fn row(&mut self, row: &Tick, ordinal: u64) {
        let is_trading = row.flags & FLAG_INDICATIVE == 0;
        let report = &mut self.report;
        report.rows += 1;
        report.trading_rows += u64::from(is_trading);
        report.image_rows += u64::from(row.flags & FLAG_IMAGE != 0);
        report.gap_rows += u64::from(row.flags & FLAG_GAP != 0);
        if let Some(bin) = report.bins.last_mut() {
            bin.rows += 1;
        }
        if self.has_local {
            report
                .delay_ns
                .add(row.local_ns.saturating_sub(row.exch_ns), 1);
            report.local_falls += u64::from(row.local_ns < self.last_local_ns);
            self.last_local_ns = row.local_ns;
        }
        if let Some(group) = &mut self.group {
            group.rows += 1;
            group.is_trading |= is_trading && row.kind != KIND_CLEAR;
            group.has_levels |= row.kind == KIND_LEVEL && is_trading;
        }
        match row.kind {
            KIND_CLEAR => {
                self.report.kinds.clear += 1;
                self.sides = [Levels::new(), Levels::new()];
                self.credits.clear();
                self.report.mix.clears += 1;
            }
            KIND_LEVEL => {
                self.report.kinds.level += 1;
                self.level(row, ordinal, is_trading);
            }
            KIND_TRADE => {
                self.report.kinds.trade += 1;
                self.trade(row, is_trading);
            }
            _ => {}
        }
    }

    fn see_price(&mut self, price: i32) {
        let report = &mut self.report;
        report.price_min = Some(report.price_min.map_or(price, |low| low.min(price)));
        report.price_max = Some(report.price_max.map_or(price, |high| high.max(price)));
    }

    fn level(&mut self, row: &Tick, ordinal: u64, is_trading: bool) {
        self.see_price(row.price);
        let side = usize::from(row.side & 1);
        let key = rank(side, row.price);
        let after = i64::from(row.qty);
        let before = self.sides[side].get(&key).map_or(0, |level| level.lots);
        if is_trading {
            let mix = &mut self.report.mix;
            let is_gone = row.flags & FLAG_OUT_OF_VIEW != 0;
            let counter = match (after, after - before) {
                (0, _) if is_gone => &mut mix.out_of_view,
                (_, 0) => &mut mix.unchanged,
                (_, change) if change > 0 => &mut mix.added,
                (0, _) => &mut mix.emptied,
                _ => &mut mix.reduced,
            };
            *counter += 1;
        }
        if self.report.has_joins {
            if after > before {
                let level = self.sides[side].entry(key).or_default();
                level.queue.push_back((ordinal, after - before));
            } else if after < before {
                let found = self.take(side, key, row.join, before - after);
                if is_trading {
                    self.count_cancel(found);
                }
            }
        }
        // With joins a print takes its own lots, and no level row tells them again.
        let is_told = row.flags & FLAG_OUT_OF_VIEW == 0 && !self.report.has_joins && is_trading;
        if after < before && is_told {
            self.credits.push((side, key, before - after));
        }
        if after == 0 {
            self.sides[side].remove(&key);
        } else {
            self.sides[side].entry(key).or_default().lots = after;
        }
    }

    fn trade(&mut self, row: &Tick, is_trading: bool) {
        self.see_price(row.price);
        let side = usize::from(row.side & 1);
        let key = rank(side, row.price);
        let lots = i64::from(row.qty);
        if is_trading {
            self.count_print(row, side, key);
        }
        if !is_trading {
            return;
        }
        if self.report.has_joins {
            let found = self.take(side, key, row.join, lots);
            let queues = &mut self.report.queues;
            let counter = match found {
                None => &mut queues.prints_unknown,
                Some(place) if place.ahead == 0 => &mut queues.prints_first,
                Some(_) => &mut queues.prints_not_first,
            };
            *counter += 1;
        }
        let lots = lots - self.spend_credit(side, key, lots);
        if let Some(level) = self.sides[side].get_mut(&key) {
            level.lots -= lots;
            if level.lots <= 0 {
                self.sides[side].remove(&key);
            }
        }
    }

    /// Returns how much of a print the decreases of this instant explain, and uses that up.
    fn spend_credit(&mut self, side: usize, key: i64, lots: i64) -> i64 {
        let mut left = lots;
        for (credit_side, credit_key, credit) in &mut self.credits {
            if (*credit_side, *credit_key) == (side, key) {
                let spent = left.min(*credit);
                *credit -= spent;
                left -= spent;
            }
        }
        lots - left
    }

    fn count_print(&mut self, row: &Tick, side: usize, key: i64) {
        let Some(group) = self.group else { return };
        let lots = u64::try_from(row.qty).unwrap_or(0);
        let report = &mut self.report;
        report.mix.trades += 1;
        report.trade_lots.add(i64::from(row.qty), 1);
        if let Some(bin) = report.bins.last_mut() {
            bin.trades += 1;
            bin.lots += lots;
        }
        let prints = &mut report.prints;
        prints.lots += lots;
        *(if side == 0 {
            &mut prints.bid
        } else {
            &mut prints.ask
        }) += 1;
        // The other side's best as a rank of this side: ranks of the sides are mirrored.
        let other = group.best_before[1 - side].map(|best| -best.rank);
        let counter = match group.best_before[side] {
            None => &mut prints.no_quote,
            Some(best) if key == best.rank => &mut prints.at_best,
            Some(best) if key > best.rank => &mut prints.through,
            Some(_) if other.is_some_and(|other| key <= other) => &mut prints.other_side,
            Some(_) => &mut prints.inside,
        };
        *counter += 1;
    }

    /// Takes lots from the order that joined by the row `join` - 1 and returns where it stood.
    ///
    /// An order that is not known joined before the rows began: its lots are at the front.
    fn take(&mut self, side: usize, key: i64, join: u32, lots: i64) -> Option<Place> {
        let queue = &mut self.sides[side].get_mut(&key)?.queue;
        let found = queue.binary_search_by_key(&u64::from(join), |(ordinal, _)| *ordinal);
        let Ok(index) = found else {
            take_front(queue, lots);
            return None;
        };
        let sum =
            |orders: &mut dyn Iterator<Item = &(u64, i64)>| orders.map(|(_, lots)| lots).sum();
        let place = Place {
            ahead: sum(&mut queue.iter().take(index)),
            behind: sum(&mut queue.iter().skip(index + 1)),
        };
        queue[index].1 -= lots;
        if queue[index].1 <= 0 {
            queue.remove(index);
        }
        Some(place)
    }

    fn count_cancel(&mut self, found: Option<Place>) {
        let queues = &mut self.report.queues;
        let Some(place) = found else {
            queues.cancels_unknown += 1;
            return;
        };
        let others = place.ahead + place.behind;
        if others == 0 {
            queues.cancels_alone += 1;
            return;
        }
        queues.cancels_placed += 1;
        queues.last += u64::from(place.behind == 0);
        queues.first += u64::from(place.ahead == 0);
        let bins = i64::try_from(PLACE_BINS).unwrap_or(1);
        let bin = usize::try_from(place.behind * bins / others).unwrap_or(0);
        queues.place_from_back[bin.min(PLACE_BINS - 1)] += 1;
        #[allow(clippy::cast_precision_loss, reason = "statistics, not accounts")]
        let share = place.behind as f64 / others as f64;
        queues.place_sum += share;
    }

    fn end_group(&mut self) {
        let Some(group) = self.group else { return };
        let best = [self.best(0), self.best(1)];
        self.count_gaps(&group);
        if let (Some(since), Some(spread)) = (self.last_group_ns, self.spread) {
            let stood_us = group.exch_ns.saturating_sub(since) / 1_000;
            self.report
                .spread_us
                .add(spread, u64::try_from(stood_us).unwrap_or(0));
        }
        self.spread = None;
        self.last_group_ns = Some(group.exch_ns);
        self.was_trading = group.is_trading;
        let report = &mut self.report;
        report.groups += 1;
        report
            .group_rows
            .add(i64::try_from(group.rows).unwrap_or(i64::MAX), 1);
        if !group.is_trading {
            return;
        }
        report.trading_groups += 1;
        let prices = |best: &[Option<Best>; 2]| best.map(|level| level.map(|level| level.rank));
        report.best_change_groups += u64::from(prices(&best) != prices(&group.best_before));
        for (side, found) in best.iter().enumerate() {
            let count = i64::try_from(self.sides[side].len()).unwrap_or(i64::MAX);
            report.levels.add(count, 1);
            if let Some(level) = found {
                report.best_lots.add(level.lots, 1);
                if report.has_joins {
                    let orders = i64::try_from(level.orders).unwrap_or(i64::MAX);
                    report.queues.orders_at_best.add(orders, 1);
                }
            }
        }
        if report.trading_groups.is_multiple_of(DEPTH_EVERY) {
            self.count_depth();
        }
        if let [Some(bid), Some(ask)] = best {
            self.end_two_sided(&group, bid, ask);
        }
    }

    fn end_two_sided(&mut self, group: &Group, bid: Best, ask: Best) {
        let spread = ask.rank + bid.rank;
        let report = &mut self.report;
        report.two_sided_groups += 1;
        report.crossed_groups += u64::from(spread < 0);
        report.locked_groups += u64::from(spread == 0);
        if spread < 0 && report.crossed_first_ns.is_none() {
            report.crossed_first_ns = Some(group.exch_ns);
        }
        if let Some(bin) = report.bins.last_mut() {
            bin.mid2 = Some(ask.rank - bid.rank);
        }
        self.spread = Some(spread);
    }

    fn count_gaps(&mut self, group: &Group) {
        let report = &mut self.report;
        if let Some(before) = self
            .last_group_ns
            .filter(|_| self.was_trading && group.is_trading)
        {
            let gap = group.exch_ns.saturating_sub(before);
            report.gaps_ns.add(gap, 1);
            let is_long = |kept: &(Nanos, i64)| gap > kept.1;
            if report.longest_gaps.len() < GAPS_KEPT
                || report.longest_gaps.last().is_some_and(is_long)
            {
                let at = report.longest_gaps.partition_point(|kept| kept.1 >= gap);
                report.longest_gaps.insert(at, (before, gap));
                report.longest_gaps.truncate(GAPS_KEPT);
            }
        }
        if group.has_levels {
            if let Some(before) = self.last_levels_ns {
                let gap_ms = (group.exch_ns.saturating_sub(before) + MS_NS / 2) / MS_NS;
                *report
                    .level_gaps_ms
                    .entry(gap_ms.min(GAP_MS_MAX))
                    .or_default() += 1;
            }
            self.last_levels_ns = Some(group.exch_ns);
        }
    }

    fn count_depth(&mut self) {
        for levels in &self.sides {
            self.report.depth_samples += 1;
            for (sum, level) in self.report.depth_lots.iter_mut().zip(levels.values()) {
                *sum += u64::try_from(level.lots).unwrap_or(0);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    ahead: i64,
    behind: i64,
}

fn take_front(queue: &mut VecDeque<(u64, i64)>, mut lots: i64) {
    while let Some((_, standing)) = queue.front_mut() {
        if *standing > lots {
            *standing -= lots;
            return;
        }
        lots -= *standing;
        queue.pop_front();
    }
}

fn rank(side: usize, price: i32) -> i64 {
    if side == 0 {
        -i64::from(price)
    } else {
        i64::from(price)
    }
}

fn greatest_divisor(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests;
