//! The exchange itself: market rows against own resting orders, and own requests on arrival. Exchange clock only.
//!
//! Rules and their order: `docs/semantics.md` sections 3 to 5. Everything that happens to an own order is appended to `output`; whoever drives
//! the exchange takes it from there to the ledger, the digest and the way home.

mod certified;
mod compiled;
mod joins;
mod market;
mod naive;
mod quiet;
mod requests;

use crate::book::{Book, LimitOrderBook};
use crate::certificate::OrderCertificate;
use crate::consumed::Consumed;
use crate::error::{Error, Result};
use crate::ledger::{Arrivals, FillInput};
use crate::order_queue::{OrderQueue, RestingOrder};
use crate::queue::{Mode, QueueDecay};
use crate::recorded::RecordedBook;
use crate::rng::Streams;
use crate::spec::{BelowFilled, SimSpec, World};
use crate::types::{
    EventKind, Liquidity, Lots, Nanos, OrderEvent, OrderId, OrderRequest, Reason, Side, TickIndex,
};

/// Something that happened to an own order at the exchange, before it travels home.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) event: OrderEvent,
    /// Rare, and several times as large as the event.
    pub(crate) fill: Option<Box<FillInput>>,
    pub(crate) session: u8,
}

pub(crate) use compiled::{Group, OwnLevels};

/// A request as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Place {
        id: OrderId,
        order: OrderRequest,
    },
    Cancel {
        id: OrderId,
        session: u8,
    },
    Amend {
        id: OrderId,
        price: Option<TickIndex>,
        qty: Option<Lots>,
        session: u8,
    },
}

/// Whether own orders that cross the book have been looked for since own orders changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crossing {
    Settled,
    Open,
}

#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "what rows are and where a group stands, each asked on its own"
)]
pub(crate) struct Matching<B = LimitOrderBook> {
    pub(crate) recorded: RecordedBook<B>,
    own: [OrderQueue; 2],
    consumed: Consumed,
    queue: QueueDecay,
    mode: Mode,
    /// Rows carry joins: prints and cancels are told apart.
    has_join: bool,
    /// Joins say where cancels fall.
    by_join: bool,
    /// Tape number of the next market row, as far as own requests need it.
    pub(crate) next_row: u64,
    /// Own fills by prints that went past recorded lots ahead.
    pub(crate) fills_out_of_turn: u64,
    /// Reaction of others to our orders.
    kappa: f64,
    streams: Streams,
    visible_levels: u32,
    price_min: TickIndex,
    price_max: TickIndex,
    lots_max: Lots,
    below_filled: BelowFilled,
    world: World,
    /// Ids that ever arrived; index = id.
    arrived: Vec<bool>,
    /// The last group held auction rows only.
    indicative: bool,
    group_has_market: bool,
    track_credit: bool,
    crossing: Crossing,
    pub(crate) output: Vec<Outcome>,
    /// Of orders that ended, if orders get them.
    pub(crate) certificates: Option<Vec<OrderCertificate>>,
    pub(crate) arrivals: Arrivals,
    /// Time of the last message of a market that comes message by message.
    stepped_ns: Option<Nanos>,
}

impl<B: Book> Matching<B> {
    pub(crate) fn new(spec: &SimSpec, book: B, streams: Streams, has_join: bool) -> Result<Self> {
        let queue = QueueDecay::build(&spec.queue)?;
        let by_join = matches!(queue, QueueDecay::L3(_));
        if by_join && !has_join {
            return Err(Error::Spec(
                "queue.model: l3 needs rows that name the order that loses lots (joins), and these have none; take a tape of a feed by order, \
                 or a model such as back, uniform or odds"
                    .into(),
            ));
        }
        Ok(Self {
            recorded: RecordedBook::new(book),
            own: [OrderQueue::new(Side::Bid), OrderQueue::new(Side::Ask)],
            consumed: Consumed::new(match spec.world {
                World::LiveLike => spec.impact.half_life_ns,
                World::Naive => Some(0),
            }),
            queue,
            mode: spec.queue.mode,
            has_join,
            by_join,
            next_row: 0,
            fills_out_of_turn: 0,
            kappa: spec.impact.reaction,
            streams,
            visible_levels: spec.instrument.visible_levels,
            price_min: spec.instrument.price_min.unwrap_or(TickIndex::MIN),
            price_max: spec.instrument.price_max.unwrap_or(TickIndex::MAX),
            lots_max: spec
                .instrument
                .max_order_lots
                .unwrap_or(Lots::from(i32::MAX)),
            below_filled: spec.rules.amend_below_filled,
            world: spec.world,
            arrived: vec![false],
            indicative: false,
            group_has_market: false,
            track_credit: false,
            crossing: Crossing::Settled,
            output: Vec::new(),
            certificates: spec.certificates.then(Vec::new),
            arrivals: Arrivals::default(),
            stepped_ns: None,
        })
    }

