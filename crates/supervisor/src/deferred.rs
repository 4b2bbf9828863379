//! Clean-up that waits for the end of the orchestrator.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::error::BoxError;
use crate::hub::Hub;
use crate::service::{Ending, Exit};

/// How many functions may be deferred.
pub const DEFERRED_MAX: usize = 65_536;

/// Why a function was not deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeferError {
    /// The services have ended; the functions run already.
    #[error("clean-up has begun")]
    Begun,
    /// There are as many as there may be.
    #[error("more than {DEFERRED_MAX} clean-up functions")]
    Full,
}

pub(crate) type DeferredFunction =
    Box<dyn FnOnce() -> LocalBoxFuture<'static, Result<Exit, BoxError>> + Send>;

/// A function to be run when all services have ended.
pub(crate) struct Deferred {
    pub(crate) name: Arc<str>,
    pub(crate) function: DeferredFunction,
}

/// Where clean-up is deferred to the end.
#[derive(Clone)]
pub struct CleanupHandle {
    hub: Arc<Hub>,
}

impl CleanupHandle {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Runs `function` once, when all services have ended: all of them at once, each whether
    /// the others fail or not, within the budget's `cleanup`. The report names those that were
    /// not done by then.
    ///
    /// # Errors
    ///
    /// It is too late, or there are too many.
    pub fn defer<F, Fut>(&self, name: impl Into<Arc<str>>, function: F) -> Result<(), DeferError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        self.hub.defer(Deferred {
            name: name.into(),
            function: Box::new(move || function().map(Ending::into_result).boxed_local()),
        })
    }

    /// Has the orchestrator's report tell of `error`, which needs no clean-up by itself.
    pub fn record(&self, error: impl Into<BoxError>) {
        self.hub.record_error(error.into());
    }
}

impl fmt::Debug for CleanupHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanupHandle").finish_non_exhaustive()
    }
}
