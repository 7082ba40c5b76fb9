//! Python face of tapes: columns in, columns out.

use crate::error::{Error, Result};
use crate::rows::RowSource;
use crate::tape::columns::RowColumns;
use crate::tape::{MappedTape, TapeSummary, TapeWriter, view};
use crate::types::Tick;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView, PySlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows copied from the caller's columns at a time: few enough to stay in the cache and out of the system's hands.
const PIECE_ROWS: usize = 8 * 1024;

/// One row as a tuple: `exch_ns`, `local_ns`, `kind`, `side`, `flags`, `price`, `qty`, `join`.
type RowTuple = (i64, i64, u8, u8, u8, i32, i32, u32);

/// A read-only mapped tape: packed blocks of rows with checksums, verified when opened.
#[pyclass(frozen, module = "rustsim")]
#[derive(Debug)]
pub(crate) struct Tape {
    inner: Arc<MappedTape>,
}

impl Tape {
    /// Returns the mapped tape, to be read without the interpreter lock.
    pub(crate) fn shared(&self) -> Arc<MappedTape> {
        Arc::clone(&self.inner)
    }

    /// Returns the range, or an IndexError if the tape does not hold it.
    pub(super) fn range(&self, start: usize, stop: usize) -> PyResult<Range<usize>> {
        let count = self.inner.row_count();
        if start <= stop && stop <= count {
            return Ok(start..stop);
        }
        Err(PyIndexError::new_err(format!(
            "Rows {start} to {stop} are not in a tape of {count} rows"
        )))
    }

    /// Returns one field of rows.
    fn gather<const N: usize>(
        &self,
        rows: Range<usize>,
        field: impl Fn(&Tick) -> [u8; N],
    ) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(rows.len() * N);
        let mut cursor = self.inner.cursor(rows)?;
        while cursor.advance(cursor.window().len())? {
            out.extend(cursor.window().iter().flat_map(&field));
        }
        Ok(Some(out))
    }
}

#[pymethods]
impl Tape {
    /// Map and verify a tape; raise TapeError with file, block and reason if anything is off.
    #[staticmethod]
    #[pyo3(signature = (path))]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let inner = py.detach(|| MappedTape::open(&path))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    #[getter]
    fn path(&self) -> String {
        self.inner.path().display().to_string()
    }

    #[getter]
    fn row_count(&self) -> usize {
        self.inner.row_count()
    }

    #[getter]
    fn has_local(&self) -> bool {
        self.inner.has_local()
    }

    /// 32 hex digits over all rows and the metadata.
    #[getter]
    fn content_hash(&self) -> String {
        format!("{:032x}", self.inner.content_hash())
    }

    /// The JSON text given when the tape was built.
    #[getter]
    fn metadata(&self) -> &str {
        self.inner.metadata()
    }

    /// Whether any row carries a level-3 join ordinal.
    #[getter]
    fn has_join(&self) -> bool {
        self.inner.has_join()
    }

    fn exch_ns(&self, row: usize) -> PyResult<i64> {
        if row >= self.inner.row_count() {
            let count = self.inner.row_count();
            return Err(PyIndexError::new_err(format!(
                "Row {row} is not in a tape of {count} rows"
            )));
        }
        Ok(self.inner.exch_ns(row)?)
    }

    /// First row with exchange time >= exch_ns (row_count if none).
    fn first_row_at(&self, exch_ns: i64) -> PyResult<usize> {
        Ok(self.inner.first_row_at(exch_ns)?)
    }

    /// Rows as (exch_ns, local_ns, kind, side, flags, price, qty, join), for inspection.
    fn rows(&self, start: usize, stop: usize) -> PyResult<Vec<RowTuple>> {
        Ok(self
            .inner
            .rows(self.range(start, stop)?)?
            .iter()
            .map(|t| {
                (
                    t.exch_ns, t.local_ns, t.kind, t.side, t.flags, t.price, t.qty, t.join,
                )
            })
            .collect())
    }

