//! What became of own requests.

use std::collections::BTreeMap;

use crate::types::{EventKind, Lots, OrderEvent, OrderId, Reason};

/// Kind of a request that the strategy sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A new order.
    Place,
    /// A cancel.
    Cancel,
    /// A change of price or quantity.
    Amend,
}

/// Number of reasons an event can have.
const REASONS: usize = Reason::Refused as usize + 1;

/// Counters over the own event log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) orders_sent: i64,
    pub(super) cancels_sent: i64,
    pub(super) amends_sent: i64,
    pub(super) accepted: i64,
    /// Lots that reached the engine: of accepted orders, plus what amends added.
    pub(super) accepted_lots: Lots,
    pub(super) cancelled: i64,
    pub(super) amended: i64,
    pub(super) expired: i64,
    pub(super) rejected: [i64; REASONS],
    pub(super) cancel_rejected: [i64; REASONS],
    pub(super) amend_rejected: [i64; REASONS],
    /// Total quantity of the orders that still live, to see what an amend adds.
    live: BTreeMap<OrderId, Lots>,
}

impl Counts {
    pub(super) fn request(&mut self, kind: RequestKind) {
        match kind {
            RequestKind::Place => self.orders_sent += 1,
            RequestKind::Cancel => self.cancels_sent += 1,
            RequestKind::Amend => self.amends_sent += 1,
        }
    }

    pub(super) fn event(&mut self, event: &OrderEvent) {
        let reason = event.reason as usize;
        match event.kind {
            EventKind::Accepted => {
                self.accepted += 1;
                self.accepted_lots += event.qty;
                self.live.insert(event.order_id, event.qty);
            }
            EventKind::Rejected => self.rejected[reason] += 1,
            EventKind::Filled => {
                if event.leaves == 0 {
                    self.live.remove(&event.order_id);
                }
            }
            EventKind::Cancelled => {
                self.cancelled += 1;
                self.live.remove(&event.order_id);
            }
            EventKind::CancelRejected => self.cancel_rejected[reason] += 1,
            EventKind::Amended => {
                self.amended += 1;
                if let Some(lots) = self.live.get_mut(&event.order_id) {
                    self.accepted_lots += (event.qty - *lots).max(0);
                    *lots = event.qty;
                }
            }
            EventKind::AmendRejected => self.amend_rejected[reason] += 1,
            EventKind::Expired => {
                self.expired += 1;
                self.live.remove(&event.order_id);
            }
        }
    }
}
