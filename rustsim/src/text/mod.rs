//! Columns out of delimited text: times, steps of a ladder and codes, exact and without a float where the text is a plain decimal.
//!
//! Lines come in pieces of any size; a line that is not yet whole waits for the next piece. Every line has as many fields as the columns
//! that were stated, a field may stand in double quotes (a doubled quote inside stands for one), lines end in LF or CR LF, and blank lines
//! are allowed at the very end only. A field that is no value of its column becomes a mark, not an error: the caller knows the rules. The
//! first such field of each column and piece is told with its text.
//!
//! Plain stretches are read column by column (`quick.rs`), anything else line by line and field by field; both give the same values.
//!
//! Cost: two looks at each byte of plain lines, half a nanosecond in all. Known limits: a quoted field cannot hold a line break.

mod cuts;
mod field;
mod number;
mod quick;
mod time;

pub use field::{ColumnSpec, Grid};

use crate::error::{Error, Result};
use field::{Fault, Words};
use quick::Quick;
use serde::Deserialize;

/// Marks a field that is no value of its column.
pub const BAD: i64 = i64::MIN;
/// Marks an empty field.
pub const EMPTY: i64 = i64::MIN + 1;
/// Marks a code that no list names.
pub const CODE_BAD: u8 = 255;
/// Marks an empty code.
pub const CODE_EMPTY: u8 = 254;

/// Longest line, so that a file without line ends is refused instead of gathered.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What the text holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    /// Byte between fields.
    pub separator: u8,
    /// One entry per field of a line.
    pub columns: Vec<ColumnSpec>,
}

/// Values of one column of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// The column is not used.
    None,
    /// Times in nanoseconds, or steps; [`BAD`] and [`EMPTY`] stand for fields without value.
    Numbers(Vec<i64>),
    /// Codes; [`CODE_BAD`] and [`CODE_EMPTY`] stand for fields without value.
    Codes(Vec<u8>),
}

/// The first field of a column, in one piece, that is no value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Column, from 0.
    pub column: usize,
    /// Row of the piece, from 0.
    pub row: usize,
    /// What stands there, cut to a readable length.
    pub text: String,
}

/// What a piece of text holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Whole lines in it.
    pub rows: usize,
    /// One entry per column.
    pub values: Vec<Values>,
    /// First bad field of each column that has one.
    pub bad: Vec<BadField>,
}

/// Takes text piece by piece.
#[derive(Clone, Debug)]
pub struct TextColumns {
    spec: TextSpec,
    words: Vec<Words>,
    /// None: every line is read with care.
    quick: Option<Quick>,
    /// Rows of the piece before: about as many as the next one has.
    rows_last: usize,
    /// Start of a line whose end has not come yet.
    tail: Vec<u8>,
    /// Lines taken so far.
    lines: u64,
    /// Lines in front of the first one given, such as a header.
    lines_before: u64,
    /// A blank line was seen: nothing but blank lines may follow.
    has_ended: bool,
}

impl TextColumns {
    /// Returns a parser that has seen nothing; `lines_before` lines of the file were read by the caller.
    ///
    /// # Errors
    /// The description names no column, or too many, or a list of codes that contradicts itself.
    pub fn new(spec: TextSpec, lines_before: u64) -> Result<Self> {
        if spec.columns.is_empty() {
            return Err(Error::Spec("columns: expected at least one".to_owned()));
        }
        if matches!(spec.separator, b'\n' | b'\r' | b'"') {
            let found = char::from(spec.separator);
            return Err(Error::Spec(format!(
                "separator: expected a byte that ends no line and quotes nothing, found {found:?}"
            )));
        }
        for column in &spec.columns {
            column.check()?;
        }
        Ok(Self {
            words: spec.columns.iter().map(Words::of).collect(),
            quick: Quick::new(&spec),
            rows_last: 0,
            spec,
            tail: Vec::new(),
            lines: 0,
            lines_before,
            has_ended: false,
        })
    }

    /// Returns a parser that reads every line field by field: the reference for the quick way, equal in all but time.
    #[must_use]
    pub fn with_care(mut self) -> Self {
        self.quick = None;
        self
    }

