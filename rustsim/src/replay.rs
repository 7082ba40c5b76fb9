//! The loop over a tape: one exchange, one strategy, every row.
//!
//! The strategy is woken for its own events and timers always, for the market as its wake filter says; never in the middle of an instant.
//! Between wake-ups nothing but the book is touched, which is what makes a replay fast.

use crate::engine::{Direct, Engine};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::rows::{RowSource, rows_of_finished_times};
use crate::schedule::NEVER;
use crate::sight::{Heeds, Touch};
use crate::sim::{Outcomes, SimulatedExchange, WAKES_PER_INSTANT_MAX};
use crate::types::{Nanos, OrderEvent, Tick};

/// Groups between two calls of [`Strategy::poll`].
const POLL_GROUPS: u32 = 1 << 16;

/// Which market groups wake the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeFilter {
    /// Those after which a best price is another than before.
    Best,
    /// Those after which a best price or the size at it is another.
    Touch,
    /// All.
    Every,
    /// None.
    Own,
}

impl WakeFilter {
    /// Returns the filter of that name.
    ///
    /// # Errors
    /// `Error::Replay` for an unknown name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "best" => Ok(Self::Best),
            "touch" => Ok(Self::Touch),
            "every" => Ok(Self::Every),
            "own" => Ok(Self::Own),
            other => Err(Error::Replay(format!(
                "wake: expected best, touch, every or own, found {other:?}"
            ))),
        }
    }

    /// Returns the views that may wake.
    fn heeds(self) -> Heeds {
        match self {
            Self::Best => Heeds::Prices,
            Self::Touch | Self::Every => Heeds::Every,
            Self::Own => Heeds::Nothing,
        }
    }
}

/// Why the strategy is called.
#[derive(Debug)]
pub struct Wake<'a> {
    /// What it has learnt of its orders, in order.
    pub events: &'a [OrderEvent],
    /// A timer is due.
    pub is_timer: bool,
    /// The market matches the wake filter.
    pub is_tick: bool,
}

/// Something that decides. It sees `Host` and writes commands into it.
pub trait Strategy {
    /// Called before the first row.
    ///
    /// # Errors
    /// Whatever ends the replay.
    fn on_start(&mut self, host: &mut Host) -> Result<()>;

    /// Called once per instant that concerns the strategy.
    ///
    /// # Errors
    /// Whatever ends the replay.
    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()>;

    /// Called after the last row; commands have no effect any more.
    ///
    /// # Errors
    /// Whatever ends the replay.
    fn on_end(&mut self, host: &mut Host) -> Result<()>;

    /// Called now and then, so that a long quiet stretch can be interrupted.
    ///
    /// # Errors
    /// Whatever ends the replay.
    fn poll(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A strategy that never acts: replays the market alone.
#[derive(Debug, Clone, Copy)]
pub struct Spectator;

impl Strategy for Spectator {
    fn on_start(&mut self, _: &mut Host) -> Result<()> {
        Ok(())
    }

    fn on_wake(&mut self, _: &Wake<'_>, _: &mut Host) -> Result<()> {
        Ok(())
    }

    fn on_end(&mut self, _: &mut Host) -> Result<()> {
        Ok(())
    }
}

/// Where groups of rows come from, and what an engine does with them.
pub(crate) trait Market<E: Engine> {
    /// Returns the time of the next group at hand.
    fn next_ns(&self) -> Option<Nanos>;

    /// Applies the next group; returns whether something new is under way.
    ///
    /// # Errors
    /// Those of [`replay`].
    fn apply_next(&mut self, exchange: &mut SimulatedExchange<E>) -> Result<bool>;

    /// Goes through groups before `before_ns`, up to the first after which somebody may have to act; an engine may stop earlier. Returns how many groups
    /// (or rows, where they are not told apart) that were, and whether somebody may have to act.
    ///
    /// # Errors
    /// Those of [`replay`].
    fn pass_quiet(
        &mut self,
        exchange: &mut SimulatedExchange<E>,
        before_ns: Nanos,
    ) -> Result<(usize, bool)>;
}

/// Complete groups of rows at hand, for the direct engine.
struct Window<'a> {
    rows: &'a [Tick],
    /// Tape number of the first.
    first_row: usize,
    /// Place of the next one.
    next: usize,
}

impl Market<Direct> for Window<'_> {
    #[inline]
    fn next_ns(&self) -> Option<Nanos> {
        self.rows.get(self.next).map(|row| row.exch_ns)
    }

