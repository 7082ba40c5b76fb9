//! The path of the equity: drawdown at every sample, and a bounded picture of it.

use crate::types::Nanos;

/// Equity in half minor units over exchange time.
///
/// The picture keeps every `stride`-th sample and doubles the stride whenever it is full: what is kept depends on the samples alone, not on how long
/// the run will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EquityPath {
    kept: Vec<(Nanos, i64)>,
    kept_max: usize,
    stride: u64,
    seen: u64,
    last: Option<(Nanos, i64)>,
    /// Highest equity so far; a run starts at 0.
    peak2: i64,
    /// Deepest fall from an earlier peak.
    pub(super) drawdown2: i64,
}

impl EquityPath {
    pub(super) fn new(kept_max: usize) -> Self {
        Self {
            kept: Vec::with_capacity(kept_max.min(1 << 16)),
            kept_max,
            stride: 1,
            seen: 0,
            last: None,
            peak2: 0,
            drawdown2: 0,
        }
    }

    /// Takes one sample; `None` if the drawdown does not fit.
    #[inline]
    pub(super) fn sample(&mut self, exch_ns: Nanos, equity2: i64) -> Option<()> {
        self.peak2 = self.peak2.max(equity2);
        self.drawdown2 = self.drawdown2.max(self.peak2.checked_sub(equity2)?);
        self.last = Some((exch_ns, equity2));
        if self.kept_max > 1 && self.is_kept() {
            self.keep(exch_ns, equity2);
        }
        self.seen += 1;
        Some(())
    }

    /// The stride is a power of two.
    fn is_kept(&self) -> bool {
        self.seen & (self.stride - 1) == 0
    }

    fn keep(&mut self, exch_ns: Nanos, equity2: i64) {
        // One place stays free for the last sample of the run.
        if self.kept.len() + 1 >= self.kept_max {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
            if self.kept.len() + 1 >= self.kept_max || !self.is_kept() {
                return;
            }
        }
        self.kept.push((exch_ns, equity2));
    }

    /// Adds the last sample to the picture.
    pub(super) fn finish(&mut self) {
        if let Some(last) = self
            .last
            .filter(|last| self.kept_max > 0 && self.kept.last() != Some(last))
        {
            self.kept.push(last);
        }
    }

    pub(super) fn kept(&self) -> &[(Nanos, i64)] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(kept_max: usize, equity: impl IntoIterator<Item = i64>) -> EquityPath {
        let mut path = EquityPath::new(kept_max);
        for (time, value) in (0..).zip(equity) {
            path.sample(time, value).unwrap();
        }
        path.finish();
        path
    }

    #[test]
    fn drawdown_is_the_deepest_fall_from_an_earlier_peak() {
        assert_eq!(
            path(10, [0, 100, 250, 180, 90, 300, 260, 400, 350, 370]).drawdown2,
            160
        );
        assert_eq!(path(10, [-70, -20]).drawdown2, 70, "a run starts at 0");
    }

    #[test]
    fn the_picture_is_bounded_and_ends_with_the_last_sample() {
        for kept_max in 2..20 {
            for count in 1..200 {
                let path = path(kept_max, 0..count);
                assert!(
                    path.kept().len() <= kept_max,
                    "{kept_max} {count}: {:?}",
                    path.kept()
                );
                assert_eq!(path.kept().first(), Some(&(0, 0)));
                assert_eq!(path.kept().last(), Some(&(count - 1, count - 1)));
                assert!(path.kept().is_sorted());
            }
        }
    }

    #[test]
    fn small_pictures_are_possible() {
        assert_eq!(path(0, 0..9).kept(), []);
        assert_eq!(path(1, 0..9).kept(), [(8, 8)]);
    }
}
