//! The account of one replay: exact integers, kept fill by fill.
//!
//! ```text
//! cash -= s q p M ;  fees += fee + tax ;  position += s q
//! equity2 = 2 cash + position mid2 M - 2 fees          twice the equity, in minor units
//! ```
//!
//! `s` is +1 for a buy and -1 for a sell, `q` lots, `p` ticks, `M` minor units per tick and lot, `mid2` bid + ask. Equity is defined by these alone;
//! realised and unrealised, spread capture and inventory are views of it that add up to it exactly, which [`ShadowLedger::finish`] checks against
//! a second computation from the fill log. A fill is marked with the last two-sided mid before its group; before there is one, with its own price.
//!
//! Cost: a mark while flat is two comparisons; a mark with a position a few integer operations; a fill one record and three markouts to come.
//!
//! Known limits: one instrument and one currency; the averages of [`ShadowLedger::metrics`] are doubles, everything else is an integer. After an
//! [`Error::Ledger`] the account is of no use: the replay ends at that event.

mod audit;
mod basis;
mod counts;
mod equity;
mod fees;
mod impact;
mod increments;
mod markout;
mod metrics;
mod validity;

use crate::certificate::OrderCertificate;
use crate::error::{Error, Result};
use crate::types::{Liquidity, Lots, Money, Nanos, OrderEvent, OrderId, Side, TickIndex};
use basis::{AverageBasis, FifoBasis, greatest_common_divisor};
use counts::Counts;
pub use counts::RequestKind;
use equity::EquityPath;
pub use fees::{FeeSchedule, Grain};
pub use impact::ChargeSpec;
use impact::ImpactCharge;
use increments::Increments;
use markout::Markouts;

/// One fill as the engine reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillInput {
    /// When.
    pub exch_ns: Nanos,
    /// When the strategy sees it.
    pub local_ns: Nanos,
    /// Of which order.
    pub order_id: OrderId,
    /// Side of the order.
    pub side: Side,
    /// Fill price.
    pub price: TickIndex,
    /// Lots of this fill, at least 1.
    pub lots: Lots,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Market volume ahead just before the cause, in 1/2^20 lot; -1 unknown.
    pub ahead_units: i64,
    /// Least market volume ahead just before the cause, whatever the queue model, in lots; -1 unknown or no certificates.
    pub ahead_front_lots: Lots,
    /// Greatest market volume ahead just before the cause; -1 unknown or no certificates.
    pub ahead_back_lots: Lots,
    /// Lots of the order that its cause fills under every queue model.
    pub certain_lots: Lots,
    /// When the order came to rest, or arrived.
    pub arrival_ns: Nanos,
    /// Market volume ahead when the order came to rest, in 1/2^20 lot; -1 unknown.
    pub ahead_at_arrival_units: i64,
    /// Size of the print that caused the fill, 0 if there was none.
    pub cause_lots: Lots,
    /// Row of that print, -1 if there was none.
    pub cause_row: i64,
    /// Whether that print was smaller than the open lots of the order and all that had to fill before them.
    pub is_short_print: bool,
    /// Whether a taker fill was at a price behind the best one displayed.
    pub is_beyond_best: bool,
    /// Whether the order had no fill before.
    pub is_first_fill: bool,
}

/// One line of the fill log: the fill and the account right after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillRecord {
    /// The fill.
    pub fill: FillInput,
    /// Commission.
    pub fee: Money,
    /// Tax.
    pub tax: Money,
    /// What own takers would have made it cost; not part of the equity.
    pub impact: Money,
    /// Position after the fill.
    pub position: Lots,
    /// Twice the mid that marks the fill.
    pub mid2: i64,
    /// Twice the equity after the fill.
    pub equity2: i64,
    /// Gain per lot in half ticks, 1, 5 and 30 s later; none if the data ended before.
    pub markout2: [Option<i64>; 3],
}

