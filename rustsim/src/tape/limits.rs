//! How far times and prices of a tape may go.

use crate::types::{Nanos, TickIndex};

/// Prices lie strictly within +- this, so that the sum of two fits an `i32`.
pub const PRICE_ABS_MAX: TickIndex = 1 << 30;
/// Times lie in [0, this): up to the year 2200, so that adding any latency stays in range.
pub const EXCH_NS_END: Nanos = 7_258_118_400_000_000_000;
/// A local clock may be off by at most a day.
pub const LOCAL_OFFSET_NS_MAX: Nanos = 86_400_000_000_000;
