//! Market messages as Python gives them to an exchange that is driven step by step.

use crate::error::Error;
use crate::image::image_rows;
use crate::sim::SimulatedExchange;
use crate::types::{FLAG_LAST, KIND_LEVEL, KIND_TRADE, Side, Tick};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Levels of one side of an image, best first.
type Levels = Vec<(i32, i32)>;

/// A market message as Python gives it.
pub(super) enum Message {
    Row(Tick),
    Image {
        exch_ns: i64,
        bids: Levels,
        asks: Levels,
    },
}

impl Message {
    pub(super) fn read(tick: &Bound<'_, PyTuple>, has_join: bool) -> PyResult<Self> {
        let kind: String = tick
            .get_item(0)
            .map_err(|_| tick_error("found an empty tuple".into()))?
            .extract()?;
        if kind == "book" && has_join {
            return Err(tick_error(
                "a \"book\" names no orders, and the queue model l3 follows them".into(),
            ));
        }
        let length = if kind == "book" { 4 } else { 5 } + usize::from(has_join);
        if tick.len() != length {
            return Err(tick_error(format!(
                "expected {length} values in a {kind:?}, found {}",
                tick.len()
            )));
        }
        let exch_ns: i64 = tick.get_item(1)?.extract()?;
        if kind == "book" {
            let (bids, asks): (Levels, Levels) =
                (tick.get_item(2)?.extract()?, tick.get_item(3)?.extract()?);
            check_image(&bids, Side::Bid)?;
            check_image(&asks, Side::Ask)?;
            return Ok(Self::Image {
                exch_ns,
                bids,
                asks,
            });
        }
        let (kind, lots_min) = match kind.as_str() {
            "level" => (KIND_LEVEL, 0),
            "trade" => (KIND_TRADE, 1),
            other => {
                return Err(tick_error(format!(
                    "expected \"level\", \"trade\" or \"book\" first, found {other:?}"
                )));
            }
        };
        let (side, price, qty): (u8, i32, i32) = (
            tick.get_item(2)?.extract()?,
            tick.get_item(3)?.extract()?,
            tick.get_item(4)?.extract()?,
        );
        side_of(side)?;
        if qty < lots_min {
            return Err(tick_error(format!(
                "lots: expected at least {lots_min}, found {qty}"
            )));
        }
        let join: u32 = if has_join {
            tick.get_item(5)?.extract()?
        } else {
            0
        };
        Ok(Self::Row(Tick {
            exch_ns,
            local_ns: exch_ns,
            price,
            qty,
            join,
            kind,
            side,
            flags: FLAG_LAST,
            ..Tick::default()
        }))
    }

    pub(super) fn rows(&self, core: &SimulatedExchange) -> Vec<Tick> {
        match self {
            Self::Row(row) => vec![*row],
            Self::Image {
                exch_ns,
                bids,
                asks,
            } => image_rows(
                core.book(),
                *exch_ns,
                bids,
                asks,
                core.spec().instrument.visible_levels,
            ),
        }
    }
}

fn tick_error(message: String) -> PyErr {
    Error::Tick(format!("tick: {message}")).into()
}

fn check_image(levels: &[(i32, i32)], side: Side) -> PyResult<()> {
    if let Some((price, lots)) = levels.iter().find(|level| level.1 <= 0) {
        return Err(tick_error(format!(
            "book image: level {price} has {lots} lots, expected at least 1"
        )));
    }
    if levels
        .windows(2)
        .any(|pair| !side.is_better(pair[0].0, pair[1].0))
    {
        return Err(tick_error(
            "book image: levels must be sorted best first, without repeats".into(),
        ));
    }
    Ok(())
}

/// Returns the side with this code, or a ValueError.
pub(super) fn side_of(code: u8) -> PyResult<Side> {
    Side::from_code(code).ok_or_else(|| {
        PyValueError::new_err(format!("side: expected 0 (buy) or 1 (sell), found {code}"))
    })
}
