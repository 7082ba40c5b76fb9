//! `log2`: `P(ahead) = 1 - ln(1 + b) / ln(1 + a + b)`, a lots ahead, b behind.
//!
//! Source: the `LogProb2` model of public backtesters, there written as the probability of "behind". Depends on absolute sizes. Worked: a = 70, b = 50: 0.180151.

pub(super) fn probability_ahead(ahead: f64, behind: f64) -> f64 {
    1.0 - libm::log1p(behind) / libm::log1p(ahead + behind)
}
