//! A service as its author describes it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::context::Context;
use crate::error::BoxError;
use crate::machine::{Gate, UnitSpec};
use crate::policy::{OnExit, Restart, StopPolicy};
use crate::report::ExitReport;

/// How a service that did not fail has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// Its work is done.
    #[default]
    Done,
    /// It was cancelled by its own means and does not want to be started again.
    Cancelled,
}

/// What a service's work may answer: nothing, an [`Exit`], or either or an error.
pub trait Ending {
    /// The same in one form.
    ///
    /// # Errors
    ///
    /// What the service gave.
    fn into_result(self) -> Result<Exit, BoxError>;
}

impl Ending for () {
    fn into_result(self) -> Result<Exit, BoxError> {
        Ok(Exit::Done)
    }
}

impl Ending for Exit {
    fn into_result(self) -> Result<Exit, BoxError> {
        Ok(self)
    }
}

impl<T: Ending, E: Into<BoxError>> Ending for Result<T, E> {
    fn into_result(self) -> Result<Exit, BoxError> {
        self.map_err(Into::into).and_then(Ending::into_result)
    }
}

pub(crate) type Work = LocalBoxFuture<'static, Result<Exit, BoxError>>;
pub(crate) type Factory = Box<dyn Fn(Context) -> Work + Send>;
/// A question about a service. See [`check`].
pub type Check = Arc<dyn Fn(Context) -> LocalBoxFuture<'static, bool> + Send + Sync>;
/// Called with the report of a service in which something went wrong.
pub(crate) type ErrorHandler = Arc<dyn Fn(&Arc<ExitReport>) + Send + Sync>;

/// When a service counts as ready.
#[derive(Default)]
pub enum Readiness {
    /// As soon as it runs.
    #[default]
    Immediate,
    /// When it calls [`Context::notify_ready`]; failed if it has not `within` this time.
    Explicit {
        /// The longest it may take.
        within: Duration,
    },
    /// When `check` answers true, asked `every` so often.
    Probe {
        /// The longest it may take.
        within: Duration,
        /// The pause between two questions.
        every: Duration,
        /// The question. See [`check`].
        check: Check,
    },
}

/// How it is noticed that a service no longer works.
#[derive(Default)]
pub enum Liveness {
    /// By its end.
    #[default]
    Trusted,
    /// By its silence: it must call [`Context::heartbeat`] at least this often.
    Heartbeat {
        /// The longest silence.
        within: Duration,
    },
    /// `check` is asked `every` so often, and must have answered true `within` this time.
    Probe {
        /// The longest time without a good answer.
        within: Duration,
        /// The pause between two questions.
        every: Duration,
        /// The question. See [`check`].
        check: Check,
    },
}

/// A question for [`Readiness::Probe`] and [`Liveness::Probe`].
pub fn check<F, Fut>(ask: F) -> Check
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = bool> + 'static,
{
    Arc::new(move |context| ask(context).boxed_local())
}

/// Something long-running with a name, and what is to be done when it ends.
///
/// The factory makes the work anew for each start, on the thread of its orchestrator: the
/// work itself need not be `Send`. In order: the work runs; when it is over or is to end, the
/// drain token is cancelled and the shutdown hook is called, beside work that still runs;
/// when both have ended, the clean-up hook; then the error handler, if anything went wrong;
/// then whoever waits is woken. Each part is dropped at its limit (see [`StopPolicy`]).
///
/// ```
/// use tidegate_supervisor::{Context, Service};
///
/// let service = Service::new("ticker", |context: Context| async move {
///     context.drain().cancelled().await;
/// })
/// .on_cleanup(|_| async { println!("gone") });
/// assert_eq!(service.to_string(), "Service<ticker>");
/// ```
#[must_use = "a service does nothing until it is started"]
pub struct Service {
    pub(crate) spec: UnitSpec,
    pub(crate) parts: Parts,
    pub(crate) on_error: Option<ErrorHandler>,
}

