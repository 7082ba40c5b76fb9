//! Compiled tapes: in memory, or as files that all workers of a machine share.
//!
//! ```text
//! offset 0    header, 128 bytes, sealed by its own checksum
//! after it    chunks (layout.rs)
//! after them  directory: per chunk its end in the file and its xxh3-64, 16 bytes
//! ```
//!
//! Written under a temporary name, synced and renamed into place; checked whole whenever one is opened, never again while it is mapped. A compiled tape
//! tells nothing new: whoever finds none, a damaged one or one of another version compiles it again.

use super::build::compile;
use super::layout::{Carries, Chunk};
use super::mask::{Compare, choose};
use crate::error::{Error, Result};
use crate::rows::RowSource;
use crate::tape::map::FileMap;
use crate::types::TickIndex;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First eight bytes of every compiled tape; a machine of another byte order reads others.
const MAGIC: u64 = u64::from_le_bytes(*b"RSIMFILT");
/// Version of the layout; a reader takes exactly its own.
pub const VERSION: u32 = 2;
const LOCAL: u32 = 1;
const JOIN: u32 = 2;

/// What lies in front of the chunks.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    magic: u64,
    version: u32,
    carries: u32,
    first_row: u64,
    stop_row: u64,
    chunks: u64,
    directory_at: u64,
    directory_hash: u64,
    /// Content hash of the tape.
    source: [u64; 2],
    reserved: [u64; 6],
    seal: u64,
}

/// One entry of the directory.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Entry {
    end: u64,
    hash: u64,
}

const HEADER_BYTES: usize = size_of::<Header>();

impl Header {
    fn seal_of(&self) -> u64 {
        xxh3_64(&self.as_bytes()[..HEADER_BYTES - size_of::<u64>()])
    }
}

#[derive(Debug)]
enum Bytes {
    Mapped(FileMap),
    /// Words, so that they lie as chunks must.
    Held(Vec<u64>),
}

/// Rows of a tape with all that no parameter can change worked off.
#[derive(Debug)]
pub struct CompiledTape {
    bytes: Bytes,
    chunks: Vec<Range<usize>>,
    rows: Range<u64>,
    carries: Carries,
    compare: Compare,
}

impl CompiledTape {
    /// Compiles rows into memory; `first_row` is the tape number of the first.
    ///
    /// # Errors
    /// Those of the rows, and `Error::Tick` if a book cannot hold them.
    pub fn of<R: RowSource>(
        rows: R,
        first_row: u64,
        carries: Carries,
        prices: (TickIndex, TickIndex),
    ) -> Result<Self> {
        let mut held: Vec<u64> = Vec::new();
        let mut chunks = Vec::new();
        let stop_row = compile(rows, first_row, carries, prices, |chunk| {
            let start = held.len() * size_of::<u64>();
            let (words, _) = chunk.as_chunks::<8>();
            held.extend(words.iter().map(|word| u64::from_ne_bytes(*word)));
            chunks.push(start..start + chunk.len());
            Ok(())
        })?;
        Self::checked(
            Bytes::Held(held),
            chunks,
            first_row..stop_row,
            carries,
            choose()?,
        )
        .map_err(|fault| Error::Tape(format!("compiled in memory: {fault}")))
    }

