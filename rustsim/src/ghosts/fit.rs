//! Parameters of a queue model by maximum likelihood over cancels whose place is known.
//!
//! The odds models are logistic regressions on `ln(a / b)` and on whether the size is known to be behind: Newton's method, which ends on the one maximum there is.
//! The power models have one parameter and a convex loss in it: golden section.

use crate::error::{Error, Result};
use crate::queue::{QueueDecay, QueueSpec};
use serde::Serialize;

const STEPS_MAX: usize = 100;
const N_MAX: f64 = 64.0;
const N_MIN: f64 = 1e-3;
const PARAMETER_MAX: f64 = 50.0;

/// A cancel that a level feed leaves undecided: lots stood on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenCancel {
    /// Lots ahead before it.
    pub ahead: i32,
    /// Lots behind before it.
    pub behind: i32,
    /// Whether an order of its size was known to be behind.
    pub is_size_behind: bool,
    /// The truth.
    pub is_ahead: bool,
}

/// A model with the parameters that make the cancels most likely.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The model.
    pub queue: QueueSpec,
    /// Cancels.
    pub cancels: u64,
    /// Mean loss over them.
    pub loss: f64,
}

/// Fits the parameters of the model named `model`; a model without any is returned as it is.
///
/// # Errors
/// `Error::Spec` for an unknown model, or if the cancels do not tell ahead from behind.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53 cancels")]
pub fn fit(model: &str, cancels: &[SeenCancel]) -> Result<Fit> {
    let ahead = cancels.iter().filter(|cancel| cancel.is_ahead).count();
    if ahead == 0 || ahead == cancels.len() {
        let all = cancels.len();
        return Err(Error::Spec(format!(
            "queue fit: of {all} cancels {ahead} are ahead; give a recording with cancels on both sides of the ghosts"
        )));
    }
    let start = QueueSpec {
        model: model.into(),
        ..QueueSpec::default()
    };
    let queue = match model {
        "power" | "power2" => golden(&start, cancels, N_MIN)?,
        "power3" => golden(&start, cancels, 1.0)?,
        "odds" => newton::<2>(&start, cancels),
        "odds_size" => newton::<3>(&start, cancels),
        _ => start,
    };
    let loss = loss(&queue, cancels)? / cancels.len() as f64;
    Ok(Fit {
        queue,
        cancels: cancels.len() as u64,
        loss,
    })
}

fn loss(queue: &QueueSpec, cancels: &[SeenCancel]) -> Result<f64> {
    let model = QueueDecay::build(queue)?;
    let terms = cancels.iter().map(|cancel| {
        let (a, b) = (f64::from(cancel.ahead), f64::from(cancel.behind));
        let p = model.probability_ahead(a, b, cancel.is_size_behind);
        // The log of zero would hide which of two exponents is the better one.
        -libm::log((if cancel.is_ahead { p } else { 1.0 - p }).max(1e-300))
    });
    Ok(terms.sum())
}

fn golden(start: &QueueSpec, cancels: &[SeenCancel], low: f64) -> Result<QueueSpec> {
    const SHARE: f64 = 0.618_033_988_749_894_9;
    let at = |log_n: f64| QueueSpec {
        n: libm::exp(log_n).clamp(low, N_MAX),
        ..start.clone()
    };
    let value = |log_n: f64| loss(&at(log_n), cancels);
    let (mut low_end, mut high_end) = (libm::log(low), libm::log(N_MAX));
    let mut left = high_end - SHARE * (high_end - low_end);
    let mut right = low_end + SHARE * (high_end - low_end);
    let (mut at_left, mut at_right) = (value(left)?, value(right)?);
    while high_end - low_end > 1e-9 {
        if at_left < at_right {
            (high_end, right, at_right) = (right, left, at_left);
            left = high_end - SHARE * (high_end - low_end);
            at_left = value(left)?;
        } else {
            (low_end, left, at_left) = (left, right, at_right);
            right = low_end + SHARE * (high_end - low_end);
            at_right = value(right)?;
        }
    }
    Ok(at(f64::midpoint(low_end, high_end)))
}

