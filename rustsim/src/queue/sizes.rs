//! Sizes of the orders known to stand behind an own order: every addition to its level since it joined, less cancels of exactly such a size.
//!
//! A level feed tells the size of a cancel, not its place; an equal size behind makes "behind" likely. Kept only for models that read it.

/// A multiset of sizes, and what the decreases of the current instant took from it: they may turn out to be prints.
///
/// Empty ones take no memory: only one model in eleven reads sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    known: Option<Box<Known>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    // Few different sizes stand on one level: a scan is as fast as any search.
    counts: Vec<(i32, u32)>,
    taken: Vec<i32>,
}

impl Known {
    fn add(&mut self, lots: i32) {
        match self.counts.iter_mut().find(|entry| entry.0 == lots) {
            Some(entry) => entry.1 += 1,
            None => self.counts.push((lots, 1)),
        }
    }
}

impl Sizes {
    /// Remembers an order that joined behind.
    pub fn add(&mut self, lots: i32) {
        self.known.get_or_insert_default().add(lots);
    }

    /// Returns whether an order of exactly this size is known to be behind, and forgets one such order.
    pub fn take(&mut self, lots: i32, is_print_possible: bool) -> bool {
        let Some(known) = &mut self.known else {
            return false;
        };
        let Some(place) = known.counts.iter().position(|entry| entry.0 == lots) else {
            return false;
        };
        known.counts[place].1 -= 1;
        if known.counts[place].1 == 0 {
            known.counts.swap_remove(place);
        }
        if is_print_possible {
            known.taken.push(lots);
        }
        true
    }

    /// Puts back what decreases of this instant took: they were prints.
    pub fn put_back(&mut self) {
        if let Some(known) = &mut self.known {
            while let Some(lots) = known.taken.pop() {
                known.add(lots);
            }
        }
    }

    /// Starts a new instant: what was taken stays so.
    #[inline]
    pub fn settle(&mut self) {
        if let Some(known) = &mut self.known {
            known.taken.clear();
        }
    }

    /// Forgets everything: the level emptied, or went out of view.
    #[inline]
    pub fn clear(&mut self) {
        if let Some(known) = &mut self.known {
            known.counts.clear();
            known.taken.clear();
        }
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
