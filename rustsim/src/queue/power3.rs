//! `power3(n)`: `P(ahead) = (a / (a + b))^n`, a lots ahead, b behind; with n > 1 cancels lean to the back.
//!
//! Source: the `PowerProb3` model of public backtesters, there written as the probability of "behind". Worked: a = 70, b = 50, n = 3: 0.198495.

pub(super) fn probability_ahead(ahead: f64, behind: f64, n: f64) -> f64 {
    libm::pow(ahead / (ahead + behind), n)
}
