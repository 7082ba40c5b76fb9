//! How wrong a queue model is on a recording that names its orders: ghost orders, their true places, and every model walked along.
//!
//! Every so often a ghost of one lot joins the back of the queue at the best price and one tick behind it, on both sides. Rows with joins tell from which order lots
//! left, so the true volume ahead of a ghost is known: the orders that stood there when it joined and still rest. The models see the same rows without the joins, as
//! on a level feed, and keep their own estimates by the rules of a replay (`docs/semantics.md`, 3 and 4). Ghosts change nothing: others do not see them.
//!
//! | part | what it does |
//! |---|---|
//! | [`GhostScan`] | keeps the book, lets ghosts join, hands rows to them, ends them |
//! | `ghost` | one ghost: truth, and the estimates of the models |
//! | `score` | sums over ghosts: losses, position errors, fills, calibration |
//! | `fit` | parameters of a model by maximum likelihood |
//!
//! **True fill**: the first execution of an order that joined later, an execution at a worse price, or the other side's best price reaching the ghost's. A ghost is followed to the horizon
//! also after it. **Left out, and counted**: ghosts whose truth contradicts itself (an order behind executed while others rest ahead, lots left that were not there), that the
//! rows lose sight of (image, auction, lost data), or that the rows end before.
//!
//! Cost: one pass; per row a comparison with each ghost that is alive (horizon / interval x 4), per row of a ghost's level one step of every model and replication.
//! Known limits: the orders of a market react to real orders, not to ghosts; an order that changes its size upward counts as a cancel and an order.

mod fit;
mod ghost;
mod score;
#[cfg(test)]
mod tests;

pub use fit::{Fit, SeenCancel, fit};
pub use score::{BINS, Bin, Block, Score};

use crate::error::{Error, Result};
use crate::queue::{QueueDecay, QueueSpec};
use crate::rng::{Purpose, Streams};
use crate::types::{
    FLAG_GAP, FLAG_IMAGE, FLAG_INDICATIVE, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE,
    Nanos, Side, Tick, TickIndex,
};
use ghost::{Ghost, LevelRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is scanned for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GhostOptions {
    /// Time between two sets of ghosts.
    pub every_ns: Nanos,
    /// How long a ghost is followed.
    pub horizon_ns: Nanos,
    /// Width of the stretches of time that results are summed over, for resampling.
    pub block_ns: Nanos,
    /// Random paths of every model, for probabilities of fills; 0 for none.
    pub replications: u64,
    /// Seed of these.
    pub seed: u64,
    /// Models to score, none while cancels are collected only.
    pub models: Vec<QueueSpec>,
    /// Whether cancels are kept for [`fit()`].
    pub keeps_cancels: bool,
}

/// What became of ghosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GhostCounts {
    /// Ghosts that joined.
    pub joined: u64,
    /// Ghosts that count.
    pub consistent: u64,
    /// Of these: truly filled before the horizon.
    pub filled: u64,
    /// Truth contradicts itself.
    pub contradicted: u64,
    /// Lost from sight.
    pub lost: u64,
    /// The rows ended first.
    pub cut_short: u64,
    /// Cancels at levels of ghosts that count, of which nobody could know the place.
    pub cancels: u64,
    /// Of these: truly ahead.
    pub cancels_ahead: u64,
    /// Cancels with nothing ahead or nothing behind: every model is right about them.
    pub cancels_certain: u64,
}

/// A scan under way.
#[derive(Debug)]
pub struct GhostScan {
    options: GhostOptions,
    models: Vec<QueueDecay>,
    streams: Vec<Streams>,
    // Lots by rank: ascending keys are worse prices.
    sides: [BTreeMap<i64, i32>; 2],
    ghosts: Vec<Ghost>,
    draws: Vec<f64>,
    // Ghosts join from the first time until before the second.
    span_ns: (Nanos, Nanos),
    next_ns: Nanos,
    ordinal: u32,
    // Time of the rows under way, and whether any of them is outside of auctions.
    group: Option<(Nanos, bool)>,
    is_trading: bool,
    counts: GhostCounts,
    scores: Vec<Score>,
    cancels: Vec<SeenCancel>,
}

