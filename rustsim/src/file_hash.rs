//! A hash over a file of any size: what tells whether a source is the one that a tape was made of.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3Default;

/// Returns the size of a file and a hash over its content, read in pieces.
///
/// # Errors
/// The file cannot be read.
pub fn hash_file(path: &Path) -> std::io::Result<(u64, u128)> {
    const PIECE_BYTES: usize = 1 << 18;
    let mut file = File::open(path)?;
    let mut piece = vec![0_u8; PIECE_BYTES];
    let mut state = Xxh3Default::new();
    let mut bytes = 0_u64;
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok((bytes, state.digest128()));
        }
        state.update(&piece[..count]);
        bytes += count as u64;
    }
}