    #[inline]
    fn apply_next(&mut self, exchange: &mut SimulatedExchange) -> Result<bool> {
        let start = self.next;
        let now_ns = self.rows[start].exch_ns;
        let mut stop = start + 1;
        while stop < self.rows.len() && self.rows[stop].exch_ns == now_ns {
            stop += 1;
        }
        self.next = stop;
        exchange.apply_group::<false>(&self.rows[start..stop], self.first_row + start)
    }

    #[inline]
    fn pass_quiet(
        &mut self,
        exchange: &mut SimulatedExchange,
        before_ns: Nanos,
    ) -> Result<(usize, bool)> {
        let passed = exchange.apply_quiet(&self.rows[self.next..], before_ns)?;
        self.next += passed.0;
        Ok(passed)
    }
}

/// Replays `rows` (sorted by exchange time; `first_row` is the tape number of the first) and finishes the run.
///
/// # Errors
/// `Error::Replay` for a strategy that acts without end at one instant, `Error::Ledger` and `Error::Tick` from the exchange, `Error::Tape` from a
/// tape that was written into, and whatever the strategy returns.
pub fn replay<R: RowSource, S: Strategy + ?Sized>(
    mut exchange: SimulatedExchange,
    mut rows: R,
    first_row: usize,
    filter: WakeFilter,
    strategy: &mut S,
) -> Result<Outcomes> {
    if let Some(span_ns) = rows.span_ns() {
        let mut run = Run::begin(&mut exchange, span_ns, first_row, filter, strategy)?;
        let (mut first_row, mut used) = (first_row, 0);
        while rows.advance(used)? {
            first_row += used;
            let window = rows.window();
            let mut window = Window {
                rows: &window[..rows_of_finished_times(window)],
                first_row,
                next: 0,
            };
            run.drive(&mut window, false, &mut exchange, strategy)?;
            used = window.next;
        }
        let mut window = Window {
            rows: rows.window(),
            first_row,
            next: used,
        };
        run.drive(&mut window, true, &mut exchange, strategy)?;
        Run::end(&mut exchange, strategy)?;
    }
    exchange.finish()
}

/// One strategy on its way through the market.
#[derive(Debug)]
pub(crate) struct Run {
    end_ns: Nanos,
    filter: WakeFilter,
    /// Groups that change no best price wake nobody by themselves.
    has_short_way: bool,
    /// When the next thing besides a market group is due.
    due_ns: Nanos,
    touch: Touch,
    events: Vec<OrderEvent>,
    wake_ns: Nanos,
    wakes_at_instant: u32,
    until_poll: u32,
}

impl Run {
    /// Starts the strategy at the first of two times; the second is that of the last row.
    pub(crate) fn begin<E: Engine, S: Strategy + ?Sized>(
        exchange: &mut SimulatedExchange<E>,
        (start_ns, end_ns): (Nanos, Nanos),
        first_row: usize,
        filter: WakeFilter,
        strategy: &mut S,
    ) -> Result<Self> {
        exchange.start(start_ns);
        exchange.first_row = first_row as u64;
        exchange.heed(filter.heeds());
        strategy.on_start(&mut exchange.host)?;
        exchange.drain_outbox();
        Ok(Self {
            end_ns,
            filter,
            has_short_way: exchange.has_short_way()
                && matches!(filter, WakeFilter::Best | WakeFilter::Own),
            due_ns: exchange.next_due_ns(),
            touch: Touch::default(),
            events: Vec::new(),
            wake_ns: Nanos::MIN,
            wakes_at_instant: 0,
            until_poll: POLL_GROUPS,
        })
    }

    /// Tells the strategy that it is over; what it asks for then has no effect.
    pub(crate) fn end<E: Engine, S: Strategy + ?Sized>(
        exchange: &mut SimulatedExchange<E>,
        strategy: &mut S,
    ) -> Result<()> {
        strategy.on_end(&mut exchange.host)?;
        exchange.host.outbox.clear();
        exchange.host.timers.clear();
        Ok(())
    }

    /// Lives through the groups at hand, all of which are complete; `is_last` says that none follow.
    pub(crate) fn drive<E: Engine, M: Market<E>, S: Strategy + ?Sized>(
        &mut self,
        market: &mut M,
        is_last: bool,
        exchange: &mut SimulatedExchange<E>,
        strategy: &mut S,
    ) -> Result<()> {
        loop {
            if self.has_short_way && self.pass_quiet_groups(market, exchange, strategy)? {
                continue;
            }
            let market_ns = match market.next_ns() {
                Some(at_ns) => at_ns,
                None if is_last => NEVER,
                None => return Ok(()),
            };
            let now_ns = market_ns.min(self.due_ns);
            if now_ns > self.end_ns {
                return Ok(());
            }
            let mut has_news = false;
            if market_ns == now_ns {
                if market.apply_next(exchange)? {
                    self.due_ns = exchange.next_due_ns();
                }
                has_news = exchange.is_instant() && !exchange.is_indicative();
                self.count_groups(1, strategy)?;
            }
            if self.due_ns > now_ns && !(has_news && self.concerns_instantly(exchange)) {
                continue;
            }
            self.settle_instant(exchange, strategy, now_ns, has_news)?;
        }
    }

