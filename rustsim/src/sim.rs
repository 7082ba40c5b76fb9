//! `SimulatedExchange`: matching, latency, the strategy's view and the account, composed on one axis of time.
//!
//! Order of things at one instant (`docs/semantics.md` section 2): market rows at the exchange, own requests, market rows as seen, replies, timers, then the strategy.
//! This file drives one instant; `replay.rs` drives a tape through it, `stepping.rs` drives it message by message. Cost per market row without own orders: one book
//! update and a few comparisons.

mod compiled;
mod direct;
mod stepping;

use crate::book::{Book, LimitOrderBook};
use crate::digest::Digest;
use crate::engine::{Direct, Engine};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ledger::{RequestKind, ShadowLedger};
use crate::link::Link;
use crate::matching::{Matching, Outcome, Request};
use crate::order_queue::Knowledge;
use crate::queue::units_to_lots;
use crate::rng::Streams;
use crate::schedule::Schedule;
use crate::sight::{Glimpses, Heeds, Sight, Touch, view_of};
use crate::spec::{SimSpec, World};
use crate::types::{
    EventKind, Liquidity, Lots, Nanos, OrderEvent, OrderId, Reason, Side, Tick, TickIndex,
};

/// Most wake-ups that one instant may hold before a strategy counts as stuck.
pub const WAKES_PER_INSTANT_MAX: u32 = 1_000;

/// What a run is configured with beyond its spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts about rows and reader, each named where it is given"
)]
pub struct RunOptions {
    /// Points of the down-sampled equity path.
    pub samples: usize,
    /// Whether every event is kept for inspection.
    pub keep_log: bool,
    /// Whether the rows carry a local receive time.
    pub has_local: bool,
    /// Whether rows that take lots name the order that loses them; prints then take lots that no level row tells again.
    pub has_join: bool,
    /// Whether a strategy looks; if none does, its view of the market is not kept.
    pub is_watched: bool,
}

impl RunOptions {
    /// Returns when a group left the exchange for the strategy, or reached whoever recorded it; `last` is its last row.
    #[inline]
    fn stamp_ns(&self, last: &Tick) -> Nanos {
        if self.has_local {
            last.local_ns
        } else {
            last.exch_ns
        }
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            samples: 200,
            keep_log: false,
            has_local: false,
            has_join: false,
            is_watched: true,
        }
    }
}

/// Result of one run.
#[derive(Debug)]
pub struct Outcomes {
    /// Hash of the event log and the ledger.
    pub digest: String,
    /// Market rows replayed.
    pub events: u64,
    /// Times the strategy was called.
    pub wakes: u64,
    /// The account.
    pub ledger: ShadowLedger,
    /// Every event, if it was kept.
    pub log: Vec<OrderEvent>,
    /// Own fills by prints that went past recorded lots ahead: the record contradicts price-time priority there (queue model `l3`).
    pub fills_out_of_turn: u64,
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    request: Request,
    /// It will be refused on arrival, before it reaches the order book.
    is_refused: bool,
}

/// The embedded exchange of one strategy.
#[derive(Debug)]
pub struct SimulatedExchange<E: Engine = Direct> {
    spec: SimSpec,
    options: RunOptions,
    pub(crate) host: Host,
    pub(crate) matching: Matching<E::Book>,
    link: Link,
    ledger: ShadowLedger,
    digest: Digest,
    log: Vec<OrderEvent>,
    requests: Schedule<Sent>,
    replies: Schedule<OrderEvent>,
    timers: Schedule<()>,
    /// The strategy sees every group as it happens: one book serves both clocks.
    is_instant: bool,
    /// Views on their way to the strategy; empty with an instant feed.
    sight: E::Sight,
    /// The view lags behind the exchange's book (instant feed only).
    is_view_stale: bool,
    mid2: i64,
    /// Exchange time of the last market group.
    group_ns: Nanos,
    pub(crate) exch_ns: Nanos,
    pub(crate) events: u64,
    pub(crate) wakes: u64,
    /// Tape number of the first row of the run.
    pub(crate) first_row: u64,
    is_started: bool,
    /// What ended a run that is driven message by message.
    fault: Option<Error>,
}

impl SimulatedExchange {
    /// Builds an exchange; `prices` is the expected price range, a hint for its size.
    ///
    /// # Errors
    /// `Error::Spec` if the description is wrong or needs rows of another kind, `Error::Tick` if the range is too wide.
    pub fn new(spec: SimSpec, prices: (TickIndex, TickIndex), options: RunOptions) -> Result<Self> {
        let book = LimitOrderBook::new(prices.0, prices.1)?;
        Self::of(spec, book, Glimpses::default(), options)
    }
}

