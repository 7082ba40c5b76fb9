//! What own takers would have moved prices by: a charge beside the account, never in it.
//!
//! The recorded book stays the record; cash, fees and equity stay exact integers without it. The charge is computed in f64 per fill, rounded half up to
//! whole minor units, never negative, and summed in a line of its own. Source: simulation-physics 9.3. With `q` lots at `p` ticks, `M` minor units per tick:
//!
//! ```text
//! square_root  takers:     |p| M  Y sigma  (Q1^1.5 - Q0^1.5) / sqrt(V)          Q0, Q1 lots of the parent before and after the fill
//! propagator   all fills:  q M max(0, s I),  I = sum over takes i before now of s_i G0 v_i^delta (1 + (t - t_i) / tau0)^-gamma
//! ```
//!
//! A parent is a run of takes of one side, each at most `parent_gap_ns` after the one before; its charges add up to `|p| Q M Y sigma sqrt(Q / V)`, however
//! the walk splits it. A take `v_i` of the propagator is all that was taken at one instant on one side; it charges later instants only: the walk through the book has paid
//! for its own. Impact that would help is not credited: own takers are no source of profit.
//!
//! Worked: Y 1, sigma 100 bp: Q/V = 1 % costs 10 bp, 0.01 % costs 1 bp; 10 lots at 20000, M 200, V 100000: 4000, as 4 and 6 lots 1012 and 2988. G0 0.1, delta 0.5,
//! tau0 1 s, gamma 0.5: a buy of 4 moves 0.2 ticks, 0.1 after 3 s; a buy of 10 then is charged 200, a sale nothing.
//! Known limits: the parameters are assumptions, no replay can show them; the propagator takes one power per fill and take before it.

use serde::{Deserialize, Serialize};

use super::FillInput;
use crate::error::{Error, Result};
use crate::types::{Liquidity, Lots, Money, Nanos, Side};

/// Amounts beyond this are no charge but a mistake.
const CHARGE_MAX: f64 = 1e15;

/// How own impact is charged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChargeSpec {
    /// `Y sigma sqrt(Q / V)` of the value taken.
    SquareRoot {
        /// Y.
        y: f64,
        /// Daily volatility, in 1e-4 of the price.
        daily_sigma_bp: f64,
        /// Daily volume.
        daily_volume_lots: f64,
        /// Takes of one side that follow each other within this time have one parent.
        #[serde(default)]
        parent_gap_ns: Nanos,
    },
    /// A concession that fades as a power of time.
    Propagator {
        /// Ticks that one lot moves.
        g0_ticks: f64,
        /// Exponent of the size.
        delta: f64,
        /// Time scale of the decay.
        tau0_ns: f64,
        /// Exponent of the decay.
        gamma: f64,
    },
}

impl ChargeSpec {
    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] names the key, what was found and what is allowed.
    pub fn check(&self) -> Result<()> {
        let table = match *self {
            Self::SquareRoot {
                y,
                daily_sigma_bp,
                daily_volume_lots,
                parent_gap_ns,
            } => {
                if !(0..=86_400_000_000_000).contains(&parent_gap_ns) {
                    return Err(wrong("parent_gap_ns", parent_gap_ns, "0 to 1 day"));
                }
                [
                    ("y", y, 0.0, 100.0),
                    ("daily_sigma_bp", daily_sigma_bp, 0.0, 10_000.0),
                    ("daily_volume_lots", daily_volume_lots, 1.0, 1e15),
                    ("", 0.0, 0.0, 0.0),
                ]
            }
            Self::Propagator {
                g0_ticks,
                delta,
                tau0_ns,
                gamma,
            } => [
                ("g0_ticks", g0_ticks, 0.0, 1e6),
                ("delta", delta, 0.0, 1.0),
                ("tau0_ns", tau0_ns, 1.0, 8.64e13),
                ("gamma", gamma, 0.0, 10.0),
            ],
        };
        for (key, found, low, high) in table {
            if !(low..=high).contains(&found) {
                return Err(wrong(key, found, &format!("{low} to {high}")));
            }
        }
        Ok(())
    }
}

fn wrong(key: &str, found: impl std::fmt::Display, allowed: &str) -> Error {
    Error::Spec(format!(
        "impact.charge.{key}: expected {allowed}, found {found}"
    ))
}

/// Own takes of one side that count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Take {
    side: Side,
    at_ns: Nanos,
    lots: Lots,
}