    /// Takes the short way as far as it goes; returns whether that was anywhere.
    fn pass_quiet_groups<E: Engine, M: Market<E>, S: Strategy + ?Sized>(
        &mut self,
        market: &mut M,
        exchange: &mut SimulatedExchange<E>,
        strategy: &mut S,
    ) -> Result<bool> {
        let before_ns = self.due_ns.min(self.end_ns.saturating_add(1));
        let (used, is_news) = market.pass_quiet(exchange, before_ns)?;
        if used == 0 {
            return Ok(false);
        }
        self.count_groups(u32::try_from(used).unwrap_or(u32::MAX), strategy)?;
        if is_news {
            self.due_ns = exchange.next_due_ns();
            if exchange.is_instant() && self.concerns_instantly(exchange) {
                self.settle_instant(exchange, strategy, exchange.exch_ns, true)?;
            }
        }
        Ok(true)
    }

    /// Counts groups (or rows, where they are not told apart) towards the next poll.
    #[inline]
    fn count_groups<S: Strategy + ?Sized>(&mut self, count: u32, strategy: &mut S) -> Result<()> {
        self.until_poll = self.until_poll.saturating_sub(count);
        if self.until_poll == 0 {
            self.until_poll = POLL_GROUPS;
            strategy.poll()?;
        }
        Ok(())
    }

    /// Returns whether a group seen at once matches the wake filter. A match of prices is remembered only in `settle_instant`.
    #[inline]
    fn concerns_instantly<E: Engine>(&self, exchange: &SimulatedExchange<E>) -> bool {
        match self.filter {
            WakeFilter::Best => exchange.seen_prices() != self.touch.prices,
            WakeFilter::Touch | WakeFilter::Every => true,
            WakeFilter::Own => false,
        }
    }

    fn settle_instant<E: Engine, S: Strategy + ?Sized>(
        &mut self,
        exchange: &mut SimulatedExchange<E>,
        strategy: &mut S,
        now_ns: Nanos,
        mut has_news: bool,
    ) -> Result<()> {
        exchange.handle_requests(now_ns)?;
        has_news |= exchange.see_groups(now_ns);
        self.events.clear();
        while let Some(event) = exchange.pop_reply(now_ns) {
            self.events.push(event);
        }
        let mut is_timer = false;
        while exchange.pop_timer(now_ns).is_some() {
            is_timer = true;
        }
        let is_tick = has_news && self.matches_filter(exchange);
        if is_tick || is_timer || !self.events.is_empty() {
            self.count_wake(now_ns)?;
            exchange.wakes += 1;
            exchange.host.now_ns = now_ns;
            exchange.refresh_view();
            strategy.on_wake(
                &Wake {
                    events: &self.events,
                    is_timer,
                    is_tick,
                },
                &mut exchange.host,
            )?;
            exchange.drain_outbox();
        }
        self.due_ns = exchange.next_due_ns();
        Ok(())
    }

    fn matches_filter<E: Engine>(&mut self, exchange: &SimulatedExchange<E>) -> bool {
        match self.filter {
            WakeFilter::Best => {
                let prices = exchange.seen_prices();
                std::mem::replace(&mut self.touch.prices, prices) != prices
            }
            WakeFilter::Touch => {
                let touch = exchange.seen_touch();
                std::mem::replace(&mut self.touch, touch) != touch
            }
            WakeFilter::Every => true,
            WakeFilter::Own => false,
        }
    }

    fn count_wake(&mut self, now_ns: Nanos) -> Result<()> {
        if self.wake_ns != now_ns {
            self.wake_ns = now_ns;
            self.wakes_at_instant = 0;
        }
        self.wakes_at_instant += 1;
        if self.wakes_at_instant > WAKES_PER_INSTANT_MAX {
            return Err(Error::Replay(format!(
                "the strategy was woken more than {WAKES_PER_INSTANT_MAX} times at {now_ns} ns; it answers its own events \
                 without end while latency is zero: give place and report a latency, or stop after a bounded number of tries"
            )));
        }
        Ok(())
    }
}