impl GhostScan {
    /// Checks the options.
    ///
    /// # Errors
    /// `Error::Spec` naming the key.
    pub fn new(options: GhostOptions) -> Result<Self> {
        for (key, value) in [
            ("every_ns", options.every_ns),
            ("horizon_ns", options.horizon_ns),
            ("block_ns", options.block_ns),
        ] {
            if value <= 0 {
                let message = format!("{key}: expected a positive number, found {value}");
                return Err(Error::Spec(message));
            }
        }
        let models: Result<Vec<_>> = options.models.iter().map(QueueDecay::build).collect();
        let models = models?;
        Ok(Self {
            streams: (0..options.replications)
                .map(|replication| Streams::new(options.seed, replication))
                .collect(),
            scores: models.iter().map(|_| Score::default()).collect(),
            models,
            options,
            sides: [BTreeMap::new(), BTreeMap::new()],
            ghosts: Vec::new(),
            draws: Vec::new(),
            span_ns: (0, 0),
            next_ns: 0,
            ordinal: 0,
            group: None,
            is_trading: false,
            counts: GhostCounts::default(),
            cancels: Vec::new(),
        })
    }

    /// Starts on other rows, with an empty book; what was found before stays. Ghosts join from `from_ns` until before `until_ns`; `first_row` is the place of the first row in
    /// its tape, to which joins refer.
    pub fn open(&mut self, first_row: u32, from_ns: Nanos, until_ns: Nanos) {
        self.close();
        self.sides = [BTreeMap::new(), BTreeMap::new()];
        self.span_ns = (from_ns, until_ns);
        self.next_ns = from_ns;
        self.ordinal = first_row;
        self.is_trading = false;
    }

    /// Ends the rows: ghosts that are still alive are cut short.
    pub fn close(&mut self) {
        self.end_group();
        self.counts.cut_short += self.ghosts.len() as u64;
        self.ghosts.clear();
    }

    /// Returns what became of ghosts.
    #[must_use]
    pub fn counts(&self) -> GhostCounts {
        self.counts
    }

    /// Returns the score of each model.
    #[must_use]
    pub fn scores(&self) -> &[Score] {
        &self.scores
    }

    /// Returns the cancels that were kept.
    #[must_use]
    pub fn cancels(&self) -> &[SeenCancel] {
        &self.cancels
    }

    /// Scans the next rows, in order.
    pub fn add(&mut self, rows: &[Tick]) {
        for row in rows {
            if self.group.is_none_or(|(at, _)| at != row.exch_ns) {
                self.end_group();
                self.end_ghosts(row.exch_ns);
                self.join(row.exch_ns);
                self.group = Some((row.exch_ns, false));
            }
            if let Some((_, is_trading)) = &mut self.group {
                *is_trading |= row.flags & FLAG_INDICATIVE == 0;
            }
            self.ordinal = self.ordinal.saturating_add(1);
            self.row(row);
        }
    }

    // What comes after the last row of a time.
    fn end_group(&mut self) {
        if let Some((at, is_trading)) = self.group.take() {
            self.is_trading = is_trading;
            if is_trading {
                self.cross(at);
            }
        }
    }

    fn row(&mut self, row: &Tick) {
        if row.kind == KIND_CLEAR || row.flags & FLAG_GAP != 0 {
            self.lose(|_| true);
        }
        if row.kind == KIND_CLEAR {
            self.sides = [BTreeMap::new(), BTreeMap::new()];
            return;
        }
        let Some(side) = Side::from_code(row.side) else {
            return;
        };
        let is_indicative = row.flags & FLAG_INDICATIVE != 0;
        if is_indicative && row.kind == KIND_TRADE {
            return;
        }
        if row.flags & (FLAG_INDICATIVE | FLAG_IMAGE | FLAG_OUT_OF_VIEW) != 0 {
            self.lose(|ghost| ghost.stands_at(side, row.price));
        }
        let key = side.rank(row.price);
        let before = self.sides[side as usize].get(&key).copied().unwrap_or(0);
        let after = if row.kind == KIND_LEVEL {
            row.qty
        } else {
            (before - row.qty).max(0)
        };
        if after > 0 {
            self.sides[side as usize].insert(key, after);
        } else {
            self.sides[side as usize].remove(&key);
        }
        let change = LevelRow {
            row,
            side,
            before,
            after,
        };
        self.tell(&change);
    }

