//! Bytes of a tape's header and directory, and the canonical form of a row.

use super::block::{BLOCK_BYTES_MAX, BLOCK_ROWS};
use super::bytes::field;
use crate::types::{Nanos, Tick, TickIndex};
use xxhash_rust::xxh3::xxh3_64;

/// First eight bytes of every tape.
pub const MAGIC: [u8; 8] = *b"RSIMTAPE";
/// Version of the layout; a reader takes exactly its own.
pub const FORMAT_VERSION: u32 = 2;
/// Size of the header; blocks follow at once.
pub const HEADER_BYTES: usize = 128;
/// Size of one entry of the directory: where a block ends, and its checksum.
pub const ENTRY_BYTES: usize = 16;
/// Size of the canonical form of a row.
pub const ROW_BYTES: usize = 32;
/// Most metadata that a tape may carry.
pub const METADATA_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most rows that a tape may carry.
pub const ROWS_MAX: u64 = 1 << 40;

const FLAG_HAS_LOCAL: u32 = 1;
const FLAG_HAS_JOIN: u32 = 2;

/// Facts of a tape that lie in front of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of rows.
    pub row_count: u64,
    /// Exchange time of the first row, 0 if there is none.
    pub exch_ns_first: Nanos,
    /// Exchange time of the last row, 0 if there is none.
    pub exch_ns_last: Nanos,
    /// Lowest price of any LEVEL or TRADE row; above `price_max` if there is none.
    pub price_min: TickIndex,
    /// Highest price of any LEVEL or TRADE row.
    pub price_max: TickIndex,
    /// Length of all blocks together.
    pub blocks_bytes: u64,
    /// Length of the metadata.
    pub metadata_bytes: u64,
    /// Whether `local_ns` was recorded.
    pub has_local: bool,
    /// Whether any row carries a level-3 join ordinal.
    pub has_join: bool,
    /// xxh3-128 over all rows in canonical form, then the metadata.
    pub content_hash: u128,
    /// xxh3-64 over the directory.
    pub directory_hash: u64,
    /// xxh3-64 over the metadata.
    pub metadata_hash: u64,
}

impl Header {
    /// Returns the number of blocks.
    #[must_use]
    pub fn block_count(&self) -> u64 {
        self.row_count.div_ceil(BLOCK_ROWS as u64)
    }

    /// Returns the size that the file must have.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        HEADER_BYTES as u64
            + self.blocks_bytes
            + self.block_count() * ENTRY_BYTES as u64
            + self.metadata_bytes
    }

    /// Returns the header as it lies in the file.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0_u8; HEADER_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        let local = if self.has_local { FLAG_HAS_LOCAL } else { 0 };
        let join = if self.has_join { FLAG_HAS_JOIN } else { 0 };
        put(&MAGIC);
        put(&FORMAT_VERSION.to_le_bytes());
        put(&(local | join).to_le_bytes());
        put(&self.row_count.to_le_bytes());
        put(&self.exch_ns_first.to_le_bytes());
        put(&self.exch_ns_last.to_le_bytes());
        put(&self.price_min.to_le_bytes());
        put(&self.price_max.to_le_bytes());
        put(&self.blocks_bytes.to_le_bytes());
        put(&self.metadata_bytes.to_le_bytes());
        put(&(BLOCK_ROWS as u64).to_le_bytes());
        put(&self.content_hash.to_le_bytes());
        put(&self.directory_hash.to_le_bytes());
        put(&self.metadata_hash.to_le_bytes());
        let sum = xxh3_64(&bytes[..HEADER_BYTES - 8]);
        bytes[HEADER_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Returns the header that `bytes` hold.
    ///
    /// # Errors
    /// A sentence on what is wrong: not a tape, another version, damaged, impossible counts.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, String> {
        if bytes[..8] != MAGIC {
            return Err(
                "no tape: the first bytes are not RSIMTAPE (an unfinished build has no header)"
                    .to_owned(),
            );
        }
        let version = u32::from_le_bytes(field(bytes, 8));
        if version != FORMAT_VERSION {
            return Err(format!(
                "tape format version {version}, this program reads {FORMAT_VERSION}: build the tape again"
            ));
        }
        let sum = u64::from_le_bytes(field(bytes, HEADER_BYTES - 8));
        if sum != xxh3_64(&bytes[..HEADER_BYTES - 8]) {
            return Err("the header does not match its checksum".to_owned());
        }
        let flags = u32::from_le_bytes(field(bytes, 12));
        let header = Self {
            row_count: u64::from_le_bytes(field(bytes, 16)),
            exch_ns_first: i64::from_le_bytes(field(bytes, 24)),
            exch_ns_last: i64::from_le_bytes(field(bytes, 32)),
            price_min: i32::from_le_bytes(field(bytes, 40)),
            price_max: i32::from_le_bytes(field(bytes, 44)),
            blocks_bytes: u64::from_le_bytes(field(bytes, 48)),
            metadata_bytes: u64::from_le_bytes(field(bytes, 56)),
            has_local: flags & FLAG_HAS_LOCAL != 0,
            has_join: flags & FLAG_HAS_JOIN != 0,
            content_hash: u128::from_le_bytes(field(bytes, 72)),
            directory_hash: u64::from_le_bytes(field(bytes, 88)),
            metadata_hash: u64::from_le_bytes(field(bytes, 96)),
        };
        let block_rows = u64::from_le_bytes(field(bytes, 64));
        let is_possible = header.row_count <= ROWS_MAX
            && header.metadata_bytes <= METADATA_BYTES_MAX
            && header.blocks_bytes <= header.block_count() * BLOCK_BYTES_MAX as u64
            && flags & !(FLAG_HAS_LOCAL | FLAG_HAS_JOIN) == 0
            && block_rows == BLOCK_ROWS as u64;
        if !is_possible {
            return Err(format!(
                "impossible header: {} rows in {} bytes of blocks of {block_rows} rows, {} metadata bytes, flags {flags}",
                header.row_count, header.blocks_bytes, header.metadata_bytes
            ));
        }
        Ok(header)
    }
}

