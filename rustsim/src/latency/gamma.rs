//! Gamma latency: a sum of exponential stages, with a light tail.
//!
//! The exact quantile inverts the regularised incomplete gamma function by Newton's method. Draws read a table instead: the logarithm of the
//! quantile as a function of the normal quantile `z` of `u` is smooth, its first two derivatives are known in closed form, and a quintic on
//! intervals of 1/12 reproduces it to better than 1e-8 everywhere (a test measures it). Building costs 199 quantiles, a draw one polynomial
//! and one exponential.

use crate::error::Result;

use super::{Family, LatencySpec, normal};

/// Intervals of the table per unit of `z`.
const INTERVALS_PER_UNIT: f64 = 12.0;
/// The table covers `|z| <= Z_MAX`; the smallest and largest uniform of the generator lie inside.
const Z_MAX: f64 = 8.25;
const INTERVALS: usize = 198;
/// A quantile needs about 3 steps from a good start; this bound is never met on the accepted range of shapes.
const NEWTON_STEPS_MAX: usize = 200;
/// Longest step in `ln x`, so that a poor start cannot leave the range of doubles.
const NEWTON_STEP_MAX: f64 = 4.0;
/// Newton's error after a step is of the order of the step squared: this leaves less than 1e-12.
const NEWTON_STEP_DONE: f64 = 1e-7;

/// `L = floor + theta G`, `G` gamma with shape `k = 1/v^2` and `theta = m v^2`, where `m = mean - floor` and `v = cv`.
///
/// Real exchange latencies have cv above 1 and heavier tails; a gamma with a small cv understates them.
/// Worked numbers: m 5000, v 0.5 has k 4, theta 1250 and p50/p90/p99 4590.1/8351.0/12556.4.
#[derive(Clone, Debug, PartialEq)]
pub struct Gamma {
    floor_ns: f64,
    theta_ns: f64,
    shape: Shape,
    /// Per interval of `z` the quintic of `ln x`, highest power first, in the local variable from 0 to 1.
    table: Box<[[f64; 6]]>,
}

impl Family for Gamma {
    fn new(spec: &LatencySpec) -> Result<Self> {
        let shape = Shape::new(1.0 / (spec.cv * spec.cv));
        let theta_ns = spec.mean_above_ns() * spec.cv * spec.cv;
        Ok(Self {
            floor_ns: spec.floor_ns,
            theta_ns,
            table: table(&shape),
            shape,
        })
    }

    fn quantile_ns(&self, u: f64) -> f64 {
        let tail = if u <= 0.5 { Tail::Lower(u) } else { Tail::Upper(1.0 - u) };
        let start = self.shape.start(normal::quantile(u), tail);
        self.floor_ns + self.theta_ns * libm::exp(self.shape.ln_quantile(tail, start))
    }

    #[inline]
    fn draw_ns(&self, u: f64) -> f64 {
        let position = (normal::quantile(u) + Z_MAX) * INTERVALS_PER_UNIT;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast saturates at the ends"
        )]
        let index = position as usize;
        #[expect(clippy::cast_precision_loss, reason = "a small index")]
        match self.table.get(index) {
            Some(quintic) if position >= 0.0 => {
                let local = position - index as f64;
                let ln_x = quintic.iter().fold(0.0, |sum, coefficient| sum * local + coefficient);
                self.floor_ns + self.theta_ns * libm::exp(ln_x)
            }
            _ => self.quantile_ns(u),
        }
    }
}

/// The smaller of the two probabilities that a quantile cuts off; it alone keeps its digits near 0 and 1.
#[derive(Clone, Copy, Debug)]
enum Tail {
    Lower(f64),
    Upper(f64),
}

/// The standard gamma distribution of one shape `k`.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    k: f64,
    /// `ln Gamma(k)`.
    ln_gamma: f64,
}

impl Shape {
    fn new(k: f64) -> Self {
        Self {
            k,
            ln_gamma: libm::lgamma(k),
        }
    }

    /// Returns `ln(x f(x))` at `x = exp(ln_x)`: the density of `ln x`.
    fn ln_density(&self, ln_x: f64, x: f64) -> f64 {
        self.k * ln_x - x - self.ln_gamma
    }

    /// Returns a start for Newton's method: Wilson and Hilferty where the shape allows it, else the limit of small quantiles.
    fn start(&self, z: f64, tail: Tail) -> f64 {
        let root = 1.0 - 1.0 / (9.0 * self.k) + z / (3.0 * libm::sqrt(self.k));
        if root > 0.2 {
            return libm::log(self.k) + 3.0 * libm::log(root);
        }
        let lower = match tail {
            Tail::Lower(p) => libm::log(p),
            Tail::Upper(q) => libm::log1p(-q),
        };
        (lower + self.ln_gamma + libm::log(self.k)) / self.k
    }

