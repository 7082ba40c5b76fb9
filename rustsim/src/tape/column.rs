//! Columns of unsigned numbers, packed into the narrowest of a few fixed widths.
//!
//! Plain loops over fixed widths: the compiler turns each into vector code, and no byte decides on an address.

/// Width of every number of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Nothing is stored: all are 0.
    None,
    /// One byte each.
    One,
    /// Two bytes each.
    Two,
    /// Four bytes each.
    Four,
    /// Eight bytes each.
    Eight,
}

impl Width {
    /// Returns the narrowest width that holds `max`.
    pub(super) fn of(max: u64) -> Self {
        match max {
            0 => Self::None,
            1..0x100 => Self::One,
            0x100..0x1_0000 => Self::Two,
            0x1_0000..0x1_0000_0000 => Self::Four,
            _ => Self::Eight,
        }
    }

    /// Returns the width whose numbers take that many bytes.
    pub(super) fn from_bytes(bytes: u8) -> Option<Self> {
        match bytes {
            0 => Some(Self::None),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// Returns how many bytes a number takes.
    pub(super) fn bytes(self) -> u8 {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// Bytes of one column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) width: Width,
}

impl<'a> Column<'a> {
    /// Cuts `count` numbers off the front of `rest`; None if they do not lie inside of it.
    pub(super) fn cut(rest: &mut &'a [u8], width: Width, count: usize) -> Option<Self> {
        let (bytes, behind) = rest.split_at_checked(count * usize::from(width.bytes()))?;
        *rest = behind;
        Some(Self { bytes, width })
    }

    /// Reads numbers from the `start`-th on into `out`, as many as there are; of wider ones, the low half.
    #[inline]
    pub(super) fn read_narrow(&self, start: usize, out: &mut [u32]) {
        match self.width {
            Width::None => out.fill(0),
            Width::One => self.read(start, out, |[a]: [u8; 1]| u32::from(a)),
            Width::Two => self.read(start, out, |bytes| u32::from(u16::from_le_bytes(bytes))),
            Width::Four => self.read(start, out, u32::from_le_bytes),
            Width::Eight => self.read(start, out, |[a, b, c, d, ..]: [u8; 8]| {
                u32::from_le_bytes([a, b, c, d])
            }),
        }
    }

    /// Reads numbers from the `start`-th on into `out`, as many as there are.
    #[inline]
    pub(super) fn read_wide(&self, start: usize, out: &mut [u64]) {
        match self.width {
            Width::None => out.fill(0),
            Width::One => self.read(start, out, |[a]: [u8; 1]| u64::from(a)),
            Width::Two => self.read(start, out, |bytes| u64::from(u16::from_le_bytes(bytes))),
            Width::Four => self.read(start, out, |bytes| u64::from(u32::from_le_bytes(bytes))),
            Width::Eight => self.read(start, out, u64::from_le_bytes),
        }
    }

    /// Reads numbers as steps of `unit` from one value to the next: writes `first` and all that follow it into `out`.
    pub(super) fn read_sums(&self, first: i64, unit: u64, out: &mut [i64]) {
        match self.width {
            Width::None => out.fill(first),
            Width::One => self.sum(first, unit, out, |[a]: [u8; 1]| u64::from(a)),
            Width::Two => self.sum(first, unit, out, |bytes| {
                u64::from(u16::from_le_bytes(bytes))
            }),
            Width::Four => self.sum(first, unit, out, |bytes| {
                u64::from(u32::from_le_bytes(bytes))
            }),
            Width::Eight => self.sum(first, unit, out, u64::from_le_bytes),
        }
    }

    fn sum<const N: usize>(
        &self,
        first: i64,
        unit: u64,
        out: &mut [i64],
        step: impl Fn([u8; N]) -> u64,
    ) {
        let (steps, _) = self.bytes.as_chunks::<N>();
        let mut sum = first;
        out[0] = sum;
        for (out, bytes) in out[1..].iter_mut().zip(steps) {
            sum = sum.wrapping_add_unsigned(step(*bytes).wrapping_mul(unit));
            *out = sum;
        }
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "one loop per width, each a handful of vector instructions"
    )]
    fn read<T, const N: usize>(&self, start: usize, out: &mut [T], number: impl Fn([u8; N]) -> T) {
        let (bytes, _) = self.bytes[start * N..].as_chunks::<N>();
        for (out, bytes) in out.iter_mut().zip(bytes) {
            *out = number(*bytes);
        }
    }
}

/// Appends `numbers` in that width, which holds all of them.
pub(super) fn write(numbers: &[u64], width: Width, out: &mut Vec<u8>) {
    match width {
        Width::None => {}
        Width::One => write_as(numbers, out, |[a, ..]| [a]),
        Width::Two => write_as(numbers, out, |[a, b, ..]| [a, b]),
        Width::Four => write_as(numbers, out, |[a, b, c, d, ..]| [a, b, c, d]),
        Width::Eight => write_as(numbers, out, |bytes| bytes),
    }
}

#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "one loop per width, each a handful of vector instructions"
)]
fn write_as<const N: usize>(
    numbers: &[u64],
    out: &mut Vec<u8>,
    narrow: impl Fn([u8; 8]) -> [u8; N],
) {
    let start = out.len();
    out.resize(start + numbers.len() * N, 0);
    let (chunks, _) = out[start..].as_chunks_mut::<N>();
    for (chunk, number) in chunks.iter_mut().zip(numbers) {
        *chunk = narrow(number.to_le_bytes());
    }
}

