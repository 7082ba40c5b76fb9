//! `uniform`: every displayed lot is equally likely to be the one cancelled.
//!
//! `P(ahead) = a / (a + b)` with a lots ahead, b behind; equal to `power` with n = 1 (Cont, Stoikov, Talreja 2010: independent cancels at
//! equal rates). Too optimistic where cancels lean to the back of the queue, as measured on index futures. Worked: 70 / 120 = 0.583333.

pub(super) fn probability_ahead(ahead: f64, behind: f64) -> f64 {
    ahead / (ahead + behind)
}
