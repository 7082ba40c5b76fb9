//! What a converter has met.

/// What was met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Events by action.
    pub events: [u64; 11],
    /// Packets.
    pub packets: u64,
    /// Executions of known orders outside of auctions.
    pub executions: u64,
    /// Those of them that hit the first order of the queue.
    pub executions_front: u64,
    /// Executions with no known order, but anonymous lots in front.
    pub executions_behind_anonymous: u64,
    /// Executions of anonymous lots.
    pub executions_anonymous: u64,
    /// Cancels of anonymous lots.
    pub cancels_anonymous: u64,
    /// Prints strictly between the best prices: rows.
    pub prints_inside: u64,
    /// Prints at or behind displayed prices: no rows.
    pub prints_beside: u64,
    /// Levels that came into the view of the pictures.
    pub levels_came: u64,
    /// Levels that left it.
    pub levels_left: u64,
    /// Most orders that stood at once.
    pub orders_max: u64,
}
