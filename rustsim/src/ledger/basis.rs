//! What the open position cost: the two usual ways to split a result into realised and unrealised.
//!
//! `realised = cash + basis` and `unrealised = position * mid - basis`, so that realised + unrealised is the equity before fees whatever the
//! basis is: a view never disagrees with the account. Units here are ticks times lots.

use std::collections::VecDeque;

use crate::types::{Lots, TickIndex};

/// Cost of the open lots when the oldest are closed first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FifoBasis {
    /// Open lots, oldest first; all of one sign.
    open: VecDeque<(TickIndex, Lots)>,
    /// Sum of signed lots times price.
    tick_lots: i64,
}

impl FifoBasis {
    pub(super) fn tick_lots(&self) -> i64 {
        self.tick_lots
    }

    /// Books signed lots; `None` if the sum does not fit.
    pub(super) fn trade(&mut self, price: TickIndex, signed_lots: Lots) -> Option<()> {
        let mut left = signed_lots;
        while left != 0 {
            match self.open.front_mut() {
                Some((open_price, open_lots)) if open_lots.signum() != left.signum() => {
                    let closed = open_lots.abs().min(left.abs()) * left.signum();
                    self.tick_lots = self
                        .tick_lots
                        .checked_add(closed.checked_mul(i64::from(*open_price))?)?;
                    *open_lots += closed;
                    left -= closed;
                    if *open_lots == 0 {
                        self.open.pop_front();
                    }
                }
                _ => {
                    self.tick_lots = self
                        .tick_lots
                        .checked_add(left.checked_mul(i64::from(price))?)?;
                    self.open.push_back((price, left));
                    left = 0;
                }
            }
        }
        Some(())
    }
}

/// Cost of the open lots when every lot carries the average price.
///
/// The cost is a fraction: closing `q` of `n` lots leaves `(n - q) / n` of it. A position that is scaled in and out without ever being flat
/// makes the denominator grow, so beyond [`DENOMINATOR_MAX`] the cost is rounded once to a multiple of `1 / DENOMINATOR_MAX`; what the rounding takes
/// from the unrealised part it gives to the realised part, and a flat position has cost 0 again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AverageBasis {
    lots: Lots,
    numerator: i128,
    denominator: i128,
}

/// Largest denominator of an average cost.
const DENOMINATOR_MAX: i128 = 1 << 32;

impl Default for AverageBasis {
    fn default() -> Self {
        Self {
            lots: 0,
            numerator: 0,
            denominator: 1,
        }
    }
}

impl AverageBasis {
    /// Returns the cost in ticks times lots as `(numerator, denominator)`, in lowest terms.
    pub(super) fn tick_lots(&self) -> (i128, i128) {
        (self.numerator, self.denominator)
    }

    /// Books signed lots; `None` if the fraction does not fit.
    pub(super) fn trade(&mut self, price: TickIndex, signed_lots: Lots) -> Option<()> {
        let (close, open) = if self.lots.signum() * signed_lots.signum() < 0 {
            let close = self.lots.abs().min(signed_lots.abs());
            (close, signed_lots.abs() - close)
        } else {
            (0, signed_lots.abs())
        };
        if close > 0 {
            self.numerator = self
                .numerator
                .checked_mul(i128::from(self.lots.abs() - close))?;
            self.denominator = self.denominator.checked_mul(i128::from(self.lots.abs()))?;
            self.lots += close * signed_lots.signum();
        }
        let opened = open * signed_lots.signum();
        let cost = i128::from(opened) * i128::from(price);
        self.numerator = self
            .numerator
            .checked_add(cost.checked_mul(self.denominator)?)?;
        self.lots = self.lots.checked_add(opened)?;
        self.reduce();
        Some(())
    }

    fn reduce(&mut self) {
        let divisor = greatest_common_divisor(self.numerator.abs(), self.denominator);
        self.numerator /= divisor;
        self.denominator /= divisor;
        if self.denominator > DENOMINATOR_MAX {
            let whole = self.numerator.div_euclid(self.denominator);
            let part = self.numerator.rem_euclid(self.denominator);
            // Both factors stay below 2^95: lots fit 63 bits.
            let part = (part * DENOMINATOR_MAX + self.denominator / 2) / self.denominator;
            self.numerator = whole * DENOMINATOR_MAX + part;
            self.denominator = DENOMINATOR_MAX;
            let divisor = greatest_common_divisor(self.numerator.abs(), self.denominator);
            self.numerator /= divisor;
            self.denominator /= divisor;
        }
    }
}

/// Returns the greatest common divisor; `b` is positive.
pub(super) fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifo_closes_the_oldest_lots_first() {
        let mut basis = FifoBasis::default();
        basis.trade(100, 2).unwrap();
        basis.trade(110, 1).unwrap();
        basis.trade(120, -2).unwrap();
        assert_eq!(basis.tick_lots(), 110);
        basis.trade(90, -3).unwrap();
        assert_eq!(basis.tick_lots(), -180);
        basis.trade(90, 2).unwrap();
        assert_eq!(basis, FifoBasis::default());
    }

    #[test]
    fn average_keeps_the_exact_fraction() {
        let mut basis = AverageBasis::default();
        basis.trade(100, 2).unwrap();
        basis.trade(101, 1).unwrap();
        basis.trade(120, -2).unwrap();
        assert_eq!(basis.tick_lots(), (301, 3));
        basis.trade(90, -3).unwrap();
        assert_eq!(basis.tick_lots(), (-180, 1));
    }

    #[test]
    fn a_position_that_is_never_flat_keeps_a_bounded_denominator() {
        let mut basis = AverageBasis::default();
        basis.trade(20_000, 1).unwrap();
        for step in 0..10_000 {
            basis
                .trade(20_000 + step % 7, 10 + i64::from(step % 3))
                .unwrap();
            basis.trade(20_000, -10 - i64::from(step % 3)).unwrap();
            let (numerator, denominator) = basis.tick_lots();
            assert!(denominator <= DENOMINATOR_MAX);
            assert!((20_000 * denominator..=20_006 * denominator).contains(&numerator));
        }
        basis.trade(20_000, -1).unwrap();
        assert_eq!(basis.tick_lots(), (0, 1));
    }
}
