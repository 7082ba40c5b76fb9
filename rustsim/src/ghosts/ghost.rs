//! One ghost: its true place from the joins, and the place that each model believes in.

use super::GhostCounts;
use super::fit::SeenCancel;
use super::score::{CancelSums, Score};
use crate::queue::{Cancel, Mode, QueueDecay, Reaction, Sizes, units_to_lots};
use crate::types::{AHEAD_ONE, KIND_TRADE, Nanos, Side, Tick, TickIndex};

/// A row of a level and its size before and after.
pub(super) struct LevelRow<'a> {
    pub(super) row: &'a Tick,
    pub(super) side: Side,
    pub(super) before: i32,
    pub(super) after: i32,
}

// What a model believes in expected mode, and how wrong that was so far.
#[derive(Debug, Clone, Default)]
struct Belief {
    ahead: i64,
    error: f64,
    error_abs: f64,
    cancels: CancelSums,
}

// One random path of a model.
#[derive(Debug, Clone, Copy)]
struct Path {
    ahead: i64,
    filled_ns: Option<Nanos>,
}

impl Path {
    fn fill(&mut self, now: Nanos) {
        self.ahead = 0;
        self.filled_ns = self.filled_ns.or(Some(now));
    }
}

#[derive(Debug)]
pub(super) struct Ghost {
    side: Side,
    price: TickIndex,
    // Orders that joined by this row or an earlier one are ahead.
    ordinal: u32,
    pub(super) joined_ns: Nanos,
    ahead_at_join: i32,
    ahead: i32,
    filled_ns: Option<Nanos>,
    is_contradicted: bool,
    sizes: Sizes,
    rows: u32,
    certain: u64,
    undecided: u64,
    undecided_ahead: u64,
    beliefs: Vec<Belief>,
    // Of all models, one after the other.
    paths: Vec<Path>,
    pub(super) cancels: Vec<SeenCancel>,
}

impl Ghost {
    pub(super) fn new(
        side: Side,
        price: TickIndex,
        lots: i32,
        ordinal: u32,
        joined_ns: Nanos,
        models: usize,
        paths: usize,
    ) -> Self {
        let ahead = i64::from(lots) * AHEAD_ONE;
        let belief = Belief {
            ahead,
            ..Belief::default()
        };
        let path = Path {
            ahead,
            filled_ns: None,
        };
        Self {
            side,
            price,
            ordinal,
            joined_ns,
            ahead_at_join: lots,
            ahead: lots,
            filled_ns: None,
            is_contradicted: false,
            sizes: Sizes::default(),
            rows: 0,
            certain: 0,
            undecided: 0,
            undecided_ahead: 0,
            beliefs: vec![belief; models],
            paths: vec![path; paths],
            cancels: Vec::new(),
        }
    }

    pub(super) fn stands_at(&self, side: Side, price: TickIndex) -> bool {
        self.side == side && self.price == price
    }

    pub(super) fn is_contradicted(&self) -> bool {
        self.is_contradicted
    }

    // A better-priced rest cannot be skipped.
    pub(super) fn trade_through(&mut self, side: Side, price: TickIndex, now: Nanos) {
        if self.side == side && side.is_better(self.price, price) {
            self.fill_all(now);
        }
    }

    pub(super) fn cross(&mut self, bid: TickIndex, ask: TickIndex, now: Nanos) {
        let is_reached = match self.side {
            Side::Bid => ask <= self.price,
            Side::Ask => bid >= self.price,
        };
        if is_reached {
            self.fill_all(now);
        }
    }

    fn fill_all(&mut self, now: Nanos) {
        // Nobody passes by those that still rest ahead.
        self.is_contradicted |= self.ahead > 0;
        self.filled_ns = self.filled_ns.or(Some(now));
        for belief in &mut self.beliefs {
            belief.ahead = 0;
        }
        for path in &mut self.paths {
            path.fill(now);
        }
    }

    /// Applies a row of the ghost's level to the truth and to every model.
    pub(super) fn level_row(
        &mut self,
        change: &LevelRow<'_>,
        models: &[QueueDecay],
        draws: &[f64],
        keeps: bool,
    ) {
        if change.row.kind == KIND_TRADE {
            self.trade(change.row, change.row.qty);
        } else if change.after < change.before {
            self.cancel(change, models, draws, keeps);
        } else if change.after > change.before {
            self.sizes.add(change.after - change.before);
        }
        if change.after == 0 {
            self.sizes.clear();
        }
        self.is_contradicted |= self.ahead < 0 || self.ahead > change.after;
        self.bound(change.after);
        self.compare();
    }

