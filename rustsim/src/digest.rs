//! The digest: a hash of everything that happened to own orders, and of the account at the end.
//!
//! xxh3-128 over one 48-byte little-endian record per outcome, in the order in which the exchange produced them, then the ledger's integers.
//! It shows equality of runs; it is not a defence against forgery.

use xxhash_rust::xxh3::Xxh3Default;

use crate::types::OrderEvent;

/// Running digest of one replay.
#[derive(Clone, Default)]
pub(crate) struct Digest {
    state: Xxh3Default,
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({:032x})", self.state.digest128())
    }
}

impl Digest {
    pub(crate) fn add_event(&mut self, event: &OrderEvent) {
        let mut record = [0u8; 48];
        record[0..8].copy_from_slice(&event.order_id.to_le_bytes());
        record[8..16].copy_from_slice(&event.exch_ns.to_le_bytes());
        record[16..24].copy_from_slice(&event.local_ns.to_le_bytes());
        record[24..28].copy_from_slice(&event.price.to_le_bytes());
        record[28] = event.kind as u8;
        record[29] = event.side as u8;
        record[30] = event.liquidity as u8;
        record[31] = event.reason as u8;
        record[32..40].copy_from_slice(&event.qty.to_le_bytes());
        record[40..48].copy_from_slice(&event.leaves.to_le_bytes());
        self.state.update(&record);
    }

    pub(crate) fn add_integer(&mut self, value: i64) {
        self.state.update(&value.to_le_bytes());
    }

    /// Returns 32 hex digits.
    pub(crate) fn hex(&self) -> String {
        format!("{:032x}", self.state.digest128())
    }
}
