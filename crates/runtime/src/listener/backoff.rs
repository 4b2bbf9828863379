//! What to do when the machine has no descriptor or memory for one more connection:
//! wait, longer each time, and say so once in a while.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{Instant, sleep_until};

use crate::clock::{self, Tick};

/// The first pause after the machine ran out of something accepting needs.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(5);

/// The longest such pause; each one doubles the one before.
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(1);

/// At most one warning about it per listener in this time.
pub const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Whether an error of accept(2) is the fault of one connection rather than of the machine.
pub(super) fn concerns_one_connection(error: &io::Error) -> bool {
    // accept(2): pending network errors of the new socket are reported by accept and are to be
    // treated like EAGAIN; EPERM is a firewall's word.
    const PASSING: [Errno; 12] = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PERM,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NONET,
        Errno::OPNOTSUPP,
        Errno::TIMEDOUT,
    ];
    Errno::from_io_error(error).is_some_and(|errno| PASSING.contains(&errno))
}

#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Option<Duration>,
    until: Option<Instant>,
    warned: Option<Tick>,
}

impl Backoff {
    /// Begins the next, longer pause; whether it is time for another warning.
    pub(super) fn begin(&mut self) -> bool {
        let pause = self
            .pause
            .map_or(BACKOFF_FIRST, |pause| (pause * 2).min(BACKOFF_LONGEST));
        self.pause = Some(pause);
        self.until = Some(Instant::now() + pause);
        let now = clock::now();
        let due = self
            .warned
            .is_none_or(|warned| now.since(warned) >= WARNING_INTERVAL);
        if due {
            self.warned = Some(now);
        }
        due
    }

    /// Accepting works again.
    pub(super) fn reset(&mut self) {
        self.pause = None;
    }

    pub(super) fn is_pausing(&self) -> bool {
        self.until.is_some()
    }

    /// Waits for the end of the pause. Cancellation safe: the pause ends when it ends.
    pub(super) async fn pause(&mut self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
            self.until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            backoff.begin();
            pauses.extend(backoff.pause);
        }
        assert_eq!(pauses[..3], [5, 10, 20].map(Duration::from_millis));
        assert_eq!(pauses[9], BACKOFF_LONGEST);
        backoff.reset();
        backoff.begin();
        assert_eq!(backoff.pause, Some(BACKOFF_FIRST));
    }

    #[test]
    fn warnings_are_rare() {
        let mut backoff = Backoff::default();
        let warnings = (0..100).filter(|_| backoff.begin()).count();
        assert_eq!(warnings, 1);
    }

    #[test]
    fn running_out_of_descriptors_is_the_machines_fault() {
        let machine = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        for errno in machine {
            assert!(!concerns_one_connection(&errno.into()));
        }
        assert!(concerns_one_connection(&Errno::CONNABORTED.into()));
    }
}
