//! `power2(n)`: `P(ahead) = 1 - b^n / (a + b)^n`, a lots ahead, b behind, n > 0.
//!
//! Source: the `PowerProb2` model of public backtesters, there written as the probability of "behind". With n > 1 cancels lean to the front.
//! Worked: a = 70, b = 50, n = 2: 0.826389.

pub(super) fn probability_ahead(ahead: f64, behind: f64, n: f64) -> f64 {
    1.0 - libm::pow(behind / (ahead + behind), n)
}
