//! The only unsafe part of tapes and of recorded latencies: a file mapped as bytes.
#![allow(unsafe_code, reason = "mapping a file has no safe form")]

use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Bytes that a processor fetches at once.
#[cfg(target_arch = "x86_64")]
const LINE_BYTES: usize = 64;

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(crate) struct FileMap {
    map: Mmap,
}

impl FileMap {
    /// Maps `file`, which must not be empty.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: a mapping is sound while nobody changes or truncates the file. Tapes and traces are written under a temporary name, made
        // read-only and renamed into place, and replaced by rename only, so the mapped inode never changes. A foreign program that
        // writes into one breaks this; the module head states it as a known limit.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self { map })
    }

    /// Asks the processor to fetch bytes that are read soon, where it can be asked; has no effect that can be seen.
    #[inline]
    pub(crate) fn prefetch(&self, place: Range<usize>) {
        #[cfg(target_arch = "x86_64")]
        for line in self.map.get(place).unwrap_or_default().chunks(LINE_BYTES) {
            // SAFETY: prefetching reads nothing and faults on no address; this one lies inside of the mapping.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = place;
    }

    /// Returns all bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }
}