    // No more than what is displayed stands ahead.
    fn bound(&mut self, after: i32) {
        let most = i64::from(after) * AHEAD_ONE;
        for belief in &mut self.beliefs {
            belief.ahead = belief.ahead.min(most);
        }
        for path in &mut self.paths {
            path.ahead = path.ahead.min(most);
        }
    }

    fn compare(&mut self) {
        self.rows += 1;
        let ahead = f64::from(self.ahead);
        for belief in &mut self.beliefs {
            let error = units_to_lots(belief.ahead) - ahead;
            belief.error += error;
            belief.error_abs += error.abs();
        }
    }

    fn is_ahead(&self, row: &Tick) -> bool {
        row.join <= self.ordinal
    }

    fn trade(&mut self, row: &Tick, lots: i32) {
        if self.is_ahead(row) {
            self.ahead -= lots;
        } else {
            self.is_contradicted |= self.ahead > 0;
            self.filled_ns = self.filled_ns.or(Some(row.exch_ns));
        }
        let traded = i64::from(lots) * AHEAD_ONE;
        for belief in &mut self.beliefs {
            belief.ahead = (belief.ahead - traded).max(0);
        }
        for path in &mut self.paths {
            if traded - path.ahead >= AHEAD_ONE {
                path.fill(row.exch_ns);
            } else {
                path.ahead = (path.ahead - traded).max(0);
            }
        }
    }

    fn cancel(&mut self, change: &LevelRow<'_>, models: &[QueueDecay], draws: &[f64], keeps: bool) {
        let lots = change.before - change.after;
        let (ahead, behind) = (self.ahead, change.before - self.ahead);
        let is_ahead = self.is_ahead(change.row);
        if is_ahead {
            self.ahead -= lots;
        } else {
            self.is_contradicted |= behind < lots;
        }
        let is_size_behind = self.sizes.take(lots, false);
        let is_undecided = ahead > 0 && behind > 0;
        if is_undecided {
            self.undecided += 1;
            self.undecided_ahead += u64::from(is_ahead);
        } else {
            self.certain += 1;
        }
        if is_undecided && keeps {
            self.cancels.push(SeenCancel {
                ahead,
                behind,
                is_size_behind,
                is_ahead,
            });
        }
        let level = i64::from(change.before) * AHEAD_ONE;
        let cancelled = i64::from(lots) * AHEAD_ONE;
        for (index, model) in models.iter().enumerate() {
            let belief = &mut self.beliefs[index];
            if is_undecided {
                let p =
                    model.probability_ahead(f64::from(ahead), f64::from(behind), is_size_behind);
                belief.cancels.add(p, is_ahead);
            }
            let part = |mode, ahead: i64, draw: f64| {
                let cancel = Cancel {
                    ahead,
                    level,
                    cancelled,
                    is_size_behind,
                    // A ghost is not there: nobody minds it.
                    reaction: Reaction::NONE,
                };
                model.part_ahead(mode, cancel, || draw)
            };
            belief.ahead -= part(Mode::Expected, belief.ahead, 0.0);
            let paths = &mut self.paths[index * draws.len()..(index + 1) * draws.len()];
            for (path, draw) in paths.iter_mut().zip(draws) {
                if path.ahead > 0 {
                    path.ahead -= part(Mode::Sampled, path.ahead, *draw);
                }
            }
        }
    }

    pub(super) fn count(&self, counts: &mut GhostCounts) {
        counts.consistent += 1;
        counts.filled += u64::from(self.filled_ns.is_some());
        counts.cancels += self.undecided;
        counts.cancels_ahead += self.undecided_ahead;
        counts.cancels_certain += self.certain;
    }

    /// Adds what model number `index` did to its score.
    pub(super) fn add_to(&self, score: &mut Score, index: usize, block: i64) {
        let belief = &self.beliefs[index];
        score.add_cancels(block, &belief.cancels);
        if self.rows > 0 {
            let unit = f64::from(self.rows) * f64::from(self.ahead_at_join);
            score.add_position(block, belief.error_abs / unit, belief.error / unit);
        }
        let replications = self.paths.len() / self.beliefs.len();
        if replications > 0 {
            let paths = &self.paths[index * replications..(index + 1) * replications];
            let filled = paths.iter().filter(|path| path.filled_ns.is_some()).count();
            score.add_fills(filled, replications, self.filled_ns.is_some());
            for path in paths {
                if let (Some(model), Some(truth)) = (path.filled_ns, self.filled_ns) {
                    score.add_fill_time(model - truth);
                }
            }
        }
    }
}