    /// Takes a piece and returns what its whole lines hold; `is_last`: the text ends with it.
    ///
    /// # Errors
    /// A line has another number of fields, an open quote or no end; the message names the line.
    pub fn push(&mut self, data: &[u8], is_last: bool) -> Result<Piece> {
        let mut piece = Piece {
            rows: 0,
            values: self
                .spec
                .columns
                .iter()
                .map(|column| column.empty(self.rows_last + self.rows_last / 8))
                .collect(),
            bad: Vec::new(),
        };
        let mut rest = data;
        if !self.tail.is_empty()
            && let Some(end) = rest.iter().position(|&byte| byte == b'\n')
        {
            let mut line = std::mem::take(&mut self.tail);
            line.extend_from_slice(&rest[..=end]);
            self.lines_of(&line, &mut piece)?;
            rest = &rest[end + 1..];
        }
        let whole = rest
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        if self.tail.is_empty() {
            self.lines_of(&rest[..whole], &mut piece)?;
            rest = &rest[whole..];
        }
        self.tail.extend_from_slice(rest);
        if self.tail.len() > LINE_BYTES_MAX {
            return Err(self.fault(&format!(
                "the line has no end within {LINE_BYTES_MAX} bytes"
            )));
        }
        if is_last && !self.tail.is_empty() {
            let mut line = std::mem::take(&mut self.tail);
            line.push(b'\n');
            self.lines_of(&line, &mut piece)?;
        }
        self.rows_last = piece.rows;
        Ok(piece)
    }

    // Every line of `text` ends in LF.
    fn lines_of(&mut self, text: &[u8], piece: &mut Piece) -> Result<()> {
        let mut at = 0;
        while at < text.len() {
            let stop = Quick::stretch(text, at).unwrap_or(at + 1);
            if at < quick::BYTES_BEFORE {
                at = self.some_lines(text, at, quick::BYTES_BEFORE.min(text.len()), piece)?;
            } else if let Some(lines) = self.plain_lines(text, at, stop, piece) {
                self.lines += lines as u64;
                piece.rows += lines;
                at = stop;
            } else {
                at = self.some_lines(text, at, stop, piece)?;
            }
        }
        Ok(())
    }

    fn plain_lines(
        &mut self,
        text: &[u8],
        start: usize,
        stop: usize,
        piece: &mut Piece,
    ) -> Option<usize> {
        let quick = self.quick.as_mut().filter(|_| !self.has_ended)?;
        let columns = &self.spec.columns;
        quick.read(columns, text, (start, stop), &mut piece.values, piece.rows)
    }

    /// Reads lines with care until one starts at `stop` or behind it, and returns where.
    fn some_lines(
        &mut self,
        text: &[u8],
        start: usize,
        stop: usize,
        piece: &mut Piece,
    ) -> Result<usize> {
        let mut at = start;
        while at < stop {
            let blank = match text[at] {
                b'\n' => 1,
                b'\r' if text.get(at + 1) == Some(&b'\n') => 2,
                _ => 0,
            };
            if blank > 0 {
                self.has_ended = true;
                at += blank;
                continue;
            }
            if self.has_ended {
                return Err(self.fault("a blank line stands in front of further lines"));
            }
            at = self.line(text, at, piece)?;
            self.lines += 1;
            piece.rows += 1;
        }
        Ok(at)
    }

    /// Reads one line and returns where the next one starts.
    fn line(&self, text: &[u8], start: usize, piece: &mut Piece) -> Result<usize> {
        let count = self.spec.columns.len();
        let mut at = start;
        for (column, spec) in self.spec.columns.iter().enumerate() {
            let end = spec
                .read(
                    text,
                    at,
                    self.spec.separator,
                    &self.words[column],
                    &mut piece.values[column],
                )
                .map_err(|fault| match fault {
                    Fault::OpenQuote => {
                        self.fault(&format!("field {}: the quote is not closed", column + 1))
                    }
                    Fault::AfterQuote => self.fault(&format!(
                        "field {}: text follows the closing quote",
                        column + 1
                    )),
                })?;
            if piece.values[column].last_is_bad()
                && piece.bad.iter().all(|bad| bad.column != column)
            {
                piece.bad.push(BadField {
                    column,
                    row: piece.rows,
                    text: shown(&text[at..end]),
                });
            }
            at = end;
            let is_end = text[at] == b'\n' || (text[at] == b'\r' && text[at + 1] == b'\n');
            if is_end != (column + 1 == count) {
                return Err(self.wrong_count(text, start));
            }
            at += if text[at] == b'\r' && is_end { 2 } else { 1 };
        }
        Ok(at)
    }

    fn wrong_count(&self, text: &[u8], start: usize) -> Error {
        let line = text[start..].split(|&byte| byte == b'\n').next();
        let found = line.map_or(0, |line| {
            line.split(|&byte| byte == self.spec.separator).count()
        });
        let expected = self.spec.columns.len();
        self.fault(&format!("expected {expected} fields, found {found}"))
    }

    fn fault(&self, what: &str) -> Error {
        let line = self.lines_before + self.lines + 1;
        Error::Tick(format!("line {line}: {what}"))
    }
}

fn shown(text: &[u8]) -> String {
    const SHOWN_BYTES: usize = 40;
    let cut = &text[..text.len().min(SHOWN_BYTES)];
    let mut shown = String::from_utf8_lossy(cut).into_owned();
    if text.len() > SHOWN_BYTES {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests;
