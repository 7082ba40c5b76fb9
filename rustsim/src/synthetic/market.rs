//! The market itself: one order event after another.

use super::arrivals::{Arrival, Arrivals};
use super::book::{BookSide, Order};
use super::flow::{Fair, Signs, Sizes};
use super::options::SyntheticOptions;
use super::output::{ACTION_ADD, ACTION_CANCEL, ACTION_EXECUTE, Recorder, SyntheticMarket};
use super::stream::{Part, Stream};
use crate::error::{Error, Result};
use crate::tape::limits::EXCH_NS_END;
use crate::types::{Nanos, Side, TickIndex};

/// Wanted lots per level from the best on, as a share of `level_lots`; deeper than the table: as its last entry.
const LEVEL_SHARE: [f64; 6] = [0.6, 0.85, 1.0, 1.0, 1.0, 0.9];
/// How much more likely than another order a stale one is cancelled.
const STALE_WEIGHT: f64 = 200.0;
/// How much more likely one is cancelled that stands inside of the makers' spread.
const INSIDE_WEIGHT: f64 = 4.0;
/// Share of adds among ordinary events while a best price is stale.
const OVERTAKEN_ADD_SHARE: f64 = 0.25;
/// How much more likely one is cancelled that lies deeper than the makers' levels.
const FAR_WEIGHT: f64 = 3.0;
/// Levels that one market order may sweep.
const SWEEP_LEVELS_MAX: usize = 4;
const DAY_NS: Nanos = 86_400_000_000_000;

/// Generates a market.
///
/// # Errors
/// [`Error::Spec`] if the market would run past the last time that a tape may hold.
pub fn generate(options: &SyntheticOptions) -> Result<SyntheticMarket> {
    let mut market = Market::new(options);
    market.run()?;
    Ok(market.recorder.finish())
}

#[derive(Debug)]
struct Market {
    options: SyntheticOptions,
    arrivals: Arrivals,
    signs: Signs,
    sizes: Sizes,
    fair: Fair,
    place: Stream,
    cancel: Stream,
    sides: [BookSide; 2],
    // By level from the makers' best on: lots that they want there, and how often somebody acts.
    wanted: Vec<f64>,
    wanted_sum: f64,
    activity: Vec<f64>,
    recorder: Recorder,
    next_id: u64,
    now_ns: Nanos,
}

impl Market {
    fn new(options: &SyntheticOptions) -> Self {
        let wanted = (0..options.levels as usize).map(|level| {
            f64::from(options.level_lots) * LEVEL_SHARE[level.min(LEVEL_SHARE.len() - 1)]
        });
        let activity = (0..options.levels).map(|level| {
            let scaled = f64::from(level) / options.activity_levels;
            libm::pow(1.0 + scaled, -options.activity_decay)
        });
        let wanted: Vec<f64> = wanted.collect();
        let round_share = 1.0 / f64::from(options.round_ticks.max(1));
        let rounds = if options.round_ticks > 0 {
            (options.round_lots - 1.0) * round_share
        } else {
            0.0
        };
        Self {
            wanted_sum: wanted.iter().sum::<f64>() * (1.0 + rounds),
            wanted,
            activity: activity.collect(),
            options: options.clone(),
            arrivals: Arrivals::new(options),
            signs: Signs::new(options),
            sizes: Sizes::new(options),
            fair: Fair::new(options),
            place: Stream::new(options.seed, Part::Place),
            cancel: Stream::new(options.seed, Part::Cancel),
            sides: [BookSide::new(Side::Bid), BookSide::new(Side::Ask)],
            recorder: Recorder::new(options),
            next_id: 1,
            now_ns: options.start_ns,
        }
    }

    fn run(&mut self) -> Result<()> {
        for side in [Side::Bid, Side::Ask] {
            for level in 0..self.wanted.len() {
                self.fill_level(side, level);
            }
        }
        let session_ns = i64::from(self.options.session_minutes) * 60_000_000_000;
        let mut session_start = self.options.start_ns;
        self.recorder.open_session(self.now_ns, &self.sides);
        while self.recorder.row_count() < self.options.events {
            let (gap_ns, arrival) = self.arrivals.next();
            self.now_ns += gap_ns;
            if self.now_ns >= EXCH_NS_END - DAY_NS {
                let text = "synthetic market: it would run past the year 2199; ask for fewer events or smaller gaps";
                return Err(Error::Spec(text.to_owned()));
            }
            if session_ns > 0 && self.now_ns >= session_start + session_ns {
                self.recorder
                    .close_session(session_start + session_ns, &self.sides);
                session_start += DAY_NS;
                self.now_ns = session_start;
                self.recorder.open_session(self.now_ns, &self.sides);
                continue;
            }
            self.recorder.advance_to(self.now_ns, &self.sides);
            match arrival {
                Arrival::Market => self.market_order(),
                Arrival::Other => self.other_event(),
            }
            self.recorder.end_event(self.now_ns, &self.sides);
        }
        Ok(())
    }

