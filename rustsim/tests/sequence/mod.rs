//! A random sequence of rows and requests, and what one queue model makes of it, checked row by row.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "lots are small, and places in a queue are exact in f64"
)]

use std::collections::BTreeMap;

use crate::draws::Draws;
use rustsim::gateway::ExecutionGateway;
use rustsim::queue::QueueSpec;
use rustsim::sim::{RunOptions, SimulatedExchange};
use rustsim::spec::SimSpec;
use rustsim::types::{
    EventKind, FLAG_GAP, FLAG_LAST, FLAG_OUT_OF_VIEW, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Lots,
    Nanos, OrderEvent, OrderId, OrderRequest, OrderType, Side, TakePolicy, Tick, TickIndex,
    TimeInForce,
};

fn random_side(draws: &mut Draws) -> Side {
    if draws.below(2) == 0 {
        Side::Bid
    } else {
        Side::Ask
    }
}

/// Own bids rest at this price and below, own asks above it.
const OWN_BID_MAX: TickIndex = 99;
const ROWS: usize = 80;
const ORDERS_MAX: u64 = 12;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Row(Tick),
    Place(Side, TickIndex, Lots),
    Cancel(OrderId),
}

/// Rows of a coherent book that wanders, with own post-only orders and cancels between them.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) steps: Vec<Step>,
}

/// The market that makes the rows.
struct Market {
    draws: Draws,
    /// Displayed lots by side and price.
    lots: [BTreeMap<TickIndex, i32>; 2],
    now_ns: Nanos,
    /// Whether levels leave the view, the book is cleared and data is lost.
    has_gaps: bool,
    steps: Vec<Step>,
}

impl Market {
    fn best(&self, side: Side) -> Option<TickIndex> {
        let levels = &self.lots[side as usize];
        match side {
            Side::Bid => levels.last_key_value(),
            Side::Ask => levels.first_key_value(),
        }
        .map(|(price, _)| *price)
    }

    fn row(&mut self, kind: u8, side: Side, price: TickIndex, qty: i32, flags: u8) {
        self.steps.push(Step::Row(Tick {
            exch_ns: self.now_ns,
            local_ns: self.now_ns,
            kind,
            side: side as u8,
            price,
            qty,
            flags: FLAG_LAST | flags,
            ..Tick::default()
        }));
    }

    fn set(&mut self, side: Side, price: TickIndex, qty: i32, flags: u8) {
        if qty == 0 {
            self.lots[side as usize].remove(&price);
        } else {
            self.lots[side as usize].insert(price, qty);
        }
        self.row(KIND_LEVEL, side, price, qty, flags);
    }

    /// A price within four ticks of the touch that does not reach the other side.
    fn some_price(&mut self, side: Side) -> TickIndex {
        let sign = TickIndex::try_from(side.sign()).expect("one");
        let best = self.best(side).filter(|_| self.draws.below(6) > 0);
        let base = best.unwrap_or(match self.best(side.opposite()) {
            Some(other) => other - sign,
            None => OWN_BID_MAX,
        });
        let wanted = base - sign * (self.draws.int(3));
        match self.best(side.opposite()) {
            Some(other) if !side.is_better(other, wanted) => wanted,
            Some(other) => other - sign,
            None => wanted,
        }
        .clamp(97, 102)
    }

    /// A print at the best price: told before its level row, after it, or without one.
    fn print(&mut self, side: Side) {
        let Some(best) = self.best(side) else { return };
        let there = self.lots[side as usize][&best];
        let traded = 1 + self.draws.int(8);
        let left = (there - traded).max(0);
        match self.draws.below(10) {
            0 => self.row(KIND_TRADE, side, best, traded, 0),
            1..=2 => {
                self.set(side, best, left, 0);
                self.row(KIND_TRADE, side, best, traded, 0);
            }
            _ => {
                self.row(KIND_TRADE, side, best, traded, 0);
                self.set(side, best, left, 0);
            }
        }
    }

