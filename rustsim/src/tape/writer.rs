//! Writes tapes: validates, streams to a temporary name, seals, renames.

use super::block::{BLOCK_BYTES_MAX, BLOCK_ROWS};
use super::columns::{Gathered, RowColumns};
use super::format::{ENTRY_BYTES, HEADER_BYTES, Header, METADATA_BYTES_MAX, ROW_BYTES};
use super::pack::pack_columns;
use super::validate::{Validator, as_written};
use crate::error::{Error, Result};
use crate::types::{Nanos, Tick, TickIndex};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Temporary names tried before giving up; two are in use only if a process writes one tape twice at once.
const TEMPORARY_NAMES_MAX: u32 = 1000;
/// Packed bytes that are gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// Facts of a sealed tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapeSummary {
    /// Number of rows.
    pub row_count: u64,
    /// xxh3-128 over all rows, then the metadata.
    pub content_hash: u128,
    /// Lowest and highest price of any LEVEL or TRADE row, None if there is none.
    pub price_range: Option<(TickIndex, TickIndex)>,
    /// Exchange time of the first row, 0 if there is none.
    pub exch_ns_first: Nanos,
    /// Exchange time of the last row, 0 if there is none.
    pub exch_ns_last: Nanos,
    /// Size of the file.
    pub bytes: u64,
    /// Whether any row carries a level-3 join ordinal.
    pub has_join: bool,
}

/// Writes one tape in chunks of any size, in the memory of a few blocks and 16 bytes per block of the tape.
///
/// Nothing lies under the final name before [`TapeWriter::finish`] has synced the file; a writer that is dropped, aborted or has
/// failed leaves nothing behind.
pub struct TapeWriter {
    path: PathBuf,
    temporary: PathBuf,
    source: String,
    file: Option<File>,
    has_local: bool,
    validator: Validator,
    has_join: bool,
    // Rows of the block under way. A full one waits for the next row, which tells whether its last row is the last of its time.
    block: Box<Gathered>,
    // Packed blocks, written together.
    packed: Vec<u8>,
    blocks_bytes: u64,
    // Where each block ends in the file, and its checksum.
    directory: Vec<u8>,
    canonical: Vec<u8>,
    content: Box<Xxh3>,
}

impl fmt::Debug for TapeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapeWriter")
            .field("path", &self.path)
            .field("rows", &self.validator.rows())
            .finish_non_exhaustive()
    }
}

impl TapeWriter {
    /// Returns a writer for the tape `path`; `source` is named in errors about rows.
    ///
    /// # Errors
    /// [`Error::Tape`] if the folder can't be written.
    pub fn create(path: &Path, has_local: bool, source: &str) -> Result<Self> {
        let (temporary, mut file) = create_temporary(path)?;
        // The place of the header stays zero until the end, so an unfinished file is no tape.
        if let Err(fault) = file.write_all(&[0; HEADER_BYTES]) {
            drop(file);
            let _ = fs::remove_file(&temporary);
            return Err(write_error(path, &fault));
        }
        Ok(Self {
            path: path.to_path_buf(),
            temporary,
            source: if source.is_empty() {
                path.display().to_string()
            } else {
                source.to_owned()
            },
            file: Some(file),
            has_local,
            validator: Validator::new(has_local),
            has_join: false,
            block: Box::default(),
            packed: Vec::with_capacity(WRITE_BYTES + BLOCK_BYTES_MAX),
            blocks_bytes: 0,
            directory: Vec::new(),
            canonical: Vec::with_capacity(BLOCK_ROWS * ROW_BYTES),
            content: Box::new(Xxh3::new()),
        })
    }