/// The account.
#[derive(Clone, Debug)]
pub struct ShadowLedger {
    tick_value: Money,
    schedule: FeeSchedule,
    /// Until this time a mark changes nothing but the mid: flat, and no markout falls due.
    idle_until_ns: Nanos,
    mid2: i64,
    /// Whether `mid2` is a market mid and not the price of a first fill.
    has_mid: bool,
    position: Lots,
    cash: Money,
    fees: Money,
    tax: Money,
    /// `2 cash - 2 (fees + tax)`.
    settled2: i64,
    /// `position * tick_value`.
    position_value: i64,
    /// Spread capture in half minor units.
    spread2: i64,
    /// Inventory result up to `inventory_mid2`, in half minor units.
    inventory2: i64,
    /// The mid up to which `inventory2` is booked.
    inventory_mid2: i64,
    turnover: Money,
    maker_lots: Lots,
    lots: Lots,
    inventory_max: Lots,
    /// Integral of |position| over time, up to `held_until_ns`.
    lot_ns: i128,
    /// Time with the largest |position| so far.
    peak_ns: Nanos,
    held_until_ns: Nanos,
    first_ns: Option<Nanos>,
    fifo: FifoBasis,
    average: AverageBasis,
    markouts: Markouts,
    equity: EquityPath,
    increments: Increments,
    counts: Counts,
    /// None: no line for it either.
    impact: Option<ImpactCharge>,
    fills: Vec<FillRecord>,
    arrivals: Arrivals,
    certificates: Option<Vec<OrderCertificate>>,
}

/// What own orders met when they came to rest, summed over those with a known place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// Own lots.
    pub(crate) own_lots: Lots,
    /// Displayed lots of their levels.
    pub(crate) displayed_lots: Lots,
}

impl ShadowLedger {
    /// Opens an empty account; `samples` bounds the picture of the equity.
    #[must_use]
    pub fn new(tick_value_minor: Money, fees: FeeSchedule, samples: usize) -> Self {
        Self {
            tick_value: tick_value_minor,
            schedule: fees,
            idle_until_ns: Nanos::MIN,
            mid2: 0,
            has_mid: false,
            position: 0,
            cash: 0,
            fees: 0,
            tax: 0,
            settled2: 0,
            position_value: 0,
            spread2: 0,
            inventory2: 0,
            inventory_mid2: 0,
            turnover: 0,
            maker_lots: 0,
            lots: 0,
            inventory_max: 0,
            lot_ns: 0,
            peak_ns: 0,
            held_until_ns: 0,
            first_ns: None,
            fifo: FifoBasis::default(),
            average: AverageBasis::default(),
            markouts: Markouts::default(),
            equity: EquityPath::new(samples),
            increments: Increments::default(),
            counts: Counts::default(),
            impact: None,
            fills: Vec::new(),
            arrivals: Arrivals::default(),
            certificates: None,
        }
    }

    /// Charges own impact in a line of its own.
    #[must_use]
    pub fn with_impact(mut self, charge: Option<ChargeSpec>) -> Self {
        self.impact = charge.map(|spec| ImpactCharge::new(spec, self.tick_value));
        self
    }

    /// Books a fill.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] names the fill if an amount does not fit its integer.
    pub fn on_fill(&mut self, fill: &FillInput) -> Result<()> {
        let (fee, tax) =
            self.schedule
                .charge(fill.liquidity, fill.lots, fill.price, self.tick_value)?;
        self.book(fill, fee, tax).ok_or_else(|| {
            Error::Ledger(format!(
                "fill of {} lots at {} of order {} at {} ns: an amount does not fit 64 bits",
                fill.lots, fill.price, fill.order_id, fill.exch_ns
            ))
        })
    }

    fn book(&mut self, fill: &FillInput, fee: Money, tax: Money) -> Option<()> {
        let signed_lots = fill.side.sign().checked_mul(fill.lots)?;
        self.book_mark(fill)?;
        self.hold_until(fill.exch_ns);

        let value = signed_lots
            .checked_mul(i64::from(fill.price))?
            .checked_mul(self.tick_value)?;
        self.cash = self.cash.checked_sub(value)?;
        self.turnover = self.turnover.checked_add(value.checked_abs()?)?;
        self.fees = self.fees.checked_add(fee)?;
        self.tax = self.tax.checked_add(tax)?;
        self.position = self.position.checked_add(signed_lots)?;
        self.position_value = self.position.checked_mul(self.tick_value)?;
        let costs = self.fees.checked_add(self.tax)?;
        self.settled2 = self.cash.checked_sub(costs)?.checked_mul(2)?;

        let edge2 = self.mid2.checked_sub(2 * i64::from(fill.price))?;
        let capture2 = edge2
            .checked_mul(signed_lots)?
            .checked_mul(self.tick_value)?;
        self.spread2 = self.spread2.checked_add(capture2)?;
        self.fifo.trade(fill.price, signed_lots)?;
        self.average.trade(fill.price, signed_lots)?;

        self.lots = self.lots.checked_add(fill.lots)?;
        if fill.liquidity == Liquidity::Maker {
            self.maker_lots += fill.lots;
        }
        if self.position.abs() > self.inventory_max {
            self.inventory_max = self.position.abs();
            self.peak_ns = 0;
        }
        let impact = match &mut self.impact {
            Some(charge) => charge.charge(fill)?,
            None => 0,
        };
        let equity2 = self.marked_equity2()?;
        self.equity.sample(fill.exch_ns, equity2)?;
        self.increments.sample(fill.exch_ns, equity2)?;
        self.markouts.expect(fill.exch_ns);
        self.fills.push(FillRecord {
            fill: *fill,
            fee,
            tax,
            impact,
            position: self.position,
            mid2: self.mid2,
            equity2,
            markout2: [None; 3],
        });
        self.update_idle();
        Some(())
    }

