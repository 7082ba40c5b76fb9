//! `back`: every cancel is behind us unless it can't be. The pessimist's bound: no model fills less.
//!
//! `P(ahead) = 0`. No parameters. Worked: 70 ahead, 50 behind, cancel of 24: nothing moves; cancel of 60: 10 must be ahead.

pub(super) fn probability_ahead() -> f64 {
    0.0
}
