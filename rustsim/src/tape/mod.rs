//! The compiled, mapped, checksummed form of a run of ticks.
//!
//! ```text
//! offset 0     header, 128 bytes (format.rs), sealed by its own checksum
//! offset 128   blocks of 256 rows each (the last may be shorter), every column as narrow as the block allows (block.rs)
//! after them   directory: per block its end in the file and its xxh3-64, 16 bytes
//! after it     metadata: JSON text
//! ```
//!
//! All numbers are little endian. Invariants of every tape that opens: rows are sorted by `exch_ns`; `LAST` stands on the last row of each
//! `exch_ns` and nowhere else; every row passes [`validate::Validator`]; size, header, directory, blocks and metadata match their checksums.
//! The content hash (xxh3-128) is taken over the rows in one canonical form of 32 bytes and the metadata: two tapes of the same rows and
//! metadata have the same hash, whatever their blocks look like.
//!
//! Cost, per row: 4 to 7 bytes for a recorded feed in milliseconds, up to 29 for columns that are all as wide as they can be; about a
//! nanosecond to unpack. Opening reads every byte once (checksums, row rules, content hash). A replay unpacks block by block into one
//! buffer of 16 KiB ([`cursor::Cursor`]); a tape takes no other memory of its own, its pages are shared by all processes.
//!
//! Known limits: 2^40 rows, 64 MiB of metadata; joins reach back to the first 2^32 rows only. All rows of one exchange time are in memory
//! at once during a replay. A tape that is truncated while it is mapped ends the process by signal, as with any mapping; tapes are made
//! read-only and are replaced by rename, never rewritten in place.

pub mod block;
mod bytes;
mod column;
pub mod columns;
pub mod cursor;
pub mod format;
pub mod histogram;
pub mod limits;
pub(crate) mod map;
mod pack;
pub mod queues;
pub mod reader;
mod screen;
pub mod survey;
pub mod validate;
pub mod view;
pub mod writer;

pub use reader::MappedTape;
pub use writer::{TapeSummary, TapeWriter};