/// The charge as fills come in.
#[derive(Clone, Debug)]
pub(super) struct ImpactCharge {
    spec: ChargeSpec,
    tick_value: Money,
    /// Takes so far; of the square root the last parent only.
    takes: Vec<Take>,
    pub(super) total: Money,
}

impl ImpactCharge {
    pub(super) fn new(spec: ChargeSpec, tick_value: Money) -> Self {
        Self {
            spec,
            tick_value,
            takes: Vec::new(),
            total: 0,
        }
    }

    /// Returns the charge of a fill and adds it up; `None` if it does not fit.
    pub(super) fn charge(&mut self, fill: &FillInput) -> Option<Money> {
        let amount = match self.spec {
            ChargeSpec::SquareRoot {
                y,
                daily_sigma_bp,
                daily_volume_lots,
                parent_gap_ns,
            } => self.square_root(
                fill,
                y * daily_sigma_bp * 1e-4 / daily_volume_lots.sqrt(),
                parent_gap_ns,
            ),
            ChargeSpec::Propagator { .. } => self.propagator(fill),
        };
        let charge = rounded(amount)?;
        self.total = self.total.checked_add(charge)?;
        Some(charge)
    }

    fn square_root(&mut self, fill: &FillInput, scale: f64, gap_ns: Nanos) -> f64 {
        if fill.liquidity == Liquidity::Maker {
            return 0.0;
        }
        let parent = self
            .takes
            .pop()
            .filter(|take| take.side == fill.side && fill.exch_ns - take.at_ns <= gap_ns);
        let before = parent.map_or(0, |take| take.lots);
        let after = before + fill.lots;
        self.takes.push(Take {
            side: fill.side,
            at_ns: fill.exch_ns,
            lots: after,
        });
        let size = |lots: Lots| real(lots) * real(lots).sqrt();
        real(i64::from(fill.price).abs())
            * real(self.tick_value)
            * scale
            * (size(after) - size(before))
    }

    fn propagator(&mut self, fill: &FillInput) -> f64 {
        let moved_ticks: f64 = self
            .takes
            .iter()
            .filter(|take| take.at_ns < fill.exch_ns)
            .map(|take| self.moved_ticks(take, fill.exch_ns))
            .sum();
        if fill.liquidity == Liquidity::Taker {
            self.note_take(fill);
        }
        let against = real(fill.side.sign()) * moved_ticks;
        real(fill.lots) * real(self.tick_value) * against.max(0.0)
    }

    /// Returns by how many ticks a take still moves the price at `now_ns`.
    fn moved_ticks(&self, take: &Take, now_ns: Nanos) -> f64 {
        let ChargeSpec::Propagator {
            g0_ticks,
            delta,
            tau0_ns,
            gamma,
        } = self.spec
        else {
            return 0.0;
        };
        let age = real(now_ns - take.at_ns) / tau0_ns;
        let size = g0_ticks * libm::pow(real(take.lots), delta);
        real(take.side.sign()) * size * libm::pow(1.0 + age, -gamma)
    }

