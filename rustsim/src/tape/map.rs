//! The only unsafe part of a tape: a file mapped as rows.
#![allow(
    unsafe_code,
    reason = "mapping a file and viewing bytes as rows have no safe form"
)]

use super::format::ROW_BYTES;
use crate::types::Tick;
use memmap2::Mmap;
use std::fs::File;
use std::io;

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(super) struct FileMap {
    map: Mmap,
}

impl FileMap {
    /// Maps `file`, which must not be empty.
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: a mapping is sound while nobody changes or truncates the file. Tapes are written under a temporary name, made
        // read-only and renamed into place, and replaced by rename only, so the mapped inode never changes. A foreign program that
        // writes into a tape breaks this; the module head states it as a known limit.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self { map })
    }

    /// Returns all bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Returns `count` rows that start at byte `at`; empty if they do not lie inside of the file.
    pub(super) fn rows(&self, at: usize, count: usize) -> &[Tick] {
        let bytes = count
            .checked_mul(ROW_BYTES)
            .and_then(|length| at.checked_add(length))
            .and_then(|end| self.map.get(at..end))
            .unwrap_or_default();
        // SAFETY: `Tick` is repr(C), of 32 bytes without padding, and every bit pattern of its integer fields is valid; the memory
        // is initialised, read-only and lives as long as `self`. `align_to` itself sees to the alignment: a misaligned head or tail
        // would come out in the outer parts, which `MappedTape` refuses by comparing the number of rows.
        let (_, rows, _) = unsafe { bytes.align_to::<Tick>() };
        rows
    }
}
