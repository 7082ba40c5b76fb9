//! The market itself: one order event after another.

use super::arrivals::{Arrival, Arrivals};
use super::book::{BookSide, Order};
use super::flow::{Fair, Signs, Sizes};
use super::options::SyntheticOptions;
use super::output::{ACTION_ADD, ACTION_CANCEL, ACTION_EXECUTE, Recorder, SyntheticMarket};
use super::stream::{Part, Stream};
use crate::types::{Nanos, Side, TickIndex};

/// Levels that makers keep filled on each side.
const MAKER_LEVELS: usize = 14;
/// Wanted lots per level from the best on, as a share of `level_lots`; deeper than the table: as its last entry.
const LEVEL_SHARE: [f64; 6] = [0.6, 0.85, 1.0, 1.0, 1.0, 0.9];
/// Share of limit orders that go inside of the spread.
const INSIDE_SHARE: f64 = 0.10;
/// Share of limit orders that fill what is missing, instead of following the wanted profile.
const REFILL_SHARE: f64 = 0.7;
/// How much more likely than another order one is cancelled that the fair value has overtaken.
const STALE_WEIGHT: f64 = 12.0;
/// How much more likely one is cancelled that lies deeper than the makers' levels.
const FAR_WEIGHT: f64 = 3.0;
/// Levels that one market order may sweep.
const SWEEP_LEVELS_MAX: usize = 4;
const DAY_NS: Nanos = 86_400_000_000_000;

/// Generates a market.
#[must_use]
pub fn generate(options: &SyntheticOptions) -> SyntheticMarket {
    let mut market = Market::new(options);
    market.run();
    market.recorder.finish()
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
    recorder: Recorder,
    next_id: u64,
    now_ns: Nanos,
}

impl Market {
    fn new(options: &SyntheticOptions) -> Self {
        Self {
            options: *options,
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

    fn run(&mut self) {
        for side in [Side::Bid, Side::Ask] {
            for level in 0..MAKER_LEVELS {
                self.fill_level(side, level);
            }
        }
        let session_ns = i64::from(self.options.session_minutes) * 60_000_000_000;
        let mut session_start = self.options.start_ns;
        self.recorder.open_session(self.now_ns, &self.sides);
        while self.recorder.row_count() < self.options.events {
            let (gap_ns, arrival) = self.arrivals.next();
            self.now_ns += gap_ns;
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

    fn wanted_lots(&self, level: usize) -> f64 {
        f64::from(self.options.level_lots) * LEVEL_SHARE[level.min(LEVEL_SHARE.len() - 1)]
    }

    fn fill_level(&mut self, side: Side, level: usize) {
        let price = Self::level_price(self.edge(side), side, level);
        while f64::from(self.sides[side as usize].lots_at(price)) < self.wanted_lots(level) {
            self.add(side, price);
        }
    }

    fn add(&mut self, side: Side, price: TickIndex) {
        let order = Order {
            id: self.next_id,
            lots: self.sizes.next(),
        };
        self.next_id += 1;
        self.sides[side as usize].add(price, order);
        self.recorder
            .order(self.now_ns, ACTION_ADD, side, price, order, &self.sides);
    }

    fn market_order(&mut self) {
        let (aggressor, surprise) = self.signs.next();
        let passive = aggressor.opposite();
        let mut left = self.sizes.next();
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

    fn other_event(&mut self) {
        self.fair.hear_news();
        let lots = f64::from(self.sides[0].lots() + self.sides[1].lots());
        let wanted: f64 = 2.0
            * (0..MAKER_LEVELS)
                .map(|level| self.wanted_lots(level))
                .sum::<f64>();
        // Sizes pull back to what is wanted: twice as much resting makes adds rare.
        let add_share = (0.5 + 2.0 * (wanted - lots) / wanted).clamp(0.05, 0.95);
        if self.place.next() < add_share || !self.cancel_one() {
            self.limit_order();
        }
    }

    fn limit_order(&mut self) {
        let best = [self.sides[0].best(), self.sides[1].best()];
        let (Some(bid), Some(ask)) = (best[0], best[1]) else {
            return;
        };
        if ask - bid >= 2 && self.place.next() < INSIDE_SHARE {
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
        let refill = self.place.next() < REFILL_SHARE;
        let mut weights = [0.0; 2 * MAKER_LEVELS];
        for (slot, weight) in weights.iter_mut().enumerate() {
            let (side, level) = slot_of(slot);
            let price = uncrossed(
                Self::level_price(self.edge(side), side, level),
                side,
                bid,
                ask,
            );
            let wanted = self.wanted_lots(level);
            *weight = if refill {
                (wanted - f64::from(self.sides[side as usize].lots_at(price))).max(0.0)
            } else {
                wanted
            };
        }
        let slot = pick(&weights, self.place.next());
        let (side, level) = slot_of(slot);
        let price = Self::level_price(self.edge(side), side, level);
        self.add(side, uncrossed(price, side, bid, ask));
    }

    // Cancels one order if there is one that may go; the last level of a side stays.
    fn cancel_one(&mut self) -> bool {
        let mut weights: Vec<(Side, TickIndex, usize, f64)> = Vec::with_capacity(4 * MAKER_LEVELS);
        for side in [Side::Bid, Side::Ask] {
            let book = &self.sides[side as usize];
            let edge = self.edge(side);
            let far = Self::level_price(edge, side, MAKER_LEVELS);
            let alone = book.levels().take(2).count() < 2;
            for (price, queue) in book.levels().filter(|_| !alone) {
                let count = queue.orders.len();
                let factor = if side.is_better(price, edge) {
                    STALE_WEIGHT
                } else if side.is_better(price, far) {
                    1.0
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

// The price itself, or the best one that does not cross.
fn uncrossed(price: TickIndex, side: Side, bid: TickIndex, ask: TickIndex) -> TickIndex {
    match side {
        Side::Bid => price.min(ask - 1),
        Side::Ask => price.max(bid + 1),
    }
}

fn slot_of(slot: usize) -> (Side, usize) {
    (
        if slot < MAKER_LEVELS {
            Side::Bid
        } else {
            Side::Ask
        },
        slot % MAKER_LEVELS,
    )
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
