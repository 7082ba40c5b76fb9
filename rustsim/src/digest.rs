//! The digest: a hash of everything that happened to own orders, and of the account at the end.
//!
//! xxh3-128 over one 48-byte little-endian record per outcome, in the order in which the exchange produced them, then the ledger's integers.
//! It shows equality of runs; it is not a defence against forgery.

use xxhash_rust::xxh3::Xxh3Default;

use crate::types::OrderEvent;

/// Records that are hashed at once: a hash of many bytes costs less than many hashes of few.
const PIECE_BYTES: usize = 64 * 48;

/// Running digest of one replay.
#[derive(Clone, Default)]
pub(crate) struct Digest {
    state: Xxh3Default,
    /// What the state has not taken in yet.
    rest: Vec<u8>,
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({})", self.hex())
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
        self.add(&record);
    }

    pub(crate) fn add_integer(&mut self, value: i64) {
        self.add(&value.to_le_bytes());
    }

    #[inline]
    fn add(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        if self.rest.len() >= PIECE_BYTES {
            self.state.update(&self.rest);
            self.rest.clear();
        }
    }

    /// Returns 32 hex digits.
    pub(crate) fn hex(&self) -> String {
        let mut state = self.state.clone();
        state.update(&self.rest);
        format!("{:032x}", state.digest128())
    }
}