    /// Rows [start, stop) of one column (by default all) as native-endian bytes: exch_ns, local_ns (i64), price, qty (i32), join (u32), kind, side, flags (u8).
    #[pyo3(signature = (name, start = 0, stop = None))]
    fn column<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        start: usize,
        stop: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let rows = self.range(start, stop.unwrap_or(self.inner.row_count()))?;
        let bytes = py.detach(|| match name {
            "exch_ns" => self.gather(rows, |row| row.exch_ns.to_ne_bytes()),
            "local_ns" => self.gather(rows, |row| row.local_ns.to_ne_bytes()),
            "price" => self.gather(rows, |row| row.price.to_ne_bytes()),
            "qty" => self.gather(rows, |row| row.qty.to_ne_bytes()),
            "join" => self.gather(rows, |row| row.join.to_ne_bytes()),
            "kind" => self.gather(rows, |row| [row.kind]),
            "side" => self.gather(rows, |row| [row.side]),
            "flags" => self.gather(rows, |row| [row.flags]),
            _ => Ok(None),
        })?;
        let bytes = bytes.ok_or_else(|| {
            let known = "exch_ns, local_ns, kind, side, flags, price, qty, join";
            PyValueError::new_err(format!("No column {name:?} in a tape; columns are {known}"))
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __repr__(&self) -> String {
        format!("Tape({:?}, row_count={})", self.path(), self.row_count())
    }
}

/// The caller's columns, of one length. They are copied a piece at a time while the interpreter lock is held: without it another thread
/// may write to them.
pub(super) struct Columns<'py> {
    exch_ns: Bound<'py, PyMemoryView>,
    local_ns: Option<Bound<'py, PyMemoryView>>,
    kind: Bound<'py, PyMemoryView>,
    side: Bound<'py, PyMemoryView>,
    flags: Bound<'py, PyMemoryView>,
    price: Bound<'py, PyMemoryView>,
    qty: Bound<'py, PyMemoryView>,
    join: Option<Bound<'py, PyMemoryView>>,
    row_count: usize,
}

impl<'py> Columns<'py> {
    #[allow(clippy::too_many_arguments, reason = "one argument per column")]
    pub(super) fn read(
        source: &str,
        exch_ns: &Bound<'py, PyAny>,
        local_ns: Option<&Bound<'py, PyAny>>,
        kind: &Bound<'py, PyAny>,
        side: &Bound<'py, PyAny>,
        flags: &Bound<'py, PyAny>,
        price: &Bound<'py, PyAny>,
        qty: &Bound<'py, PyAny>,
        join: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let row_count = buffer::<i64>(source, exch_ns, "exch_ns", None)?.item_count();
        let count = Some(row_count);
        Ok(Self {
            exch_ns: view_of::<i64>(source, exch_ns, "exch_ns", count)?,
            local_ns: local_ns
                .map(|values| view_of::<i64>(source, values, "local_ns", count))
                .transpose()?,
            kind: view_of::<u8>(source, kind, "kind", count)?,
            side: view_of::<u8>(source, side, "side", count)?,
            flags: view_of::<u8>(source, flags, "flags", count)?,
            price: view_of::<i32>(source, price, "price", count)?,
            qty: view_of::<i32>(source, qty, "qty", count)?,
            join: join
                .map(|values| view_of::<u32>(source, values, "join", count))
                .transpose()?,
            row_count,
        })
    }

    /// Returns all rows, with their flags as they are.
    pub(super) fn rows(&self, py: Python<'py>) -> PyResult<Vec<Tick>> {
        let mut piece = Piece::default();
        piece.take(py, self, 0..self.row_count)?;
        let columns = piece.columns();
        let row = |row: usize| Tick {
            flags: columns.flags[row],
            ..columns.row(row)
        };
        Ok((0..columns.len()).map(row).collect())
    }

    /// Hands all rows to `work`, a piece at a time and without the interpreter lock.
    pub(super) fn each(
        &self,
        py: Python<'py>,
        piece: &mut Piece,
        mut work: impl FnMut(&RowColumns<'_>) -> Result<()> + Send,
    ) -> PyResult<()> {
        for start in (0..self.row_count).step_by(PIECE_ROWS) {
            piece.take(py, self, start..self.row_count.min(start + PIECE_ROWS))?;
            py.detach(|| work(&piece.columns()))?;
        }
        Ok(())
    }
}

/// Copies of some rows of the caller's columns; the room is used again.
#[derive(Debug, Default)]
pub(super) struct Piece {
    exch_ns: Vec<i64>,
    local_ns: Vec<i64>,
    kind: Vec<u8>,
    side: Vec<u8>,
    flags: Vec<u8>,
    price: Vec<i32>,
    qty: Vec<i32>,
    join: Vec<u32>,
}

impl Piece {
    fn take<'py>(
        &mut self,
        py: Python<'py>,
        columns: &Columns<'py>,
        rows: Range<usize>,
    ) -> PyResult<()> {
        let rows = PySlice::new(py, rows.start.try_into()?, rows.end.try_into()?, 1);
        copy(&columns.exch_ns, &rows, &mut self.exch_ns)?;
        let local_ns = columns.local_ns.as_ref().unwrap_or(&columns.exch_ns);
        copy(local_ns, &rows, &mut self.local_ns)?;
        copy(&columns.kind, &rows, &mut self.kind)?;
        copy(&columns.side, &rows, &mut self.side)?;
        copy(&columns.flags, &rows, &mut self.flags)?;
        copy(&columns.price, &rows, &mut self.price)?;
        copy(&columns.qty, &rows, &mut self.qty)?;
        self.join.clear();
        if let Some(join) = &columns.join {
            copy(join, &rows, &mut self.join)?;
        }
        Ok(())
    }

