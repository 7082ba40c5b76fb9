//! A strategy that was compiled outside of this crate: a plain function, called on the simulator's own records without an interpreter.
//!
//! Records ([`Market`], [`Event`], [`Out`]) consist of 64-bit integers; parameters and state of the strategy are 64-bit words of its own, integers or
//! floats. The function is called once per own event, then once for timers, then once for the market: the same calls, in the same order, as the hooks
//! of a strategy in Python get. It writes commands into `Out`, which are sent when it returns. Cost of a call: a few nanoseconds plus its own work.
//!
//! Known limits: at most [`COMMANDS_MAX`] commands per call; of an exception the function tells only that there was one.
#![allow(
    unsafe_code,
    reason = "a function of another compiler can only be called through its address"
)]

use std::mem::offset_of;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::link::SESSIONS_MAX;
use crate::replay::{Strategy, Wake};
use crate::types::{
    EventKind, Liquidity, Lots, OrderEvent, OrderRequest, OrderType, Side, TakePolicy, TickIndex,
    TimeInForce,
};

/// Version of the records and of the order of calls.
pub const VERSION: i64 = 1;
/// Most commands that one call may write.
pub const COMMANDS_MAX: usize = 64;
/// Stands for "no such price", and in an amend for "as it is": far outside of all prices, and far from overflow in sums of a few.
pub const NONE: i64 = -(1 << 40);

const TICK: i64 = 0;
const TIMER: i64 = 9;
const START: i64 = 10;
const END: i64 = 11;

const PLACE: i64 = 1;
const CANCEL: i64 = 2;
const AMEND: i64 = 3;
const SET_TIMER: i64 = 4;

macro_rules! record {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_about])* pub $field: i64,)*
        }

        impl $name {
            fn layout() -> Value {
                json!([$([stringify!($field), offset_of!($name, $field)]),*])
            }
        }
    };
}

record! {
    /// What the strategy sees of the market.
    Market {
        /// Local time.
        now_ns,
        /// Exchange time of the newest group seen.
        exch_ns,
        /// Best bid, [`NONE`] while that side is empty.
        best_bid_ticks,
        /// Best ask, [`NONE`] while that side is empty.
        best_ask_ticks,
        /// Displayed lots at the best bid.
        best_bid_lots,
        /// Displayed lots at the best ask.
        best_ask_lots,
        /// Price of the last print seen, [`NONE`] before the first.
        last_trade_ticks,
        /// Its lots.
        last_trade_lots,
        /// 0 it hit bids, 1 it hit asks.
        last_trade_side,
        /// Position from all fills seen by now.
        position_lots,
    }
}

record! {
    /// Why the strategy is called; for own events also what happened.
    Event {
        /// 0 market, 1 to 8 an own event ([`EventKind`]), 9 timer, 10 start, 11 end.
        kind,
        /// Own order, 0 where there is none.
        order_id,
        /// 0 buy, 1 sell.
        side,
        /// Price of the fill, or limit of the order.
        price_ticks,
        /// Lots of the fill, lots cancelled or expired, else the order's total quantity.
        quantity_lots,
        /// Lots still open afterwards.
        leaves_lots,
        /// 1 for a fill of a resting order.
        is_maker,
        /// Code of [`crate::types::Reason`].
        reason,
        /// When it happened at the exchange.
        exch_ns,
        /// When the strategy sees it.
        local_ns,
    }
}

record! {
    /// One command.
    Command {
        /// 1 place, 2 cancel, 3 amend, 4 timer.
        verb,
        /// The order: the next free id for a new one.
        order_id,
        /// 0 buy, 1 sell.
        side,
        /// Limit, or new limit ([`NONE`]: as it is).
        price_ticks,
        /// Quantity, or new total quantity ([`NONE`]: as it is).
        quantity_lots,
        /// 1: refuse the order rather than take.
        post_only,
        /// 0 limit, 1 market.
        order_type,
        /// 0 rest of day, 1 immediate or cancel, 2 fill or kill.
        time_in_force,
        /// Order session.
        session,
        /// Local time of a timer.
        at_ns,
    }
}

/// Where the strategy writes its commands.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Out {
    /// Commands written; above [`COMMANDS_MAX`] the last ones had no place.
    pub count: i64,
    /// Id of the next new order.
    pub next_id: i64,
    /// The commands.
    pub commands: [Command; COMMANDS_MAX],
}