// Logistic regression with the first N of (1, ln(a/b), size is behind); the loss is convex, so a slope below 0 belongs to 0.
fn newton<const N: usize>(start: &QueueSpec, cancels: &[SeenCancel]) -> QueueSpec {
    let mut parameters = descend::<N>(cancels, true);
    if parameters[1] < 0.0 {
        parameters = descend::<N>(cancels, false);
    }
    QueueSpec {
        alpha: parameters[0],
        beta: parameters[1],
        gamma: parameters.get(2).copied().unwrap_or(0.0),
        ..start.clone()
    }
}

fn descend<const N: usize>(cancels: &[SeenCancel], has_slope: bool) -> [f64; N] {
    let measure = |parameters: &[f64; N]| {
        let mut local = logistic(parameters, cancels);
        if !has_slope {
            local.hold(1);
        }
        local
    };
    let mut parameters = [0.0; N];
    let mut best = measure(&parameters);
    for _ in 0..STEPS_MAX {
        let Some(step) = solve(best.curvature, best.slope) else {
            break;
        };
        // Half steps, until the loss falls.
        let mut scale = 1.0;
        let found = loop {
            let mut next = parameters;
            for (value, step) in next.iter_mut().zip(step) {
                *value = (*value - scale * step).clamp(-PARAMETER_MAX, PARAMETER_MAX);
            }
            let moved = measure(&next);
            if moved.loss <= best.loss {
                break Some((next, moved));
            }
            scale /= 2.0;
            if scale < 1e-6 {
                break None;
            }
        };
        let Some((next, moved)) = found else { break };
        let gain = best.loss - moved.loss;
        (parameters, best) = (next, moved);
        if gain <= 1e-12 * best.loss {
            break;
        }
    }
    parameters
}

// Loss, first and second derivatives.
struct Local<const N: usize> {
    loss: f64,
    slope: [f64; N],
    curvature: [[f64; N]; N],
}

impl<const N: usize> Local<N> {
    // Makes one parameter stay where it is.
    fn hold(&mut self, index: usize) {
        for other in 0..N {
            self.curvature[index][other] = 0.0;
            self.curvature[other][index] = 0.0;
        }
        self.curvature[index][index] = 1.0;
        self.slope[index] = 0.0;
    }
}

fn logistic<const N: usize>(parameters: &[f64; N], cancels: &[SeenCancel]) -> Local<N> {
    let mut local = Local {
        loss: 0.0,
        slope: [0.0; N],
        curvature: [[0.0; N]; N],
    };
    for cancel in cancels {
        let place = libm::log(f64::from(cancel.ahead) / f64::from(cancel.behind));
        let size = f64::from(u8::from(cancel.is_size_behind));
        let all = [1.0, place, size];
        let features: &[f64; N] = all.first_chunk().expect("at most three features");
        let z: f64 = features.iter().zip(parameters).map(|(x, w)| x * w).sum();
        let p = 1.0 / (1.0 + libm::exp(-z));
        let truth = f64::from(u8::from(cancel.is_ahead));
        // ln(1 + e^z) - y z, without overflow.
        local.loss += z.max(0.0) + libm::log1p(libm::exp(-z.abs())) - truth * z;
        for row in 0..N {
            local.slope[row] += (p - truth) * features[row];
            for column in 0..N {
                local.curvature[row][column] += p * (1.0 - p) * features[row] * features[column];
            }
        }
    }
    local
}

// Gaussian elimination with pivots; None if there is no one solution.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> Option<[f64; N]> {
    for column in 0..N {
        let pivot = (column..N).max_by(|a, b| {
            matrix[*a][column]
                .abs()
                .total_cmp(&matrix[*b][column].abs())
        })?;
        if matrix[pivot][column].abs() < 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in 0..N {
            if row != column {
                let factor = matrix[row][column] / matrix[column][column];
                let upper = matrix[column];
                for (value, above) in matrix[row].iter_mut().zip(upper) {
                    *value -= factor * above;
                }
                right[row] -= factor * right[column];
            }
        }
    }
    for row in 0..N {
        right[row] /= matrix[row][row];
    }
    Some(right)
}
