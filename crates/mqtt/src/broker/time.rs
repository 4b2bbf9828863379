//! Time as the core is told it.

use std::{ops::Add, time::Duration};

/// A point in time: milliseconds since the Unix epoch.
///
/// Durable state carries expiry times across restarts, so the core counts from
/// an epoch that outlives the process. The caller passes moments that never go
/// back: the wall clock read once at start, plus what the monotonic clock has
/// counted since.
///
/// ```
/// use std::time::Duration;
/// use tidegate_mqtt::broker::time::Moment;
///
/// let start = Moment::from_millis(1_000);
/// assert_eq!(start + Duration::from_secs(2), Moment::from_millis(3_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// A time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; none if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment `seconds` later.
    pub const fn plus_secs(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds as u64 * 1_000))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}
