//! The certificates of own resting orders, as their queues change.

use crate::certificate::{Certificate, Certified, OrderCertificate};
use crate::order_queue::{OrderQueue, RestingOrder};
use crate::types::{Lots, Nanos};

impl RestingOrder {
    /// Applies a fill's cause to the certificate, if there is one; returns what it says, with the bounds of before.
    pub(crate) fn certify(&mut self, cause: impl FnOnce(&mut Certificate) -> Lots) -> Certified {
        let is_known = self.ahead_or_unknown() >= 0;
        let Some(certificate) = &mut self.certificate else {
            return Certified::NOTHING;
        };
        let (front, back) = if is_known {
            certificate.range()
        } else {
            (-1, -1)
        };
        Certified {
            front,
            back,
            certain: cause(certificate),
        }
    }

    /// Returns the finished certificate of an order that ends now.
    pub(crate) fn close_certificate(&self, ended_ns: Nanos) -> Option<OrderCertificate> {
        let certificate = self.certificate.as_ref()?;
        Some(certificate.complete(OrderCertificate {
            order_id: self.id,
            side: self.side,
            price: self.price,
            joined_ns: self.arrival_ns,
            ended_ns,
            rested_lots: 0,
            filled_lots: self.filled,
            certain_lots: 0,
            possible_lots: 0,
        }))
    }
}

/// Closes the certificates of orders that are filled.
pub(crate) fn close_filled(
    queue: &OrderQueue,
    ended_ns: Nanos,
    into: &mut Option<Vec<OrderCertificate>>,
) {
    let Some(into) = into else {
        return;
    };
    let filled = queue.orders().iter().filter(|order| order.leaves() == 0);
    into.extend(filled.filter_map(|order| order.close_certificate(ended_ns)));
}