    /// Compiles rows into a file; `source` is the content hash of the tape.
    ///
    /// # Errors
    /// Those of the rows, `Error::Tick` if a book cannot hold them, `Error::Tape` if the file cannot be written.
    pub fn write<R: RowSource>(
        path: &Path,
        rows: R,
        first_row: u64,
        carries: Carries,
        prices: (TickIndex, TickIndex),
        source: u128,
    ) -> Result<()> {
        let fault = |fault: std::io::Error| {
            Error::Tape(format!(
                "{}: cannot write the compiled tape: {fault}",
                path.display()
            ))
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let written = (|| {
            let mut out = BufWriter::new(File::create(&temporary).map_err(fault)?);
            out.write_all(&[0; HEADER_BYTES]).map_err(fault)?;
            let mut directory = Vec::new();
            let mut end = HEADER_BYTES as u64;
            let stop_row = compile(rows, first_row, carries, prices, |chunk| {
                end += chunk.len() as u64;
                directory.push(Entry {
                    end,
                    hash: xxh3_64(chunk),
                });
                out.write_all(chunk).map_err(fault)
            })?;
            let directory = directory.as_slice().as_bytes();
            out.write_all(directory).map_err(fault)?;
            let flushed = out.into_inner();
            let mut file = flushed.map_err(|flush| fault(flush.into_error()))?;
            let mut header = Header {
                magic: MAGIC,
                version: VERSION,
                carries: u32::from(carries.local) * LOCAL + u32::from(carries.join) * JOIN,
                first_row,
                stop_row,
                chunks: (directory.len() / size_of::<Entry>()) as u64,
                directory_at: end,
                directory_hash: xxh3_64(directory),
                source: halves(source),
                reserved: [0; 6],
                seal: 0,
            };
            header.seal = header.seal_of();
            file.seek(SeekFrom::Start(0)).map_err(fault)?;
            file.write_all(header.as_bytes()).map_err(fault)?;
            file.sync_all().map_err(fault)?;
            fs::rename(&temporary, path).map_err(fault)
        })();
        if written.is_err() {
            // What is left of it is of no use to anybody; that it cannot be removed is not the fault to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Maps a compiled tape and checks all of it; `source` is the content hash of the tape that it must be made of.
    ///
    /// # Errors
    /// `Error::Tape` with file and reason if anything is off, `Error::Replay` if the environment asks for a comparison that this machine lacks.
    pub fn open(path: &Path, source: u128) -> Result<Self> {
        let compare = choose()?;
        Self::open_checked(path, source, compare)
            .map_err(|fault| Error::Tape(format!("{}: {fault}", path.display())))
    }

    fn open_checked(
        path: &Path,
        source: u128,
        compare: Compare,
    ) -> std::result::Result<Self, String> {
        let file = File::open(path).map_err(|fault| format!("cannot open: {fault}"))?;
        let facts = file.metadata().map_err(|fault| fault.to_string())?;
        if !facts.is_file() || facts.len() < HEADER_BYTES as u64 {
            return Err("no compiled tape, or an unfinished one".to_owned());
        }
        let map = FileMap::new(&file).map_err(|fault| format!("cannot map: {fault}"))?;
        let bytes = map.bytes();
        let Ok((header, _)) = Header::ref_from_prefix(bytes) else {
            return Err("no compiled tape, or an unfinished one".to_owned());
        };
        let header = *header;
        if header.magic != MAGIC {
            return Err("no compiled tape, or one of another byte order".to_owned());
        }
        if header.version != VERSION {
            return Err(format!(
                "compiled form {}, this program reads {VERSION}",
                header.version
            ));
        }
        if header.seal != header.seal_of() {
            return Err("the header does not match its checksum".to_owned());
        }
        if header.source != halves(source) {
            return Err("compiled from another tape".to_owned());
        }
        let directory = usize::try_from(header.directory_at)
            .ok()
            .and_then(|at| bytes.get(at..))
            .ok_or("truncated")?;
        if xxh3_64(directory) != header.directory_hash {
            return Err("the directory does not match its checksum".to_owned());
        }
        let entries = <[Entry]>::ref_from_bytes(directory)
            .ok()
            .filter(|entries| entries.len() as u64 == header.chunks)
            .ok_or("the directory has another length than the header says")?;
        let mut chunks = Vec::with_capacity(entries.len());
        let mut start = HEADER_BYTES;
        for (number, entry) in entries.iter().enumerate() {
            let end = usize::try_from(entry.end).map_err(|_| "too large for this machine")?;
            let chunk = bytes
                .get(start..end)
                .filter(|_| entry.end <= header.directory_at);
            if chunk.is_none_or(|chunk| xxh3_64(chunk) != entry.hash) {
                return Err(format!(
                    "chunk {number} at byte {start} does not match its checksum"
                ));
            }
            chunks.push(start..end);
            start = end;
        }
        let carries = Carries {
            local: header.carries & LOCAL != 0,
            join: header.carries & JOIN != 0,
        };
        let rows = header.first_row..header.stop_row;
        Self::checked(Bytes::Mapped(map), chunks, rows, carries, compare)
    }

    /// Checks that chunks go on where the one before ended and hold what their rows point to.
    fn checked(
        bytes: Bytes,
        chunks: Vec<Range<usize>>,
        rows: Range<u64>,
        carries: Carries,
        compare: Compare,
    ) -> std::result::Result<Self, String> {
        let tape = Self {
            bytes,
            chunks,
            rows,
            carries,
            compare,
        };
        let mut next_row = tape.rows.start;
        for (number, place) in tape.chunks.iter().enumerate() {
            let chunk = tape.bytes().get(place.clone()).and_then(Chunk::read);
            let Some(chunk) = chunk.filter(|chunk| chunk.is_sound(number, carries)) else {
                return Err(format!("chunk {number} is none"));
            };
            for block in chunk.blocks {
                if block.first_row != next_row {
                    return Err(format!("chunk {number} does not go on at row {next_row}"));
                }
                next_row += u64::from(block.count);
            }
        }
        if next_row != tape.rows.end {
            return Err(format!("ends before row {next_row}, not {}", tape.rows.end));
        }
        Ok(tape)
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map.bytes(),
            Bytes::Held(words) => words.as_slice().as_bytes(),
        }
    }

    /// Returns the tape numbers of its rows.
    #[must_use]
    pub fn rows(&self) -> Range<u64> {
        self.rows.clone()
    }

    /// Returns what its rows carry.
    #[must_use]
    pub fn carries(&self) -> Carries {
        self.carries
    }

    /// Returns how many bytes it takes, in memory or in its file.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.bytes().len()
    }

    /// Compares codes in another way than the one that was chosen when it was opened.
    #[must_use]
    pub fn comparing(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// Returns its chunks, each at hand.
    ///
    /// # Panics
    /// Never: every chunk was read when the tape was opened.
    #[must_use]
    pub fn read(&self) -> OpenTape<'_> {
        let bytes = self.bytes();
        let chunk = |place: &Range<usize>| {
            Chunk::read(&bytes[place.clone()]).expect("it was read when the tape was opened")
        };
        OpenTape {
            chunks: self.chunks.iter().map(chunk).collect(),
            rows: self.rows(),
            compare: self.compare,
        }
    }
}

/// The chunks of a compiled tape, for replays.
#[derive(Debug)]
pub struct OpenTape<'t> {
    pub(super) chunks: Vec<Chunk<'t>>,
    pub(super) rows: Range<u64>,
    pub(super) compare: Compare,
}

fn halves(hash: u128) -> [u64; 2] {
    let bytes = hash.to_le_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    [words[0], words[1]].map(u64::from_le_bytes)
}
