//! The worker's coarse clock: monotonic milliseconds, a few nanoseconds to read.
//!
//! Time-outs need no better than a few milliseconds, and reading the precise
//! clock several times a request would be a cost nobody could defend.

use std::ops::Add;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// A point on the coarse monotonic clock, in milliseconds since an arbitrary start.
///
/// It never goes backwards and is unaffected by changes of the wall clock. Its
/// resolution is the kernel's tick, one to four milliseconds. The default is that start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// A tick from a count of milliseconds, for simulated time in tests.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the clock's arbitrary start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this tick, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(milliseconds))
    }
}

/// The present, on the coarse clock.
pub fn now() -> Tick {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    // The monotonic clock starts at boot: neither part is ever negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Tick(seconds * 1_000 + nanoseconds / 1_000_000)
}

/// The present on the precise clock, for durations that are reported to people.
///
/// Several times as expensive as [`now`]: not for time limits.
pub fn precise() -> Instant {
    Instant::now()
}

/// The time of day, for what people read. It can jump: never for time limits.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_backwards() {
        let first = now();
        let second = now();
        assert!(second >= first);
        assert_eq!(first.since(second + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn adding_an_endless_duration_saturates() {
        let end = now() + Duration::MAX;
        assert_eq!(end.as_millis(), u64::MAX);
    }
}
