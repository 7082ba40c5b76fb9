//! The only unsafe part of a tape: a file mapped as bytes.
#![allow(unsafe_code, reason = "mapping a file has no safe form")]

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
}