    // Hands a row to the ghosts that it concerns.
    fn tell(&mut self, change: &LevelRow<'_>) {
        let row = change.row;
        if row.kind == KIND_TRADE {
            let (side, price) = (change.side, row.price);
            for ghost in &mut self.ghosts {
                ghost.trade_through(side, price, row.exch_ns);
            }
        }
        let is_cancel = row.kind == KIND_LEVEL && change.after < change.before;
        let concerns = |ghost: &Ghost| ghost.stands_at(change.side, row.price);
        if !self.ghosts.iter().any(concerns) {
            return;
        }
        self.draws.clear();
        if is_cancel {
            let (at, ordinal) = (row.exch_ns, u64::from(self.ordinal));
            let draw = |streams: &Streams| streams.uniform(Purpose::QueueDecay, at, ordinal);
            self.draws.extend(self.streams.iter().map(draw));
        }
        let keeps = self.options.keeps_cancels;
        for ghost in self.ghosts.iter_mut().filter(|ghost| concerns(ghost)) {
            ghost.level_row(change, &self.models, &self.draws, keeps);
        }
        self.drop_contradicted();
    }

    fn drop_contradicted(&mut self) {
        let before = self.ghosts.len();
        self.ghosts.retain(|ghost| !ghost.is_contradicted());
        self.counts.contradicted += (before - self.ghosts.len()) as u64;
    }

    fn lose(&mut self, concerns: impl Fn(&Ghost) -> bool) {
        let before = self.ghosts.len();
        self.ghosts.retain(|ghost| !concerns(ghost));
        self.counts.lost += (before - self.ghosts.len()) as u64;
    }

    // Best prices of both sides, if both stand.
    fn best(&self) -> Option<(TickIndex, TickIndex)> {
        let bid = *self.sides[0].first_key_value()?.0;
        let ask = *self.sides[1].first_key_value()?.0;
        Some((
            TickIndex::try_from(-bid).ok()?,
            TickIndex::try_from(ask).ok()?,
        ))
    }

    fn cross(&mut self, now: Nanos) {
        if let Some((bid, ask)) = self.best() {
            for ghost in &mut self.ghosts {
                ghost.cross(bid, ask, now);
            }
            self.drop_contradicted();
        }
    }

    fn join(&mut self, now: Nanos) {
        if now < self.next_ns || now >= self.span_ns.1 {
            return;
        }
        let every = self.options.every_ns;
        while self.next_ns <= now {
            self.next_ns = self.next_ns.saturating_add(every);
        }
        let Some((bid, ask)) = self.best().filter(|(bid, ask)| bid < ask) else {
            return;
        };
        if !self.is_trading {
            return;
        }
        for (side, best) in [(Side::Bid, bid), (Side::Ask, ask)] {
            for price in [i64::from(best), i64::from(best) - side.sign()] {
                let Ok(price) = TickIndex::try_from(price) else {
                    continue;
                };
                let lots = self.sides[side as usize].get(&side.rank(price));
                if let Some(lots) = lots {
                    let paths = self.models.len() * self.streams.len();
                    let models = self.models.len();
                    self.ghosts.push(Ghost::new(
                        side,
                        price,
                        *lots,
                        self.ordinal,
                        now,
                        models,
                        paths,
                    ));
                    self.counts.joined += 1;
                }
            }
        }
    }

    // Ends ghosts whose horizon lies before `now`.
    fn end_ghosts(&mut self, now: Nanos) {
        let horizon = self.options.horizon_ns;
        let block_ns = self.options.block_ns;
        let Self {
            ghosts,
            scores,
            counts,
            cancels,
            ..
        } = self;
        ghosts.retain_mut(|ghost| {
            if now.saturating_sub(ghost.joined_ns) <= horizon {
                return true;
            }
            ghost.count(counts);
            cancels.append(&mut ghost.cancels);
            let block = ghost.joined_ns.div_euclid(block_ns);
            for (index, score) in scores.iter_mut().enumerate() {
                ghost.add_to(score, index, block);
            }
            false
        });
    }
}
