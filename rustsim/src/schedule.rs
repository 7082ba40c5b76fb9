//! The latency buffer: what is under way, ordered by (time, order of creation).
//!
//! Few messages are under way at once and most join at the end, so a ring sorted on insertion beats a heap; the cost of a push is the number
//! of messages that are due later than the new one.

use std::collections::VecDeque;

use crate::types::Nanos;

/// Time that lies behind every event.
pub const NEVER: Nanos = Nanos::MAX;

/// Things due at given times, first in first out at equal times.
#[derive(Debug, Clone)]
pub struct Schedule<T> {
    due: VecDeque<(Nanos, T)>,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self {
            due: VecDeque::new(),
        }
    }
}

impl<T> Schedule<T> {
    /// Adds a thing due at `at_ns`, behind everything due at the same time.
    pub fn push(&mut self, at_ns: Nanos, item: T) {
        let mut position = self.due.len();
        while position > 0 && self.due[position - 1].0 > at_ns {
            position -= 1;
        }
        self.due.insert(position, (at_ns, item));
    }

    /// Returns when the next thing is due, [`NEVER`] if there is none.
    #[inline]
    #[must_use]
    pub fn next_ns(&self) -> Nanos {
        self.due.front().map_or(NEVER, |entry| entry.0)
    }

    /// Takes the next thing if it is due at or before `now_ns`.
    pub fn pop_due(&mut self, now_ns: Nanos) -> Option<(Nanos, T)> {
        if self.next_ns() <= now_ns {
            self.due.pop_front()
        } else {
            None
        }
    }

    /// Takes everything, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = (Nanos, T)> + '_ {
        self.due.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_the_order_of_creation() {
        let mut schedule = Schedule::default();
        for (at, name) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd'), (9, 'e')] {
            schedule.push(at, name);
        }
        assert_eq!(schedule.pop_due(2), None);
        let order: String = std::iter::from_fn(|| schedule.pop_due(NEVER - 1))
            .map(|entry| entry.1)
            .collect();
        assert_eq!(order, "bdace");
        assert_eq!(schedule.next_ns(), NEVER);
    }
}