    fn next_rows(&mut self) {
        self.now_ns += i64::from(self.draws.int(4)); // 0: another message of the same time
        let side = random_side(&mut self.draws);
        match self.draws.below(40) {
            0..=9 => self.print(side),
            10..=23 => {
                let price = self.some_price(side);
                let there = *self.lots[side as usize].get(&price).unwrap_or(&0);
                if there > 0 {
                    let left = self.draws.int(there);
                    self.set(side, price, left, 0);
                }
            }
            24 if self.has_gaps => {
                let price = self.some_price(side);
                self.set(side, price, 0, FLAG_OUT_OF_VIEW);
            }
            25 if self.has_gaps => {
                self.lots = [BTreeMap::new(), BTreeMap::new()];
                self.row(KIND_CLEAR, Side::Bid, 0, 0, 0);
            }
            26 if self.has_gaps => {
                let (price, lots) = (self.some_price(side), 1 + self.draws.int(15));
                self.set(side, price, lots, FLAG_GAP);
            }
            _ => {
                let price = self.some_price(side);
                let there = *self.lots[side as usize].get(&price).unwrap_or(&0);
                let more = 1 + self.draws.int(10);
                self.set(side, price, there + more, 0);
            }
        }
    }
}

impl Sequence {
    pub(crate) fn random(seed: u64) -> Self {
        let mut market = Market {
            draws: Draws(seed),
            lots: [BTreeMap::new(), BTreeMap::new()],
            now_ns: 1_000,
            has_gaps: seed.is_multiple_of(4),
            steps: Vec::with_capacity(2 * ROWS),
        };
        for level in 0..3 {
            for (side, price) in [(Side::Bid, 99 - level), (Side::Ask, 100 + level)] {
                let lots = 1 + market.draws.int(8);
                market.set(side, price, lots, 0);
            }
        }
        let mut placed = 0;
        while market.steps.len() < ROWS {
            market.next_rows();
            match market.draws.below(12) {
                0..=3 if placed < ORDERS_MAX => {
                    let side = random_side(&mut market.draws);
                    let away = market.draws.int(2);
                    let price = match side {
                        Side::Bid => OWN_BID_MAX - away,
                        Side::Ask => OWN_BID_MAX + 1 + away,
                    };
                    let lots = 1 + i64::from(market.draws.int(6));
                    market.steps.push(Step::Place(side, price, lots));
                    placed += 1;
                }
                4 if placed > 0 => {
                    let id = 1 + market.draws.below(placed);
                    market.steps.push(Step::Cancel(id));
                }
                _ => {}
            }
        }
        Self {
            steps: market.steps,
        }
    }
}

/// A resting own order, followed from outside.
#[derive(Clone, Copy, Debug)]
struct Own {
    id: OrderId,
    side: Side,
    price: TickIndex,
    leaves: Lots,
    /// As the exchange tells it; `None` unknown.
    ahead: Option<f64>,
}

/// A fill: step, side and price of the order, order, lots.
pub(crate) type Fill = (usize, Side, TickIndex, OrderId, Lots);

/// What one model made of a sequence.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) fills: Vec<Fill>,
}

struct Player {
    exchange: SimulatedExchange,
    /// Resting orders in order of arrival.
    own: Vec<Own>,
    fills: Vec<Fill>,
    step: usize,
    now_ns: Nanos,
    /// Level rows of this time have lowered these levels: a print of the same time may explain it.
    lowered: Vec<(Side, TickIndex)>,
    /// Levels whose queue is not shown: out of view, cleared, or behind a gap.
    is_blind: bool,
}

impl Play {
    /// Plays the sequence and checks every row.
    pub(crate) fn run(sequence: &Sequence, queue: &QueueSpec, seed: u64) -> Result<Self, String> {
        let spec = SimSpec {
            queue: queue.clone(),
            seed,
            ..SimSpec::default()
        };
        let options = RunOptions {
            samples: 0,
            ..RunOptions::default()
        };
        let exchange = SimulatedExchange::new(spec, (88, 112), options)
            .map_err(|fault| format!("not built: {fault}"))?;
        let mut player = Player {
            exchange,
            own: Vec::new(),
            fills: Vec::new(),
            step: 0,
            now_ns: 0,
            lowered: Vec::new(),
            is_blind: false,
        };
        for (step, what) in sequence.steps.iter().enumerate() {
            player.step = step;
            match what {
                Step::Row(tick) => player.row(tick),
                Step::Place(side, price, lots) => player.place(*side, *price, *lots),
                Step::Cancel(id) => player.cancel(*id),
            }
            .map_err(|fault| format!("step {step} {what:?}: {fault}"))?;
        }
        Ok(Self {
            fills: player.fills,
        })
    }

