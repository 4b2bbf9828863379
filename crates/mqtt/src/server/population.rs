//! How many clients of one broker are connected, on all cores together, and the most there
//! have been: a sum that cannot be made of the cores' own.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Population {
    present: AtomicU64,
    most: AtomicU64,
}

impl Population {
    /// One core has `now` clients, of whom `before` have been counted.
    pub(super) fn change(&self, before: u64, now: u64) {
        if now >= before {
            let come = now - before;
            let present = self.present.fetch_add(come, Ordering::Relaxed) + come;
            self.most.fetch_max(present, Ordering::Relaxed);
        } else {
            self.present.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    pub(super) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_at_one_time_is_of_all_cores_together() {
        let population = Population::default();
        population.change(0, 3);
        population.change(0, 2);
        population.change(3, 1);
        population.change(2, 3);
        assert_eq!(population.most(), 5);
    }
}
