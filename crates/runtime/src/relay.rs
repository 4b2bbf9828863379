//! Two streams joined: bytes go both ways until both sides have finished.
//!
//! Each direction reads only when the bytes before have been written, so a slow reader
//! slows its sender down and at most one buffer for each direction is held. A side that
//! finishes sending is passed on as such and goes on receiving.

mod direction;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;

use self::direction::Direction;
use crate::deadline::Deadline;
use crate::io::Io;

/// How long two streams may stay joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// The longest time in which not a byte is passed on either way.
    pub idle: Duration,
    /// The longest time in all, if there is such a limit.
    pub total: Option<Duration>,
}

/// How many bytes went each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// From the first stream to the second.
    pub forth_bytes: u64,
    /// From the second stream to the first.
    pub back_bytes: u64,
}

/// Why two streams were parted before both had finished.
#[derive(Debug, Error)]
pub enum RelayError {
    /// Nothing moved for [`RelayLimits::idle`].
    #[error("nothing was sent either way for too long")]
    Idle,
    /// [`RelayLimits::total`] is over.
    #[error("the connection lasted too long")]
    Overdue,
    /// The first stream failed.
    #[error("the client's connection broke: {0}")]
    First(io::Error),
    /// The second stream failed.
    #[error("the upstream's connection broke: {0}")]
    Second(io::Error),
}

/// Two streams that are joined while [`Relay::run`] runs.
///
/// Dropped before both sides have finished, it [breaks both off](Io::break_off), so that
/// neither peer takes what it has for the whole.
pub struct Relay {
    first: Io,
    second: Io,
    forth: Direction,
    back: Direction,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("relayed", &self.relayed())
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Joins two streams. Nothing moves before [`Relay::run`] is awaited.
    pub fn new(first: Io, second: Io) -> Self {
        Self {
            first,
            second,
            forth: Direction::default(),
            back: Direction::default(),
        }
    }

    /// How much has been passed on so far.
    pub const fn relayed(&self) -> Relayed {
        Relayed {
            forth_bytes: self.forth.passed_bytes(),
            back_bytes: self.back.passed_bytes(),
        }
    }

    /// Passes bytes on both ways until both sides have finished.
    ///
    /// # Errors
    ///
    /// A limit passed, or a side failed. Drop the relay then: it is of no more use.
    ///
    /// # Cancellation
    ///
    /// Can be dropped and called again: bytes that were read stay in the relay. The
    /// limits then begin anew.
    pub async fn run(&mut self, limits: &RelayLimits) -> Result<(), RelayError> {
        let idle = Deadline::new();
        idle.arm(limits.idle);
        let total = limits.total.map(|after| {
            let total = Deadline::new();
            total.arm(after);
            total
        });
        poll_fn(|cx| {
            let before = self.relayed();
            if self.poll_both(cx)?.is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.relayed() != before {
                idle.arm(limits.idle);
            }
            if idle.poll_elapsed(cx).is_ready() {
                return Poll::Ready(Err(RelayError::Idle));
            }
            match &total {
                Some(total) => total.poll_elapsed(cx).map(|()| Err(RelayError::Overdue)),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn poll_both(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, RelayError> {
        let (first, second) = (&mut self.first, &mut self.second);
        let forth = self.forth.poll(first, second, cx);
        let back = self.back.poll(second, first, cx);
        let both = [
            forth.map_err(|fault| fault.locate(RelayError::First, RelayError::Second))?,
            back.map_err(|fault| fault.locate(RelayError::Second, RelayError::First))?,
        ];
        Ok(match both.iter().all(Poll::is_ready) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if !(self.forth.has_ended() && self.back.has_ended()) {
            self.first.break_off();
            self.second.break_off();
        }
    }
}

#[cfg(test)]
mod tests;
