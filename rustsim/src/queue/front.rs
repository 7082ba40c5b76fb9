//! `front`: every cancel is ahead of us unless it can't be. The optimist's bound: no model fills more.
//!
//! `P(ahead) = 1`. No parameters. Worked: 70 ahead, 50 behind, cancel of 24: 46 remain ahead.

pub(super) fn probability_ahead() -> f64 {
    1.0
}
