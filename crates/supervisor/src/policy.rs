//! What a service asks of its supervisor: when to start it anew, how long it may take.

use std::time::Duration;

/// Whether a service is started again when it ends by itself.
///
/// A service that was told to stop, or that answers [`Exit::Cancelled`](crate::Exit), is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Restart {
    /// It is not.
    #[default]
    Never,
    /// If it failed: an error, a panic, a lost heartbeat, readiness that never came.
    OnFailure(Backoff),
    /// Whether it failed or not.
    Always(Backoff),
}

/// How long to wait before a service is started again, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The least time between two starts.
    pub min_interval: Duration,
    /// The pause after the first end.
    pub base: Duration,
    /// What the pause is multiplied with after each further end.
    pub factor: f64,
    /// The longest pause.
    pub max: Duration,
    /// By which part of itself a pause varies, from 0 to 1, so that services that failed
    /// together do not come back together.
    pub jitter: f64,
    /// A service that ran for this long has recovered: the next pause is the first again.
    pub reset_after: Duration,
    /// How many restarts within how long are too many; `None` for no such limit.
    pub intensity: Option<Intensity>,
    /// What happens when they are.
    pub exhausted: Exhausted,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min_interval: Duration::ZERO,
            base: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.1,
            reset_after: Duration::from_secs(60),
            intensity: Some(Intensity {
                restarts: 10,
                within: Duration::from_secs(60),
            }),
            exhausted: Exhausted::Park,
        }
    }
}

impl Backoff {
    /// No pause but for `min_interval` from start to start, for ever.
    pub fn every(min_interval: Duration) -> Self {
        Self {
            min_interval,
            base: Duration::ZERO,
            jitter: 0.0,
            intensity: None,
            ..Self::default()
        }
    }

    /// The pause before restart number `consecutive` (from 0). `chance` is from 0 to 1.
    pub(crate) fn pause(&self, consecutive: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(consecutive).unwrap_or(i32::MAX);
        let grown = self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let varied = grown * (1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * chance - 1.0));
        // Not a number, infinite or too large all mean: the longest.
        Duration::try_from_secs_f64(varied)
            .unwrap_or(self.max)
            .min(self.max)
    }
}

/// Restarts within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// How many are allowed.
    pub restarts: usize,
    /// Within how long.
    pub within: Duration,
}

/// What becomes of a service that ends too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// It stays down until somebody starts it again by hand; the others go on.
    Park,
    /// The orchestrator gives up and stops, as failed.
    Escalate,
}

/// Whom the restart of one service concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// It alone.
    #[default]
    OneForOne,
    /// All are stopped and started again with it.
    OneForAll,
    /// So are those that were added after it.
    RestForOne,
}

/// How long a service may take to stop. Each is a ceiling: a step ends as soon as its work does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPolicy {
    /// From the drain signal until it is told to abort.
    pub drain: Duration,
    /// From the abort signal until it is dropped and reported as one that would not stop.
    pub abort: Duration,
    /// How long its clean-up may take.
    pub cleanup: Duration,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(30),
            abort: Duration::from_secs(1),
            cleanup: Duration::from_secs(5),
        }
    }
}

/// What the end of a service for good means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExit {
    /// Nothing.
    #[default]
    Ignore,
    /// All stop.
    StopAll,
    /// All stop if it failed.
    FailAll,
}

/// Bounds of a stop as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How long the process stays as it is, but known to be unready, before anything stops.
    pub lame_duck: Duration,
    /// From the end of that until the last service has gone, come what may.
    pub total: Duration,
    /// How long the deferred clean-up functions may take after that.
    pub cleanup: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            lame_duck: Duration::ZERO,
            total: Duration::from_secs(60),
            cleanup: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_jitter_in_bounds() {
        let backoff = Backoff {
            jitter: 0.25,
            ..Backoff::default()
        };
        for consecutive in 0..64 {
            let least = backoff.pause(consecutive, 0.0);
            let most = backoff.pause(consecutive, 1.0);
            let middle = backoff.pause(consecutive, 0.5);
            assert!(least <= middle && middle <= most && most <= backoff.max);
            let exact = 0.1 * 2_f64.powi(consecutive.cast_signed());
            if exact < 20.0 {
                assert!((least.as_secs_f64() - exact * 0.75).abs() < 1e-6);
                assert!((most.as_secs_f64() - exact * 1.25).abs() < 1e-6);
            }
        }
        assert_eq!(backoff.pause(u32::MAX, 0.5), backoff.max);
    }
}