    /// Returns the number of rows taken so far.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.validator.rows()
    }

    /// Appends rows. LAST flags are set here, those of the caller are ignored; without a local clock `local_ns` becomes `exch_ns`.
    ///
    /// # Errors
    /// [`Error::Tick`] with source and row if a row breaks a rule, [`Error::Tape`] if the disk fails; the writer is over then.
    pub fn append(&mut self, rows: &[Tick]) -> Result<()> {
        let outcome = self.append_rows(rows);
        if outcome.is_err() {
            self.discard();
        }
        outcome
    }

    /// Appends rows by columns; as [`TapeWriter::append`].
    ///
    /// # Errors
    /// As [`TapeWriter::append`].
    pub fn append_columns(&mut self, rows: &RowColumns<'_>) -> Result<()> {
        let outcome = self.append_blocks(rows);
        if outcome.is_err() {
            self.discard();
        }
        outcome
    }

    fn append_rows(&mut self, rows: &[Tick]) -> Result<()> {
        let mut part = Box::<Gathered>::default();
        for rows in rows.chunks(BLOCK_ROWS) {
            // Columns have no reserved byte: a row that uses it is looked at alone, after those in front of it.
            let plain = rows
                .iter()
                .position(|row| row.reserved != 0)
                .unwrap_or(rows.len());
            part.clear();
            part.extend_rows(&rows[..plain]);
            self.append_blocks(&part.columns())?;
            if let Some(row) = rows.get(plain) {
                let number = self.validator.rows();
                self.validator
                    .push(&as_written(row, self.has_local))
                    .map_err(|fault| self.row_error(number, &fault))?;
            }
        }
        Ok(())
    }

    fn append_blocks(&mut self, rows: &RowColumns<'_>) -> Result<()> {
        if self.file.is_none() {
            return Err(self.over());
        }
        let rows = RowColumns {
            local_ns: if self.has_local {
                rows.local_ns
            } else {
                rows.exch_ns
            },
            ..*rows
        };
        let mut done = 0;
        while done < rows.len() {
            if self.block.len() == BLOCK_ROWS {
                self.pack_block(Some(rows.exch_ns[done]))?;
            }
            let stop = rows.len().min(done + BLOCK_ROWS - self.block.len());
            let part = rows.part(done, stop);
            let number = self.validator.rows();
            self.validator
                .push_columns(&part)
                .map_err(|(row, fault)| self.row_error(number + row as u64, &fault))?;
            self.block.extend(&part);
            done = stop;
        }
        Ok(())
    }

    fn row_error(&self, row: u64, fault: &str) -> Error {
        Error::Tick(format!("{}: row {row}: {fault}", self.source))
    }

    fn pack_block(&mut self, next_ns: Option<Nanos>) -> Result<()> {
        let first_row = self.directory.len() / ENTRY_BYTES * BLOCK_ROWS;
        let start = self.packed.len();
        self.block.mark_last(next_ns);
        pack_columns(&self.block.columns(), first_row as u64, &mut self.packed);
        let block = &self.packed[start..];
        self.blocks_bytes += block.len() as u64;
        let end = HEADER_BYTES as u64 + self.blocks_bytes;
        self.directory.extend(end.to_le_bytes());
        self.directory.extend(xxh3_64(block).to_le_bytes());
        self.block.canonical(&mut self.canonical);
        self.content.update(&self.canonical);
        self.has_join |= self.block.columns().join.iter().any(|join| *join != 0);
        self.block.clear();
        if self.packed.len() >= WRITE_BYTES {
            self.write_blocks()?;
        }
        Ok(())
    }

    fn write_blocks(&mut self) -> Result<()> {
        let file = self
            .file
            .as_mut()
            .expect("append and finish refuse to work without a file");
        file.write_all(&self.packed)
            .map_err(|fault| write_error(&self.path, &fault))?;
        self.packed.clear();
        Ok(())
    }

    /// Seals the tape: writes directory, metadata and header, syncs, makes it read-only, renames it into place and syncs the folder.
    ///
    /// # Errors
    /// [`Error::Tape`] if the disk fails or the writer has failed before; nothing is left behind then.
    pub fn finish(mut self, metadata: &str) -> Result<TapeSummary> {
        // Whatever goes wrong, `Drop` removes the temporary file.
        if self.file.is_none() {
            return Err(self.over());
        }
        if metadata.len() as u64 > METADATA_BYTES_MAX {
            let message = format!(
                "{}: {} bytes of metadata are too many",
                self.path.display(),
                metadata.len()
            );
            return Err(Error::Tape(message));
        }
        if self.block.len() > 0 {
            self.pack_block(None)?;
        }
        self.write_blocks()?;
        self.content.update(metadata.as_bytes());
        let (price_min, price_max) = self.validator.price_bounds();
        let header = Header {
            row_count: self.validator.rows(),
            exch_ns_first: self.validator.exch_ns_first(),
            exch_ns_last: self.validator.exch_ns_last(),
            price_min,
            price_max,
            blocks_bytes: self.blocks_bytes,
            metadata_bytes: metadata.len() as u64,
            has_local: self.has_local,
            has_join: self.has_join,
            content_hash: self.content.digest128(),
            directory_hash: xxh3_64(&self.directory),
            metadata_hash: xxh3_64(metadata.as_bytes()),
        };
        self.seal(&header, metadata)
            .map_err(|fault| write_error(&self.path, &fault))?;
        Ok(TapeSummary {
            row_count: header.row_count,
            content_hash: header.content_hash,
            price_range: (price_min <= price_max).then_some((price_min, price_max)),
            exch_ns_first: header.exch_ns_first,
            exch_ns_last: header.exch_ns_last,
            bytes: header.file_bytes(),
            has_join: header.has_join,
        })
    }

    fn seal(&mut self, header: &Header, metadata: &str) -> io::Result<()> {
        let mut file = self
            .file
            .take()
            .expect("finish refuses to work without a file");
        file.write_all(&self.directory)?;
        file.write_all(metadata.as_bytes())?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header.encode())?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&self.temporary, &self.path)?;
        sync_folder(&self.path)
    }

    /// Gives up: removes the temporary file. Does nothing if the writer is over already.
    pub fn abort(mut self) {
        self.discard();
    }

    fn discard(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }

    fn over(&self) -> Error {
        Error::Tape(format!(
            "{}: this tape was aborted or failed before",
            self.path.display()
        ))
    }
}

impl Drop for TapeWriter {
    fn drop(&mut self) {
        self.discard();
        // A seal that failed half-way has given its file away already; after a rename this name is gone, which is fine.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn create_temporary(path: &Path) -> Result<(PathBuf, File)> {
    let Some(name) = path.file_name() else {
        return Err(Error::Tape(format!("{}: not a file name", path.display())));
    };
    for attempt in 0..TEMPORARY_NAMES_MAX {
        let temporary = path.with_file_name(format!(
            ".{}.{}-{attempt}.partial",
            name.to_string_lossy(),
            process::id()
        ));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => return Ok((temporary, file)),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
            Err(fault) => return Err(write_error(path, &fault)),
        }
    }
    Err(Error::Tape(format!(
        "{}: no free temporary name beside it",
        path.display()
    )))
}

fn write_error(path: &Path, fault: &io::Error) -> Error {
    Error::Tape(format!(
        "{}: cannot write: {fault}; free some space or choose another folder",
        path.display()
    ))
}

// A rename is durable only once its folder is; other systems than Unix offer no such call.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
