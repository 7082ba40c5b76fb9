//! Sizes of the orders known to stand behind an own order: every addition to its level since it joined, less cancels of exactly such a size.
//!
//! A level feed tells the size of a cancel, not its place; an equal size behind makes "behind" likely. Kept only for models that read it.

/// A multiset of sizes, and what the decreases of the current instant took from it: they may turn out to be prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    // Few different sizes stand on one level: a scan is as fast as any search.
    counts: Vec<(i32, u32)>,
    taken: Vec<i32>,
}

impl Sizes {
    /// Remembers an order that joined behind.
    pub fn add(&mut self, lots: i32) {
        match self.counts.iter_mut().find(|entry| entry.0 == lots) {
            Some(entry) => entry.1 += 1,
            None => self.counts.push((lots, 1)),
        }
    }

    /// Returns whether an order of exactly this size is known to be behind, and forgets one such order.
    pub fn take(&mut self, lots: i32, is_print_possible: bool) -> bool {
        let Some(place) = self.counts.iter().position(|entry| entry.0 == lots) else {
            return false;
        };
        self.counts[place].1 -= 1;
        if self.counts[place].1 == 0 {
            self.counts.swap_remove(place);
        }
        if is_print_possible {
            self.taken.push(lots);
        }
        true
    }

    /// Puts back what decreases of this instant took: they were prints.
    pub fn put_back(&mut self) {
        while let Some(lots) = self.taken.pop() {
            self.add(lots);
        }
    }

    /// Starts a new instant: what was taken stays so.
    pub fn settle(&mut self) {
        self.taken.clear();
    }

    /// Forgets everything: the level emptied, or went out of view.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.taken.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Sizes;

    #[test]
    fn cancels_take_one_order_of_their_size() {
        let mut sizes = Sizes::default();
        for lots in [3, 5, 3] {
            sizes.add(lots);
        }
        assert!(!sizes.take(8, true));
        assert!(sizes.take(3, false));
        assert!(sizes.take(3, true));
        assert!(!sizes.take(3, true));
        sizes.put_back();
        assert!(sizes.take(3, true));
        sizes.settle();
        sizes.put_back();
        assert!(!sizes.take(3, true));
        sizes.clear();
        assert!(!sizes.take(5, true));
    }
}
