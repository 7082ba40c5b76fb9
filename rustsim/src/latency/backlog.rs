//! Load of the venue: requests are slow when the market talks much.
//!
//! Independent draws are wrong in bursts, which is when latency matters most. Here every recorded message joins a backlog `B` that the venue works off at a
//! fixed capacity: `B <- max(0, B - capacity * dt) + 1` at each message, and a request at that moment waits `B / capacity` on top of its own latency.
//! Worked: capacity 0.1 per microsecond, messages at 0, 1, 2, 3 microseconds: B = 1, 1.9, 2.8, 3.7 and 10, 19, 28, 37 microseconds of added delay.
//!
//! Known limits: the capacity has to be fitted to the venue; own requests do not add to the backlog; what the recording does not show (orders of others that
//! changed no displayed level) is no load.

use crate::error::{Error, Result};
use crate::types::Nanos;

/// Messages that the venue has not worked off yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    capacity_per_ns: f64,
    messages: f64,
    at_ns: Nanos,
}

impl Backlog {
    /// Opens an empty backlog that is worked off at `capacity_per_us` messages per microsecond.
    ///
    /// # Errors
    /// [`Error::Spec`] if the capacity is out of range.
    pub fn new(capacity_per_us: f64) -> Result<Self> {
        const CAPACITY: core::ops::RangeInclusive<f64> = 1e-6..=1e6;
        if !CAPACITY.contains(&capacity_per_us) {
            return Err(Error::Spec(format!(
                "backlog_capacity_per_us: found {capacity_per_us}, allowed {:e} to {:e}",
                CAPACITY.start(),
                CAPACITY.end()
            )));
        }
        Ok(Self {
            capacity_per_ns: capacity_per_us / 1_000.0,
            messages: 0.0,
            at_ns: Nanos::MIN,
        })
    }

    /// Takes in messages of one exchange time; a time before the last one counts as the last one.
    #[inline]
    pub fn on_messages(&mut self, exch_ns: Nanos, count: u32) {
        self.messages = self.messages_at(exch_ns) + f64::from(count);
        self.at_ns = self.at_ns.max(exch_ns);
    }

    /// Returns the messages that are left at `at_ns`.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans of messages that still matter fit 53 bits"
    )]
    pub fn messages_at(&self, at_ns: Nanos) -> f64 {
        let span_ns = at_ns.saturating_sub(self.at_ns).max(0) as f64;
        (self.messages - self.capacity_per_ns * span_ns).max(0.0)
    }

    /// Returns how long a request at `at_ns` waits on top of its own latency.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast saturates, and a wait beyond the range of times never ends anyway"
    )]
    pub fn delay_ns(&self, at_ns: Nanos) -> Nanos {
        (self.messages_at(at_ns) / self.capacity_per_ns).round() as Nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_builds_up_and_is_worked_off() {
        let mut backlog = Backlog::new(0.1).unwrap();
        for (at_us, messages, delay_us) in [(0, 1.0, 10), (1, 1.9, 19), (2, 2.8, 28), (3, 3.7, 37)]
        {
            backlog.on_messages(at_us * 1_000, 1);
            assert!((backlog.messages_at(at_us * 1_000) - messages).abs() < 1e-12);
            assert_eq!(backlog.delay_ns(at_us * 1_000), delay_us * 1_000);
        }
        assert_eq!(backlog.delay_ns(13_000), 27_000);
        assert_eq!(backlog.delay_ns(40_000), 0);
    }

    #[test]
    fn an_empty_backlog_delays_nothing() {
        assert_eq!(Backlog::new(0.1).unwrap().delay_ns(0), 0);
        assert_eq!(Backlog::new(0.1).unwrap().delay_ns(Nanos::MAX), 0);
    }

    #[test]
    fn capacities_out_of_range_are_refused() {
        for capacity in [0.0, -1.0, 1e7, f64::NAN, f64::INFINITY] {
            assert!(matches!(Backlog::new(capacity), Err(Error::Spec(_))));
        }
    }
}
