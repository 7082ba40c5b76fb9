//! Decimal text as exact integers.

use super::Grid;

/// A decimal: `mantissa / 10^places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) mantissa: i64,
    pub(super) places: u32,
}

/// Digits that fit an `i64` whatever they are.
const DIGITS_MAX: usize = 18;
/// Digits that are read in one step.
const DIGITS_AT_ONCE: usize = 8;
const TENS: [i64; 19] = {
    let mut tens = [1_i64; 19];
    let mut index = 1;
    while index < 19 {
        tens[index] = tens[index - 1] * 10;
        index += 1;
    }
    tens
};
/// What arithmetic on floats does to a number, and no more: a billionth of a step and four units in the last place.
const STEP_ERROR: f64 = 1e-9;
const LAST_PLACES: f64 = 4.0 * f64::EPSILON;
/// Steps above this are no index and no quantity.
const STEPS_MAX: f64 = 2_147_483_648.0;

/// Reads `[+-]digits[.digits]` from `start` on and returns the value and the first byte behind it; None if there is no digit, or too many.
pub(super) fn plain(text: &[u8], start: usize) -> Option<(Decimal, usize)> {
    let is_negative = text.get(start) == Some(&b'-');
    let mut at = start + usize::from(is_negative || text.get(start) == Some(&b'+'));
    let first = at;
    let mut mantissa: i64 = 0;
    let mut point = None;
    loop {
        // At most 19 digits are kept, so this cannot overflow; more are refused below.
        let (value, count) = some_digits(text, at);
        mantissa = mantissa.wrapping_mul(TENS[count]).wrapping_add(value);
        at += count;
        if count == DIGITS_AT_ONCE {
            continue;
        }
        if text.get(at) != Some(&b'.') || point.is_some() {
            break;
        }
        point = Some(at);
        at += 1;
    }
    let digits = at - first - usize::from(point.is_some());
    // Nanoseconds since 1970 have 19 digits, the first of them a 1 for the next decades.
    let fits = digits <= DIGITS_MAX || (digits == 19 && text[first] == b'1');
    if digits == 0 || !fits {
        return None;
    }
    let places = point.map_or(0, |point| at - point - 1);
    Some((
        Decimal {
            mantissa: if is_negative { -mantissa } else { mantissa },
            places: u32::try_from(places).ok()?,
        },
        at,
    ))
}

/// Returns the value of the digits from `at` on, up to eight of them, and how many they are.
fn some_digits(text: &[u8], at: usize) -> (i64, usize) {
    let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk()) else {
        return last_digits(text, at);
    };
    let word = u64::from_le_bytes(*bytes).wrapping_sub(0x3030_3030_3030_3030);
    // A byte below '0' borrows, one above '9' is pushed over 127; what that does to others lies behind the first of them.
    let others = (word | word.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return (0, 0);
    }
    // Zeros in front, then pairs, fours, and all eight: the first byte is the lowest and counts most.
    let word = word << (u64::BITS as usize - 8 * count);
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    (eight.cast_signed(), count)
}

/// Does the same near the end of the text, where there are no eight bytes.
fn last_digits(text: &[u8], at: usize) -> (i64, usize) {
    let digits = text.get(at..).unwrap_or_default().iter();
    let mut found = (0, 0);
    for byte in digits.take_while(|byte| byte.is_ascii_digit()) {
        found = (found.0 * 10 + i64::from(byte - b'0'), found.1 + 1);
    }
    found
}

/// Returns `decimal * 10^digits`, None if that is not whole or does not fit.
pub(super) fn scaled(decimal: Decimal, digits: u32) -> Option<i64> {
    if decimal.places <= digits {
        let factor = TENS[(digits - decimal.places) as usize];
        return decimal.mantissa.checked_mul(factor);
    }
    let divisor = TENS.get((decimal.places - digits) as usize)?;
    (decimal.mantissa % divisor == 0).then(|| decimal.mantissa / divisor)
}

/// Returns the steps of a decimal, None if they are not whole or too many.
pub(super) fn steps(decimal: Decimal, grid: Grid) -> Option<i64> {
    let divisor = TENS.get(decimal.places as usize)?;
    let product = decimal.mantissa.checked_mul(grid.numerator)?;
    let divisor = divisor.checked_mul(grid.denominator)?;
    if divisor == 1 {
        return Some(product);
    }
    (product % divisor == 0).then(|| product / divisor)
}

/// Returns the steps of a number that floats have passed through, None if it lies off the grid or is no number.
pub(super) fn steps_of_float(text: &[u8], grid: Grid) -> Option<i64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    #[allow(
        clippy::cast_precision_loss,
        reason = "both are small; large ones miss the grid and are refused"
    )]
    let scaled = value * grid.numerator as f64 / grid.denominator as f64;
    let whole = scaled.round();
    // Written so that NaN and infinity fail.
    let is_near = (scaled - whole).abs() <= STEP_ERROR + whole.abs() * LAST_PLACES;
    if is_near && whole.abs() <= STEPS_MAX {
        #[allow(clippy::cast_possible_truncation, reason = "bounded by STEPS_MAX")]
        let steps = whole as i64;
        return Some(steps);
    }
    None
}