    fn note_take(&mut self, fill: &FillInput) {
        // Both sides may take at one instant, in any order: all takes of it are at the end.
        let same = self
            .takes
            .iter_mut()
            .rev()
            .take_while(|take| take.at_ns == fill.exch_ns)
            .find(|take| take.side == fill.side);
        match same {
            Some(take) => take.lots += fill.lots,
            None => self.takes.push(Take {
                side: fill.side,
                at_ns: fill.exch_ns,
                lots: fill.lots,
            }),
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "lots, prices and spans of a run fit 2^53 or need no last digit"
)]
fn real(integer: i64) -> f64 {
    integer as f64
}

#[allow(clippy::cast_possible_truncation, reason = "bounded just before")]
fn rounded(amount: f64) -> Option<Money> {
    (amount <= CHARGE_MAX).then(|| libm::floor(amount + 0.5) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn fill(at_ns: Nanos, side: Side, lots: Lots, liquidity: Liquidity) -> FillInput {
        FillInput {
            side,
            is_first_fill: true,
            ahead_units: -1,
            ahead_at_arrival_units: -1,
            ..crate::ledger::tests::fill(at_ns, lots, 20_000, liquidity)
        }
    }

    fn take(at_ns: Nanos, side: Side, lots: Lots) -> FillInput {
        fill(at_ns, side, lots, Liquidity::Taker)
    }

    fn square_root(parent_gap_ns: Nanos) -> ImpactCharge {
        let spec = ChargeSpec::SquareRoot {
            y: 1.0,
            daily_sigma_bp: 100.0,
            daily_volume_lots: 100_000.0,
            parent_gap_ns,
        };
        spec.check().unwrap();
        ImpactCharge::new(spec, 200)
    }

    fn propagator() -> ImpactCharge {
        let spec = ChargeSpec::Propagator {
            g0_ticks: 0.1,
            delta: 0.5,
            tau0_ns: 1e9,
            gamma: 0.5,
        };
        spec.check().unwrap();
        ImpactCharge::new(spec, 200)
    }

    #[test]
    fn worked_example_of_the_square_root() {
        // Value taken: 20000 x 200 a lot. 1 % of the volume costs 10 bp, 0.01 % 1 bp.
        assert_eq!(
            square_root(0).charge(&take(0, Side::Bid, 1_000)),
            Some(4_000_000)
        );
        assert_eq!(square_root(0).charge(&take(0, Side::Ask, 10)), Some(4_000));
        let mut split = square_root(0);
        assert_eq!(split.charge(&take(0, Side::Bid, 4)), Some(1_012));
        assert_eq!(split.charge(&take(0, Side::Bid, 6)), Some(2_988));
        assert_eq!(split.total, 4_000);
    }

    #[test]
    fn a_parent_ends_with_the_other_side_or_a_pause() {
        let first = square_root(0).charge(&take(0, Side::Bid, 5)).unwrap();
        let mut charge = square_root(SECOND);
        assert_eq!(charge.charge(&take(0, Side::Bid, 5)), Some(first));
        let second = charge.charge(&take(SECOND, Side::Bid, 5)).unwrap();
        assert!(second > first, "{second} of the same parent");
        assert_eq!(charge.charge(&take(SECOND, Side::Ask, 5)), Some(first));
        assert_eq!(charge.charge(&take(SECOND, Side::Bid, 5)), Some(first));
        assert_eq!(
            charge.charge(&take(2 * SECOND + 1, Side::Bid, 5)),
            Some(first)
        );
    }

    #[test]
    fn worked_example_of_the_propagator() {
        let mut charge = propagator();
        assert_eq!(charge.charge(&take(0, Side::Bid, 4)), Some(0));
        let mut sale = charge.clone();
        assert_eq!(charge.charge(&take(3 * SECOND, Side::Bid, 10)), Some(200));
        assert_eq!(sale.charge(&take(3 * SECOND, Side::Ask, 10)), Some(0));
        // A maker pays as well, and moves nothing.
        let mut maker = propagator();
        maker.charge(&take(0, Side::Bid, 4));
        let bid = fill(3 * SECOND, Side::Bid, 10, Liquidity::Maker);
        assert_eq!(maker.charge(&bid), Some(200));
        assert_eq!(maker.charge(&bid), Some(200));
    }

    #[test]
    fn a_walk_does_not_charge_itself() {
        let mut walk = propagator();
        for (side, lots) in [(Side::Bid, 1), (Side::Ask, 2), (Side::Bid, 3)] {
            assert_eq!(walk.charge(&take(0, side, lots)), Some(0));
        }
        // One take of 4 bought, one of 2 sold: (0.2 - 0.141421) / 2 ticks after 3 s.
        let later = walk.charge(&take(3 * SECOND, Side::Bid, 1_000));
        assert_eq!(later, Some(5_858));
    }

    #[test]
    fn without_takers_nothing_is_charged() {
        for mut charge in [square_root(0), propagator()] {
            for at in 0..50 {
                let side = if at % 3 == 0 { Side::Bid } else { Side::Ask };
                assert_eq!(charge.charge(&fill(at, side, 9, Liquidity::Maker)), Some(0));
            }
        }
    }

    #[test]
    fn charges_scale_as_their_exponents_say() {
        let cost = |lots| square_root(0).charge(&take(0, Side::Bid, lots)).unwrap();
        // Four times the size costs eight times as much.
        assert_eq!(cost(4_000), 8 * cost(1_000));
        let later = |lots| {
            let mut charge = propagator();
            charge.charge(&take(0, Side::Bid, lots));
            charge
                .charge(&take(3 * SECOND, Side::Bid, 1_000_000))
                .unwrap()
        };
        assert_eq!(later(4), 2 * later(1));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_no_number() {
        let mut charge = square_root(0);
        assert_eq!(charge.charge(&take(0, Side::Bid, 4_000_000_000_000)), None);
    }
}
