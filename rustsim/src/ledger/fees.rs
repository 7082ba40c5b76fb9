//! What a fill costs: commission and tax, in whole minor units.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::{Liquidity, Lots, Money, TickIndex};

/// Rates are integers in this fraction of the notional.
const RATE_UNIT: i128 = 1_000_000_000;

/// On what an amount is rounded to whole minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// Every lot on its own, as futures taxes are.
    #[default]
    Lot,
    /// The fill as a whole, as most share commissions are.
    Fill,
}

/// Commission and tax of one instrument at one broker.
///
/// The notional of a lot is `|price| * tick_value_minor`. Rounding is half up, away from zero for rebates: 8.5 becomes 9, -8.5 becomes -9.
/// A real broker may round on the order or truncate; the grain changes the sum, so it is part of the description and never guessed.
/// Worked number: 1 lot at 28050 with tick value 200 and tax rate 20000e-9 pays 112 tax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeeSchedule {
    /// Flat commission for every lot.
    pub commission_per_lot_minor: Money,
    /// Share of the notional that a maker pays, in 1e-9; negative is a rebate.
    pub maker_rate_e9: i64,
    /// Share of the notional that a taker pays, in 1e-9.
    pub taker_rate_e9: i64,
    /// Least commission per grain; a rebate is left as it is.
    pub minimum_minor: Money,
    /// Tax on the notional of either side, in 1e-9.
    pub tax_rate_e9: i64,
    /// What is rounded.
    pub grain: Grain,
}

impl FeeSchedule {
    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] names the key, what was found and what is allowed.
    pub fn check(&self) -> Result<()> {
        const MONEY_MAX: Money = 1_000_000_000_000;
        const RATE_MAX: i64 = 1_000_000_000;
        let table = [
            (
                "commission_per_lot_minor",
                self.commission_per_lot_minor,
                0,
                MONEY_MAX,
            ),
            ("maker_rate_e9", self.maker_rate_e9, -RATE_MAX, RATE_MAX),
            ("taker_rate_e9", self.taker_rate_e9, -RATE_MAX, RATE_MAX),
            ("minimum_minor", self.minimum_minor, 0, MONEY_MAX),
            ("tax_rate_e9", self.tax_rate_e9, 0, RATE_MAX),
        ];
        for (key, found, low, high) in table {
            if !(low..=high).contains(&found) {
                return Err(Error::Spec(format!(
                    "{key}: found {found}, allowed {low} to {high}"
                )));
            }
        }
        Ok(())
    }

    /// Returns `(fee, tax)` of a fill.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] if an amount does not fit its integer.
    pub fn charge(
        &self,
        liquidity: Liquidity,
        lots: Lots,
        price: TickIndex,
        tick_value_minor: Money,
    ) -> Result<(Money, Money)> {
        let rate = match liquidity {
            Liquidity::Maker => self.maker_rate_e9,
            Liquidity::Taker => self.taker_rate_e9,
        };
        let (grains, lots_per_grain) = match self.grain {
            Grain::Lot => (lots, 1),
            Grain::Fill => (1, lots),
        };
        self.charge_grain(rate, lots_per_grain, price, tick_value_minor)
            .and_then(|(fee, tax)| Some((fee.checked_mul(grains)?, tax.checked_mul(grains)?)))
            .ok_or_else(|| {
                Error::Ledger(format!("fees of {lots} lots at {price} do not fit 64 bits"))
            })
    }

    fn charge_grain(
        &self,
        rate_e9: i64,
        lots: Lots,
        price: TickIndex,
        tick_value_minor: Money,
    ) -> Option<(Money, Money)> {
        let notional = i128::from(price)
            .abs()
            .checked_mul(i128::from(tick_value_minor))?
            .checked_mul(i128::from(lots))?;
        let commission = self.commission_per_lot_minor.checked_mul(lots)?;
        let fee = commission.checked_add(share(notional, rate_e9)?)?;
        let fee = if fee < 0 {
            fee
        } else {
            fee.max(self.minimum_minor)
        };
        Some((fee, share(notional, self.tax_rate_e9)?))
    }
}

