//! The quick way through plain lines, column by column; it steps aside for anything that the careful way might refuse or mark as bad.
//!
//! What it takes has the value that [`ColumnSpec::read`] gives: times and steps by the same arithmetic, digits eight at a time. It takes no
//! line with a quote, with another number of fields, or with a field that is no value of its column; such a stretch of some kilobytes is
//! read again, line by line.

use super::cuts::Cuts;
use super::field::code_of;
use super::number::{self, Decimal};
use super::{ColumnSpec, EMPTY, Grid, TextSpec, Values, time};

/// Text that is taken or left at a time: it stays in the nearest cache until its last column is read.
const STRETCH_BYTES: usize = 8 << 10;
/// Bytes in front of a stretch, whatever they are: digits are loaded from their end on.
pub(super) const BYTES_BEFORE: usize = 24;

const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;
const POINT: u8 = b'.' ^ b'0';

/// Reads stretches of plain lines.
#[derive(Clone, Debug)]
pub(super) struct Quick {
    cuts: Cuts,
    codes: Vec<CodeTable>,
}

impl Quick {
    /// Returns what reads such lines; None where what a field is cannot be seen from its ends: a line of one field may be blank and end the
    /// text, and a separator may be part of a number.
    pub(super) fn new(spec: &TextSpec) -> Option<Self> {
        let is_numeric = matches!(spec.separator, b'0'..=b'9' | b'.' | b'+' | b'-');
        (spec.columns.len() > 1 && !is_numeric).then(|| Self {
            cuts: Cuts::new(spec.separator, spec.columns.len(), STRETCH_BYTES),
            codes: spec.columns.iter().map(CodeTable::of).collect(),
        })
    }

    /// Returns the end of the next stretch of whole lines; None if the next line is longer than that.
    pub(super) fn stretch(text: &[u8], start: usize) -> Option<usize> {
        let stop = text.len().min(start + STRETCH_BYTES);
        let end = text[start..stop].iter().rposition(|&byte| byte == b'\n')?;
        Some(start + end + 1)
    }

    /// Reads the lines of a stretch and returns how many they are; None, with the values of the first `rows` alone, if one
    /// of them is not plain.
    pub(super) fn read(
        &mut self,
        columns: &[ColumnSpec],
        text: &[u8],
        (start, stop): (usize, usize),
        values: &mut [Values],
        rows: usize,
    ) -> Option<usize> {
        let window = &text[start.checked_sub(BYTES_BEFORE)?..stop];
        let lines = self.cuts.find(&window[BYTES_BEFORE..])?;
        for (index, column) in columns.iter().enumerate() {
            if self
                .column(column, index, window, lines, &mut values[index])
                .is_none()
            {
                for values in values.iter_mut() {
                    values.shorten(rows);
                }
                return None;
            }
        }
        Some(lines)
    }

    /// Reads a column; None if one of its fields is no value.
    fn column(
        &self,
        spec: &ColumnSpec,
        index: usize,
        window: &[u8],
        lines: usize,
        values: &mut Values,
    ) -> Option<()> {
        let fields = Fields {
            window,
            starts: self.cuts.starts(index, lines),
            lines,
            step: self.codes.len(),
            is_last: index + 1 == self.codes.len(),
        };
        match (spec, values) {
            (ColumnSpec::Skip, _) | (_, Values::None) => Some(()),
            (ColumnSpec::Code { words }, Values::Codes(codes)) => {
                fields.codes(words, &self.codes[index], codes)
            }
            (ColumnSpec::Steps(grid), Values::Numbers(numbers)) => fields.steps(*grid, numbers),
            (ColumnSpec::Time { digits }, Values::Numbers(numbers)) => {
                fields.times(*digits, numbers)
            }
            (ColumnSpec::IsoTime { has_offset }, Values::Numbers(numbers)) => {
                fields.iso_times(*has_offset, numbers)
            }
            _ => None,
        }
    }
}

/// The fields of one column of a stretch.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    /// The stretch, and some bytes in front of it.
    window: &'a [u8],
    /// Where fields of the stretch start: the first of them this column's, every `step`-th one again.
    starts: &'a [u32],
    lines: usize,
    step: usize,
    is_last: bool,
}

