//! `odds(alpha, beta)`: `P(ahead) = 1 / (1 + exp(-(alpha + beta ln(a / b))))`, a lots ahead, b behind.
//!
//! A logistic regression on the log-odds of the position: (0, 1) is `uniform`, (0, n) is `power(n)`, alpha < 0 leans cancels to the back. Fit it to the market
//! and the granularity of the feed; the shape differs between markets. Worked: a = 70, b = 50, alpha = -1.81, beta = 0.59: 0.166383.

pub(super) fn probability_ahead(ahead: f64, behind: f64, alpha: f64, beta: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-(alpha + beta * libm::log(ahead / behind))))
}
