//! The rules of rows over whole columns at once: no branch, no row looked at alone.
//!
//! Whether any row is bad is found by gathering sign bits and stray bits of all; [`super::validate`] then says which row and why.

use super::columns::RowColumns;
use super::limits::{EXCH_NS_END, LOCAL_OFFSET_NS_MAX, PRICE_ABS_MAX};
use crate::types::{FLAG_OUT_OF_VIEW, FLAGS_ALL, KIND_CLEAR, KIND_TRADE, Nanos, TickIndex};

/// Returns whether times lie in their range and never fall, from `before` on.
pub(super) fn exch_is_good(exch_ns: &[Nanos], before: Nanos) -> bool {
    let Some(first) = exch_ns.first() else {
        return true;
    };
    let mut signs = first.wrapping_sub(before);
    for time in exch_ns {
        signs |= time | (EXCH_NS_END - 1).wrapping_sub(*time);
    }
    // Times within their range differ by less than the type holds: the sign of a difference is right.
    for (a, b) in exch_ns.iter().zip(&exch_ns[1..]) {
        signs |= b.wrapping_sub(*a);
    }
    signs >= 0
}

/// Returns whether local times never fall, from `before` on (None: from the first on), and lie within a day of exchange times that are good.
pub(super) fn local_is_good(rows: &RowColumns<'_>, before: Option<Nanos>) -> bool {
    let local_ns = rows.local_ns;
    let Some(first) = local_ns.first() else {
        return true;
    };
    let mut signs = first.wrapping_sub(before.unwrap_or(*first));
    for (local, exch) in local_ns.iter().zip(rows.exch_ns) {
        // An offset that does not fit the type comes out more than a day off, too: exchange times are far from its ends.
        let offset = local.wrapping_sub(*exch);
        signs |=
            LOCAL_OFFSET_NS_MAX.wrapping_sub(offset) | offset.wrapping_add(LOCAL_OFFSET_NS_MAX);
    }
    for (a, b) in local_ns.iter().zip(&local_ns[1..]) {
        signs |= b.wrapping_sub(*a);
    }
    signs >= 0
}

/// Returns whether codes, prices and quantities keep their rules.
pub(super) fn bodies_are_good(rows: &RowColumns<'_>) -> bool {
    const PRICE_MOST: i32 = PRICE_ABS_MAX - 1;
    let mut stray = 0;
    for ((kind, side), flags) in rows.kind.iter().zip(rows.side).zip(rows.flags) {
        // 0, 1 and 2 are kinds; 3 has both bits.
        stray |= (kind & !3) | (kind & (kind >> 1) & 1) | (side & !1) | (flags & !FLAGS_ALL);
    }
    let (mut signs, mut nonzero) = (0, 0);
    let codes = rows.kind.iter().zip(rows.side.iter().zip(rows.flags));
    for ((price, qty), (kind, (side, flags))) in rows.price.iter().zip(rows.qty).zip(codes) {
        signs |= PRICE_MOST.wrapping_sub(*price) | price.wrapping_add(PRICE_MOST);
        signs |= qty | qty.wrapping_sub(i32::from(kind & KIND_TRADE));
        // A clear row is zeros; what leaves the view is a level of size 0.
        let is_clear = -i32::from(kind >> 1 & 1);
        let is_out = -i32::from(u8::from(flags & FLAG_OUT_OF_VIEW != 0));
        nonzero |= is_clear & (price | qty | i32::from(*side)) | is_out & (qty | i32::from(*kind));
    }
    stray == 0 && signs >= 0 && nonzero == 0
}

/// Returns the bounds so far, widened by the prices of rows that have one.
pub(super) fn price_bounds(
    rows: &RowColumns<'_>,
    (mut min, mut max): (TickIndex, TickIndex),
) -> (TickIndex, TickIndex) {
    for (price, kind) in rows.price.iter().zip(rows.kind) {
        let has_price = *kind != KIND_CLEAR;
        min = min.min(if has_price { *price } else { TickIndex::MAX });
        max = max.max(if has_price { *price } else { TickIndex::MIN });
    }
    (min, max)
}

#[cfg(test)]
mod tests {
    use super::super::columns::Gathered;
    use super::super::validate::Validator;
    use super::*;
    use crate::types::Tick;
    use proptest::prelude::*;

    const DAY: Nanos = LOCAL_OFFSET_NS_MAX;