/// What is called in a service's life.
pub(crate) struct Parts {
    pub(crate) run: Factory,
    pub(crate) shutdown: Option<Factory>,
    pub(crate) cleanup: Option<Factory>,
    pub(crate) reload: Option<Factory>,
    pub(crate) ready_check: Option<(Duration, Check)>,
    pub(crate) live_check: Option<(Duration, Check)>,
}

fn factory<F, Fut>(make: F) -> Factory
where
    F: Fn(Context) -> Fut + Send + 'static,
    Fut: Future<Output: Ending> + 'static,
{
    Box::new(move |context| make(context).map(Ending::into_result).boxed_local())
}

impl Service {
    /// A service that can be started any number of times.
    pub fn new<F, Fut>(name: impl Into<Arc<str>>, run: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        Self {
            spec: UnitSpec::named(name),
            parts: Parts {
                run: factory(run),
                shutdown: None,
                cleanup: None,
                reload: None,
                ready_check: None,
                live_check: None,
            },
            on_error: None,
        }
    }

    /// A service that can be started once. Its restart policy is of no effect.
    pub fn once<F, Fut>(name: impl Into<Arc<str>>, run: F) -> Self
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        let run = Mutex::new(Some(run));
        Self::new(name, move |context| {
            let run = run.lock().unwrap_or_else(PoisonError::into_inner).take();
            let work = run.map(|run| run(context));
            async move {
                match work {
                    Some(work) => work.await.into_result(),
                    None => Err("it can run only once".into()),
                }
            }
        })
    }

    /// Helps the work to stop; called once, when the service is to end or has ended for good.
    pub fn on_shutdown<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        self.parts.shutdown = Some(factory(hook));
        self.spec.hooks.shutdown = true;
        self
    }

    /// Called once, after the work and the shutdown hook have ended.
    pub fn on_cleanup<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        self.parts.cleanup = Some(factory(hook));
        self.spec.hooks.cleanup = true;
        self
    }

    /// Takes up new settings while the work goes on; an error leaves the old ones in force.
    pub fn on_reload<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        self.parts.reload = Some(factory(hook));
        self.spec.hooks.reload = true;
        self
    }

    /// Called with the report of a service in which something went wrong, before whoever
    /// waits is woken.
    pub fn on_error(mut self, handler: impl Fn(&Arc<ExitReport>) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(handler));
        self
    }

    /// Starts after these are ready, and not without them; stops before them.
    pub fn requires<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.spec.requires.extend(names.into_iter().map(Into::into));
        self
    }

    /// Starts after these and stops before them, if they are there.
    pub fn wants<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.spec.wants.extend(names.into_iter().map(Into::into));
        self
    }

    /// When it counts as ready.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        let (gate, check) = match readiness {
            Readiness::Immediate => (Gate::Immediate, None),
            Readiness::Explicit { within } => (Gate::Within(within), None),
            Readiness::Probe {
                within,
                every,
                check,
            } => (Gate::Within(within), Some((every, check))),
        };
        self.spec.gate = gate;
        self.parts.ready_check = check;
        self
    }

    /// How it is noticed that it no longer works.
    pub fn liveness(mut self, liveness: Liveness) -> Self {
        let (heartbeat, check) = match liveness {
            Liveness::Trusted => (None, None),
            Liveness::Heartbeat { within } => (Some(within), None),
            Liveness::Probe {
                within,
                every,
                check,
            } => (Some(within), Some((every, check))),
        };
        self.spec.heartbeat = heartbeat;
        self.parts.live_check = check;
        self
    }

    /// Whether it is started again when it ends by itself.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.spec.restart = restart;
        self
    }

    /// How long it may take to stop.
    pub fn stop(mut self, stop: StopPolicy) -> Self {
        self.spec.stop = stop;
        self
    }

    /// What its end means for the others.
    pub fn on_exit(mut self, on_exit: OnExit) -> Self {
        self.spec.on_exit = on_exit;
        self
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service<{}>", self.spec.name)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}
