//! What a row must be, checked when a tape is written and again when it is opened.

use super::columns::RowColumns;
use super::limits::{EXCH_NS_END, LOCAL_OFFSET_NS_MAX, PRICE_ABS_MAX};
use super::screen;
use crate::types::{
    FLAG_LAST, FLAG_OUT_OF_VIEW, FLAGS_ALL, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Nanos, Tick,
    TickIndex,
};

/// Returns a row as a tape holds it: without `LAST`, which the writer sets, and with both times if there is no local clock.
#[must_use]
pub fn as_written(row: &Tick, has_local: bool) -> Tick {
    Tick {
        flags: row.flags & !FLAG_LAST,
        local_ns: if has_local { row.local_ns } else { row.exch_ns },
        ..*row
    }
}

/// Checks rows in their order, and remembers what the header needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Validator {
    has_local: bool,
    rows: u64,
    exch_ns_first: Nanos,
    exch_ns_last: Nanos,
    local_ns_last: Nanos,
    price_min: TickIndex,
    price_max: TickIndex,
}

impl Validator {
    /// Returns a validator that has seen no row.
    #[must_use]
    pub fn new(has_local: bool) -> Self {
        Self {
            has_local,
            rows: 0,
            exch_ns_first: 0,
            exch_ns_last: 0,
            local_ns_last: Nanos::MIN,
            price_min: TickIndex::MAX,
            price_max: TickIndex::MIN,
        }
    }

    /// Returns the number of rows seen.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the exchange time of the first row, 0 without rows.
    #[must_use]
    pub fn exch_ns_first(&self) -> Nanos {
        self.exch_ns_first
    }

    /// Returns the exchange time of the last row, 0 without rows.
    #[must_use]
    pub fn exch_ns_last(&self) -> Nanos {
        self.exch_ns_last
    }

    /// Returns the lowest and the highest price; the first is above the second while there is none.
    #[must_use]
    pub fn price_bounds(&self) -> (TickIndex, TickIndex) {
        (self.price_min, self.price_max)
    }

    /// Takes the next row, or tells what is wrong with it (without its number and file: the caller knows them).
    ///
    /// # Errors
    /// The first rule that the row breaks, in words.
    pub fn push(&mut self, row: &Tick) -> Result<(), String> {
        if !self.row_is_good(row) {
            return Err(self.explain(row));
        }
        if self.rows == 0 {
            self.exch_ns_first = row.exch_ns;
        }
        self.rows += 1;
        self.exch_ns_last = row.exch_ns;
        self.local_ns_last = row.local_ns;
        if row.kind != KIND_CLEAR {
            self.price_min = self.price_min.min(row.price);
            self.price_max = self.price_max.max(row.price);
        }
        Ok(())
    }

    /// Takes the next rows; the error holds the number of rows in front of the bad one, and what is wrong with it.
    ///
    /// # Errors
    /// As [`Validator::push`].
    pub fn push_columns(&mut self, rows: &RowColumns<'_>) -> Result<(), (usize, String)> {
        let (Some(first), Some(last)) = (rows.exch_ns.first(), rows.exch_ns.last()) else {
            return Ok(());
        };
        if !self.columns_are_good(rows) {
            for row in 0..rows.len() {
                self.push(&rows.row(row)).map_err(|fault| (row, fault))?;
            }
            return Ok(());
        }
        if self.rows == 0 {
            self.exch_ns_first = *first;
        }
        self.rows += rows.len() as u64;
        self.exch_ns_last = *last;
        self.local_ns_last = rows.local_ns[rows.len() - 1];
        (self.price_min, self.price_max) =
            screen::price_bounds(rows, (self.price_min, self.price_max));
        Ok(())
    }

    fn columns_are_good(&self, rows: &RowColumns<'_>) -> bool {
        let local = || {
            if self.has_local {
                screen::local_is_good(rows, (self.rows > 0).then_some(self.local_ns_last))
            } else {
                rows.local_ns == rows.exch_ns
            }
        };
        screen::exch_is_good(rows.exch_ns, self.exch_ns_last)
            && local()
            && screen::bodies_are_good(rows)
    }