/// Divides all numbers by the largest one that divides them all, and returns it; 1 if all are 0.
pub(super) fn divide_by_unit(numbers: &mut [u64]) -> u64 {
    let mut unit = numbers.iter().copied().find(|number| *number > 0);
    // Most blocks keep the unit of their first numbers; each pass ends at one that it does not divide.
    while let Some(guess) = unit.filter(|unit| *unit > 1) {
        let divisor = ExactDivisor::of(guess);
        let Some(misfit) = numbers.iter().find(|number| !divisor.divides(**number)) else {
            for number in numbers.iter_mut() {
                *number = divisor.quotient(*number);
            }
            return guess;
        };
        unit = Some(greatest_common_divisor(guess, *misfit));
    }
    1
}

/// Divides by one number without a division: what it divides, times the inverse of its odd part, is the quotient.
///
/// What it does not divide gives something larger than any quotient (Granlund and Montgomery, 1994).
#[derive(Clone, Copy, Debug)]
struct ExactDivisor {
    inverse: u64,
    twos: u32,
    quotient_max: u64,
}

impl ExactDivisor {
    fn of(divisor: u64) -> Self {
        let twos = divisor.trailing_zeros();
        let odd = divisor >> twos;
        // Newton's steps double the bits that are right: 3 at first, 96 after five.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self {
            inverse,
            twos,
            quotient_max: u64::MAX / divisor,
        }
    }

    fn quotient(self, number: u64) -> u64 {
        number.wrapping_mul(self.inverse).rotate_right(self.twos)
    }

    fn divides(self, number: u64) -> bool {
        self.quotient(number) <= self.quotient_max
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while a != 0 {
        (a, b) = (b % a, a);
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_holds_its_largest_number_and_no_byte_more() {
        let table = [
            (0, 0),
            (1, 1),
            (0xFF, 1),
            (0x100, 2),
            (0xFFFF, 2),
            (0x1_0000, 4),
            (0xFFFF_FFFF, 4),
            (0x1_0000_0000, 8),
            (u64::MAX, 8),
        ];
        for (max, bytes) in table {
            let width = Width::of(max);
            assert_eq!(width.bytes(), bytes, "{max}");
            assert_eq!(Width::from_bytes(bytes), Some(width));
            let (numbers, mut out, mut back) = ([max, 0, max / 2], Vec::new(), [9; 3]);
            write(&numbers, width, &mut out);
            let mut rest = out.as_slice();
            let column = Column::cut(&mut rest, width, 3).expect("just written");
            assert!(rest.is_empty());
            column.read_wide(0, &mut back);
            assert_eq!(back, numbers);
            let mut low = [9; 2];
            column.read_narrow(1, &mut low);
            assert_eq!(low.map(u64::from), [0, (max / 2) & 0xFFFF_FFFF]);
        }
        assert_eq!(Width::from_bytes(3), None);
    }

    #[test]
    fn unit_is_the_greatest_common_divisor() {
        let table: [(&[u64], u64); 10] = [
            (&[], 1),
            (&[0, 0], 1),
            (&[0, 7, 0], 7),
            (&[125_000_000, 1_000_000, 3_000_000], 1_000_000),
            (&[256, 512, 257], 1),
            (&[u64::MAX, u64::MAX], u64::MAX),
            (&[1 << 63, 1 << 62, 0], 1 << 62),
            (&[1 << 63, 12], 4),
            (&[9_000, 6_000, 4_500, 0, 7_500], 1_500),
            (&[u64::MAX - 1, 6], 2),
        ];
        for (numbers, unit) in table {
            let mut divided = numbers.to_vec();
            assert_eq!(divide_by_unit(&mut divided), unit, "{numbers:?}");
            let back: Vec<u64> = divided.iter().map(|number| number * unit).collect();
            assert_eq!(back, numbers);
        }
    }
}