    /// A row that keeps the rules or breaks one of them by as little, or as much, as can be.
    fn near_row() -> impl Strategy<Value = Tick> {
        let exch = prop_oneof![
            8 => 100..104_i64,
            1 => prop_oneof![Just(i64::MIN), Just(-1), Just(0), Just(EXCH_NS_END - 1), Just(EXCH_NS_END), Just(i64::MAX)],
        ];
        let offset = prop_oneof![
            8 => Just(0_i64),
            1 => prop_oneof![Just(DAY), Just(-DAY), Just(DAY + 1), Just(-DAY - 1), Just(i64::MIN), Just(i64::MAX), -3..3_i64],
        ];
        let price = prop_oneof![
            8 => -9..9_i32,
            1 => prop_oneof![Just(0), Just(PRICE_ABS_MAX), Just(-PRICE_ABS_MAX), Just(PRICE_ABS_MAX - 1), Just(1 - PRICE_ABS_MAX), Just(i32::MIN), Just(i32::MAX)],
        ];
        let qty = prop_oneof![
            8 => 1..9_i32,
            2 => prop_oneof![Just(0), Just(-1), Just(i32::MIN), Just(i32::MAX)],
        ];
        let kind = prop_oneof![20 => 0..2_u8, 3 => Just(2), 1 => 3..=255_u8];
        let side = prop_oneof![20 => 0..2_u8, 1 => any::<u8>()];
        let flags = prop_oneof![20 => Just(0_u8), 3 => Just(2), 2 => Just(16), 1 => any::<u8>()];
        (exch, offset, price, qty, kind, side, flags).prop_map(
            |(exch_ns, offset, price, qty, kind, side, flags)| Tick {
                exch_ns,
                local_ns: exch_ns.wrapping_add(offset),
                // A clear row is zeros, most of the time.
                price: if kind == KIND_CLEAR && price < 8 {
                    0
                } else {
                    price
                },
                qty: if (kind == KIND_CLEAR || flags == FLAG_OUT_OF_VIEW) && qty > 1 {
                    0
                } else {
                    qty
                },
                side: if kind == KIND_CLEAR && qty > 1 {
                    0
                } else {
                    side
                },
                join: 0,
                kind,
                flags,
                reserved: 0,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        // Goal: columns are judged as their rows one by one: the same verdict, place, words and state.
        #[test]
        fn columns_are_judged_as_rows(
            parts in prop::collection::vec(prop::collection::vec(near_row(), 0..5), 1..4),
            is_sorted in any::<bool>(),
            has_local in any::<bool>(),
        ) {
            let (mut by_rows, mut by_columns) = (Validator::new(has_local), Validator::new(has_local));
            let mut latest = 0;
            for mut part in parts {
                for row in &mut part {
                    if is_sorted {
                        let offset = row.local_ns.wrapping_sub(row.exch_ns);
                        row.exch_ns = row.exch_ns.max(latest);
                        row.local_ns = row.exch_ns.wrapping_add(offset);
                        latest = row.exch_ns;
                    }
                    row.flags &= !crate::types::FLAG_LAST;
                }
                let mut gathered = Gathered::default();
                gathered.extend_rows(&part);
                let one_by_one = part.iter().enumerate().try_for_each(|(index, row)| {
                    by_rows.push(row).map_err(|fault| (index, fault))
                });
                let at_once = by_columns.push_columns(&gathered.columns());
                prop_assert_eq!(&at_once, &one_by_one);
                prop_assert_eq!(format!("{by_columns:?}"), format!("{by_rows:?}"));
                if at_once.is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn sound_rows_are_never_looked_at_one_by_one() {
        let mut gathered = Gathered::default();
        let level = Tick {
            exch_ns: 5,
            local_ns: 9,
            price: -7,
            qty: 3,
            ..Tick::default()
        };
        gathered.extend_rows(&[
            level,
            Tick {
                kind: KIND_TRADE,
                flags: 15,
                ..level
            },
            Tick {
                price: 0,
                qty: 0,
                kind: KIND_CLEAR,
                ..level
            },
            Tick {
                qty: 0,
                flags: FLAG_OUT_OF_VIEW,
                side: 1,
                ..level
            },
        ]);
        let rows = gathered.columns();
        assert!(exch_is_good(rows.exch_ns, 0) && exch_is_good(rows.exch_ns, 5));
        assert!(!exch_is_good(rows.exch_ns, 6));
        assert!(local_is_good(&rows, None) && local_is_good(&rows, Some(9)));
        assert!(!local_is_good(&rows, Some(10)));
        assert!(bodies_are_good(&rows));
        assert_eq!(
            price_bounds(&rows, (TickIndex::MAX, TickIndex::MIN)),
            (-7, -7)
        );
    }
}