    fn row_is_good(&self, row: &Tick) -> bool {
        let time = row.exch_ns >= self.exch_ns_last
            && row.exch_ns < EXCH_NS_END
            && self.local_is_good(row);
        let codes = row.side <= 1 && row.flags & !FLAGS_ALL == 0 && row.reserved == 0;
        let price = row.price > -PRICE_ABS_MAX && row.price < PRICE_ABS_MAX;
        let view = row.flags & FLAG_OUT_OF_VIEW == 0 || (row.kind == KIND_LEVEL && row.qty == 0);
        let body = match row.kind {
            KIND_LEVEL => row.qty >= 0,
            KIND_TRADE => row.qty >= 1,
            KIND_CLEAR => row.qty == 0 && row.price == 0 && row.side == 0,
            _ => false,
        };
        time && codes && price && view && body
    }

    fn local_is_good(&self, row: &Tick) -> bool {
        if !self.has_local {
            return row.local_ns == row.exch_ns;
        }
        row.local_ns >= self.local_ns_last
            && row
                .local_ns
                .checked_sub(row.exch_ns)
                .is_some_and(|offset| offset.unsigned_abs() <= LOCAL_OFFSET_NS_MAX.unsigned_abs())
    }

    // Slow twin of `row_is_good`, reached for the one bad row only.
    fn explain(&self, row: &Tick) -> String {
        if row.exch_ns < 0 || row.exch_ns >= EXCH_NS_END {
            return format!("exch_ns {} is outside of [0, {EXCH_NS_END})", row.exch_ns);
        }
        if row.exch_ns < self.exch_ns_last {
            return format!(
                "exch_ns {} is before {} of the row above: sort by exchange time",
                row.exch_ns, self.exch_ns_last
            );
        }
        if !self.has_local && row.local_ns != row.exch_ns {
            return format!(
                "local_ns {} differs from exch_ns {} without a local clock",
                row.local_ns, row.exch_ns
            );
        }
        if self.has_local && row.local_ns < self.local_ns_last {
            return format!(
                "local_ns {} is before {} of the row above",
                row.local_ns, self.local_ns_last
            );
        }
        if !self.local_is_good(row) {
            return format!(
                "local_ns {} is more than a day away from exch_ns {}",
                row.local_ns, row.exch_ns
            );
        }
        if row.kind > KIND_CLEAR {
            return format!("kind {} is none of 0 level, 1 trade, 2 clear", row.kind);
        }
        if row.side > 1 {
            return format!("side {} is neither 0 bid nor 1 ask", row.side);
        }
        if row.flags & !FLAGS_ALL != 0 {
            return format!(
                "flags {} hold an unknown bit (known: {FLAGS_ALL})",
                row.flags
            );
        }
        if row.reserved != 0 {
            return format!("reserved byte is {}, expected 0", row.reserved);
        }
        if row.kind == KIND_CLEAR && (row.qty != 0 || row.price != 0 || row.side != 0) {
            return format!(
                "a clear row has side {}, price {}, qty {}, expected zeros",
                row.side, row.price, row.qty
            );
        }
        if row.flags & FLAG_OUT_OF_VIEW != 0 && (row.kind != KIND_LEVEL || row.qty != 0) {
            return format!(
                "out-of-view flag on kind {} with qty {}, expected a level of size 0",
                row.kind, row.qty
            );
        }
        if row.price <= -PRICE_ABS_MAX || row.price >= PRICE_ABS_MAX {
            return format!("price {} ticks is not within +-{PRICE_ABS_MAX}", row.price);
        }
        format!(
            "qty {} is below {} for kind {}",
            row.qty,
            i32::from(row.kind == KIND_TRADE),
            row.kind
        )
    }
}

/// Checks a whole tape as it comes: the rules of rows, and that LAST ends each time.
#[derive(Debug)]
pub(super) struct TapeValidator {
    rows: Validator,
    /// Time of the row above, and whether it has the LAST flag.
    above: Option<(Nanos, bool)>,
    has_join: bool,
}