    /// Brings the mid and what follows from it up to the fill.
    fn book_mark(&mut self, fill: &FillInput) -> Option<()> {
        if !self.has_mid {
            self.markouts
                .settle_before(fill.exch_ns, self.mid2, &mut self.fills)?;
            self.mid2 = 2 * i64::from(fill.price);
        }
        self.inventory2 = self.inventory2_now()?;
        self.inventory_mid2 = self.mid2;
        Some(())
    }

    /// Takes the mid after a group, once it changed.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] names the mark if an amount does not fit its integer.
    #[inline]
    pub fn on_mark(&mut self, exch_ns: Nanos, mid2: i64) -> Result<()> {
        if exch_ns <= self.idle_until_ns {
            self.mid2 = mid2;
            return Ok(());
        }
        self.mark(exch_ns, mid2).ok_or_else(|| {
            Error::Ledger(format!(
                "mark at {exch_ns} ns with twice the mid {mid2} and position {}: an amount does not fit 64 bits",
                self.position
            ))
        })
    }

    fn mark(&mut self, exch_ns: Nanos, mid2: i64) -> Option<()> {
        self.markouts
            .settle_before(exch_ns, self.mid2, &mut self.fills)?;
        self.mid2 = mid2;
        if !self.has_mid {
            self.has_mid = true;
            self.begin(exch_ns);
        }
        if self.position != 0 {
            let equity2 = self.marked_equity2()?;
            self.equity.sample(exch_ns, equity2)?;
            self.increments.sample(exch_ns, equity2)?;
        }
        self.update_idle();
        Some(())
    }

    fn update_idle(&mut self) {
        let is_idle = self.has_mid && self.position == 0;
        self.idle_until_ns = if is_idle {
            self.markouts.due_ns
        } else {
            Nanos::MIN
        };
    }

    /// Notes the time of the first mark or fill.
    fn begin(&mut self, exch_ns: Nanos) {
        self.first_ns.get_or_insert(exch_ns);
        self.increments.start(exch_ns);
    }

    fn hold_until(&mut self, exch_ns: Nanos) {
        self.begin(exch_ns);
        self.lot_ns = self.lot_ns_at(exch_ns);
        if self.position != 0 && self.position.abs() == self.inventory_max {
            self.peak_ns += exch_ns - self.held_until_ns;
        }
        self.held_until_ns = exch_ns;
    }

    fn lot_ns_at(&self, exch_ns: Nanos) -> i128 {
        // The products of a position and a time fit 126 bits; a flat position adds nothing whatever `held_until_ns` is.
        self.lot_ns
            + i128::from(self.position.abs())
                * (i128::from(exch_ns) - i128::from(self.held_until_ns))
    }

    /// Returns the integral of |position| in whole lot-microseconds: 10^8 lots held for a day still fit.
    fn lot_us(&self) -> Option<i64> {
        i64::try_from(self.lot_ns / 1_000).ok()
    }

    #[inline]
    fn marked_equity2(&self) -> Option<i64> {
        self.position_value
            .checked_mul(self.mid2)?
            .checked_add(self.settled2)
    }

    fn inventory2_now(&self) -> Option<i64> {
        let moved2 = self.mid2.checked_sub(self.inventory_mid2)?;
        self.position_value
            .checked_mul(moved2)?
            .checked_add(self.inventory2)
    }

