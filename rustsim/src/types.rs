//! The values that every room of the core speaks in.
//!
//! Aliases rather than wrapper types where a value lives in a mapped row or a hot loop; the unit is in the alias.

/// Nanoseconds UTC, or a span of them.
pub type Nanos = i64;
/// Index into the instrument's tick table.
pub type TickIndex = i32;
/// Whole lots.
pub type Lots = i64;
/// Minor units of the instrument's currency.
pub type Money = i64;
/// Id of an own order: 1, 2, 3 ... in the order of `place_order` calls.
pub type OrderId = u64;

/// Fraction bits of a queue position: 1/2^20 lot.
pub const AHEAD_SHIFT: u32 = 20;
/// One lot in queue-position units.
pub const AHEAD_ONE: i64 = 1 << AHEAD_SHIFT;

/// Row kind: absolute displayed size of one level.
pub const KIND_LEVEL: u8 = 0;
/// Row kind: a print.
pub const KIND_TRADE: u8 = 1;
/// Row kind: both sides of the book are wiped.
pub const KIND_CLEAR: u8 = 2;

/// Flag: last row of its exchange message.
pub const FLAG_LAST: u8 = 1;
/// Flag: the row is part of a multi-level book image.
pub const FLAG_IMAGE: u8 = 2;
/// Flag: auction trial data; it fills nothing.
pub const FLAG_INDICATIVE: u8 = 4;
/// Flag: first row after lost data.
pub const FLAG_GAP: u8 = 8;
/// Flag: a level of size 0 that left the visible window instead of becoming empty.
pub const FLAG_OUT_OF_VIEW: u8 = 16;
/// All flags that a row may carry.
pub const FLAGS_ALL: u8 = FLAG_LAST | FLAG_IMAGE | FLAG_INDICATIVE | FLAG_GAP | FLAG_OUT_OF_VIEW;

/// Side of an order, or of the book that a row touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    /// Buy order, bid side of the book.
    Bid = 0,
    /// Sell order, ask side of the book.
    Ask = 1,
}

impl Side {
    /// Returns the side with this code (0 bid, 1 ask).
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Bid),
            1 => Some(Self::Ask),
            _ => None,
        }
    }

    /// Returns the opposite side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }

    /// Returns a number that is lower for a better price, to sort and compare levels of one side by.
    #[inline]
    #[must_use]
    pub fn rank(self, price: TickIndex) -> i64 {
        -self.sign() * i64::from(price)
    }

    /// Returns +1 for a buy and -1 for a sell.
    #[must_use]
    pub fn sign(self) -> i64 {
        match self {
            Self::Bid => 1,
            Self::Ask => -1,
        }
    }

    /// Returns whether `price` is at `limit` or better for an order of this side that wants to trade up to `limit`.
    #[must_use]
    pub fn reaches(self, limit: TickIndex, price: TickIndex) -> bool {
        match self {
            Self::Bid => price <= limit,
            Self::Ask => price >= limit,
        }
    }

    /// Returns whether `price` stands before `other` on this side of the book (higher bid, lower ask).
    #[must_use]
    pub fn is_better(self, price: TickIndex, other: TickIndex) -> bool {
        match self {
            Self::Bid => price > other,
            Self::Ask => price < other,
        }
    }
}

/// One market row, exactly as it lies in a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Tick {
    /// Exchange time.
    pub exch_ns: Nanos,
    /// Local receive time; equal to `exch_ns` on tapes without a local clock.
    pub local_ns: Nanos,
    /// Price as tick index.
    pub price: TickIndex,
    /// Displayed size of the level, or size of the print, in lots.
    pub qty: i32,
    /// Level-3 join ordinal, 0 where there is none.
    pub join: u32,
    /// [`KIND_LEVEL`], [`KIND_TRADE`] or [`KIND_CLEAR`].
    pub kind: u8,
    /// Book side, 0 bid, 1 ask.
    pub side: u8,
    /// Sum of `FLAG_*`.
    pub flags: u8,
    /// Zero.
    pub reserved: u8,
}

/// One print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// Price.
    pub price: TickIndex,
    /// Lots.
    pub lots: i32,
    /// Side of the resting orders that it hit.
    pub side: Side,
}

/// When an order may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeInForce {
    /// Rest of day.
    Rod,
    /// Immediate or cancel.
    Ioc,
    /// Fill or kill.
    Fok,
}

/// Whether an order carries a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderType {
    /// Trades at its price or better, rests if it may.
    Limit,
    /// Trades at any displayed price, never rests.
    Market,
}

/// Whether an order may take liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakePolicy {
    /// It takes what its price reaches.
    MayTake,
    /// It is rejected if it would take.
    PostOnly,
}

/// A new order as the strategy sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    /// Buy or sell.
    pub side: Side,
    /// Limit; ignored for market orders.
    pub price: TickIndex,
    /// Total quantity.
    pub qty: Lots,
    /// Limit or market.
    pub order_type: OrderType,
    /// When it may rest.
    pub time_in_force: TimeInForce,
    /// Whether it may take.
    pub take_policy: TakePolicy,
    /// Session (ordered channel) that carries it.
    pub session: u8,
}

/// What happened to an own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// The exchange took the order.
    Accepted = 1,
    /// The exchange, or the way to it, refused the order.
    Rejected = 2,
    /// Lots traded.
    Filled = 3,
    /// The order was removed on request.
    Cancelled = 4,
    /// The cancel found nothing to remove.
    CancelRejected = 5,
    /// Price or quantity changed.
    Amended = 6,
    /// The amend was refused; the order is as it was.
    AmendRejected = 7,
    /// The order ended by its own terms or by the end of the data.
    Expired = 8,
}

/// Why an event has the kind that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Nothing to explain.
    None = 0,
    /// A post-only order would have taken.
    PostOnly = 1,
    /// Price outside the limits of the day.
    PriceLimit = 2,
    /// Quantity not positive or above the cap.
    Quantity = 3,
    /// A market order needs IOC or FOK.
    MarketNeedsIoc = 4,
    /// It would have traded with an own resting order.
    SelfMatch = 5,
    /// No such order at the exchange.
    UnknownOrder = 6,
    /// The order had ended before the request arrived.
    TooLate = 7,
    /// The new quantity was already filled.
    BelowFilled = 8,
    /// The request never reached the exchange.
    Lost = 9,
    /// Rest of an immediate-or-cancel or market order.
    Ioc = 10,
    /// A fill-or-kill order that could not fill whole.
    Fok = 11,
    /// The data ended.
    EndOfData = 12,
    /// The market is in an auction phase, which is not simulated.
    Phase = 13,
    /// The broker or the exchange refused the request at random, before it reached the order book.
    Refused = 14,
}

/// Who was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Liquidity {
    /// The own order rested.
    Maker = 1,
    /// The own order came in and took.
    Taker = 2,
}

/// One line of an own order's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which order.
    pub order_id: OrderId,
    /// When at the exchange (for `Lost`: when the strategy gave up).
    pub exch_ns: Nanos,
    /// When the strategy sees it.
    pub local_ns: Nanos,
    /// Side of the order.
    pub side: Side,
    /// Fill price for fills, else the order's limit.
    pub price: TickIndex,
    /// Lots of the fill, lots cancelled or expired, else the order's total quantity.
    pub qty: Lots,
    /// Lots still open afterwards.
    pub leaves: Lots,
    /// Maker or taker; meaningful for fills.
    pub liquidity: Liquidity,
    /// Why.
    pub reason: Reason,
}
