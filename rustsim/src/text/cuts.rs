//! Where the fields of plain lines start: sixty-four bytes of text at a time, before any field is read.
//!
//! That a field starts where the one before it ends is known here by one look at a block, not by reading field after field, so reading them
//! waits for nothing.

/// Bytes that are looked at in one step.
const BLOCK: usize = 64;
const BLOCK_BITS: u32 = u64::BITS;
/// Starts that are written without asking how many there are.
const AT_ONCE: usize = 8;

/// Starts of fields of some whole lines, all of as many fields, none of them quoted.
#[derive(Clone, Debug)]
pub(super) struct Cuts {
    separator: u8,
    columns: usize,
    /// Where fields start; behind the last one, where the next line would.
    starts: Vec<u32>,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks {
    /// Bytes that end a field, one bit each.
    ends: u64,
    /// How many of them end a line.
    lines: usize,
    has_quote: bool,
}

impl Cuts {
    /// Returns room for texts of up to `bytes_max` bytes.
    pub(super) fn new(separator: u8, columns: usize, bytes_max: usize) -> Self {
        Self {
            separator,
            columns,
            // Every byte may end a field, and the last step may write more than it found.
            starts: vec![0; 1 + bytes_max + AT_ONCE],
        }
    }

    /// Looks at whole lines and returns how many they are; None if one has another number of fields, or a quote.
    pub(super) fn find(&mut self, text: &[u8]) -> Option<usize> {
        // Sums cannot overflow, but asking whether they do would cost as much as the rest.
        let (mut count, mut lines, mut next) = (1, 0_usize, 1_u32);
        let mut last = [0; BLOCK];
        let blocks = text.chunks_exact(BLOCK);
        last[..blocks.remainder().len()].copy_from_slice(blocks.remainder());
        let blocks = blocks.filter_map(|block| block.first_chunk());
        for block in blocks.chain(std::iter::once(&last)) {
            let marks = marks(block, self.separator);
            if marks.has_quote {
                return None;
            }
            let mut ends = marks.ends;
            let found = ends.count_ones() as usize;
            let mut rest = self.starts.get_mut(count..)?;
            while ends != 0 {
                let (some, others) = rest.split_first_chunk_mut::<AT_ONCE>()?;
                for start in some {
                    *start = next.wrapping_add(ends.trailing_zeros());
                    ends &= ends.wrapping_sub(1);
                }
                rest = others;
            }
            count += found;
            lines += marks.lines;
            next = next.wrapping_add(BLOCK_BITS);
        }
        (count - 1 == lines * self.columns && self.ends_lines(text, lines)).then_some(lines)
    }

    /// Tells whether the last field of each line ends where a line does, and so no other one does.
    fn ends_lines(&self, text: &[u8], lines: usize) -> bool {
        let fields = &self.starts[1..=lines * self.columns];
        fields
            .chunks_exact(self.columns)
            .all(|line| text[line[self.columns - 1] as usize - 1] == b'\n')
    }

    /// Returns where fields start, from the first one of a column to the end of the last one of it.
    pub(super) fn starts(&self, column: usize, lines: usize) -> &[u32] {
        if lines == 0 {
            return &[];
        }
        &self.starts[column..=(lines - 1) * self.columns + column + 1]
    }
}

/// Looks at a block; in steps that compilers do for many bytes at once.
#[inline]
fn marks(block: &[u8; BLOCK], separator: u8) -> Marks {
    /// Brings the lowest bits of eight bytes together in the highest byte.
    const TOGETHER: u64 = 0x0102_0408_1020_4080;
    let (mut ends, mut lines, mut quotes) = ([0_u8; BLOCK], 0_u8, 0_u8);
    for (end, byte) in ends.iter_mut().zip(block) {
        let is_line = u8::from(*byte == b'\n');
        *end = is_line | u8::from(*byte == separator);
        lines = lines.wrapping_add(is_line);
        quotes |= u8::from(*byte == b'"');
    }
    let words = ends.as_chunks::<8>().0.iter().enumerate();
    let bits = words.fold(0, |bits, (index, word)| {
        let word = u64::from_le_bytes(*word).wrapping_mul(TOGETHER) >> 56;
        bits | word << (8 * index)
    });
    Marks {
        ends: bits,
        lines: usize::from(lines),
        has_quote: quotes != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_marked_byte_by_byte() {
        let mut state = 1_u64;
        for _ in 0..1_000 {
            let block = std::array::from_fn(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                b"0,\n\"\r\x80\xac;"[(state >> 61) as usize]
            });
            let found = marks(&block, b',');
            for (at, byte) in block.iter().enumerate() {
                let is_end = matches!(byte, b',' | b'\n');
                assert_eq!(found.ends >> at & 1 == 1, is_end, "{block:?}");
            }
            assert_eq!(found.lines, block.split(|byte| *byte == b'\n').count() - 1);
            assert_eq!(found.has_quote, block.contains(&b'"'));
        }
    }

    #[test]
    fn fields_are_found_at_any_length() {
        for length in 0..200 {
            let text = format!("{},b\nc,\n", "a".repeat(length));
            let mut cuts = Cuts::new(b',', 2, 4096);
            assert_eq!(cuts.find(text.as_bytes()), Some(2));
            let next = u32::try_from(length).unwrap() + 3;
            assert_eq!(cuts.starts(0, 2), [0, next - 2, next, next + 2]);
            assert_eq!(cuts.starts(1, 2), [next - 2, next, next + 2, next + 3]);
        }
    }

    #[test]
    fn lines_of_another_shape_are_left_to_others() {
        for text in ["a\nb,c,d\n", "a,b\n\n", "a,\"b\"\n", "a,b,c\n", "a,b\nc\n"] {
            assert_eq!(
                Cuts::new(b',', 2, 4096).find(text.as_bytes()),
                None,
                "{text}"
            );
        }
        let dense = ",".repeat(127) + "\n";
        assert_eq!(Cuts::new(b',', 128, 128).find(dense.as_bytes()), Some(1));
        assert_eq!(Cuts::new(b',', 128, 100).find(dense.as_bytes()), None);
    }
}
