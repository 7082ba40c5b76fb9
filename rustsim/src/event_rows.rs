//! Event arrays of hftbacktest 2.x: the plain rows of a piece as columns, in one pass.
//!
//! A piece is plain if every row is depth or a trade, valid for exchange and local side, in order, within all ranges, on the price grid
//! and in whole lots. Nothing else is judged here: of any other piece the caller looks at every row by every rule.
//!
//! A row has 64 bytes, little endian: `ev` u64, `exch_ts` i64, `local_ts` i64, `px` f64, `qty` f64, `order_id` u64, `ival` i64, `fval` f64.

use crate::tape::limits::{EXCH_NS_END, LOCAL_OFFSET_NS_MAX};
use crate::types::{KIND_LEVEL, KIND_TRADE, Nanos};
use serde::Deserialize;

/// Bytes of a row.
pub const EVENT_BYTES: usize = 64;

const BOTH_CLOCKS: u64 = 3 << 30;
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;
const DEPTH: u64 = 1;
const TRADE: u64 = 2;

/// What arithmetic on floats does to a number, and no more: a billionth of a step and four units in the last place.
const STEP_ERROR: f64 = 1e-9;
const LAST_PLACES: f64 = 4.0 * f64::EPSILON;
/// Adding and taking off this leaves a whole number, for all that are far smaller.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// What numbers of a product are.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventScale {
    /// Ticks of a price `x`: `x * price.0 / price.1`.
    pub price: (i64, i64),
    /// Lots of a quantity.
    pub qty: (i64, i64),
    /// Highest tick.
    pub price_most: i32,
    /// Most lots.
    pub qty_most: i32,
}

/// Rows by columns; the local column is empty without a local clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventColumns {
    /// Exchange times.
    pub exch_ns: Vec<u8>,
    /// Local times.
    pub local_ns: Vec<u8>,
    /// Kinds.
    pub kind: Vec<u8>,
    /// Book sides.
    pub side: Vec<u8>,
    /// Prices as tick indices.
    pub price: Vec<u8>,
    /// Lots.
    pub qty: Vec<u8>,
    /// Least and largest difference of local and exchange time.
    pub latency_ns: (Nanos, Nanos),
}

/// Times of the row in front of a piece.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// Exchange time.
    pub exch_ns: Nanos,
    /// Local time; None: the feed has no local clock.
    pub local_ns: Option<Nanos>,
}

#[derive(Clone, Copy)]
struct Steps {
    up: f64,
    down: f64,
    most: f64,
}

impl Steps {
    #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
    fn new((up, down): (i64, i64), most: i32) -> Self {
        Self {
            up: up as f64,
            down: down as f64,
            most: f64::from(most),
        }
    }

    /// Returns the steps of a number and whether it is on the grid and not above the most.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a cast saturates; what is too large is not good"
    )]
    fn of(self, value: f64) -> (i32, bool) {
        // Times 1 and by 1 change nothing: one rounding each, as everywhere.
        let scaled = value * self.up / self.down;
        let whole = (scaled + ROUNDER) - ROUNDER;
        let size = whole.abs();
        let is_good =
            (scaled - whole).abs() <= STEP_ERROR + size * LAST_PLACES && size <= self.most;
        (whole as i32, is_good)
    }
}

fn word(row: &[u8; EVENT_BYTES], at: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&row[at..at + 8]);
    bytes
}

/// Returns the columns of a piece whose rows are all plain, None for any other; prices are above 0, coarser steps are not looked at.
#[must_use]
#[allow(
    clippy::needless_bitwise_bool,
    reason = "no branch to guess: nearly every piece is plain"
)]
pub fn plain_columns(piece: &[u8], before: Before, scale: &EventScale) -> Option<EventColumns> {
    let (rows, rest) = piece.as_chunks::<EVENT_BYTES>();
    if rows.is_empty() || !rest.is_empty() {
        return None;
    }
    let price_steps = Steps::new(scale.price, scale.price_most);
    let qty_steps = Steps::new(scale.qty, scale.qty_most);
    let mut columns = EventColumns {
        exch_ns: vec![0; rows.len() * 8],
        local_ns: vec![
            0;
            if before.local_ns.is_some() {
                rows.len() * 8
            } else {
                0
            }
        ],
        kind: vec![0; rows.len()],
        side: vec![0; rows.len()],
        price: vec![0; rows.len() * 4],
        qty: vec![0; rows.len() * 4],
        latency_ns: (Nanos::MAX, Nanos::MIN),
    };
    let codes = columns.kind.iter_mut().zip(columns.side.iter_mut());
    let (prices, _) = columns.price.as_chunks_mut::<4>();
    let (lots, _) = columns.qty.as_chunks_mut::<4>();
    let (times, _) = columns.exch_ns.as_chunks_mut::<8>();
    let mut is_plain = true;
    let mut above_ns = before.exch_ns;
    let out = codes.zip(prices.iter_mut().zip(lots)).zip(times);
    for (row, (((kind, side), (price, qty)), time)) in rows.iter().zip(out) {
        let ev = u64::from_le_bytes(word(row, 0));
        let exch_ns = i64::from_le_bytes(word(row, 8));
        let (ticks, is_price) = price_steps.of(f64::from_le_bytes(word(row, 24)));
        let (count, is_qty) = qty_steps.of(f64::from_le_bytes(word(row, 32)));
        let is_trade = ev & 0xFF == TRADE;
        let is_buy = ev & BUY != 0;
        let rest = ev & !(0xFF | BUY | SELL);
        is_plain &= (is_trade | (ev & 0xFF == DEPTH)) & (rest == BOTH_CLOCKS);
        is_plain &= is_buy != (ev & SELL != 0);
        is_plain &= is_price & is_qty & (ticks > 0) & (count >= i32::from(is_trade));
        is_plain &= (exch_ns >= above_ns) & (exch_ns < EXCH_NS_END);
        above_ns = exch_ns;
        *kind = if is_trade { KIND_TRADE } else { KIND_LEVEL };
        // Of a trade the side is its taker's: a buyer hits asks.
        *side = u8::from(is_buy == is_trade);
        *price = ticks.to_le_bytes();
        *qty = count.to_le_bytes();
        *time = exch_ns.to_le_bytes();
    }
    let is_seen = before
        .local_ns
        .is_none_or(|local_ns| read_local(rows, local_ns, &mut columns));
    (is_plain && is_seen).then_some(columns)
}

/// Fills the local column and tells whether it never falls and lies within a day of the exchange times.
fn read_local(rows: &[[u8; EVENT_BYTES]], before: Nanos, columns: &mut EventColumns) -> bool {
    let (times, _) = columns.local_ns.as_chunks_mut::<8>();
    let (mut least, mut most) = columns.latency_ns;
    let (mut above_ns, mut is_sorted) = (before, true);
    for (row, time) in rows.iter().zip(times) {
        let exch_ns = i64::from_le_bytes(word(row, 8));
        let local_ns = i64::from_le_bytes(word(row, 16));
        is_sorted &= local_ns >= above_ns;
        above_ns = local_ns;
        // A difference that does not fit comes out more than a day off: exchange times are far from the ends of the type.
        let latency_ns = local_ns.wrapping_sub(exch_ns);
        least = least.min(latency_ns);
        most = most.max(latency_ns);
        *time = local_ns.to_le_bytes();
    }
    columns.latency_ns = (least, most);
    is_sorted && least >= -LOCAL_OFFSET_NS_MAX && most <= LOCAL_OFFSET_NS_MAX
}
