//! ISO 8601 times as nanoseconds.

const DAY_S: i64 = 86_400;
const SECOND_NS: i64 = 1_000_000_000;

/// Reads `YYYY-MM-DD`, `T` or a blank, `HH:MM:SS`, up to nine decimal places, and, if stated, `Z`, `+HH:MM`, `+HHMM` or `+HH`.
pub(super) fn iso(text: &[u8], has_offset: bool) -> Option<i64> {
    let field = |start: usize, length: usize| digits(text.get(start..start + length)?);
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    let shape = is(4, b'-') && is(7, b'-') && (is(10, b'T') || is(10, b' ')) && is(13, b':');
    if !shape || !is(16, b':') {
        return None;
    }
    let day = day_number(field(0, 4)?, field(5, 2)?, field(8, 2)?)?;
    let (hour, minute, second) = (field(11, 2)?, field(14, 2)?, field(17, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if is(at, b'.') || is(at, b',') {
        let count = text[at + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count == 0 || count > 9 {
            return None;
        }
        nanos = digits(&text[at + 1..at + 1 + count])? * 10_i64.pow(9 - u32::try_from(count).ok()?);
        at += 1 + count;
    }
    let rest = &text[at..];
    if has_offset == rest.is_empty() {
        return None;
    }
    let offset_s = if has_offset { offset(rest)? } else { 0 };
    let seconds = day * DAY_S + hour * 3_600 + minute * 60 + second - offset_s;
    seconds.checked_mul(SECOND_NS)?.checked_add(nanos)
}

fn offset(text: &[u8]) -> Option<i64> {
    if text == b"Z" || text == b"z" {
        return Some(0);
    }
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match text.len() {
        3 => (digits(&text[1..3])?, 0),
        5 => (digits(&text[1..3])?, digits(&text[3..5])?),
        6 if text[3] == b':' => (digits(&text[1..3])?, digits(&text[4..6])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Returns days since 1970-01-01 of a date that exists.
fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > length {
        return None;
    }
    // Years start in March here, so that the day that is sometimes there comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}