impl<E: Engine> SimulatedExchange<E> {
    /// Builds an exchange on a book and a view of it.
    pub(crate) fn of(
        spec: SimSpec,
        book: E::Book,
        sight: E::Sight,
        options: RunOptions,
    ) -> Result<Self> {
        spec.check()?;
        let streams = Streams::new(spec.seed, spec.replication);
        let link = Link::new(&spec.latency, streams)?;
        let is_naive = spec.world == World::Naive;
        let is_instant =
            !options.is_watched || is_naive || link.feed_is_instant() && !options.has_local;
        Ok(Self {
            matching: Matching::new(&spec, book, streams, options.has_join)?,
            ledger: ShadowLedger::new(spec.instrument.tick_value_minor, spec.fees, options.samples)
                .with_impact(spec.impact.charge),
            host: Host::default(),
            link,
            digest: Digest::default(),
            log: Vec::new(),
            requests: Schedule::default(),
            replies: Schedule::default(),
            timers: Schedule::default(),
            is_instant,
            sight,
            is_view_stale: false,
            mid2: i64::MIN,
            group_ns: 0,
            exch_ns: Nanos::MIN,
            events: 0,
            wakes: 0,
            first_row: 0,
            is_started: false,
            fault: None,
            spec,
            options,
        })
    }

    /// Returns the description that the exchange was built from.
    #[must_use]
    pub fn spec(&self) -> &SimSpec {
        &self.spec
    }

    /// Returns the strategy's side.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the strategy's side for commands; they are sent by the next call that lets time pass.
    pub fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    /// Returns the OPI of a resting order in lots; `None` if it is unknown or the order does not rest.
    #[must_use]
    pub fn queue_ahead(&self, id: OrderId) -> Option<f64> {
        let order = self.matching.resting(id)?;
        (order.knowledge != Knowledge::Unknown).then(|| units_to_lots(order.ahead))
    }

    /// Returns the least and the greatest OPI of a resting order in lots, whatever the queue model; `None` without certificates, and where `queue_ahead` is.
    #[must_use]
    pub fn queue_ahead_range(&self, id: OrderId) -> Option<(Lots, Lots)> {
        let order = self.matching.resting(id)?;
        let certificate = order.certificate.as_ref()?;
        (order.knowledge != Knowledge::Unknown).then(|| certificate.range())
    }

    /// Returns the displayed size of a level on the exchange clock.
    #[must_use]
    pub fn level_lots(&self, side: Side, price: TickIndex) -> i32 {
        self.matching.recorded.book.size(side, price)
    }

    /// Returns the lots of a level that own takers have left, now on the exchange clock.
    #[must_use]
    pub fn available_lots(&self, side: Side, price: TickIndex) -> Lots {
        self.matching.available(side, price, self.exch_ns)
    }

    /// Returns the book on the exchange clock.
    #[must_use]
    pub fn book(&self) -> &E::Book {
        &self.matching.recorded.book
    }

    pub(crate) fn start(&mut self, at_ns: Nanos) {
        if !self.is_started {
            self.is_started = true;
            self.host.now_ns = at_ns;
            self.exch_ns = at_ns;
        }
    }

    // ---- one instant -------------------------------------------------------------------------------------------------------------

    /// Returns whether market groups may take the short way of `apply_quiet`.
    pub(crate) fn has_short_way(&self) -> bool {
        // In the naive world prints move the mark, and fill orders that the short way does not ask for.
        self.spec.world == World::LiveLike && !self.link.watches_load()
    }

    /// Goes on behind `rows` that concern nothing but the book, the last at `exch_ns`. Returns whether somebody may have to act.
    #[inline]
    pub(crate) fn passed(
        &mut self,
        exch_ns: Nanos,
        rows: u64,
        is_best_changed: bool,
    ) -> Result<bool> {
        self.exch_ns = exch_ns;
        self.group_ns = exch_ns;
        self.events += rows;
        self.is_view_stale |= self.is_instant;
        self.matching.pass_quiet();
        let mut is_scheduled = false;
        if is_best_changed {
            self.matching.cross_after_quiet(exch_ns);
            is_scheduled = !self.matching.output.is_empty();
            if is_scheduled {
                self.send_home()?;
            }
            self.mark(exch_ns)?;
        }
        Ok(is_scheduled || is_best_changed && self.is_instant)
    }

