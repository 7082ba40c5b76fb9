//! One field of a line: where it ends, and what it says.

use super::{BAD, CODE_BAD, CODE_EMPTY, EMPTY, Values, number, time};
use crate::error::{Error, Result};
use serde::Deserialize;

/// What a column holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ColumnSpec {
    /// Not used.
    Skip,
    /// A number counted in steps; see [`Grid`].
    Steps(Grid),
    /// A time since 1970 as a decimal number; `digits`: decimal places of its unit in a nanosecond (0 ns, 3 us, 6 ms, 9 s).
    Time {
        /// Decimal places.
        digits: u32,
    },
    /// A time as ISO 8601 text; without an offset from UTC it counts as if it were UTC.
    IsoTime {
        /// Whether every text names its offset (true) or none does (false).
        has_offset: bool,
    },
    /// A word of a list.
    Code {
        /// Texts and what they mean, 0 to 253.
        words: Vec<(String, u8)>,
    },
}

/// Steps of a ladder: a number `x` is `x * numerator / denominator` steps, which must be whole.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// At least 1.
    pub numerator: i64,
    /// At least 1.
    pub denominator: i64,
}

/// Words of a list, the short ones packed for comparison in one step.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// Word in the low bytes, its length, its code; words of up to seven bytes.
    packed: Vec<(u64, usize, u8)>,
}

impl Words {
    pub(super) fn of(column: &ColumnSpec) -> Self {
        let mut packed = Vec::new();
        if let ColumnSpec::Code { words } = column {
            for (word, code) in words.iter().filter(|(word, _)| word.len() <= 7) {
                let mut bytes = [0_u8; 8];
                bytes[..word.len()].copy_from_slice(word.as_bytes());
                packed.push((u64::from_le_bytes(bytes), word.len(), *code));
            }
        }
        Self { packed }
    }

    /// Returns the code of a word at `start` that ends at a separator within eight bytes, and where it ends; None: look closer.
    fn find(&self, text: &[u8], start: usize, separator: u8) -> Option<(u8, usize)> {
        let bytes: [u8; 8] = text.get(start..start + 8)?.try_into().ok()?;
        let word = u64::from_le_bytes(bytes);
        let length = first_byte(word, separator)?;
        let key = word & ((1_u64 << (8 * length)) - 1);
        let found = self
            .packed
            .iter()
            .find(|(packed, bytes, _)| *packed == key && *bytes == length)?;
        Some((found.2, start + length))
    }
}

/// Returns the place of the first byte of a word that equals `byte`.
fn first_byte(word: u64, byte: u8) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let differs = word ^ (LOW * u64::from(byte));
    let found = differs.wrapping_sub(LOW) & !differs & HIGH;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// Why a field has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    OpenQuote,
    AfterQuote,
}