// Loops of their own, so that each keeps what it needs in registers.
impl Fields<'_> {
    #[inline(never)]
    fn steps(self, grid: Grid, numbers: &mut Vec<i64>) -> Option<()> {
        let is_finest = grid.denominator == 1;
        self.read(numbers, |start, end| {
            number_of(self.window, start, end, |decimal| {
                if is_finest && decimal.places == 0 {
                    return decimal.mantissa.checked_mul(grid.numerator);
                }
                number::steps(decimal, grid)
            })
        })
    }

    #[inline(never)]
    fn times(self, digits: u32, numbers: &mut Vec<i64>) -> Option<()> {
        let mut head = Head::default();
        self.read(numbers, |start, end| {
            if let Some(mantissa) = head.mantissa(self.window, start, end) {
                return number::scaled(whole(mantissa), digits);
            }
            number_of(self.window, start, end, |decimal| {
                number::scaled(decimal, digits)
            })
        })
    }

    #[inline(never)]
    fn iso_times(self, has_offset: bool, numbers: &mut Vec<i64>) -> Option<()> {
        self.read(numbers, |start, end| {
            let text = &self.window[start..end];
            if text.is_empty() {
                Some(EMPTY)
            } else {
                time::iso(text, has_offset)
            }
        })
    }

    #[inline(never)]
    fn codes(self, words: &[(String, u8)], table: &CodeTable, codes: &mut Vec<u8>) -> Option<()> {
        self.read(codes, |start, end| {
            table.code(words, self.window, start, end)
        })
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call per field would cost as much as the field"
    )]
    fn read<T: Copy + Default>(
        self,
        values: &mut Vec<T>,
        mut value: impl FnMut(usize, usize) -> Option<T>,
    ) -> Option<()> {
        // Room first: asking for each value whether there is some would cost as much as the value.
        let rows = values.len();
        values.resize(rows + self.lines, T::default());
        let pairs = self.starts.windows(2).step_by(self.step);
        for (slot, pair) in values[rows..].iter_mut().zip(pairs) {
            let start = (pair[0] as usize).wrapping_add(BYTES_BEFORE);
            let mut end = (pair[1] as usize).wrapping_add(BYTES_BEFORE - 1);
            // The end of a line may be two bytes long.
            if self.is_last && end > start && self.window[end - 1] == b'\r' {
                end -= 1;
            }
            *slot = value(start, end)?;
        }
        Some(())
    }
}

// --- numbers -------------------------------------------------------------------------------------

#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "a call per field would cost as much as the field"
)]
fn number_of(
    window: &[u8],
    start: usize,
    end: usize,
    whole: impl Fn(Decimal) -> Option<i64>,
) -> Option<i64> {
    if start == end {
        return Some(EMPTY);
    }
    let decimal = match decimal(window, start, end) {
        Some(decimal) => decimal,
        None => {
            number::plain(&window[..end], start)
                .filter(|found| found.1 == end)?
                .0
        }
    };
    whole(decimal)
}

/// Returns the value of digits with at most one point among them, up to sixteen bytes; None: look closer.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "a call per field would cost as much as the field"
)]
fn decimal(window: &[u8], start: usize, end: usize) -> Option<Decimal> {
    let length = end - start;
    if length <= 8 {
        let low = digits_before(window, end)? & most_significant(length);
        if others(low) == 0 {
            return Some(whole(value_of_eight(low)));
        }
        return pointed(0, low);
    }
    let low = digits_before(window, end)?;
    if length <= 16 {
        let high = digits_before(window, end - 8)? & most_significant(length - 8);
        if others(low) | others(high) == 0 {
            return Some(whole(value_of_sixteen(high, low)));
        }
        return pointed(high, low);
    }
    None
}

/// What stands in front of the last eight of 17 to 19 digits: of times in nanoseconds mostly the same in one row as in the row above.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    words: (u64, u64),
    value: i64,
}

impl Head {
    /// Returns the value of so many digits, of 19 if the first is a 1; None: look closer.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call per field would cost as much as the field"
    )]
    fn mantissa(&mut self, window: &[u8], start: usize, end: usize) -> Option<i64> {
        let length = end - start;
        if !matches!(length, 17..=19) || (length == 19 && window[start] != b'1') {
            return None;
        }
        let high = digits_before(window, end - 16)? & most_significant(length - 16);
        let words = (high, digits_before(window, end - 8)?);
        if words != self.words {
            if others(words.0) | others(words.1) != 0 {
                return None;
            }
            let value = value_of_sixteen(words.0, words.1).wrapping_mul(100_000_000);
            (self.words, self.value) = (words, value);
        }
        let low = digits_before(window, end)?;
        (others(low) == 0).then(|| self.value.wrapping_add(value_of_eight(low)))
    }
}