    /// Counts an own event at the exchange (every kind, fills included).
    pub fn on_order_event(&mut self, event: &OrderEvent) {
        self.counts.event(event);
    }

    /// Counts a request as the strategy sends it.
    pub fn on_request(&mut self, kind: RequestKind) {
        self.counts.request(kind);
    }

    /// Seals the account at the last exchange time of the data: settles markouts and checks every identity against the fill log.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] if an amount does not fit its integer or an identity is broken.
    pub fn finish(&mut self, exch_ns_end: Nanos) -> Result<()> {
        self.seal(exch_ns_end).ok_or_else(|| {
            Error::Ledger(format!(
                "end of the data at {exch_ns_end} ns: an amount does not fit 64 bits"
            ))
        })?;
        audit::check(self)
    }

    fn seal(&mut self, end_ns: Nanos) -> Option<()> {
        self.markouts.finish(end_ns, self.mid2, &mut self.fills)?;
        self.hold_until(end_ns);
        self.lot_us()?;
        self.inventory2 = self.inventory2_now()?;
        self.inventory_mid2 = self.mid2;
        self.equity.finish();
        self.increments.settle(end_ns)?;
        self.marked_equity2()?;
        self.realised_checked()?;
        Some(())
    }

    fn realised_checked(&self) -> Option<Money> {
        self.fifo
            .tick_lots()
            .checked_mul(self.tick_value)?
            .checked_add(self.cash)
    }

    /// Returns the position in lots.
    #[must_use]
    pub fn position(&self) -> Lots {
        self.position
    }

    /// Returns the cash, fees and tax not deducted.
    #[must_use]
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// Returns the sum of commissions.
    #[must_use]
    pub fn fees_total(&self) -> Money {
        self.fees
    }

    /// Returns the sum of taxes.
    #[must_use]
    pub fn tax_total(&self) -> Money {
        self.tax
    }

    /// Returns the sum of impact charges, which the equity does not hold; `None` if none are asked for.
    #[must_use]
    pub fn impact_total(&self) -> Option<Money> {
        self.impact.as_ref().map(|charge| charge.total)
    }

    /// Returns twice the equity at the last mid.
    ///
    /// # Panics
    ///
    /// If it does not fit 64 bits, which the last fill or mark has reported.
    #[must_use]
    pub fn equity2(&self) -> i64 {
        self.marked_equity2()
            .expect("the last fill or mark computed it")
    }

    /// Returns twice the gain from trading away from the mid.
    #[must_use]
    pub fn spread_capture2(&self) -> i64 {
        self.spread2
    }

    /// Returns twice the gain from holding while the mid moved, up to the last fill or the end.
    #[must_use]
    pub fn inventory2(&self) -> i64 {
        self.inventory2
    }

    /// Returns twice the deepest fall of the equity from an earlier peak.
    #[must_use]
    pub fn drawdown2(&self) -> i64 {
        self.equity.drawdown2
    }

    /// Returns the realised result when the oldest lots are closed first, before fees.
    ///
    /// # Panics
    ///
    /// If it does not fit 64 bits, which `finish` reports.
    #[must_use]
    pub fn realised_fifo(&self) -> Money {
        self.realised_checked().expect("a result that fits 64 bits")
    }

    /// Returns the realised result at average cost, before fees, as a fraction in lowest terms.
    ///
    /// Exact until the fraction's denominator passes 2^32; from there the cost is rounded to 2^-32 tick times lots and the unrealised part takes
    /// the difference, so that both parts still add up to the equity exactly.
    #[must_use]
    pub fn realised_average(&self) -> (i128, i128) {
        let (numerator, denominator) = self.average.tick_lots();
        let sum = numerator * i128::from(self.tick_value) + i128::from(self.cash) * denominator;
        let divisor = greatest_common_divisor(sum.abs(), denominator);
        (sum / divisor, denominator / divisor)
    }

    /// Returns the fill log.
    #[must_use]
    pub fn fills(&self) -> &[FillRecord] {
        &self.fills
    }

    /// Returns the kept equity samples as (exchange time, twice the equity).
    #[must_use]
    pub fn equity_samples(&self) -> &[(Nanos, i64)] {
        self.equity.kept()
    }
}

#[cfg(test)]
mod tests;