    fn columns(&self) -> RowColumns<'_> {
        RowColumns {
            exch_ns: &self.exch_ns,
            local_ns: &self.local_ns,
            price: &self.price,
            qty: &self.qty,
            join: &self.join,
            kind: &self.kind,
            side: &self.side,
            flags: &self.flags,
        }
    }
}

fn copy<T: Element + Default>(
    from: &Bound<'_, PyMemoryView>,
    rows: &Bound<'_, PySlice>,
    to: &mut Vec<T>,
) -> PyResult<()> {
    let part = PyBuffer::<T>::get(&from.as_any().get_item(rows)?)?;
    to.resize(part.item_count(), T::default());
    part.copy_to_slice(from.py(), to)
}

/// Write a tape in chunks to a temporary name; finish() syncs and renames it into place.
#[pyclass(module = "rustsim")]
#[derive(Debug)]
pub(crate) struct TapeBuilder {
    path: String,
    has_local: bool,
    source: String,
    writer: Option<TapeWriter>,
    piece: Piece,
}

#[pymethods]
impl TapeBuilder {
    #[new]
    #[pyo3(signature = (path, *, has_local = false, source = ""))]
    fn new(py: Python<'_>, path: PathBuf, has_local: bool, source: &str) -> PyResult<Self> {
        let writer = py.detach(|| TapeWriter::create(Path::new(&path), has_local, source))?;
        let path = path.display().to_string();
        let source = if source.is_empty() {
            path.clone()
        } else {
            source.to_owned()
        };
        Ok(Self {
            path,
            has_local,
            source,
            writer: Some(writer),
            piece: Piece::default(),
        })
    }

    /// Append equally long 1-d buffers (i64, i64, u8, u8, u8, i32, i32, u32). Raise TickError with source and row.
    #[pyo3(signature = (exch_ns, local_ns, kind, side, flags, price, qty, join = None))]
    #[allow(clippy::too_many_arguments, reason = "one argument per column")]
    fn append(
        &mut self,
        py: Python<'_>,
        exch_ns: &Bound<'_, PyAny>,
        local_ns: Option<&Bound<'_, PyAny>>,
        kind: &Bound<'_, PyAny>,
        side: &Bound<'_, PyAny>,
        flags: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
        qty: &Bound<'_, PyAny>,
        join: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if local_ns.is_some() != self.has_local {
            return Err(shape_error(
                &self.source,
                "local_ns must be given exactly if the tape has a local clock",
            ));
        }
        let columns = Columns::read(
            &self.source,
            exch_ns,
            local_ns,
            kind,
            side,
            flags,
            price,
            qty,
            join,
        )?;
        let writer = self.writer.as_mut().ok_or_else(|| over(&self.path))?;
        columns.each(py, &mut self.piece, |rows| writer.append_columns(rows))
    }

    /// Seal the tape; return row_count, content_hash, price_min, price_max, exch_ns_first, exch_ns_last, bytes, has_join.
    fn finish<'py>(&mut self, py: Python<'py>, metadata: &str) -> PyResult<Bound<'py, PyDict>> {
        let writer = self.writer.take().ok_or_else(|| over(&self.path))?;
        let summary: TapeSummary = py.detach(|| writer.finish(metadata))?;
        let facts = PyDict::new(py);
        facts.set_item("row_count", summary.row_count)?;
        facts.set_item("content_hash", format!("{:032x}", summary.content_hash))?;
        facts.set_item("price_min", summary.price_range.map(|range| range.0))?;
        facts.set_item("price_max", summary.price_range.map(|range| range.1))?;
        facts.set_item("exch_ns_first", summary.exch_ns_first)?;
        facts.set_item("exch_ns_last", summary.exch_ns_last)?;
        facts.set_item("bytes", summary.bytes)?;
        facts.set_item("has_join", summary.has_join)?;
        Ok(facts)
    }

    /// Give up and remove the temporary file.
    fn abort(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.abort();
        }
    }
}

