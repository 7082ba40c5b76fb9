//! `power(n)`: cancels lean to the longer part of the queue, the more the larger n.
//!
//! `P(ahead) = a^n / (a^n + b^n)` with a lots ahead, b behind, n > 0 (Rigtorp 2013, "Estimating order queue position"). Evaluated as
//! `1 / (1 + (b/a)^n)`, which can't overflow. Symmetric in a and b, so it can't express a lean to the back at every position.
//! Worked: a = 70, b = 50, n = 2: 0.662162.

pub(super) fn probability_ahead(ahead: f64, behind: f64, n: f64) -> f64 {
    1.0 / (1.0 + libm::pow(behind / ahead, n))
}
