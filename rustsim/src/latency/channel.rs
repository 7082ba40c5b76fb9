//! An ordered channel: one session, one direction, nobody overtakes.

use crate::types::Nanos;

/// Turns independent latency draws into arrivals that keep the order of sending.
///
/// `arrival_i = max(arrival_{i-1} + gap, send_i + L_i)`; the first message has no bound. The rule raises the mean latency where sends are
/// closer together than the jitter, so a model is to be fitted to observed arrivals and not to raw draws.
/// Worked number: sends 0, 10, 20 with draws 50, 15, 40 and no gap arrive at 50, 50, 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FifoChannel {
    gap_ns: Nanos,
    last_ns: Option<Nanos>,
}

impl FifoChannel {
    /// Opens a channel that needs `gap_ns` between two messages (0: they may arrive together).
    #[must_use]
    pub fn new(gap_ns: Nanos) -> Self {
        Self {
            gap_ns,
            last_ns: None,
        }
    }

    /// Returns the arrival of a message sent at `send_ns` that would need `latency_ns` if it were alone.
    #[inline]
    pub fn deliver(&mut self, send_ns: Nanos, latency_ns: Nanos) -> Nanos {
        let alone = send_ns.saturating_add(latency_ns);
        let arrival = match self.last_ns {
            Some(last) => alone.max(last.saturating_add(self.gap_ns)),
            None => alone,
        };
        self.last_ns = Some(arrival);
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(gap_ns: Nanos) -> Vec<Nanos> {
        let mut channel = FifoChannel::new(gap_ns);
        [(0, 50), (10, 15), (20, 40)]
            .map(|(send, draw)| channel.deliver(send, draw))
            .to_vec()
    }

    #[test]
    fn a_faster_message_waits_for_the_one_before_it() {
        assert_eq!(arrivals(0), [50, 50, 60]);
    }

    #[test]
    fn a_gap_spaces_messages_that_would_arrive_together() {
        assert_eq!(arrivals(7), [50, 57, 64]);
    }

    #[test]
    fn the_first_message_has_no_bound() {
        assert_eq!(FifoChannel::new(1_000).deliver(-5, 1), -4);
    }
}
