//! A token bucket: so many events a second, and a burst.

use super::time::Moment;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Events a second in the long run; 0: no limit.
    pub per_second: u32,
    /// Events at once after a rest; at least one is always allowed.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self {
        per_second: 0,
        burst: 0,
    };
}

/// Thousandths of an event, so that a millisecond's share is a whole number.
const PER_EVENT: u64 = 1_000;

/// What is left of a [`Rate`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    level: u64,
    filled_at: Moment,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate, now: Moment) -> Self {
        Self {
            level: u64::from(rate.burst.max(1)) * PER_EVENT,
            filled_at: now,
        }
    }

    /// Takes one event's worth; false if there is not so much left.
    pub(super) fn take(&mut self, rate: Rate, now: Moment) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        let passed = now.as_millis().saturating_sub(self.filled_at.as_millis());
        let full = u64::from(rate.burst.max(1)) * PER_EVENT;
        let gained = passed.saturating_mul(u64::from(rate.per_second));
        self.level = self.level.saturating_add(gained).min(full);
        self.filled_at = now;
        if self.level < PER_EVENT {
            return false;
        }
        self.level -= PER_EVENT;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_the_steady_rate() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let mut bucket = Bucket::new(rate, Moment::default());
        let allowed = |bucket: &mut Bucket, ms| {
            (0..100)
                .filter(|_| bucket.take(rate, Moment::from_millis(ms)))
                .count()
        };
        assert_eq!(allowed(&mut bucket, 0), 3);
        assert_eq!(allowed(&mut bucket, 99), 0);
        assert_eq!(allowed(&mut bucket, 100), 1);
        assert_eq!(allowed(&mut bucket, 10_000), 3);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut bucket = Bucket::new(Rate::UNLIMITED, Moment::default());
        assert!((0..1_000).all(|_| bucket.take(Rate::UNLIMITED, Moment::default())));
    }
}
