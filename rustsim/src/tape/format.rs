//! Bytes of a tape's header, and of one row.

use crate::types::Tick;
use xxhash_rust::xxh3::xxh3_64;

/// First eight bytes of every tape.
pub const MAGIC: [u8; 8] = *b"RSIMTAPE";
/// Version of the layout; a reader takes exactly its own.
pub const FORMAT_VERSION: u32 = 1;
/// Written in the byte order of the writer, so that a foreign order is seen.
pub const ENDIAN_MARK: u32 = 0x0A0B_0C0D;
/// Size of the header; rows follow at once and are therefore 64-byte aligned.
pub const HEADER_BYTES: usize = 128;
/// Size of one row.
pub const ROW_BYTES: usize = 32;
/// Bytes of rows under one checksum.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// Rows under one checksum.
pub const BLOCK_ROWS: usize = BLOCK_BYTES / ROW_BYTES;
/// Most metadata that a tape may carry.
pub const METADATA_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most rows that a tape may carry.
pub const ROWS_MAX: u64 = 1 << 40;

const FLAG_HAS_LOCAL: u32 = 1;
const BLOCK_BYTES_U32: u32 = 64 * 1024;

const _: () = assert!(
    size_of::<Tick>() == ROW_BYTES,
    "a tape row is the memory of a Tick"
);
const _: () = assert!(
    BLOCK_BYTES_U32 as usize == BLOCK_BYTES,
    "one size in two types"
);
const _: () = assert!(align_of::<Tick>() <= 64, "rows start at a multiple of 64");

/// Facts of a tape that lie in front of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of rows.
    pub row_count: u64,
    /// Exchange time of the first row, 0 if there is none.
    pub exch_ns_first: i64,
    /// Exchange time of the last row, 0 if there is none.
    pub exch_ns_last: i64,
    /// Lowest price of any LEVEL or TRADE row; above `price_max` if there is none.
    pub price_min: i32,
    /// Highest price of any LEVEL or TRADE row.
    pub price_max: i32,
    /// Length of the metadata.
    pub metadata_bytes: u64,
    /// Whether `local_ns` was recorded.
    pub has_local: bool,
    /// xxh3-128 over all rows, then the metadata.
    pub content_hash: u128,
    /// xxh3-64 over the block checksums.
    pub blocks_hash: u64,
    /// xxh3-64 over the metadata.
    pub metadata_hash: u64,
}

impl Header {
    /// Returns the number of block checksums.
    #[must_use]
    pub fn block_count(&self) -> u64 {
        self.row_count.div_ceil(BLOCK_ROWS as u64)
    }

    /// Returns the size that the file must have.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        HEADER_BYTES as u64
            + self.row_count * ROW_BYTES as u64
            + self.block_count() * 8
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
        put(&MAGIC);
        put(&FORMAT_VERSION.to_le_bytes());
        put(&ENDIAN_MARK.to_ne_bytes());
        put(&self.row_count.to_le_bytes());
        put(&self.exch_ns_first.to_le_bytes());
        put(&self.exch_ns_last.to_le_bytes());
        put(&self.price_min.to_le_bytes());
        put(&self.price_max.to_le_bytes());
        put(&self.metadata_bytes.to_le_bytes());
        put(&(if self.has_local { FLAG_HAS_LOCAL } else { 0 }).to_le_bytes());
        put(&BLOCK_BYTES_U32.to_le_bytes());
        put(&self.content_hash.to_le_bytes());
        put(&self.blocks_hash.to_le_bytes());
        put(&self.metadata_hash.to_le_bytes());
        let sum = xxh3_64(&bytes[..HEADER_BYTES - 8]);
        bytes[HEADER_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Returns the header that `bytes` hold.
    ///
    /// # Errors
    /// A sentence on what is wrong: not a tape, another version, another byte order, damaged, impossible counts.
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
        if u32::from_ne_bytes(field(bytes, 12)) != ENDIAN_MARK {
            return Err(
                "written in another byte order: build the tape on this kind of machine".to_owned(),
            );
        }
        let sum = u64::from_le_bytes(field(bytes, HEADER_BYTES - 8));
        if sum != xxh3_64(&bytes[..HEADER_BYTES - 8]) {
            return Err("the header does not match its checksum".to_owned());
        }
        let header = Self {
            row_count: u64::from_le_bytes(field(bytes, 16)),
            exch_ns_first: i64::from_le_bytes(field(bytes, 24)),
            exch_ns_last: i64::from_le_bytes(field(bytes, 32)),
            price_min: i32::from_le_bytes(field(bytes, 40)),
            price_max: i32::from_le_bytes(field(bytes, 44)),
            metadata_bytes: u64::from_le_bytes(field(bytes, 48)),
            has_local: u32::from_le_bytes(field(bytes, 56)) == FLAG_HAS_LOCAL,
            content_hash: u128::from_le_bytes(field(bytes, 64)),
            blocks_hash: u64::from_le_bytes(field(bytes, 80)),
            metadata_hash: u64::from_le_bytes(field(bytes, 88)),
        };
        let block_bytes = u32::from_le_bytes(field(bytes, 60)) as usize;
        let within = header.row_count <= ROWS_MAX && header.metadata_bytes <= METADATA_BYTES_MAX;
        if !within || block_bytes != BLOCK_BYTES {
            return Err(format!(
                "impossible header: {} rows, {} metadata bytes, blocks of {block_bytes} bytes",
                header.row_count, header.metadata_bytes
            ));
        }
        Ok(header)
    }
}

fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0_u8; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Appends the bytes of `row` to `out`.
pub fn encode_row(row: &Tick, out: &mut Vec<u8>) {
    let mut bytes = [0_u8; ROW_BYTES];
    bytes[0..8].copy_from_slice(&row.exch_ns.to_le_bytes());
    bytes[8..16].copy_from_slice(&row.local_ns.to_le_bytes());
    bytes[16..20].copy_from_slice(&row.price.to_le_bytes());
    bytes[20..24].copy_from_slice(&row.qty.to_le_bytes());
    bytes[24..28].copy_from_slice(&row.join.to_le_bytes());
    bytes[28] = row.kind;
    bytes[29] = row.side;
    bytes[30] = row.flags;
    bytes[31] = row.reserved;
    out.extend_from_slice(&bytes);
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
            metadata_bytes: 40,
            has_local: true,
            content_hash: 0x0123_4567_89AB_CDEF_0011_2233_4455_6677,
            blocks_hash: 7,
            metadata_hash: 8,
        }
    }

    #[test]
    fn header_round_trips() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
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
    fn file_size_counts_header_rows_blocks_and_metadata() {
        assert_eq!(header().file_bytes(), 128 + 5000 * 32 + 3 * 8 + 40);
    }
}
