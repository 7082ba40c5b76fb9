//! The compiled, mapped, checksummed form of a run of ticks.
//!
//! ```text
//! offset 0     header, 128 bytes (format.rs), sealed by its own checksum
//! offset 128   rows: 32 bytes each, exactly the memory of [`crate::types::Tick`], little endian
//! after them   one xxh3-64 per block of 64 KiB of rows (the last block may be shorter)
//! after them   metadata: JSON text
//! ```
//!
//! Invariants of every tape that opens: rows are sorted by `exch_ns`; `LAST` stands on the last row of each `exch_ns` and nowhere else;
//! every row passes [`validate::Validator`]; size, header, blocks and metadata match their checksums.
//!
//! Cost: 32 bytes per row; opening reads every byte once (checksums, content hash and row rules).
//!
//! Known limits: rows are little endian, other machines refuse them. A tape that is truncated while it is mapped ends the process by
//! signal, as with any mapping; tapes are made read-only and are replaced by rename, never rewritten in place.

pub mod format;
pub mod histogram;
mod map;
pub mod reader;
pub mod survey;
pub mod validate;
pub mod view;
pub mod writer;

pub use reader::MappedTape;
pub use writer::{TapeSummary, TapeWriter};