/// Appends the canonical form of `rows`, which the content hash is taken over: no block, width or unit has a say in it.
pub fn canonical_rows(rows: &[Tick], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + rows.len() * ROW_BYTES, 0);
    let (chunks, _) = out[start..].as_chunks_mut::<ROW_BYTES>();
    for (bytes, row) in chunks.iter_mut().zip(rows) {
        bytes[0..8].copy_from_slice(&row.exch_ns.to_le_bytes());
        bytes[8..16].copy_from_slice(&row.local_ns.to_le_bytes());
        bytes[16..20].copy_from_slice(&row.price.to_le_bytes());
        bytes[20..24].copy_from_slice(&row.qty.to_le_bytes());
        bytes[24..28].copy_from_slice(&row.join.to_le_bytes());
        bytes[28..32].copy_from_slice(&[row.kind, row.side, row.flags, row.reserved]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            row_count: 5000,
            exch_ns_first: 17,
            exch_ns_last: 99,
            price_min: -3,
            price_max: 12,
            blocks_bytes: 31_000,
            metadata_bytes: 40,
            has_local: true,
            has_join: false,
            content_hash: 0x0123_4567_89AB_CDEF_0011_2233_4455_6677,
            directory_hash: 7,
            metadata_hash: 8,
        }
    }

    #[test]
    fn header_round_trips() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
        let other = Header {
            has_local: false,
            has_join: true,
            ..header()
        };
        assert_eq!(Header::decode(&other.encode()), Ok(other));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_refused() {
        let good = header().encode();
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bad).is_err(), "bit {bit} passed");
        }
    }

    #[test]
    fn impossible_counts_are_refused_before_anything_is_sized_by_them() {
        for bad in [
            Header {
                row_count: u64::MAX,
                ..header()
            },
            Header {
                blocks_bytes: u64::MAX,
                ..header()
            },
            Header {
                metadata_bytes: u64::MAX,
                ..header()
            },
        ] {
            let fault = Header::decode(&bad.encode()).expect_err("impossible");
            assert!(fault.contains("impossible header"), "{fault}");
        }
    }

    #[test]
    fn file_size_counts_header_blocks_directory_and_metadata() {
        let blocks = 5000_u64.div_ceil(BLOCK_ROWS as u64);
        assert_eq!(header().file_bytes(), 128 + 31_000 + blocks * 16 + 40);
    }
}