/// A compiled strategy: 1 if all is well, 0 if it raised.
pub type Function = unsafe extern "C" fn(
    market: *const Market,
    event: *const Event,
    params: *const u64,
    state: *mut u64,
    out: *mut Out,
) -> i64;

/// Returns names and places of all fields, and all codes, for compilers to compare with what they believe.
#[must_use]
pub fn layout() -> Value {
    json!({
        "version": VERSION,
        "none": NONE,
        "commands_max": COMMANDS_MAX,
        "records": {
            "Market": Market::layout(),
            "Event": Event::layout(),
            "Command": Command::layout(),
            "Out": [
                ["count", offset_of!(Out, count)],
                ["next_id", offset_of!(Out, next_id)],
                ["commands", offset_of!(Out, commands)],
            ],
        },
        "bytes": {
            "Market": size_of::<Market>(),
            "Event": size_of::<Event>(),
            "Command": size_of::<Command>(),
            "Out": size_of::<Out>(),
        },
    })
}

/// A compiled strategy with its parameters and its state.
#[derive(Debug)]
pub struct KernelStrategy {
    function: Function,
    market: Market,
    event: Event,
    params: Vec<u64>,
    state: Vec<u64>,
    out: Box<Out>,
}

impl KernelStrategy {
    /// Makes a strategy of a function and the words of its parameters and its state.
    ///
    /// # Safety
    /// `function` must stay loaded as long as this value lives, write nothing but `state` and `out`, and read `params` and `state` only within the words given.
    // SAFETY: what the caller owes is stated above; `call` relies on it.
    #[must_use]
    pub unsafe fn new(function: Function, params: Vec<u64>, state: Vec<u64>) -> Self {
        Self {
            function,
            market: Market::default(),
            event: Event::default(),
            params,
            state,
            out: Box::new(Out {
                count: 0,
                next_id: 1,
                commands: [Command::default(); COMMANDS_MAX],
            }),
        }
    }

    /// Returns the words of the state as the last call left them.
    #[must_use]
    pub fn into_state(self) -> Vec<u64> {
        self.state
    }

    #[inline]
    fn look(&mut self, host: &Host) {
        let view = &host.view;
        let price = |price: Option<TickIndex>| price.map_or(NONE, i64::from);
        self.market = Market {
            now_ns: host.now_ns,
            exch_ns: view.exch_ns,
            best_bid_ticks: price(view.best_bid),
            best_ask_ticks: price(view.best_ask),
            best_bid_lots: view.best_bid_lots.into(),
            best_ask_lots: view.best_ask_lots.into(),
            last_trade_ticks: price(view.last_trade.map(|print| print.price)),
            last_trade_lots: view.last_trade.map_or(0, |print| print.lots.into()),
            last_trade_side: view.last_trade.map_or(0, |print| print.side as i64),
            position_lots: host.position(),
        };
    }

    #[inline]
    fn call(&mut self, event: Event, host: &mut Host) -> Result<()> {
        self.event = event;
        // SAFETY: all pointers are to live records of the stated layout, nobody else holds them during the call, and the function keeps what `new` demands.
        let code = unsafe {
            (self.function)(
                &raw const self.market,
                &raw const self.event,
                self.params.as_ptr(),
                self.state.as_mut_ptr(),
                &raw mut *self.out,
            )
        };
        if code != 1 {
            return Err(self.raised());
        }
        if self.out.count == 0 {
            return Ok(());
        }
        self.send(host)
    }

    #[cold]
    fn raised(&self) -> Error {
        let Event { kind, order_id, .. } = self.event;
        let now_ns = self.market.now_ns;
        let why = match kind {
            TICK => "for the market".to_owned(),
            TIMER => "for a timer".to_owned(),
            START => "at the start".to_owned(),
            END => "at the end".to_owned(),
            kind => format!("for event {kind} of order {order_id}"),
        };
        Error::Replay(format!(
            "the compiled strategy raised an exception at {now_ns} ns, called {why}; the same replay in the mode interpreted shows exception and line"
        ))
    }

    fn send(&mut self, host: &mut Host) -> Result<()> {
        let count = std::mem::take(&mut self.out.count);
        let commands = usize::try_from(count)
            .ok()
            .and_then(|count| self.out.commands.get(..count))
            .ok_or_else(|| {
                Error::Replay(format!(
                    "the compiled strategy wrote {count} commands in one call at {} ns, at most {COMMANDS_MAX} fit",
                    self.market.now_ns
                ))
            })?;
        for command in commands {
            command.send(host).map_err(|what| {
                let now_ns = self.market.now_ns;
                Error::Replay(format!(
                    "a command of the compiled strategy at {now_ns} ns: {what}"
                ))
            })?;
        }
        Ok(())
    }
}