impl ColumnSpec {
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Steps(grid) if grid.numerator < 1 || grid.denominator < 1 => Err(Error::Spec(
                "steps: expected a positive fraction".to_owned(),
            )),
            Self::Time { digits } if *digits > 9 => Err(Error::Spec(format!(
                "time: expected 0 to 9 digits, found {digits}"
            ))),
            Self::Code { words } => {
                for (index, (word, code)) in words.iter().enumerate() {
                    if *code >= CODE_EMPTY {
                        return Err(Error::Spec(format!("code: {word:?} stands for {code}")));
                    }
                    if words[..index].iter().any(|(other, _)| other == word) {
                        return Err(Error::Spec(format!("code: {word:?} is named twice")));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn empty(&self, rows: usize) -> Values {
        match self {
            Self::Skip => Values::None,
            Self::Code { .. } => Values::Codes(Vec::with_capacity(rows)),
            _ => Values::Numbers(Vec::with_capacity(rows)),
        }
    }

    /// Reads the field that starts at `start`, appends its value and returns where it ends: at a separator or a line end.
    pub(super) fn read(
        &self,
        text: &[u8],
        start: usize,
        separator: u8,
        words: &Words,
        values: &mut Values,
    ) -> std::result::Result<usize, Fault> {
        if let Values::Codes(codes) = &mut *values
            && let Some((code, end)) = words.find(text, start, separator)
        {
            codes.push(code);
            return Ok(end);
        }
        // The usual field is a plain decimal: value and end come from one look.
        if let (Self::Steps(_) | Self::Time { .. }, Values::Numbers(numbers)) = (self, &mut *values)
            && let Some((decimal, end)) = number::plain(text, start)
            && ends_field(text, end, separator)
        {
            numbers.push(self.number(decimal, &text[start..end]));
            return Ok(end);
        }
        if text[start] == b'"' {
            let (content, end) = unquoted(text, start, separator)?;
            self.value(&content, values);
            return Ok(end);
        }
        let end = start
            + text[start..]
                .iter()
                .position(|&byte| byte == separator || byte == b'\n')
                .unwrap_or(text.len() - start - 1);
        let end = end - usize::from(text[end] == b'\n' && end > start && text[end - 1] == b'\r');
        self.value(&text[start..end], values);
        Ok(end)
    }

    fn number(&self, decimal: number::Decimal, text: &[u8]) -> i64 {
        match self {
            Self::Steps(grid) => number::steps(decimal, *grid)
                .or_else(|| number::steps_of_float(text, *grid))
                .unwrap_or(BAD),
            Self::Time { digits } => number::scaled(decimal, *digits).unwrap_or(BAD),
            _ => BAD,
        }
    }

    fn value(&self, content: &[u8], values: &mut Values) {
        match (self, values) {
            (Self::Code { words }, Values::Codes(codes)) => {
                codes.push(code_of(words, content).unwrap_or(CODE_BAD));
            }
            (_, Values::Numbers(numbers)) => numbers.push(if content.is_empty() {
                EMPTY
            } else {
                self.number_of(content)
            }),
            _ => {}
        }
    }

    fn number_of(&self, content: &[u8]) -> i64 {
        if let Self::IsoTime { has_offset } = self {
            return time::iso(content, *has_offset).unwrap_or(BAD);
        }
        match number::plain(content, 0) {
            Some((decimal, end)) if end == content.len() => self.number(decimal, content),
            _ => match self {
                Self::Steps(grid) => number::steps_of_float(content, *grid).unwrap_or(BAD),
                _ => BAD,
            },
        }
    }
}

/// Returns the code of a word; that of no word is the mark of an empty field, unless the list names it.
pub(super) fn code_of(words: &[(String, u8)], content: &[u8]) -> Option<u8> {
    let found = words.iter().find(|(word, _)| word.as_bytes() == content);
    match found {
        Some((_, code)) => Some(*code),
        None => content.is_empty().then_some(CODE_EMPTY),
    }
}

impl Values {
    /// Forgets what stands behind the first rows.
    pub(super) fn shorten(&mut self, rows: usize) {
        match self {
            Self::None => {}
            Self::Numbers(numbers) => numbers.truncate(rows),
            Self::Codes(codes) => codes.truncate(rows),
        }
    }

    pub(super) fn last_is_bad(&self) -> bool {
        match self {
            Self::None => false,
            Self::Numbers(numbers) => numbers.last() == Some(&BAD),
            Self::Codes(codes) => codes.last() == Some(&CODE_BAD),
        }
    }
}

fn ends_field(text: &[u8], at: usize, separator: u8) -> bool {
    match text.get(at) {
        Some(b'\n') => true,
        Some(b'\r') => text.get(at + 1) == Some(&b'\n'),
        Some(byte) => *byte == separator,
        None => false,
    }
}

fn unquoted(
    text: &[u8],
    start: usize,
    separator: u8,
) -> std::result::Result<(Vec<u8>, usize), Fault> {
    let mut content = Vec::new();
    let mut at = start + 1;
    loop {
        match text.get(at) {
            None | Some(b'\n') => return Err(Fault::OpenQuote),
            Some(b'"') if text.get(at + 1) == Some(&b'"') => {
                content.push(b'"');
                at += 2;
            }
            Some(b'"') => break,
            Some(byte) => {
                content.push(*byte);
                at += 1;
            }
        }
    }
    if ends_field(text, at + 1, separator) {
        Ok((content, at + 1))
    } else {
        Err(Fault::AfterQuote)
    }
}
