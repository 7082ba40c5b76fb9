//! Every message takes the same time.

use crate::error::Result;

use super::{Family, LatencySpec};

/// `L = mean`, in nanoseconds.
///
/// Wrong wherever jitter decides a race; right as a baseline and for tests. Worked number: mean 5000 has every quantile at 5000.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    mean_ns: f64,
}

impl Family for Constant {
    fn new(spec: &LatencySpec) -> Result<Self> {
        Ok(Self { mean_ns: spec.mean_ns })
    }

    fn quantile_ns(&self, _u: f64) -> f64 {
        self.mean_ns
    }
}
