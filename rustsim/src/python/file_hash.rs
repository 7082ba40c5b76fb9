//! Python face of hashes over files.

use crate::file_hash::hash_file;
use pyo3::prelude::*;
use std::path::PathBuf;

/// Size of a file and 32 hex digits over its content (xxh3-128): the same for equal content, whatever its name and times.
#[pyfunction]
pub(crate) fn file_hash(py: Python<'_>, path: PathBuf) -> PyResult<(u64, String)> {
    let found = py.detach(|| hash_file(&path))?;
    Ok(shown(found))
}

/// What file_hash returns, from the bytes of a file piece by piece.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct FileHash {
    inner: crate::file_hash::FileHash,
}

#[pymethods]
impl FileHash {
    #[new]
    fn new() -> Self {
        Self {
            inner: crate::file_hash::FileHash::default(),
        }
    }

    /// Forget what was taken: the file is read from its start again.
    fn restart(&mut self) {
        self.inner = crate::file_hash::FileHash::default();
    }

    /// Take the next piece.
    fn update(&mut self, py: Python<'_>, data: &[u8]) {
        let inner = &mut self.inner;
        py.detach(|| inner.update(data));
    }

    /// Size and hash of the pieces so far.
    fn result(&self) -> (u64, String) {
        shown(self.inner.result())
    }
}

fn shown((bytes, hash): (u64, u128)) -> (u64, String) {
    (bytes, format!("{hash:032x}"))
}