fn whole(mantissa: i64) -> Decimal {
    Decimal {
        mantissa,
        places: 0,
    }
}

/// Returns a number with one point, from digits in two words of which the second ends it.
#[inline(never)]
fn pointed(high: u64, low: u64) -> Option<Decimal> {
    let word = u128::from(low) << 64 | u128::from(high);
    let others = u128::from(others(low)) << 64 | u128::from(others(high));
    let at = others.trailing_zeros() / 8;
    let is_point = (word >> (8 * at)) & 0xff == u128::from(POINT);
    if !is_point || others & (others - 1) != 0 || at == 15 {
        return None;
    }
    // What is left of the point moves up over it.
    let right = word & (u128::MAX << (8 * (at + 1)));
    let left = word & !(u128::MAX << (8 * at));
    let word = right | left << 8;
    #[allow(clippy::cast_possible_truncation, reason = "two halves of one word")]
    let mantissa = value_of_sixteen(word as u64, (word >> 64) as u64);
    Some(Decimal {
        mantissa,
        places: 15 - at,
    })
}

/// Returns the eight bytes that end at `end`, each less the one of a zero; the last byte is the most significant.
#[inline]
fn digits_before(window: &[u8], end: usize) -> Option<u64> {
    Some(bytes_before(window, end)? ^ ASCII_ZEROS)
}

#[inline]
fn bytes_before(window: &[u8], end: usize) -> Option<u64> {
    let bytes = window[..end].last_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Returns a mask of that many bytes, 1 to 8.
#[inline]
fn most_significant(bytes: usize) -> u64 {
    u64::MAX << (64 - 8 * bytes)
}

/// Marks bytes that are no digits.
#[inline]
fn others(word: u64) -> u64 {
    (word | word.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080
}

#[inline]
fn value_of_eight(word: u64) -> i64 {
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    eight.cast_signed()
}

#[inline]
fn value_of_sixteen(high: u64, low: u64) -> i64 {
    // Below 10^16 for any digits.
    let high = value_of_eight(high).wrapping_mul(100_000_000);
    high.wrapping_add(value_of_eight(low))
}

// --- words ---------------------------------------------------------------------------------------

/// Words of up to seven bytes, found by one multiplication: random ones would be guessed wrong half of the time by comparing one by one.
#[derive(Clone, Debug)]
struct CodeTable {
    multiplier: u64,
    /// Bytes of a word in the low places, its length in the highest; 0: no word.
    keys: Vec<u64>,
    codes: Vec<u8>,
}

const PLACES: usize = 256;
const SHORT: usize = 7;

impl CodeTable {
    fn of(column: &ColumnSpec) -> Self {
        let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
        let words = match column {
            ColumnSpec::Code { words } => words.as_slice(),
            _ => &[],
        };
        // Few words of many places: one of the first multipliers parts them. Where none does, lists are searched.
        for _ in 0..100 {
            if let Some(table) = Self::parted(words, multiplier) {
                return table;
            }
            multiplier = multiplier.wrapping_mul(6_364_136_223_846_793_005) | 1;
        }
        Self {
            multiplier,
            keys: vec![0; PLACES],
            codes: vec![0; PLACES],
        }
    }

    fn parted(words: &[(String, u8)], multiplier: u64) -> Option<Self> {
        let mut table = Self {
            multiplier,
            keys: vec![0; PLACES],
            codes: vec![0; PLACES],
        };
        for (word, code) in words {
            if word.is_empty() || word.len() > SHORT {
                continue;
            }
            let mut padded = [0; 8];
            padded[8 - word.len()..].copy_from_slice(word.as_bytes());
            let key = Self::key(u64::from_le_bytes(padded), word.len());
            let place = table.place(key);
            if table.keys[place] != 0 {
                return None;
            }
            (table.keys[place], table.codes[place]) = (key, *code);
        }
        Some(table)
    }

    /// Returns the key of a word whose last byte is the most significant one.
    #[inline]
    fn key(word: u64, length: usize) -> u64 {
        word >> (64 - 8 * length) | (length as u64) << 56
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        (key.wrapping_mul(self.multiplier) >> 56) as usize
    }

    #[inline]
    fn code(&self, words: &[(String, u8)], window: &[u8], start: usize, end: usize) -> Option<u8> {
        let length = end - start;
        if length.wrapping_sub(1) < SHORT {
            let key = Self::key(bytes_before(window, end)?, length);
            let place = self.place(key);
            if self.keys[place] == key {
                return Some(self.codes[place]);
            }
        }
        code_of(words, &window[start..end])
    }
}
