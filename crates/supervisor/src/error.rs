//! What can go wrong, with whom, and in which part of their life.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::panic;
use std::sync::{Arc, Once};

use crate::state::Phase;

/// An error of whatever kind, as services give it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A call that came at the wrong time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// It runs.
    #[error("service already started")]
    AlreadyStarted,
    /// It has ended for good.
    #[error("service returned")]
    Returned,
    /// It was not started, so there is no end to wait for.
    #[error("service not started")]
    NotStarted,
    /// The time to wait is over; the service goes on.
    #[error("the service goes on; waiting was given up")]
    Elapsed,
    /// There is no service of that name.
    #[error("no such service")]
    Unknown,
}

/// Why a service was not taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The orchestrator is stopping or has stopped.
    #[error("{name}: the orchestrator takes no more services, it stops")]
    Closing {
        /// The service.
        name: Arc<str>,
    },
    /// A service of that name is there and has not ended.
    #[error("{name}: there is a service of that name")]
    Duplicate {
        /// The service.
        name: Arc<str>,
    },
    /// It would wait for itself.
    #[error("{}: dependencies go in a circle", .circle.join(" waits for "))]
    Circle {
        /// Each waits for the next, the last for the first.
        circle: Vec<Arc<str>>,
    },
}

/// What a panic said, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicReport {
    /// Its message; a fixed text when the payload was no string.
    pub message: String,
    /// File, line and column, if the panic was seen by [`install_hook`]'s hook.
    pub location: Option<String>,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        match &self.location {
            Some(location) => write!(f, " at {location}"),
            None => Ok(()),
        }
    }
}

thread_local! {
    static LOCATION: Cell<Option<String>> = const { Cell::new(None) };
}

static HOOK: Once = Once::new();

/// Makes panics leave their place behind for reports. Orchestrators do it when they start;
/// the hook that was there before still runs.
pub fn install_hook() {
    HOOK.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            LOCATION.set(info.location().map(ToString::to_string));
            earlier(info);
        }));
    });
}

impl PanicReport {
    pub(crate) fn from_payload(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a payload that is no text")
            .to_owned();
        Self {
            message,
            location: LOCATION.take(),
        }
    }
}

/// How a service failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It gave an error.
    Error(Arc<dyn Error + Send + Sync>),
    /// It panicked.
    Panic(PanicReport),
    /// It did not keep to what it promised: readiness or heartbeat.
    Broken(&'static str),
    /// It would not stop and was dropped.
    Unstopped,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(report) => report.fmt(f),
            Self::Broken(promise) => f.write_str(promise),
            Self::Unstopped => f.write_str("would not stop and was dropped"),
        }
    }
}

/// An error with the place it comes from.
#[derive(Clone, Debug)]
pub struct ServiceError {
    /// Orchestrators and service, from the outermost: `tidegate/workers/worker-1`.
    pub path: Arc<str>,
    /// The part of its life.
    pub phase: Phase,
    /// The number of the start, from 1; 0 before the first.
    pub attempt: u32,
    /// What happened.
    pub failure: Failure,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            phase,
            attempt,
            failure,
        } = self;
        write!(f, "{path}: {phase} (attempt {attempt}): {failure}")
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.failure {
            Failure::Error(error) => Some(&**error),
            _ => None,
        }
    }
}
