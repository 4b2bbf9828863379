//! The future that serves a connection.
//!
//! Written out, because each idle connection keeps one: an `async fn` would have room for
//! the link several times, for the steps that seldom come.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::link::{Ended, Link, LinkError};

/// A connection's service, from its first byte to its end.
#[derive(Debug)]
pub(super) struct Serving(State);

#[allow(
    clippy::large_enum_variant,
    reason = "the large one is what nearly all are, nearly all of the time"
)]
enum State {
    Here(Link),
    /// It did not arrive from the worker that accepted it.
    Lost(io::Error),
    /// It went to another worker, and its place here is kept until it ends there.
    There(Pin<Box<dyn Future<Output = Result<(), LinkError>>>>),
    Over,
}

impl Serving {
    /// Serves a connection that this worker accepted.
    pub(super) const fn new(link: Link) -> Self {
        Self(State::Here(link))
    }

    /// Serves a connection that came from another worker.
    pub(super) fn arrived(link: io::Result<Link>) -> Self {
        Self(link.map_or_else(State::Lost, State::Here))
    }
}

impl Future for Serving {
    type Output = Result<(), LinkError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Here(link) = &mut self.0 {
            let ended = ready!(link.poll(cx));
            let State::Here(link) = mem::replace(&mut self.0, State::Over) else {
                return Poll::Ready(Ok(()));
            };
            match ended? {
                Ended::Closed => return Poll::Ready(Ok(())),
                Ended::Moves(departure) => {
                    self.0 = State::There(Box::pin(link.depart(*departure)));
                }
            }
        }
        match &mut self.0 {
            State::There(departed) => departed.as_mut().poll(cx),
            State::Lost(_) => match mem::replace(&mut self.0, State::Over) {
                State::Lost(error) => Poll::Ready(Err(error.into())),
                _ => Poll::Ready(Ok(())),
            },
            State::Here(_) | State::Over => Poll::Ready(Ok(())),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here(_) => "Here",
            Self::Lost(_) => "Lost",
            Self::There(_) => "There",
            Self::Over => "Over",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_stays_small() {
        assert!(size_of::<Serving>() <= 320, "{}", size_of::<Serving>());
    }
}
