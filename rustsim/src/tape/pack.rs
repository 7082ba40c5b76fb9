//! Packs rows into a block; [`super::block`] says what one looks like.
//!
//! Plain loops over columns of fixed width, which the compiler turns into vector code.

use super::block::{BLOCK_ROWS, FLAGS_SHIFT, HEAD_BYTES, Head, SIDE_SHIFT, join_code, ordinal};
use super::column::{Width, divide_by_unit, write};
use super::columns::{Gathered, RowColumns};
use crate::types::{FLAG_LAST, Nanos, Tick};

/// Appends `rows` as one block; the first of them has the number `first_row` in its tape.
///
/// # Panics
/// If there is no row, or more than a block holds.
pub fn pack(rows: &[Tick], first_row: u64, out: &mut Vec<u8>) {
    let count = rows.len();
    assert!(
        (1..=BLOCK_ROWS).contains(&count),
        "{count} rows are no block"
    );
    let mut gathered = Gathered::default();
    gathered.extend_rows(rows);
    pack_columns(&gathered.columns(), first_row, out);
}

/// Appends rows, at least one and no more than a block holds, whose flags are complete.
pub(super) fn pack_columns(rows: &RowColumns<'_>, first_row: u64, out: &mut Vec<u8>) {
    let mut numbers = [0; BLOCK_ROWS];
    let head_at = out.len();
    out.resize(head_at + HEAD_BYTES, 0);
    let codes = rows.kind.iter().zip(rows.side.iter().zip(rows.flags));
    out.extend(codes.map(|(kind, (side, flags))| kind | side << SIDE_SHIFT | flags << FLAGS_SHIFT));
    let (price_base, price) = put_above_least(rows.price, out);
    let (qty_base, qty) = put_above_least(rows.qty, out);
    let join = put_joins(rows.join, first_row, &mut numbers, out);
    let times = group_steps(rows, &mut numbers);
    let group_count = times.len() + 1;
    let time_unit = divide_by_unit(times);
    let time = put(times, out);
    let (local_base, is_local_by_group, locals) = local_offsets(rows, &mut numbers);
    let local_unit = divide_by_unit(locals);
    let local = put(locals, out);
    let head = Head {
        exch_ns_first: rows.exch_ns[0],
        time_unit,
        local_base,
        local_unit,
        price_base,
        qty_base,
        group_count: u16::try_from(group_count).expect("no more groups than rows"),
        price,
        qty,
        join,
        time,
        local,
        is_local_by_group,
    };
    out[head_at..head_at + HEAD_BYTES].copy_from_slice(&head.bytes());
}

fn put(numbers: &[u64], out: &mut Vec<u8>) -> Width {
    let width = Width::of(numbers.iter().fold(0, |all, number| all | number));
    write(numbers, width, out);
    width
}

/// Appends numbers as what they are above the least of them; returns that and their width.
fn put_above_least(numbers: &[i32], out: &mut Vec<u8>) -> (i32, Width) {
    let (mut least, mut most) = (i32::MAX, i32::MIN);
    for number in numbers {
        least = least.min(*number);
        most = most.max(*number);
    }
    let width = Width::of(u64::from(most.wrapping_sub(least).cast_unsigned()));
    let above = |number: i32| number.wrapping_sub(least).to_le_bytes();
    match width {
        Width::None => {}
        Width::One => out.extend(numbers.iter().map(|number| above(*number)[0])),
        Width::Two => put_each(numbers, out, |number| {
            let [a, b, ..] = above(number);
            [a, b]
        }),
        Width::Four | Width::Eight => put_each(numbers, out, above),
    }
    (least, width)
}

fn put_each<const N: usize>(numbers: &[i32], out: &mut Vec<u8>, bytes: impl Fn(i32) -> [u8; N]) {
    let start = out.len();
    out.resize(start + numbers.len() * N, 0);
    let (chunks, _) = out[start..].as_chunks_mut::<N>();
    for (chunk, number) in chunks.iter_mut().zip(numbers) {
        *chunk = bytes(*number);
    }
}

fn put_joins(
    joins: &[u32],
    first_row: u64,
    numbers: &mut [u64; BLOCK_ROWS],
    out: &mut Vec<u8>,
) -> Width {
    if joins.iter().fold(0, |all, join| all | join) == 0 {
        return Width::None; // no row has one, and "no order" is stored as 0
    }
    for ((number, join), row) in numbers.iter_mut().zip(joins).zip(first_row..) {
        *number = u64::from(join_code(ordinal(row), *join));
    }
    put(&numbers[..joins.len()], out)
}

/// Writes the time from each group to the next into the front of `out`, and returns that part.
fn group_steps<'a>(rows: &RowColumns<'_>, out: &'a mut [u64; BLOCK_ROWS]) -> &'a mut [u64] {
    let mut count = 0;
    let steps = rows.exch_ns.iter().zip(&rows.exch_ns[1..]);
    for ((before, after), flags) in steps.zip(rows.flags) {
        // A step is written for every row and kept for the first of a group: no branch to guess wrong.
        out[count % BLOCK_ROWS] = after.wrapping_sub(*before).cast_unsigned();
        count += usize::from(flags & FLAG_LAST);
    }
    &mut out[..count]
}

/// Writes local less exchange time, above the least of them, into the front of `out`; returns the least, whether it goes by groups, and that part.
fn local_offsets<'a>(
    rows: &RowColumns<'_>,
    out: &'a mut [u64; BLOCK_ROWS],
) -> (i64, bool, &'a mut [u64]) {
    let count = rows.len();
    let mut offsets = [0_i64; BLOCK_ROWS];
    let mut base = Nanos::MAX;
    for (offset, (local, exch)) in offsets
        .iter_mut()
        .zip(rows.local_ns.iter().zip(rows.exch_ns))
    {
        *offset = local.wrapping_sub(*exch);
        base = base.min(*offset);
    }
    let offsets = &offsets[..count];
    let mut within = 0; // bits in which a row differs from the one before it of the same group
    for ((a, b), flags) in offsets.iter().zip(&offsets[1..]).zip(rows.flags) {
        within |= (a ^ b) & (i64::from(flags & FLAG_LAST) - 1);
    }
    let is_by_group = within == 0;
    if !is_by_group {
        for (out, offset) in out.iter_mut().zip(offsets) {
            *out = offset.wrapping_sub(base).cast_unsigned();
        }
        return (base, false, &mut out[..count]);
    }
    let mut groups = 0;
    for (offset, flags) in offsets.iter().zip(rows.flags) {
        out[groups % BLOCK_ROWS] = offset.wrapping_sub(base).cast_unsigned();
        groups += usize::from(flags & FLAG_LAST);
    }
    // The last group of a block goes on in the next one, or has no row behind it that starts another.
    groups += usize::from(rows.flags[count - 1] & FLAG_LAST == 0);
    (base, true, &mut out[..groups])
}