/// Returns `notional * rate`, rounded half away from zero.
fn share(notional: i128, rate_e9: i64) -> Option<Money> {
    let exact = notional.checked_mul(i128::from(rate_e9))?;
    let rounded = (exact.abs().checked_add(RATE_UNIT / 2)? / RATE_UNIT) * exact.signum();
    Money::try_from(rounded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUTURES_TAX: FeeSchedule = FeeSchedule {
        commission_per_lot_minor: 0,
        maker_rate_e9: 0,
        taker_rate_e9: 0,
        minimum_minor: 0,
        tax_rate_e9: 20_000,
        grain: Grain::Lot,
    };

    fn tax(schedule: FeeSchedule, lots: Lots, price: TickIndex, tick_value: Money) -> Money {
        schedule
            .charge(Liquidity::Taker, lots, price, tick_value)
            .unwrap()
            .1
    }

    #[test]
    fn taiwan_futures_pay_the_tax_of_the_published_examples() {
        let whole_fill = FeeSchedule {
            grain: Grain::Fill,
            ..FUTURES_TAX
        };
        let options = FeeSchedule {
            tax_rate_e9: 1_000_000,
            ..FUTURES_TAX
        };
        let table = [
            ("F9", FUTURES_TAX, 1, 28_050, 200, 112),
            ("F10", FUTURES_TAX, 1, 28_050, 50, 28),
            ("F11 per contract", FUTURES_TAX, 5, 28_062, 10, 30),
            ("F11 on the order", whole_fill, 5, 28_062, 10, 28),
            ("F12", FUTURES_TAX, 1, 1_489, 2_000, 60),
            ("F13", options, 1, 131, 50, 7),
            ("8.5 becomes 9", FUTURES_TAX, 1, 8_500, 50, 9),
        ];
        for (name, schedule, lots, price, tick_value, expected) in table {
            assert_eq!(tax(schedule, lots, price, tick_value), expected, "{name}");
        }
    }

    #[test]
    fn share_commissions_have_a_minimum() {
        let list_rate = FeeSchedule {
            taker_rate_e9: 1_425_000,
            minimum_minor: 20,
            grain: Grain::Fill,
            ..FeeSchedule::default()
        };
        // Prices in whole currency units times 10, so that a tick of a lot of 1,000 shares is 100.
        for (name, price, expected) in [
            ("F1", 14_900, 2_123),
            ("F2", 14_950, 2_130),
            ("F5", 108, 20),
        ] {
            assert_eq!(
                list_rate.charge(Liquidity::Taker, 1, price, 100).unwrap().0,
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn rebates_round_away_from_zero_and_ignore_the_minimum() {
        let schedule = FeeSchedule {
            maker_rate_e9: -20_000,
            minimum_minor: 5,
            ..FeeSchedule::default()
        };
        assert_eq!(
            schedule.charge(Liquidity::Maker, 1, 8_500, 50).unwrap(),
            (-9, 0)
        );
        assert_eq!(
            schedule.charge(Liquidity::Taker, 1, 8_500, 50).unwrap(),
            (5, 0)
        );
    }

    #[test]
    fn parts_may_cost_more_than_the_whole() {
        let schedule = FeeSchedule {
            grain: Grain::Fill,
            ..FUTURES_TAX
        };
        assert_eq!(
            tax(schedule, 2, 28_062, 10) + tax(schedule, 3, 28_062, 10),
            11 + 17
        );
        assert_eq!(tax(schedule, 5, 28_062, 10), 28);
        assert_eq!(
            tax(schedule, 1, 28_062, 10) + tax(schedule, 4, 28_062, 10),
            6 + 22
        );
        assert_eq!(
            tax(schedule, 1, 8_500, 50) + tax(schedule, 1, 8_500, 50),
            18
        );
        assert_eq!(tax(schedule, 2, 8_500, 50), 17);
    }

    #[test]
    fn amounts_that_do_not_fit_are_errors() {
        let schedule = FeeSchedule {
            taker_rate_e9: 1_000_000_000,
            ..FeeSchedule::default()
        };
        assert!(matches!(
            schedule.charge(Liquidity::Taker, i64::MAX, 2, 1),
            Err(Error::Ledger(_))
        ));
        assert!(matches!(
            schedule.charge(Liquidity::Taker, 1, i32::MAX, i64::MAX),
            Err(Error::Ledger(_))
        ));
    }

    #[test]
    fn wrong_numbers_are_refused_by_key() {
        let wrong = FeeSchedule {
            tax_rate_e9: -1,
            ..FeeSchedule::default()
        };
        assert_eq!(
            wrong.check(),
            Err(Error::Spec(
                "tax_rate_e9: found -1, allowed 0 to 1000000000".to_owned()
            ))
        );
        assert!(FUTURES_TAX.check().is_ok());
    }
}
