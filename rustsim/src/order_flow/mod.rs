//! Order events in, canonical rows out: a full order book with identities and first-in-first-out queues.
//!
//! Sources that tell every order (LOBSTER, Databento MBO, ITCH-like feeds) are turned here into the rows of `docs/semantics.md`, each row
//! that removes lots carrying the `join` ordinal of the order that lost them, so that a replay knows which cancel was ahead of an own
//! order and which was behind.
//!
//! | event | rows |
//! |---|---|
//! | add | LEVEL with the larger size; its ordinal is the order's join |
//! | reduce, delete, smaller modify | LEVEL with the smaller size and the order's join; the rest keeps its place |
//! | modify to another price or a larger size | LEVEL of the place left (with join), LEVEL of the place taken: a new join |
//! | execute | TRADE at the order's price with join; auction data: a TRADE that moves nothing, then LEVEL |
//! | fill | as execute, but a later event of the same packet may tell the removal again, which is then not applied twice |
//! | print | TRADE if strictly between the best prices, else no row: see below |
//! | seed | LEVEL of a level whose orders are not known: an *anonymous* block in front of the queue |
//! | clear | CLEAR; every order is forgotten |
//! | pause | an INDICATIVE row that changes nothing: an empty bid level where no bid can rest |
//!
//! **Anonymous lots** stand ahead of every known order of their price and are taken by events whose id is unknown; such rows have join 0.
//! That is what an opening snapshot without ids allows to know.
//!
//! **Prints that touch no visible order** (hidden executions). A TRADE row at a price says that liquidity resting there was hit: it takes lots
//! from the displayed queue and fills own orders in it. Hidden lots are taken after all displayed lots of their price, so strictly between the
//! best prices a print is a TRADE row: nothing displayed is touched, and an own displayed order at that price would have been hit first. At a
//! price where something is displayed, or behind it, the print took nothing from any displayed queue: it makes no row and is counted.
//! Lots that a fill tells beyond those its order displays (an iceberg, renewed within the packet) are such a print, behind the packet's fills.
//!
//! Cost: one hash lookup and a few loads per event, plus a binary search in the sorted prices of a side where an event names a price.
//! Known limits: own-order effects are the replay's business; auctions are told, not matched.

mod book;
mod convert;
mod counts;
mod hidden_lots;
mod image;
mod prints;

#[cfg(test)]
mod tests;

pub use convert::OrderFlow;
pub use counts::FlowCounts;
pub use image::Image;

use crate::types::{Nanos, Tick, TickIndex};

/// An order joins the back of its queue.
pub const ACTION_ADD: u8 = 0;
/// An order leaves with all its lots.
pub const ACTION_DELETE: u8 = 1;
/// Lots of an order trade; the book loses them.
pub const ACTION_EXECUTE: u8 = 2;
/// An order loses lots and keeps its place.
pub const ACTION_REDUCE: u8 = 3;
/// An order gets a price and a size; an unknown one is added.
pub const ACTION_MODIFY: u8 = 4;
/// As execute, told again by a delete, reduce or modify later in the packet.
pub const ACTION_FILL: u8 = 5;
/// A trade that touches no displayed order.
pub const ACTION_PRINT: u8 = 6;
/// A level holds these lots of unknown orders and nothing else.
pub const ACTION_SEED: u8 = 7;
/// Both sides are wiped.
pub const ACTION_CLEAR: u8 = 8;

/// Nothing trades from here on, until a row without the INDICATIVE flag.
pub const ACTION_PAUSE: u8 = 9;
/// Nothing happens to the book.
pub const ACTION_NONE: u8 = 10;

/// Side that an event about a known order need not state.
pub const SIDE_NOT_STATED: u8 = 255;
/// Price that an event about a known order need not state.
pub const PRICE_NOT_STATED: TickIndex = TickIndex::MIN;

/// One order event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEvent {
    /// Exchange time; the caller sees to its order.
    pub exch_ns: Nanos,
    /// Local time; equal to `exch_ns` where there is none.
    pub local_ns: Nanos,
    /// Identity of the order; ignored for print, seed and clear.
    pub order_id: u64,
    /// Price as tick index, or [`PRICE_NOT_STATED`].
    pub price: TickIndex,
    /// Lots: added, removed, traded, or (modify, seed) left afterwards; ignored for delete of a known order and for clear.
    pub qty: i32,
    /// `ACTION_*`.
    pub action: u8,
    /// 0 bid, 1 ask, or [`SIDE_NOT_STATED`].
    pub side: u8,
    /// Flags for the rows; LAST is ignored.
    pub flags: u8,
    /// Whether the event ends its packet.
    pub ends_packet: bool,
}

/// A rule that an event broke, and what was made of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowFault {
    /// The action, side, price or quantity is none that the event may have: left out.
    BadValue = 0,
    /// The order is not known, nor are there as many anonymous lots at its price: left out (modify: added).
    UnknownOrder = 1,
    /// An order of this id stands already: left out.
    DuplicateOrder = 2,
    /// More lots removed than the order has: it loses what it has.
    Excess = 3,
    /// Side or price differ from the order's: the order's hold.
    Mismatch = 4,
    /// The order traded although others stood before it in its queue: applied, and it stands in front from then on.
    NotFront = 5,
    /// A level would hold more lots than a row can tell: left out.
    TooManyLots = 6,
    /// After the packet the best bid stands above the best ask.
    Crossed = 7,
    /// After the packet the best bid equals the best ask.
    Locked = 8,
    /// The book differs from the picture told along with the event: the picture holds, orders of the levels that differ are forgotten.
    ImageMismatch = 9,
}

impl FlowFault {
    /// Every fault in the order of its code, with its name.
    pub const NAMES: [&'static str; 10] = [
        "bad_value",
        "unknown_order",
        "duplicate_order",
        "excess",
        "mismatch",
        "not_front",
        "too_many_lots",
        "crossed",
        "locked",
        "image_mismatch",
    ];
}

/// Where in its queue the removed lots stood; -1 for rows that remove nothing, or nobody knows from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePlace {
    /// Lots in front.
    pub ahead: i32,
    /// Lots behind.
    pub behind: i32,
}

impl QueuePlace {
    /// No place.
    pub const NONE: Self = Self {
        ahead: -1,
        behind: -1,
    };
}

/// Price and lots of the best levels after a packet; 0 lots: the side is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// Highest bid.
    pub bid: (TickIndex, i32),
    /// Lowest ask.
    pub ask: (TickIndex, i32),
}

/// What a run of events becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowRows {
    /// Canonical rows; the LAST flag is the tape builder's.
    pub rows: Vec<Tick>,
    /// Event (from 0 in the run) of each row.
    pub events: Vec<u32>,
    /// Queue place per row; empty unless asked for.
    pub places: Vec<QueuePlace>,
    /// Changed best levels with the event that ended their packet; empty unless asked for.
    pub quotes: Vec<(Quote, u32)>,
    /// Broken rules with their event, in the order of events.
    pub faults: Vec<(FlowFault, u32)>,
}