    /// Marks the account if the two-sided mid (in the naive world: the last price) moved.
    fn mark(&mut self, exch_ns: Nanos) -> Result<()> {
        let recorded = &self.matching.recorded;
        let mid2 = if self.spec.world == World::Naive {
            recorded
                .last_trade()
                .map(|print| 2 * i64::from(print.price))
        } else {
            let best = recorded.book.two_sided();
            best.map(|(bid, ask)| i64::from(bid) + i64::from(ask))
        };
        if let Some(mid2) = mid2.filter(|mid2| *mid2 != self.mid2) {
            self.mid2 = mid2;
            self.ledger.on_mark(exch_ns, mid2)?;
        }
        Ok(())
    }

    /// Handles own requests that arrive at or before `now_ns`.
    pub(crate) fn handle_requests(&mut self, now_ns: Nanos) -> Result<()> {
        while let Some((at_ns, sent)) = self.requests.pop_due(now_ns) {
            self.exch_ns = self.exch_ns.max(at_ns);
            if sent.is_refused {
                self.matching.output.push(Outcome {
                    event: refusal(sent.request, at_ns, Reason::Refused),
                    fill: None,
                    session: session_of(sent.request).1,
                });
            } else {
                self.matching.next_row = self.first_row + self.events;
                self.matching.handle(sent.request, at_ns);
            }
            self.send_home()?;
        }
        Ok(())
    }

    /// Books what just happened at the exchange and puts it on its way home.
    #[cold]
    fn send_home(&mut self) -> Result<()> {
        let mut output = std::mem::take(&mut self.matching.output);
        for outcome in output.drain(..) {
            let Outcome {
                mut event,
                fill,
                session,
            } = outcome;
            event.local_ns = self.link.report_ns(session, event.exch_ns);
            if let Some(mut fill) = fill {
                fill.local_ns = event.local_ns;
                self.ledger.on_fill(&fill)?;
            }
            self.record(&event);
            self.replies.push(event.local_ns, event);
        }
        self.matching.output = output;
        Ok(())
    }

    fn record(&mut self, event: &OrderEvent) {
        self.ledger.on_order_event(event);
        self.digest.add_event(event);
        if self.options.keep_log {
            self.log.push(*event);
        }
    }

    /// Says for which views of the market the strategy may have to be woken; before the first row.
    pub(crate) fn heed(&mut self, heeds: Heeds) {
        // Whoever sees the market as it happens reads it from the exchange's own book.
        if !self.is_instant {
            self.sight.heed(heeds);
        }
    }

    /// Shows the strategy every group that reaches it at or before `now_ns`. Returns whether there was one to act on.
    #[inline]
    pub(crate) fn see_groups(&mut self, now_ns: Nanos) -> bool {
        !self.is_instant && self.sight.see(&mut self.host.view, now_ns)
    }

    /// Brings the view up to the last market group seen.
    #[inline]
    pub(crate) fn refresh_view(&mut self) {
        if std::mem::take(&mut self.is_view_stale) {
            self.host.view = view_of(&self.matching.recorded, self.group_ns);
        }
    }

    pub(crate) fn is_instant(&self) -> bool {
        self.is_instant
    }

    pub(crate) fn is_indicative(&self) -> bool {
        self.matching.is_indicative()
    }

    /// Returns the best prices that the strategy sees.
    #[inline]
    pub(crate) fn seen_prices(&self) -> (Option<TickIndex>, Option<TickIndex>) {
        if self.is_instant {
            Touch::prices_of(&self.matching.recorded.book)
        } else {
            (self.host.view.best_bid, self.host.view.best_ask)
        }
    }

    /// Returns the best prices that the strategy sees, with their sizes.
    #[inline]
    pub(crate) fn seen_touch(&self) -> Touch {
        if self.is_instant {
            return Touch::of(&self.matching.recorded.book);
        }
        let view = &self.host.view;
        Touch {
            prices: (view.best_bid, view.best_ask),
            lots: (view.best_bid_lots, view.best_ask_lots),
        }
    }

    /// Returns when the next thing besides an unread market group is due.
    #[inline]
    pub(crate) fn next_due_ns(&self) -> Nanos {
        self.requests
            .next_ns()
            .min(self.replies.next_ns())
            .min(self.timers.next_ns())
            .min(self.sight.next_ns())
    }

    pub(crate) fn pop_reply(&mut self, now_ns: Nanos) -> Option<OrderEvent> {
        let event = self.replies.pop_due(now_ns)?.1;
        self.host.learn(&event);
        Some(event)
    }

