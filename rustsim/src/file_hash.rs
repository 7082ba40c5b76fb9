//! A hash over a file of any size: what tells whether a source is the one that a tape was made of.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3Default;

/// Size of a file and a hash over its content, from pieces of it in order.
#[derive(Clone, Default)]
pub struct FileHash {
    state: Xxh3Default,
    bytes: u64,
}

impl FileHash {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.state.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// Returns size and hash of all pieces so far.
    #[must_use]
    pub fn result(&self) -> (u64, u128) {
        (self.bytes, self.state.digest128())
    }
}

impl std::fmt::Debug for FileHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileHash")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Returns the size of a file and a hash over its content, read in pieces.
///
/// # Errors
/// The file cannot be read.
pub fn hash_file(path: &Path) -> std::io::Result<(u64, u128)> {
    const PIECE_BYTES: usize = 1 << 18;
    let mut file = File::open(path)?;
    let mut piece = vec![0_u8; PIECE_BYTES];
    let mut hash = FileHash::default();
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(hash.result());
        }
        hash.update(&piece[..count]);
    }
}