/// Returns the values of a column, copied.
pub(super) fn column<T: Element>(
    source: &str,
    values: &Bound<'_, PyAny>,
    name: &str,
    count: Option<usize>,
) -> PyResult<Vec<T>> {
    buffer(source, values, name, count)?.to_vec(values.py())
}

fn view_of<'py, T: Element>(
    source: &str,
    values: &Bound<'py, PyAny>,
    name: &str,
    count: Option<usize>,
) -> PyResult<Bound<'py, PyMemoryView>> {
    buffer::<T>(source, values, name, count)?;
    PyMemoryView::from(values)
}

fn buffer<T: Element>(
    source: &str,
    values: &Bound<'_, PyAny>,
    name: &str,
    count: Option<usize>,
) -> PyResult<PyBuffer<T>> {
    let buffer = PyBuffer::<T>::get(values).map_err(|fault| {
        let kind = std::any::type_name::<T>();
        let what = format!(
            "column {name} must be a buffer of {kind} (numpy array or array.array): {fault}"
        );
        shape_error(source, &what)
    })?;
    if buffer.dimensions() != 1 || !buffer.is_c_contiguous() {
        return Err(shape_error(
            source,
            &format!("column {name} must be one-dimensional and contiguous"),
        ));
    }
    if let Some(expected) = count.filter(|count| *count != buffer.item_count()) {
        let found = buffer.item_count();
        return Err(shape_error(
            source,
            &format!("column {name} has {found} rows, exch_ns has {expected}"),
        ));
    }
    Ok(buffer)
}

fn shape_error(source: &str, what: &str) -> PyErr {
    Error::Tick(format!("{source}: {what}")).into()
}

fn over(path: &str) -> PyErr {
    Error::Tape(format!("{path}: this tape was finished or aborted before")).into()
}

/// Look at sorted rows as a book; see the stub for what is returned.
#[pyfunction]
#[pyo3(signature = (exch_ns, kind, side, flags, price, qty, *, visible_levels, trades_take=false))]
#[allow(clippy::too_many_arguments, reason = "one argument per column")]
pub(crate) fn scan_book<'py>(
    py: Python<'py>,
    exch_ns: &Bound<'py, PyAny>,
    kind: &Bound<'py, PyAny>,
    side: &Bound<'py, PyAny>,
    flags: &Bound<'py, PyAny>,
    price: &Bound<'py, PyAny>,
    qty: &Bound<'py, PyAny>,
    visible_levels: usize,
    trades_take: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let columns = Columns::read(
        "scan_book",
        exch_ns,
        None,
        kind,
        side,
        flags,
        price,
        qty,
        None,
    )?;
    let rows = columns.rows(py)?;
    let (scan, mask) = py.detach(|| {
        let scan = view::scan_book(&rows, visible_levels, trades_take);
        let mut mask = vec![0_u8; rows.len()];
        scan.out_of_view.iter().for_each(|&row| mask[row] = 1);
        (scan, mask)
    });
    let facts = PyDict::new(py);
    facts.set_item("groups", scan.groups)?;
    facts.set_item("crossed_groups", scan.crossed_groups)?;
    facts.set_item("locked_groups", scan.locked_groups)?;
    facts.set_item("levels_max", scan.levels_max)?;
    facts.set_item("out_of_view", PyBytes::new(py, &mask))?;
    let best = &scan.best;
    set_column(
        &facts,
        "group_ns",
        best.iter().flat_map(|row| row.exch_ns.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "bid_price",
        best.iter().flat_map(|row| row.bid_price.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "bid_lots",
        best.iter().flat_map(|row| row.bid_lots.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "ask_price",
        best.iter().flat_map(|row| row.ask_price.to_ne_bytes()),
    )?;
    set_column(
        &facts,
        "ask_lots",
        best.iter().flat_map(|row| row.ask_lots.to_ne_bytes()),
    )?;
    Ok(facts)
}

pub(super) fn set_column(
    facts: &Bound<'_, PyDict>,
    name: &str,
    bytes: impl Iterator<Item = u8>,
) -> PyResult<()> {
    let bytes: Vec<u8> = bytes.collect();
    facts.set_item(name, PyBytes::new(facts.py(), &bytes))
}