    pub(crate) fn pop_timer(&mut self, now_ns: Nanos) -> Option<()> {
        self.timers.pop_due(now_ns).map(|_| ())
    }

    /// Sends what the strategy asked for.
    pub(crate) fn drain_outbox(&mut self) {
        if self.host.outbox.is_empty() && self.host.timers.is_empty() {
            return;
        }
        let now_ns = self.host.now_ns;
        let mut timers = std::mem::take(&mut self.host.timers);
        timers
            .drain(..)
            .for_each(|at_ns| self.timers.push(at_ns.max(now_ns), ()));
        self.host.timers = timers;
        let mut outbox = std::mem::take(&mut self.host.outbox);
        outbox
            .drain(..)
            .for_each(|request| self.send(request, now_ns));
        self.host.outbox = outbox;
    }

    fn send(&mut self, request: Request, now_ns: Nanos) {
        let (kind, session) = session_of(request);
        self.ledger.on_request(kind);
        if let Some(give_up_ns) = self.link.lost_until(now_ns) {
            let event = refusal(request, give_up_ns, Reason::Lost);
            self.record(&event);
            self.replies.push(give_up_ns, event);
        } else {
            let is_refused = self.link.is_refused(now_ns);
            let at_ns = self.link.arrival_ns(kind, session, now_ns);
            let sent = Sent {
                request,
                is_refused,
            };
            self.requests.push(at_ns, sent);
        }
    }

    // ---- end ---------------------------------------------------------------------------------------------------------------------

    /// Ends the run: requests under way and resting orders expire, the ledger is sealed.
    ///
    /// # Errors
    /// `Error::Ledger` if an identity of the account does not hold, and the error that ended a stepped run before.
    pub fn finish(mut self) -> Result<Outcomes> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let end_ns = self.exch_ns.max(0);
        self.drain_outbox();
        let mut open: Vec<OrderEvent> = Vec::new();
        for (_, sent) in self.requests.drain() {
            if let Request::Place { id, order } = sent.request {
                open.push(expired_event(
                    id,
                    order.side,
                    order.price,
                    order.qty,
                    end_ns,
                ));
            }
        }
        for order in self.matching.drain_resting(end_ns) {
            open.push(expired_event(
                order.id,
                order.side,
                order.price,
                order.leaves(),
                end_ns,
            ));
        }
        open.sort_by_key(|event| event.order_id);
        for event in &open {
            self.record(event);
        }
        let certificates = self.matching.certificates.take();
        self.ledger.judge(self.matching.arrivals, certificates);
        self.ledger.finish(end_ns)?;
        for (_, value) in self.ledger.totals() {
            self.digest.add_integer(value);
        }
        Ok(Outcomes {
            digest: self.digest.hex(),
            events: self.events,
            wakes: self.wakes,
            ledger: self.ledger,
            log: self.log,
            fills_out_of_turn: self.matching.fills_out_of_turn,
        })
    }
}

fn session_of(request: Request) -> (RequestKind, u8) {
    match request {
        Request::Place { order, .. } => (RequestKind::Place, order.session),
        Request::Cancel { session, .. } => (RequestKind::Cancel, session),
        Request::Amend { session, .. } => (RequestKind::Amend, session),
    }
}

/// Returns the answer to a request that never reaches the order book; until it is sent home it is seen when it is given.
fn refusal(request: Request, at_ns: Nanos, reason: Reason) -> OrderEvent {
    let (kind, order_id, side, price, qty) = match request {
        Request::Place { id, order } => {
            (EventKind::Rejected, id, order.side, order.price, order.qty)
        }
        Request::Cancel { id, .. } => (EventKind::CancelRejected, id, Side::Bid, 0, 0),
        Request::Amend { id, .. } => (EventKind::AmendRejected, id, Side::Bid, 0, 0),
    };
    OrderEvent {
        kind,
        order_id,
        exch_ns: at_ns,
        local_ns: at_ns,
        side,
        price,
        qty,
        leaves: 0,
        liquidity: Liquidity::Taker,
        reason,
    }
}

fn expired_event(
    order_id: OrderId,
    side: Side,
    price: TickIndex,
    qty: Lots,
    end_ns: Nanos,
) -> OrderEvent {
    OrderEvent {
        kind: EventKind::Expired,
        order_id,
        exch_ns: end_ns,
        local_ns: end_ns,
        side,
        price,
        qty,
        leaves: 0,
        liquidity: Liquidity::Taker,
        reason: Reason::EndOfData,
    }
}