    // Price of the makers' best level, at distance `half_spread_ticks` from the fair value or further.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fair value stays in the range of prices"
    )]
    fn edge(&self, side: Side) -> TickIndex {
        match side {
            Side::Bid => libm::floor(self.fair.ticks - self.options.half_spread_ticks) as i32,
            Side::Ask => libm::ceil(self.fair.ticks + self.options.half_spread_ticks) as i32,
        }
    }

    fn level_price(edge: TickIndex, side: Side, level: usize) -> TickIndex {
        let depth = i32::try_from(level).unwrap_or(i32::MAX);
        match side {
            Side::Bid => edge - depth,
            Side::Ask => edge + depth,
        }
    }

    // How many times as much as elsewhere stands at a price.
    fn roundness(&self, price: TickIndex) -> f64 {
        let every = i32::try_from(self.options.round_ticks).unwrap_or(0);
        if every > 0 && price % every == 0 {
            self.options.round_lots
        } else {
            1.0
        }
    }

    fn fill_level(&mut self, side: Side, level: usize) {
        let price = Self::level_price(self.edge(side), side, level);
        let wanted = self.wanted[level] * self.roundness(price);
        let mean = self.sizes.limit_mean();
        if wanted < mean {
            // A level with gaps: on average it holds what is wanted.
            if self.place.next() < wanted / mean {
                self.add(side, price);
            }
            return;
        }
        while f64::from(self.sides[side as usize].lots_at(price)) < wanted {
            self.add(side, price);
        }
    }

    fn add(&mut self, side: Side, price: TickIndex) {
        let order = Order {
            id: self.next_id,
            lots: self.sizes.limit(),
        };
        self.next_id += 1;
        self.sides[side as usize].add(price, order);
        self.recorder
            .order(self.now_ns, ACTION_ADD, side, price, order, &self.sides);
    }

    fn market_order(&mut self) {
        let (aggressor, surprise) = self.signs.next();
        let passive = aggressor.opposite();
        let mut left = self.sizes.market(&mut self.place);
        if self.is_reluctant(passive, left) {
            return;
        }
        let mut levels = 0;
        let mut price_last = None;
        while left > 0 {
            let book = &mut self.sides[passive as usize];
            // The last level of a side is never taken whole: a side of this market is never empty.
            let room = book.lots() - 1;
            if room < 1 || (price_last != book.best() && levels == SWEEP_LEVELS_MAX) {
                break;
            }
            let Some((price, fill)) = book.take_front(left.min(room)) else {
                break;
            };
            levels += usize::from(price_last != Some(price));
            price_last = Some(price);
            left -= fill.lots;
            self.recorder.order(
                self.now_ns,
                ACTION_EXECUTE,
                passive,
                price,
                fill,
                &self.sides,
            );
        }
        self.fair.hear_trade(surprise);
    }

    // Whether a market order waits for better days: it is larger than the best level, and patient.
    fn is_reluctant(&mut self, passive: Side, lots: i32) -> bool {
        let share = self.options.selective_share;
        let book = &self.sides[passive as usize];
        let offered = book.best().map_or(0, |price| book.lots_at(price));
        share > 0.0 && lots > offered && self.place.next() < share
    }

    fn other_event(&mut self) {
        self.fair.hear_news();
        let lots = f64::from(self.sides[0].lots() + self.sides[1].lots());
        let wanted: f64 = 2.0 * self.wanted_sum;
        // Sizes pull back to what is wanted: twice as much resting makes adds rare.
        let pull = (0.5 + 2.0 * (wanted - lots) / wanted).clamp(0.05, 0.95);
        let add_share = if self.is_overtaken() {
            pull.min(OVERTAKEN_ADD_SHARE)
        } else {
            pull
        };
        let is_add = self.place.next() < add_share || !self.cancel_one();
        if is_add || self.is_amended() {
            self.limit_order();
        }
    }

    // Whether the order that was just cancelled comes back elsewhere.
    fn is_amended(&mut self) -> bool {
        let share = self.options.amend_share;
        share > 0.0 && self.place.next() < share
    }

    // Whether the fair value has come as near to a best price as makers never quote.
    fn is_overtaken(&self) -> bool {
        let overtaken = |side: Side| {
            self.sides[side as usize]
                .best()
                .is_some_and(|best| self.is_stale(side, best))
        };
        overtaken(Side::Bid) || overtaken(Side::Ask)
    }

    fn is_stale(&self, side: Side, price: TickIndex) -> bool {
        let room = match side {
            Side::Bid => self.fair.ticks - f64::from(price),
            Side::Ask => f64::from(price) - self.fair.ticks,
        };
        room < self.options.stale_ticks
    }

    fn limit_order(&mut self) {
        let best = [self.sides[0].best(), self.sides[1].best()];
        let (Some(bid), Some(ask)) = (best[0], best[1]) else {
            return;
        };
        if ask - bid >= 2 && self.place.next() < self.options.inside_share {
            let side = if self.place.next() < 0.5 {
                Side::Bid
            } else {
                Side::Ask
            };
            let room = usize::try_from(ask - bid - 1).unwrap_or(1);
            let price = bid + 1 + i32::try_from(self.place.below(room)).unwrap_or(0);
            self.add(side, price);
            return;
        }
        let refill = self.place.next() < self.options.refill_share;
        let levels = self.wanted.len();
        let mut weights = vec![0.0; 2 * levels];
        for (side, half) in [Side::Bid, Side::Ask]
            .into_iter()
            .zip(weights.chunks_mut(levels))
        {
            let edge = self.edge(side);
            let other = if side == Side::Bid { ask } else { bid };
            for (level, weight) in half.iter_mut().enumerate() {
                let price = Self::level_price(edge, side, level);
                let roundness = self.roundness(price);
                let wanted = self.wanted[level] * roundness;
                let lots = if side.reaches(price, other) {
                    0.0
                } else if refill {
                    (wanted - f64::from(self.sides[side as usize].lots_at(price))).max(0.0)
                } else {
                    wanted
                };
                *weight = lots * self.activity[level] / roundness;
            }
        }
        let slot = pick(&weights, self.place.next());
        let side = if slot < levels { Side::Bid } else { Side::Ask };
        let price = Self::level_price(self.edge(side), side, slot % levels);
        self.add(side, price);
    }

    // Cancels one order if there is one that may go; the last level of a side stays.
    fn cancel_one(&mut self) -> bool {
        let mut weights: Vec<(Side, TickIndex, usize, f64)> =
            Vec::with_capacity(4 * self.wanted.len());
        for side in [Side::Bid, Side::Ask] {
            let book = &self.sides[side as usize];
            let edge = self.edge(side);
            let far = Self::level_price(edge, side, self.wanted.len());
            let alone = book.levels().take(2).count() < 2;
            for (price, queue) in book.levels().filter(|_| !alone) {
                let count = queue.orders.len();
                let factor = if self.is_stale(side, price) {
                    STALE_WEIGHT
                } else if side.is_better(price, edge) {
                    INSIDE_WEIGHT
                } else if side.is_better(price, far) {
                    let level = usize::try_from((price - edge).abs()).unwrap_or(0);
                    self.activity[level.min(self.activity.len() - 1)] / self.roundness(price)
                } else {
                    FAR_WEIGHT
                };
                weights.push((
                    side,
                    price,
                    count,
                    factor * f64::from(u32::try_from(count).unwrap_or(u32::MAX)),
                ));
            }
        }
        if weights.is_empty() {
            return false;
        }
        let shares: Vec<f64> = weights.iter().map(|entry| entry.3).collect();
        let (side, price, count, _) = weights[pick(&shares, self.cancel.next())];
        let from_back = libm::pow(self.cancel.next(), self.options.cancel_back_bias);
        let place = count - 1 - scaled(from_back, count);
        if let Some(order) = self.sides[side as usize].remove(price, place) {
            self.recorder
                .order(self.now_ns, ACTION_CANCEL, side, price, order, &self.sides);
        }
        true
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 <= share < 1"
)]
fn scaled(share: f64, count: usize) -> usize {
    ((share * count as f64) as usize).min(count - 1)
}

// Index of a weight with probability proportional to it; uniform if all are zero.
fn pick(weights: &[f64], u: f64) -> usize {
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        return scaled(u, weights.len());
    }
    let mut left = u * sum;
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    // Rounding may leave a crumb: the last weight above zero takes it.
    weights
        .iter()
        .rposition(|weight| *weight > 0.0)
        .unwrap_or(0)
}