    /// Returns `ln x` with the given tail probability.
    ///
    /// The logarithm of either tail is concave in `ln x`, so Newton's method converges from any start, after at most one overshoot.
    fn ln_quantile(&self, tail: Tail, start: f64) -> f64 {
        let mut ln_x = start;
        for _ in 0..NEWTON_STEPS_MAX {
            let x = libm::exp(ln_x);
            let ln_density = self.ln_density(ln_x, x);
            let step = match tail {
                Tail::Lower(p) => {
                    let ln_p = self.ln_lower(x, ln_density);
                    (libm::log(p) - ln_p) * libm::exp(ln_p - ln_density)
                }
                Tail::Upper(q) => {
                    let ln_q = self.ln_upper(x, ln_density);
                    (ln_q - libm::log(q)) * libm::exp(ln_q - ln_density)
                }
            };
            ln_x += step.clamp(-NEWTON_STEP_MAX, NEWTON_STEP_MAX);
            if step.abs() < NEWTON_STEP_DONE {
                break;
            }
        }
        ln_x
    }

    /// Returns `ln P(X <= x)` from its power series.
    fn ln_lower(&self, x: f64, ln_density: f64) -> f64 {
        let mut term = 1.0 / self.k;
        let mut sum = term;
        let mut denominator = self.k;
        while term > sum * 1e-17 {
            denominator += 1.0;
            term *= x / denominator;
            sum += term;
        }
        ln_density + libm::log(sum)
    }

    /// Returns `ln P(X > x)`: from the series below the mean, else from the continued fraction of Legendre (modified Lentz).
    fn ln_upper(&self, x: f64, ln_density: f64) -> f64 {
        const TINY: f64 = 1e-300;
        if x < self.k + 1.0 {
            return libm::log(-libm::expm1(self.ln_lower(x, ln_density)));
        }
        let mut partial = x + 1.0 - self.k;
        let mut above = 1.0 / TINY;
        let mut below = 1.0 / partial;
        let mut fraction = below;
        let mut order = 0.0;
        loop {
            order += 1.0;
            let numerator = order * (self.k - order);
            partial += 2.0;
            below = 1.0 / non_zero(numerator * below + partial, TINY);
            above = non_zero(partial + numerator / above, TINY);
            let factor = above * below;
            fraction *= factor;
            if (factor - 1.0).abs() < 1e-15 || order > 1e5 {
                return ln_density + libm::log(fraction);
            }
        }
    }
}

fn non_zero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// Builds the quintics between neighbouring nodes.
fn table(shape: &Shape) -> Box<[[f64; 6]]> {
    let mut intervals = Vec::with_capacity(INTERVALS);
    let mut left = Node::new(shape, 0, None);
    for index in 1..=INTERVALS {
        let right = Node::new(shape, index, Some(&left));
        intervals.push(quintic(&left, &right));
        left = right;
    }
    intervals.into_boxed_slice()
}

/// `ln x` and its derivatives by `z`, scaled to the width of an interval.
#[derive(Clone, Copy, Debug)]
struct Node {
    value: f64,
    slope: f64,
    curve: f64,
}

impl Node {
    fn new(shape: &Shape, index: usize, before: Option<&Self>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a small index")]
        let z = index as f64 / INTERVALS_PER_UNIT - Z_MAX;
        let tail = if z <= 0.0 {
            Tail::Lower(normal::cdf(z))
        } else {
            Tail::Upper(normal::cdf(-z))
        };
        let start = match before {
            Some(node) => node.value + node.slope + 0.5 * node.curve,
            None => shape.start(z, tail),
        };
        let ln_x = shape.ln_quantile(tail, start);
        let x = libm::exp(ln_x);
        // From P(ln x) = Phi(z): the slope is the quotient of the two densities.
        let slope = libm::exp(-0.5 * z * z - normal::LN_SQRT_TWO_PI - shape.ln_density(ln_x, x));
        let curve = slope * ((x - shape.k) * slope - z);
        Self {
            value: ln_x,
            slope: slope / INTERVALS_PER_UNIT,
            curve: curve / (INTERVALS_PER_UNIT * INTERVALS_PER_UNIT),
        }
    }
}

/// Returns the polynomial of degree 5 with these values, slopes and curvatures at 0 and 1, highest power first.
fn quintic(left: &Node, right: &Node) -> [f64; 6] {
    let rise = right.value - left.value - left.slope - 0.5 * left.curve;
    let turn = right.slope - left.slope - left.curve;
    let bend = right.curve - left.curve;
    [
        6.0 * rise - 3.0 * turn + 0.5 * bend,
        -15.0 * rise + 7.0 * turn - bend,
        10.0 * rise - 4.0 * turn + 0.5 * bend,
        0.5 * left.curve,
        left.slope,
        left.value,
    ]
}