    /// Checks that at every step, at every price, the other play has filled at least as many lots.
    pub(crate) fn is_within(&self, other: &Self) -> Result<(), String> {
        let mut lead: BTreeMap<(Side, TickIndex), Lots> = BTreeMap::new();
        let mut theirs = other.fills.iter().peekable();
        for &(step, side, price, id, lots) in &self.fills {
            while let Some(&&(_, side, price, _, lots)) =
                theirs.peek().filter(|fill| fill.0 <= step)
            {
                *lead.entry((side, price)).or_insert(0) += lots;
                theirs.next();
            }
            let lead = lead.entry((side, price)).or_insert(0);
            *lead -= lots;
            if *lead < 0 {
                return Err(format!(
                    "step {step}: with order {id} {side:?} {price} one model has {} lots more than the other may have less:\n{:?}\n{:?}",
                    -*lead, self.fills, other.fills
                ));
            }
        }
        Ok(())
    }
}

impl Player {
    fn place(&mut self, side: Side, price: TickIndex, lots: Lots) -> Result<(), String> {
        let id = self.exchange.place_order(OrderRequest {
            side,
            price,
            qty: lots,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Rod,
            take_policy: TakePolicy::PostOnly,
            session: 0,
        });
        let events = self.pass()?;
        match events.as_slice() {
            [event] if event.kind == EventKind::Accepted => {
                let ahead = self.exchange.queue_ahead(id);
                self.own.push(Own {
                    id,
                    side,
                    price,
                    leaves: lots,
                    ahead,
                });
                Ok(())
            }
            [event] if event.kind == EventKind::Rejected => Ok(()),
            other => Err(format!("a post-only order was answered by {other:?}")),
        }
    }

    fn cancel(&mut self, id: OrderId) -> Result<(), String> {
        let is_sent = self.exchange.cancel_order(id, 0);
        let events = self.pass()?;
        let place = self.own.iter().position(|own| own.id == id);
        match (place, events.as_slice()) {
            (Some(place), [event])
                if event.kind == EventKind::Cancelled && event.qty == self.own[place].leaves =>
            {
                self.own.remove(place);
                Ok(())
            }
            (None, []) if !is_sent => Ok(()),
            (_, other) => Err(format!("the cancel was answered by {other:?}")),
        }
    }

    fn pass(&mut self) -> Result<Vec<OrderEvent>, String> {
        self.exchange
            .advance_to(self.now_ns)
            .map_err(|fault| fault.to_string())
    }

    fn row(&mut self, tick: &Tick) -> Result<(), String> {
        if tick.exch_ns != self.now_ns {
            self.lowered.clear();
        }
        self.now_ns = tick.exch_ns;
        let side = Side::from_code(tick.side).expect("0 or 1");
        let key = (side, tick.price);
        let before = Lots::from(self.exchange.level_lots(side, tick.price));
        let events = self
            .exchange
            .on_tick(&[*tick])
            .map_err(|fault| fault.to_string())?;
        let was = self.own.clone();
        for event in &events {
            self.take_fill(event)?;
        }
        self.is_blind |= tick.flags & (FLAG_OUT_OF_VIEW | FLAG_GAP) != 0 || tick.kind == KIND_CLEAR;
        let is_reordered = tick.kind == KIND_TRADE && self.lowered.contains(&key);
        self.check_places(&was, is_reordered.then_some(key))?;
        match tick.kind {
            KIND_TRADE => self.check_print(tick, key, &was, &events),
            KIND_LEVEL => {
                if Lots::from(tick.qty) < before {
                    self.lowered.push(key);
                }
                self.check_crossing(&events)?;
                self.check_level(tick, key, before, &was)
            }
            _ if events.is_empty() => Ok(()),
            _ => Err(format!("a clear filled {events:?}")),
        }
    }

    fn take_fill(&mut self, event: &OrderEvent) -> Result<(), String> {
        let place = self.own.iter().position(|own| own.id == event.order_id);
        let Some(place) = place.filter(|_| event.kind == EventKind::Filled) else {
            return Err(format!("a row caused {event:?}"));
        };
        let own = &mut self.own[place];
        own.leaves -= event.qty;
        if event.qty < 1 || own.leaves != event.leaves || own.leaves < 0 || event.price != own.price
        {
            return Err(format!("{event:?} for {own:?}"));
        }
        self.fills
            .push((self.step, own.side, own.price, own.id, event.qty));
        if own.leaves == 0 {
            self.own.remove(place);
        }
        Ok(())
    }

