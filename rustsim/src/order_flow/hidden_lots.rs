//! Lots that trade without having been displayed.

use crate::types::{Side, TickIndex};

/// Lots of an iceberg that traded in the packet without having been displayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct HiddenLots {
    pub(super) side: Side,
    pub(super) price: TickIndex,
    pub(super) lots: i32,
}