    pub(crate) fn is_indicative(&self) -> bool {
        self.indicative
    }

    /// Returns whether no own order rests.
    #[inline]
    pub(crate) fn is_without_orders(&self) -> bool {
        self.own.iter().all(|queue| queue.orders().is_empty())
    }

    pub(crate) fn available(&self, side: Side, price: TickIndex, now_ns: Nanos) -> Lots {
        self.consumed
            .available(side, price, self.recorded.book.size(side, price), now_ns)
    }

    /// Returns whether orders fill at a touch, whatever the queue and the sizes.
    #[inline]
    fn is_naive(&self) -> bool {
        self.world == World::Naive
    }

    /// Returns the lots that a taker gets from a level.
    fn takeable(&self, side: Side, price: TickIndex, now_ns: Nanos) -> Lots {
        match self.available(side, price, now_ns) {
            lots if lots > 0 && self.is_naive() => naive::ANY_LOTS,
            lots => lots,
        }
    }

    pub(crate) fn resting(&self, id: OrderId) -> Option<&RestingOrder> {
        self.own
            .iter()
            .find_map(|queue| queue.find(id).map(|index| &queue.orders()[index]))
    }

    /// Takes an order out before it is filled.
    fn remove(&mut self, side: Side, index: usize, now_ns: Nanos) -> RestingOrder {
        let order = self.own[side as usize].remove(index);
        if let Some(certificates) = &mut self.certificates {
            certificates.extend(order.close_certificate(now_ns));
        }
        order
    }

    /// Ends every resting order; returns them by id.
    pub(crate) fn drain_resting(&mut self, now_ns: Nanos) -> Vec<RestingOrder> {
        let mut all = Vec::new();
        for queue in &mut self.own {
            all.append(&mut queue.take_all());
        }
        all.sort_by_key(|order| order.id);
        if let Some(certificates) = &mut self.certificates {
            certificates.extend(
                all.iter()
                    .filter_map(|order| order.close_certificate(now_ns)),
            );
        }
        all
    }

    fn emit(
        &mut self,
        order: &Incoming,
        kind: EventKind,
        now_ns: Nanos,
        qty: Lots,
        leaves: Lots,
        reason: Reason,
    ) {
        let event = OrderEvent {
            kind,
            order_id: order.id,
            exch_ns: now_ns,
            local_ns: now_ns,
            side: order.side,
            price: order.price,
            qty,
            leaves,
            liquidity: Liquidity::Taker,
            reason,
        };
        self.output.push(Outcome {
            event,
            fill: None,
            session: order.session,
        });
    }

    fn emit_taker_fill(
        &mut self,
        order: &Incoming,
        price: TickIndex,
        lots: Lots,
        now_ns: Nanos,
        is_beyond_best: bool,
    ) {
        let leaves = order.total - order.filled;
        let event = OrderEvent {
            kind: EventKind::Filled,
            order_id: order.id,
            exch_ns: now_ns,
            local_ns: now_ns,
            side: order.side,
            price,
            qty: lots,
            leaves,
            liquidity: Liquidity::Taker,
            reason: Reason::None,
        };
        let fill = FillInput {
            exch_ns: now_ns,
            local_ns: now_ns,
            order_id: order.id,
            side: order.side,
            price,
            lots,
            liquidity: Liquidity::Taker,
            ahead_units: -1,
            ahead_front_lots: -1,
            ahead_back_lots: -1,
            certain_lots: 0,
            arrival_ns: now_ns,
            ahead_at_arrival_units: -1,
            cause_lots: 0,
            cause_row: -1,
            is_short_print: false,
            is_beyond_best,
            is_first_fill: order.filled == lots,
        };
        self.output.push(Outcome {
            event,
            fill: Some(Box::new(fill)),
            session: order.session,
        });
    }
}

/// An order while it is being handled.
#[derive(Debug, Clone, Copy)]
struct Incoming {
    id: OrderId,
    side: Side,
    price: TickIndex,
    /// Worst price that it takes; differs from `price` for market orders.
    limit: TickIndex,
    total: Lots,
    filled: Lots,
    post_only: bool,
    session: u8,
}

impl Incoming {
    /// What a refusal says about an order that is not at the exchange.
    fn nothing(id: OrderId, session: u8) -> Self {
        Self {
            id,
            side: Side::Bid,
            price: 0,
            limit: 0,
            total: 0,
            filled: 0,
            post_only: false,
            session,
        }
    }
}

impl From<&RestingOrder> for Incoming {
    fn from(order: &RestingOrder) -> Self {
        Self {
            id: order.id,
            side: order.side,
            price: order.price,
            limit: order.price,
            total: order.total,
            filled: order.filled,
            post_only: order.post_only,
            session: order.session,
        }
    }
}