    /// Nobody falls back (unless a print explains what looked like a cancel: `reordered`), nobody is in front of an own order that came earlier, nobody is behind more than what is displayed.
    fn check_places(
        &mut self,
        was: &[Own],
        reordered: Option<(Side, TickIndex)>,
    ) -> Result<(), String> {
        let mut last: BTreeMap<(Side, TickIndex), f64> = BTreeMap::new();
        for own in &mut self.own {
            own.ahead = self.exchange.queue_ahead(own.id);
            let before = was
                .iter()
                .find(|was| was.id == own.id)
                .and_then(|was| was.ahead);
            let Some(ahead) = own.ahead else {
                if before.is_some() {
                    return Err(format!("the place {before:?} of {own:?} was forgotten"));
                }
                continue;
            };
            let fell_back = before.is_some_and(|before| ahead > before)
                && reordered != Some((own.side, own.price));
            if ahead < 0.0 || fell_back {
                return Err(format!("{own:?} stood at {before:?}"));
            }
            let level = f64::from(self.exchange.level_lots(own.side, own.price));
            if !self.is_blind && ahead > level {
                return Err(format!("{own:?} on a level of {level}"));
            }
            let first = last.entry((own.side, own.price)).or_insert(0.0);
            if ahead < *first {
                return Err(format!(
                    "{own:?} stands before {first}, where an earlier one is"
                ));
            }
            *first = ahead;
        }
        Ok(())
    }

    /// A print fills what stands at better prices, then the merged queue of its price; own fills and market volume add up to it.
    fn check_print(
        &self,
        tick: &Tick,
        key: (Side, TickIndex),
        was: &[Own],
        events: &[OrderEvent],
    ) -> Result<(), String> {
        let (side, price) = key;
        let lots_of = |id| {
            let of_order = events.iter().filter(|event| event.order_id == id);
            of_order.map(|event| event.qty).sum::<Lots>()
        };
        let (mut own_lots, mut in_front) = (0, 0);
        let is_plain = !self.lowered.contains(&key);
        for own in was {
            let filled = lots_of(own.id);
            let due = if own.side == side && side.is_better(own.price, price) {
                own.leaves
            } else if (own.side, own.price) != key {
                0
            } else {
                own_lots += filled;
                match own.ahead {
                    Some(ahead) if is_plain => {
                        let reach = (f64::from(tick.qty) - ahead).floor() as Lots - in_front;
                        in_front += own.leaves;
                        reach.clamp(0, own.leaves)
                    }
                    _ => filled,
                }
            };
            if filled != due {
                return Err(format!("{filled} lots of {own:?}, due were {due}"));
            }
        }
        let market = Lots::from(tick.qty) - own_lots;
        if market < 0 {
            return Err(format!("own orders got {own_lots} of {} lots", tick.qty));
        }
        let level = f64::from(self.exchange.level_lots(side, price));
        for own in self
            .own
            .iter()
            .filter(|own| is_plain && (own.side, own.price) == key)
        {
            let before = was
                .iter()
                .find(|was| was.id == own.id)
                .and_then(|was| was.ahead);
            if let (Some(before), Some(ahead)) = (before, own.ahead) {
                let moved = (before - market as f64).max(0.0);
                if ahead != moved && !(ahead == level && level < moved) {
                    return Err(format!(
                        "{market} lots of the market moved {own:?} from {before}, level {level}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// After a level row only orders fill that the other side has reached.
    fn check_crossing(&self, events: &[OrderEvent]) -> Result<(), String> {
        let view = &self.exchange.host().view;
        for event in events {
            let other = match event.side {
                Side::Bid => view.best_ask,
                Side::Ask => view.best_bid,
            };
            if !other.is_some_and(|best| event.side.reaches(event.price, best)) {
                return Err(format!("{event:?} while the other side shows {other:?}"));
            }
        }
        Ok(())
    }

    /// A decrease of `c` takes at least what cannot stand behind, and at most `c`, from ahead.
    fn check_level(
        &self,
        tick: &Tick,
        key: (Side, TickIndex),
        level: Lots,
        was: &[Own],
    ) -> Result<(), String> {
        if tick.flags & (FLAG_OUT_OF_VIEW | FLAG_GAP) != 0 {
            return Ok(());
        }
        let gone = (level - Lots::from(tick.qty)) as f64;
        for own in self.own.iter().filter(|own| (own.side, own.price) == key) {
            let Some(ahead) = own.ahead else { continue };
            if ahead > f64::from(tick.qty) {
                return Err(format!("{own:?} on a level that shows {}", tick.qty));
            }
            let before = was
                .iter()
                .find(|was| was.id == own.id)
                .and_then(|was| was.ahead);
            let Some(before) = before.filter(|_| !self.is_blind) else {
                continue;
            };
            let least = (gone - (level as f64 - before)).max(0.0);
            let most = before.min(gone).max(0.0);
            if !(least..=most).contains(&(before - ahead)) {
                return Err(format!(
                    "a decrease of {gone} out of {level} moved {own:?} from {before}"
                ));
            }
        }
        Ok(())
    }
}
