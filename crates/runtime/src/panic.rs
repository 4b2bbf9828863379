//! Panics end what panicked and nothing else.
//!
//! [`catch`] turns a panic while a future is polled into a value that says what
//! was said and where. [`contain`] wraps a connection's task: its panic is logged
//! with the peer's address and counted for the worker; the worker goes on.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::io::PeerAddr;
use crate::worker;

thread_local! {
    /// Where this thread last panicked. The hook sees the location, the unwinding does not.
    static LOCATION: Cell<Option<Box<str>>> = const { Cell::new(None) };
}

static HOOK: Once = Once::new();

/// Makes panics leave their location behind for [`PanicReport`]. Workers do it
/// themselves; doing it again changes nothing.
///
/// The hook that was installed before still runs afterwards.
pub fn install_hook() {
    HOOK.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(location) = info.location() {
                LOCATION.set(Some(location.to_string().into_boxed_str()));
            }
            earlier(info);
        }));
    });
}

/// What a panic said, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PanicReport {
    /// The panic's message; a fixed text when its payload was no string.
    pub message: String,
    /// File, line and column; `None` when [`install_hook`] was not called before.
    pub location: Option<Box<str>>,
}

impl PanicReport {
    /// Reads a payload that was caught on this thread just now.
    pub fn from_payload(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => payload
                .downcast_ref::<&str>()
                .map_or("a payload that is no text", |message| *message)
                .to_owned(),
        };
        Self {
            message,
            location: LOCATION.take(),
        }
    }
}

impl Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        match &self.location {
            Some(location) => write!(f, " at {location}"),
            None => Ok(()),
        }
    }
}

pin_project! {
    /// A future whose panic is its output. See [`catch`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Catch<F> {
        #[pin]
        future: F,
    }
}

/// Runs `future` and turns its panic into an error.
///
/// A future that panicked is never polled again. Cancellation: dropping this drops `future`.
pub fn catch<F: Future>(future: F) -> Catch<F> {
    Catch { future }
}

impl<F: Future> Future for Catch<F> {
    type Output = Result<F::Output, PanicReport>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // Unwind safety: after a panic the output is ready, so the broken future is only dropped.
        match panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(PanicReport::from_payload(payload))),
        }
    }
}

pin_project! {
    /// A connection's task. See [`contain`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Contained<F> {
        #[pin]
        future: Catch<F>,
        peer: PeerAddr,
    }
}

/// Runs a connection: its error is logged for debugging, its panic as an error and
/// counted in [`worker::counters`]. It adds the peer's address to the size of `future`.
pub fn contain<F, E>(peer: PeerAddr, future: F) -> Contained<F>
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    Contained {
        future: catch(future),
        peer,
    }
}

impl<F, E> Future for Contained<F>
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let peer = *this.peer;
        match ready!(this.future.poll(cx)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, "connection failed"),
            Err(report) => report_panic(peer, &report),
        }
        Poll::Ready(())
    }
}

#[cold]
fn report_panic(peer: PeerAddr, report: &PanicReport) {
    worker::counters().count_panic();
    tracing::error!(
        %peer,
        message = report.message.as_str(),
        location = report.location.as_deref().unwrap_or("unknown"),
        "a connection panicked and was closed; the worker goes on"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local;

    async fn fail(message: &str) -> u8 {
        panic!("{}", message.to_owned() + "!")
    }

    #[test]
    fn a_caught_panic_says_what_and_where() {
        install_hook();
        let report = local::block_on(catch(fail("no such luck")));
        let report = report.expect_err("the future panics");
        assert_eq!(report.message, "no such luck!");
        let location = report.location.expect("the hook is installed");
        assert!(location.contains("panic.rs:"), "{location}");
    }

    #[test]
    fn a_payload_that_is_no_text_is_reported_too() {
        let report = local::block_on(catch(async { panic::panic_any(7_u8) }));
        let report: Result<(), _> = report;
        assert!(report.is_err());
    }

    #[test]
    fn a_contained_panic_is_counted_and_the_thread_goes_on() {
        install_hook();
        let before = worker::counters().panics();
        local::block_on(contain(PeerAddr::Unix, async {
            if worker::current().is_none() {
                panic!("in a connection");
            }
            Ok::<(), String>(())
        }));
        assert_eq!(worker::counters().panics(), before + 1);
    }

    #[test]
    fn containing_costs_an_address_and_no_more() {
        let future = async { Ok::<(), String>(()) };
        let bare = size_of_val(&future);
        let wrapped = size_of_val(&contain(PeerAddr::Unix, future));
        assert!(wrapped <= bare.next_multiple_of(8) + size_of::<PeerAddr>() + 8);
    }
}