impl TapeValidator {
    pub(super) fn new(has_local: bool) -> Self {
        Self {
            rows: Validator::new(has_local),
            above: None,
            has_join: false,
        }
    }

    /// Takes the next rows; the error names row and rule.
    pub(super) fn push(&mut self, rows: &[Tick]) -> Result<(), String> {
        for row in rows {
            if let Err(fault) = self.rows.push(row) {
                return Err(format!("row {}: {fault}", self.rows.rows()));
            }
            if self
                .above
                .is_some_and(|(exch_ns, is_last)| (exch_ns != row.exch_ns) != is_last)
            {
                return Err(last_fault(self.rows.rows() - 2));
            }
            self.above = Some((row.exch_ns, row.flags & FLAG_LAST != 0));
            self.has_join |= row.join != 0;
        }
        Ok(())
    }

    /// Ends the tape; returns what the rows were, and whether one had a join.
    pub(super) fn finish(self) -> Result<(Validator, bool), String> {
        match self.above {
            Some((_, false)) => Err(last_fault(self.rows.rows() - 1)),
            _ => Ok((self.rows, self.has_join)),
        }
    }
}

fn last_fault(row: u64) -> String {
    format!("row {row}: the LAST flag does not stand on the last row of its time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level() -> Tick {
        Tick {
            exch_ns: 100,
            local_ns: 100,
            price: 5,
            qty: 2,
            ..Tick::default()
        }
    }

    fn changed(change: impl FnOnce(&mut Tick)) -> Tick {
        let mut row = level();
        change(&mut row);
        row
    }

    fn at(ns: Nanos) -> Tick {
        changed(|row| (row.exch_ns, row.local_ns) = (ns, ns))
    }

    #[test]
    fn every_broken_rule_is_named() {
        let table: [(&str, Tick); 15] = [
            ("outside of", at(-1)),
            ("outside of", at(EXCH_NS_END)),
            ("before 100", at(99)),
            ("without a local clock", changed(|row| row.local_ns = 101)),
            ("kind 3", changed(|row| row.kind = 3)),
            ("side 2", changed(|row| row.side = 2)),
            ("unknown bit", changed(|row| row.flags = 32)),
            ("reserved byte", changed(|row| row.reserved = 1)),
            ("clear row", changed(|row| row.kind = KIND_CLEAR)),
            ("out-of-view", changed(|row| row.flags = FLAG_OUT_OF_VIEW)),
            (
                "out-of-view",
                changed(|row| (row.flags, row.kind, row.qty) = (FLAG_OUT_OF_VIEW, KIND_TRADE, 0)),
            ),
            ("price", changed(|row| row.price = PRICE_ABS_MAX)),
            ("price", changed(|row| row.price = i32::MIN)),
            ("qty -1 is below 0", changed(|row| row.qty = -1)),
            (
                "qty 0 is below 1",
                changed(|row| (row.qty, row.kind) = (0, KIND_TRADE)),
            ),
        ];
        for (words, row) in table {
            let mut validator = Validator::new(false);
            validator.push(&level()).expect("the first row is good");
            let fault = validator.push(&row).expect_err(words);
            assert!(
                fault.contains(words),
                "{fault:?} does not contain {words:?}"
            );
        }
    }

    #[test]
    fn local_clock_may_lag_but_not_run_backwards_or_be_days_off() {
        let mut validator = Validator::new(true);
        validator
            .push(&Tick {
                local_ns: 50,
                ..level()
            })
            .expect("a clock behind is allowed");
        assert!(
            validator
                .push(&Tick {
                    local_ns: 49,
                    ..level()
                })
                .is_err()
        );
        assert!(
            validator
                .push(&Tick {
                    local_ns: i64::MAX,
                    ..level()
                })
                .is_err()
        );
        assert_eq!(validator.rows(), 1);
        let mut fresh = Validator::new(true);
        assert!(
            fresh
                .push(&Tick {
                    local_ns: i64::MIN,
                    ..level()
                })
                .is_err()
        );
    }
}
