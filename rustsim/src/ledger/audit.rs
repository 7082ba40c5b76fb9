//! The account a second time, from the fill log alone and by other sums.

use super::{ShadowLedger, markout};
use crate::error::{Error, Result};
use crate::types::{Liquidity, Lots, TickIndex};

/// Everything that the fill log says, in 128 bits.
#[derive(Debug, Default)]
struct Recount {
    position: i128,
    cash: i128,
    fees: i128,
    tax: i128,
    lots: i128,
    maker_lots: i128,
    spread2: i128,
    inventory2: i128,
    realised: i128,
    /// Open lots, oldest first.
    open: Vec<(TickIndex, Lots)>,
}

/// Checks every identity of the account.
///
/// # Errors
///
/// [`Error::Ledger`] names the identity and both sides.
pub(super) fn check(ledger: &ShadowLedger) -> Result<()> {
    let recount = recount(ledger)?;
    let mid2 = i128::from(ledger.mid2);
    let tick_value = i128::from(ledger.tick_value);
    let costs2 = 2 * (recount.fees + recount.tax);
    let equity2 = 2 * recount.cash + recount.position * mid2 * tick_value - costs2;
    let unrealised2: i128 = recount
        .open
        .iter()
        .map(|&(price, lots)| i128::from(lots) * (mid2 - 2 * i128::from(price)) * tick_value)
        .sum();
    let (numerator, denominator) = ledger.average.tick_lots();
    let (realised_numerator, realised_denominator) = ledger.realised_average();
    let table = [
        ("position", i128::from(ledger.position), recount.position),
        ("cash", i128::from(ledger.cash), recount.cash),
        ("fees", i128::from(ledger.fees), recount.fees),
        ("tax", i128::from(ledger.tax), recount.tax),
        ("lots", i128::from(ledger.lots), recount.lots),
        (
            "maker lots",
            i128::from(ledger.maker_lots),
            recount.maker_lots,
        ),
        ("equity", i128::from(ledger.equity2()), equity2),
        (
            "spread capture",
            i128::from(ledger.spread2),
            recount.spread2,
        ),
        (
            "inventory",
            i128::from(ledger.inventory2),
            recount.inventory2,
        ),
        (
            "spread + inventory - fees = equity",
            recount.spread2 + recount.inventory2 - costs2,
            equity2,
        ),
        (
            "realised (first in, first out)",
            i128::from(ledger.realised_fifo()),
            recount.realised,
        ),
        (
            "realised + unrealised - fees = equity",
            2 * recount.realised + unrealised2 - costs2,
            equity2,
        ),
        (
            "realised at average cost",
            realised_numerator * denominator,
            (numerator * tick_value + recount.cash * denominator) * realised_denominator,
        ),
        (
            "cost of a flat position",
            if recount.position == 0 { numerator } else { 0 },
            0,
        ),
    ];
    for (name, kept, counted) in table {
        if kept != counted {
            return Err(Error::Ledger(format!(
                "{name}: the account says {kept}, the fill log {counted}"
            )));
        }
    }
    check_impact(ledger)?;
    check_markouts(ledger)?;
    check_certificates(ledger)
}

fn check_impact(ledger: &ShadowLedger) -> Result<()> {
    let sum: i128 = ledger
        .fills
        .iter()
        .map(|record| i128::from(record.impact))
        .sum();
    let kept = i128::from(ledger.impact_total().unwrap_or(0));
    if sum == kept {
        return Ok(());
    }
    Err(Error::Ledger(format!(
        "impact: the account says {kept}, the fill log {sum}"
    )))
}

fn recount(ledger: &ShadowLedger) -> Result<Recount> {
    let tick_value = i128::from(ledger.tick_value);
    let mut sum = Recount::default();
    let mut mid2_before = None;
    for record in &ledger.fills {
        let fill = &record.fill;
        let signed = fill.side.sign() * fill.lots;
        let value = i128::from(signed) * i128::from(fill.price) * tick_value;
        let moved2 = mid2_before.map_or(0, |before| i128::from(record.mid2 - before));
        sum.inventory2 += sum.position * moved2 * tick_value;
        mid2_before = Some(record.mid2);
        sum.spread2 += i128::from(signed) * i128::from(record.mid2) * tick_value - 2 * value;
        sum.position += i128::from(signed);
        sum.cash -= value;
        let (fee, tax) =
            ledger
                .schedule
                .charge(fill.liquidity, fill.lots, fill.price, ledger.tick_value)?;
        sum.fees += i128::from(fee);
        sum.tax += i128::from(tax);
        sum.lots += i128::from(fill.lots);
        sum.maker_lots += if fill.liquidity == Liquidity::Maker {
            i128::from(fill.lots)
        } else {
            0
        };
        sum.realised += pair(&mut sum.open, fill.price, signed) * tick_value;
    }
    let moved2 = mid2_before.map_or(0, |before| i128::from(ledger.mid2 - before));
    sum.inventory2 += sum.position * moved2 * tick_value;
    Ok(sum)
}

/// Closes the oldest lots against a trade and returns the gain in ticks times lots; what is left of the trade opens.
fn pair(open: &mut Vec<(TickIndex, Lots)>, price: TickIndex, signed_lots: Lots) -> i128 {
    let mut left = signed_lots;
    let mut gain = 0;
    let mut finished = 0;
    for (open_price, open_lots) in open.iter_mut() {
        if left == 0 || open_lots.signum() == left.signum() {
            break;
        }
        let closed = open_lots.abs().min(left.abs()) * open_lots.signum();
        gain += i128::from(closed) * (i128::from(price) - i128::from(*open_price));
        *open_lots -= closed;
        left += closed;
        finished += usize::from(*open_lots == 0);
    }
    open.drain(..finished);
    if left != 0 {
        open.push((price, left));
    }
    gain
}

fn check_markouts(ledger: &ShadowLedger) -> Result<()> {
    let markouts = &ledger.markouts;
    for (index, horizon) in markout::HORIZONS_NS.iter().enumerate() {
        let dropped = usize::try_from(markouts.dropped[index]).unwrap_or(usize::MAX);
        let known = ledger.fills.len().saturating_sub(dropped);
        let (mut lots, mut half_tick_lots) = (0, 0);
        for record in &ledger.fills[..known] {
            lots += record.fill.lots;
            half_tick_lots += record.markout2[index].unwrap_or(0) * record.fill.lots;
        }
        let kept = (markouts.lots[index], markouts.half_tick_lots[index]);
        if kept != (lots, half_tick_lots) {
            return Err(Error::Ledger(format!(
                "markouts at {horizon} ns: the account has lots and half ticks {kept:?}, the fill log {:?}",
                (lots, half_tick_lots)
            )));
        }
    }
    Ok(())
}

fn check_certificates(ledger: &ShadowLedger) -> Result<()> {
    let Some(certificates) = &ledger.certificates else {
        return Ok(());
    };
    let mut filled = 0;
    for certificate in certificates {
        let lots = [
            0,
            certificate.certain_lots,
            certificate.filled_lots,
            certificate.possible_lots,
            certificate.rested_lots,
        ];
        if !lots.is_sorted() {
            return Err(Error::Ledger(format!(
                "certificate of order {}: certain, filled, possible and rested lots are {:?}",
                certificate.order_id,
                &lots[1..]
            )));
        }
        filled += certificate.filled_lots;
    }
    if filled == ledger.maker_lots {
        return Ok(());
    }
    Err(Error::Ledger(format!(
        "certificates: {filled} lots are filled, the account has {}",
        ledger.maker_lots
    )))
}
