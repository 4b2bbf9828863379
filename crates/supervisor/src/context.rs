//! What a service is given: its tokens, its voice, and what its orchestrator offers.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::deferred::CleanupHandle;
use crate::error::{BoxError, Failure};
use crate::hub::Hub;
use crate::machine::{Input, UnitId};
use crate::orchestrator::OrchestratorHandle;
use crate::state::Phase;

/// What a service is given. Cloning it is cheap; clones are the same.
///
/// Values and scopes are layered: a context made from another one sees what that one has,
/// and the nearest wins. Nothing here panics; what is not there is `None`.
#[derive(Clone)]
pub struct Context {
    pub(crate) attempt: Arc<Attempt>,
    scope: CancellationToken,
    values: Option<Arc<Layer>>,
}

/// One attempt's side of a context.
pub(crate) struct Attempt {
    pub(crate) hub: Arc<Hub>,
    pub(crate) unit: UnitId,
    pub(crate) path: Arc<str>,
    pub(crate) number: u32,
    pub(crate) drain: CancellationToken,
    pub(crate) abort: CancellationToken,
    pub(crate) deadline: Mutex<Option<Instant>>,
}

struct Layer {
    value: Arc<dyn Any + Send + Sync>,
    kind: TypeId,
    below: Option<Arc<Self>>,
}

impl Context {
    pub(crate) fn new(attempt: Arc<Attempt>) -> Self {
        Self {
            scope: attempt.drain.clone(),
            values: attempt.hub.values(),
            attempt,
        }
    }

    /// The service's path: its orchestrators' names and its own.
    pub fn path(&self) -> &str {
        &self.attempt.path
    }

    /// Cancelled when the service is to finish what it does and take nothing new.
    pub fn drain(&self) -> &CancellationToken {
        &self.attempt.drain
    }

    /// Cancelled when it is to end now; what does not is dropped.
    pub fn abort(&self) -> &CancellationToken {
        &self.attempt.abort
    }

    /// When it will be told to abort; `None` while it is not to stop.
    pub fn deadline(&self) -> Option<Instant> {
        let deadline = self.attempt.deadline.lock();
        *deadline.unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of this start, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// Says that the service does its work. See [`Readiness::Explicit`](crate::Readiness).
    pub fn notify_ready(&self) {
        self.tell(Input::Ready(self.attempt.unit));
    }

    /// Says that it still does. See [`Liveness::Heartbeat`](crate::Liveness).
    pub fn heartbeat(&self) {
        self.tell(Input::Heartbeat(self.attempt.unit));
    }

    fn tell(&self, input: Input) {
        // What an attempt says that is over concerns nobody any more.
        self.attempt
            .hub
            .input_from(self.attempt.unit, self.attempt.number, input);
    }

    /// Has the service's report tell of `error`; the service goes on.
    pub fn record(&self, error: impl Into<BoxError>) {
        self.fail(Failure::Error(error.into().into()));
    }

    pub(crate) fn fail(&self, failure: Failure) {
        self.attempt
            .hub
            .fail(self.attempt.unit, Phase::Run, failure);
    }

    /// Says something about the service, for whoever lists it.
    pub fn status(&self, note: impl Into<Arc<str>>) {
        self.attempt.hub.note(self.attempt.unit, note.into());
    }

    /// The token of the nearest scope. Cancelling it ends that scope and those below, and
    /// nothing above; it is cancelled with the scopes above, at the latest when the service
    /// is to drain.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.scope
    }

    /// A context with a scope of its own below this one.
    #[must_use]
    pub fn child_scope(&self) -> Self {
        Self {
            scope: self.scope.child_token(),
            ..self.clone()
        }
    }

    /// The same without the scopes, for work that outlives what it was begun for: its
    /// shutdown token is that of the orchestrator as a whole.
    #[must_use]
    pub fn base(&self) -> Self {
        Self {
            scope: self.attempt.hub.root().clone(),
            ..self.clone()
        }
    }

    /// The orchestrator the service is one of.
    pub fn orchestrator(&self) -> OrchestratorHandle {
        OrchestratorHandle::new(Arc::clone(&self.attempt.hub))
    }

    /// Where clean-up is deferred to the end of the orchestrator.
    pub fn cleanup(&self) -> CleanupHandle {
        CleanupHandle::new(Arc::clone(&self.attempt.hub))
    }

    /// A context that has `value` too, in front of an earlier one of its type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(&self, value: T) -> Self {
        Self {
            values: Some(layer(self.values.clone(), value)),
            ..self.clone()
        }
    }

    /// The nearest value of this type: of this context, of the orchestrator, of those above.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let mut next = self.values.as_ref();
        while let Some(layer) = next {
            if layer.kind == TypeId::of::<T>() {
                return Arc::clone(&layer.value).downcast().ok();
            }
            next = layer.below.as_ref();
        }
        self.attempt.hub.above()?.get()
    }
}

/// Values every service of an orchestrator gets.
#[derive(Clone, Default)]
pub(crate) struct Values(Option<Arc<Layer>>);

impl Values {
    pub(crate) fn with<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0 = Some(layer(self.0.take(), value));
    }
}

fn layer<T: Send + Sync + 'static>(below: Option<Arc<Layer>>, value: T) -> Arc<Layer> {
    Arc::new(Layer {
        value: Arc::new(value),
        kind: TypeId::of::<T>(),
        below,
    })
}

impl Hub {
    fn values(&self) -> Option<Arc<Layer>> {
        self.shared_values().0.clone()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("path", &self.attempt.path)
            .field("attempt", &self.attempt.number)
            .finish_non_exhaustive()
    }
}