impl Command {
    fn send(&self, host: &mut Host) -> std::result::Result<(), String> {
        let price = || {
            TickIndex::try_from(self.price_ticks)
                .map_err(|_| format!("price_ticks: no price can be {}", self.price_ticks))
        };
        let session = || {
            let session = u8::try_from(self.session).ok();
            let session = session.filter(|session| *session < SESSIONS_MAX);
            session.ok_or_else(|| {
                let expected = format!("0 to {}", SESSIONS_MAX - 1);
                one_of("session", self.session, &expected)
            })
        };
        match self.verb {
            PLACE => {
                let id = host.place_order(self.order(price()?, session()?)?);
                if i64::try_from(id) != Ok(self.order_id) {
                    return Err(format!("order {id} was expected to be {}", self.order_id));
                }
            }
            CANCEL => {
                if let Ok(id) = u64::try_from(self.order_id) {
                    host.cancel_order(id, session()?);
                }
            }
            AMEND => {
                let price = (self.price_ticks != NONE).then(price).transpose()?;
                let lots: Option<Lots> = (self.quantity_lots != NONE).then_some(self.quantity_lots);
                if let Ok(id) = u64::try_from(self.order_id) {
                    host.amend_order(id, price, lots, session()?);
                }
            }
            SET_TIMER => host.set_timer(self.at_ns),
            other => return Err(one_of("verb", other, "1 to 4")),
        }
        Ok(())
    }

    fn order(&self, price: TickIndex, session: u8) -> std::result::Result<OrderRequest, String> {
        let side = u8::try_from(self.side).ok().and_then(Side::from_code);
        Ok(OrderRequest {
            side: side.ok_or_else(|| one_of("side", self.side, "0 (buy) or 1 (sell)"))?,
            price,
            qty: self.quantity_lots,
            order_type: match self.order_type {
                0 => OrderType::Limit,
                1 => OrderType::Market,
                other => return Err(one_of("order_type", other, "0 (limit) or 1 (market)")),
            },
            time_in_force: match self.time_in_force {
                0 => TimeInForce::Rod,
                1 => TimeInForce::Ioc,
                2 => TimeInForce::Fok,
                other => {
                    return Err(one_of(
                        "time_in_force",
                        other,
                        "0 (rod), 1 (ioc) or 2 (fok)",
                    ));
                }
            },
            take_policy: if self.post_only == 0 {
                TakePolicy::MayTake
            } else {
                TakePolicy::PostOnly
            },
            session,
        })
    }
}

fn one_of(name: &str, found: i64, expected: &str) -> String {
    format!("{name}: expected {expected}, found {found}")
}

impl Event {
    fn plain(kind: i64) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }
}

impl From<&OrderEvent> for Event {
    fn from(event: &OrderEvent) -> Self {
        let is_maker = event.kind == EventKind::Filled && event.liquidity == Liquidity::Maker;
        Self {
            kind: event.kind as i64,
            order_id: event.order_id.cast_signed(),
            side: event.side as i64,
            price_ticks: event.price.into(),
            quantity_lots: event.qty,
            leaves_lots: event.leaves,
            is_maker: is_maker.into(),
            reason: event.reason as i64,
            exch_ns: event.exch_ns,
            local_ns: event.local_ns,
        }
    }
}

impl Strategy for KernelStrategy {
    fn on_start(&mut self, host: &mut Host) -> Result<()> {
        self.out.next_id = host.next_id().cast_signed();
        self.look(host);
        self.call(Event::plain(START), host)
    }

    #[inline]
    fn on_wake(&mut self, wake: &Wake<'_>, host: &mut Host) -> Result<()> {
        self.look(host);
        for event in wake.events {
            self.call(event.into(), host)?;
        }
        if wake.is_timer {
            self.call(Event::plain(TIMER), host)?;
        }
        if wake.is_tick {
            self.call(Event::plain(TICK), host)?;
        }
        Ok(())
    }

    fn on_end(&mut self, host: &mut Host) -> Result<()> {
        self.look(host);
        self.call(Event::plain(END), host)
    }
}

#[cfg(test)]
mod tests;
