//! Who may come into a queue. Pure: it counts items and has none.

use super::{QueueError, QueueLimits};

/// The account of one queue: how many items are in it, and what it may still take.
///
/// Always: `present <= soft <= hard`, so that one that leaves always makes room for one, and a
/// queue that is empty always takes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    present: usize,
    /// Where credit begins to be spent: moves with use.
    soft: usize,
    hard: usize,
    left: f64,
}

impl Credit {
    /// That of an empty queue. Limits that contradict each other are made to agree.
    pub(super) fn new(limits: QueueLimits) -> Self {
        let hard = limits.hard.max(1);
        Self {
            present: 0,
            soft: limits.soft.clamp(1, hard),
            hard,
            left: as_credit(limits.burst),
        }
    }

    /// How many items there are.
    pub(super) const fn present(&self) -> usize {
        self.present
    }

    /// Whether one more would be let in, and why not.
    pub(super) const fn verdict(&self) -> Result<(), QueueError> {
        if self.present >= self.hard {
            return Err(QueueError::Full);
        }
        if self.present >= self.soft && self.left < 1.0 {
            return Err(QueueError::NoCredit);
        }
        Ok(())
    }

    /// Lets one more in, or says why not.
    pub(super) fn admit(&mut self) -> Result<(), QueueError> {
        self.verdict()?;
        if self.present >= self.soft {
            self.left -= 1.0;
            // What was taken on credit is now what is usual: it need not be paid for again
            // before the queue has been nearly empty.
            self.soft = self.present + 1;
        }
        self.present += 1;
        Ok(())
    }

    /// One has gone.
    pub(super) fn release(&mut self) {
        self.present = self.present.saturating_sub(1);
        if self.soft > 1 && self.present < self.soft / 2 {
            self.soft -= 1;
        }
        // The emptier the queue, the faster its reader is, and the more it is trusted with.
        let earned = as_credit(self.soft - self.present) / as_credit(self.soft);
        let cap = as_credit(self.hard - self.soft);
        self.left = (self.left + earned).min(cap);
    }

    /// All have gone at once, and nobody read them: that earns nothing.
    pub(super) const fn clear(&mut self) {
        self.present = 0;
    }
}

/// Counts here are far below what a float holds exactly.
fn as_credit(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn account(soft: usize, hard: usize, burst: usize) -> Credit {
        Credit::new(QueueLimits { soft, hard, burst })
    }

    /// How many it takes in one go, and what stops it.
    fn fill(credit: &mut Credit) -> (usize, QueueError) {
        let mut taken = 0;
        loop {
            match credit.admit() {
                Ok(()) => taken += 1,
                Err(error) => return (taken, error),
            }
        }
    }

    #[test]
    fn an_empty_queue_takes_its_soft_limit_and_its_burst() {
        assert_eq!(fill(&mut account(4, 8, 2)), (6, QueueError::NoCredit));
        assert_eq!(fill(&mut account(4, 8, 9)), (8, QueueError::Full));
        assert_eq!(fill(&mut account(4, 8, 0)), (4, QueueError::NoCredit));
    }

    #[test]
    fn limits_that_contradict_each_other_still_let_one_in() {
        assert_eq!(fill(&mut account(0, 0, 0)), (1, QueueError::Full));
        assert_eq!(fill(&mut account(0, 4, 0)), (1, QueueError::NoCredit));
        assert_eq!(fill(&mut account(9, 3, 9)), (3, QueueError::Full));
    }

    #[test]
    fn a_reader_that_is_slow_earns_no_burst() {
        let mut credit = account(8, 16, 0);
        fill(&mut credit);
        // One out and one in: an eighth of a credit each time.
        for _ in 0..7 {
            credit.release();
            credit.admit().unwrap();
            assert_eq!(credit.admit(), Err(QueueError::NoCredit));
        }
        credit.release();
        credit.admit().unwrap();
        assert_eq!(credit.admit(), Ok(()));
    }

    #[test]
    fn a_queue_that_is_usually_empty_takes_the_largest_burst() {
        let mut credit = account(8, 16, 0);
        for _ in 0..30 {
            credit.admit().unwrap();
            credit.release();
        }
        assert_eq!(fill(&mut credit), (16, QueueError::Full));
    }

    #[test]
    fn a_burst_is_not_what_is_usual_from_then_on() {
        let mut credit = account(8, 16, 8);
        assert_eq!(fill(&mut credit), (16, QueueError::Full));
        while credit.present() > 0 {
            credit.release();
        }
        let (taken, error) = fill(&mut credit);
        assert_eq!(error, QueueError::NoCredit);
        assert!((8..16).contains(&taken), "{taken}");
    }

    proptest! {
        #[test]
        fn no_sequence_passes_the_hard_limit_or_shuts_the_queue(
            soft in 0..20_usize,
            hard in 0..40_usize,
            burst in 0..20_usize,
            steps in proptest::collection::vec(any::<bool>(), 0..300),
        ) {
            let mut credit = account(soft, hard, burst);
            let mut present = 0;
            for adds in steps {
                if adds {
                    let before = credit;
                    match credit.admit() {
                        Ok(()) => present += 1,
                        Err(QueueError::Full) => prop_assert_eq!(present, hard.max(1)),
                        Err(error) => {
                            prop_assert_eq!(error, QueueError::NoCredit);
                            prop_assert!(present >= before.soft && before.left < 1.0);
                        }
                    }
                } else if present > 0 {
                    present -= 1;
                    credit.release();
                    // Whoever waits to come in gets in when one leaves, and is told only then.
                    prop_assert!(credit.present() < credit.soft);
                    prop_assert!(credit.left <= as_credit(credit.hard - credit.soft));
                }
                prop_assert_eq!(credit.present(), present);
                prop_assert!(present <= credit.soft && credit.soft <= credit.hard);
                prop_assert!(credit.soft >= 1 && credit.left >= 0.0);
            }
        }

        #[test]
        fn credit_pays_for_what_passes_the_soft_limit_and_no_more(
            soft in 1..20_usize,
            more in 0..20_usize,
            burst in 0..20_usize,
        ) {
            let mut credit = account(soft, soft + more, burst);
            let (taken, _) = fill(&mut credit);
            prop_assert_eq!(taken, soft + more.min(burst));
        }
    }
}
