//! Many services as one: started in order, watched, and stopped in reverse.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::context::{Context, Values};
use crate::driver;
use crate::error::{AddError, LifecycleError};
use crate::handle::{ServiceHandle, reported};
use crate::hub::{Hub, Setup};
use crate::machine::{Input, Rules};
use crate::policy::{Budget, OnExit, Restart, StopPolicy, Strategy};
use crate::report::ExitReport;
use crate::service::Service;
use crate::state::{Cause, Event, State, Status};

/// How many errors are kept of each service, and how many of all, unless said otherwise.
pub const ERRORS_MAX: usize = 1024;

/// How an [`Orchestrator`] is to behave.
#[must_use]
#[derive(Clone)]
pub struct Builder {
    name: Arc<str>,
    rules: Rules,
    errors_max: usize,
    values: Values,
}

impl Builder {
    /// Bounds of a stop.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.rules.budget = budget;
        self
    }

    /// Whom the restart of one service concerns.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.rules.strategy = strategy;
        self
    }

    /// How many errors are kept of each service, and how many of all.
    pub fn retain_errors(mut self, count: usize) -> Self {
        self.errors_max = count.max(1);
        self
    }

    /// Whether it ends when the last service has, rather than waiting for more.
    pub fn ends_with_last(mut self) -> Self {
        self.rules.ends_with_last = true;
        self
    }

    /// A value that every service finds in its context.
    pub fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values.with(value);
        self
    }

    /// The orchestrator; not started.
    pub fn build(self) -> Orchestrator {
        Orchestrator {
            hub: Mutex::new(self.hub()),
            builder: self,
        }
    }

    fn hub(&self) -> Arc<Hub> {
        let setup = Setup {
            path: Arc::clone(&self.name),
            rules: self.rules,
            errors_max: self.errors_max,
        };
        Hub::new(setup, self.values.clone())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// What can be added to an orchestrator.
#[derive(Debug)]
pub enum Addition {
    /// Nothing.
    None,
    /// A service, which starts when it can.
    Service(Box<Service>),
    /// A service that is by itself, running or not: it is watched and stopped with the rest.
    Adopted(ServiceHandle),
}

impl From<Service> for Addition {
    fn from(service: Service) -> Self {
        Self::Service(Box::new(service))
    }
}

impl From<ServiceHandle> for Addition {
    fn from(handle: ServiceHandle) -> Self {
        Self::Adopted(handle)
    }
}

impl<T: Into<Self>> From<Option<T>> for Addition {
    fn from(addition: Option<T>) -> Self {
        addition.map_or(Self::None, Into::into)
    }
}

/// Many services as one.
///
/// Services start in the order they were added, each as soon as what it depends on is ready;
/// they stop in reverse, each as soon as what depends on it has ended. One that fails concerns
/// nobody else unless it or the strategy says so. It ends when it is closed.
///
/// ```
/// use tidegate_supervisor::{Context, Orchestrator, Service};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// #     .build_local(Default::default()).unwrap().block_on(async {
/// let orchestrator = Orchestrator::builder("example").build();
/// let store = Service::new("store", |context: Context| async move {
///     context.drain().cancelled().await;
/// });
/// let web = Service::new("web", |context: Context| async move {
///     context.orchestrator().close("enough seen");
/// })
/// .requires(["store"]);
/// orchestrator.add(store)?;
/// orchestrator.add(web)?;
/// orchestrator.start()?;
/// let report = orchestrator.wait().await?;
/// assert!(report.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Orchestrator {
    hub: Mutex<Arc<Hub>>,
    builder: Builder,
}

impl Orchestrator {
    /// An orchestrator called `name`, to be configured.
    pub fn builder(name: impl Into<Arc<str>>) -> Builder {
        Builder {
            name: name.into(),
            rules: Rules::default(),
            errors_max: ERRORS_MAX,
            values: Values::default(),
        }
    }

    /// What its services and others may use of it, on any thread.
    pub fn handle(&self) -> OrchestratorHandle {
        let hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        OrchestratorHandle::new(Arc::clone(&hub))
    }

    /// See [`OrchestratorHandle::add`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn add(&self, addition: impl Into<Addition>) -> Result<Option<ServiceHandle>, AddError> {
        self.handle().add(addition)
    }

    /// Starts the services, on the current thread.
    ///
    /// # Errors
    ///
    /// It runs, or has ended.
    ///
    /// # Panics
    ///
    /// Outside a tokio `LocalRuntime` or `LocalSet`.
    pub fn start(&self) -> Result<(), LifecycleError> {
        let handle = self.handle();
        handle.hub.start()?;
        driver::spawn(handle.hub);
        Ok(())
    }

    /// See [`OrchestratorHandle::close`].
    pub fn close(&self, reason: impl Into<Arc<str>>) {
        self.handle().close(reason);
    }

    /// See [`OrchestratorHandle::wait`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn wait(&self) -> Result<Arc<ExitReport>, LifecycleError> {
        self.handle().wait().await
    }

    /// Makes it as new: without services, not started. Handles on the old ones keep their
    /// reports.
    ///
    /// # Errors
    ///
    /// It runs.
    pub fn reset(&self) -> Result<(), LifecycleError> {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        if hub.is_started() && hub.outcome.borrow().is_none() {
            return Err(LifecycleError::AlreadyStarted);
        }
        *hub = self.builder.hub();
        Ok(())
    }

    /// The orchestrator as one service of another. It may be added to until that ends.
    pub fn into_service(self) -> Service {
        let name = Arc::clone(&self.builder.name);
        let budget = self.builder.rules.budget;
        let allowed = budget.lame_duck + budget.total + budget.cleanup;
        let stop = StopPolicy {
            drain: allowed,
            ..StopPolicy::default()
        };
        Service::new(name, move |context| self.clone_as_new().run_within(context)).stop(stop)
    }

    /// The first run has the services added before; a restarted one begins without.
    fn clone_as_new(&self) -> Self {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        let current = std::mem::replace(&mut *hub, self.builder.hub());
        Self {
            hub: Mutex::new(current),
            builder: self.builder.clone(),
        }
    }

    async fn run_within(self, context: Context) {
        let handle = self.handle();
        handle.hub.place_below(context.clone());
        if self.start().is_err() {
            return;
        }
        let report = tokio::select! {
            report = handle.ended() => report,
            () = context.drain().cancelled() => {
                handle.close("the orchestrator above stops");
                tokio::select! {
                    report = handle.ended() => report,
                    () = context.abort().cancelled() => {
                        handle.abort();
                        handle.ended().await
                    }
                }
            }
        };
        let attempt = &context.attempt;
        attempt.hub.inherit(attempt.unit, &report);
    }
}

impl fmt::Display for Orchestrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Orchestrator<{}>", self.builder.name)
    }
}

impl fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrator")
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}

/// An orchestrator from anywhere. Clones are the same.
#[derive(Clone)]
pub struct OrchestratorHandle {
    pub(crate) hub: Arc<Hub>,
}

impl OrchestratorHandle {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Adds a service, before the start or after. Nothing added is fine, and gives nothing.
    ///
    /// A name is free again when the service that had it has ended.
    ///
    /// # Errors
    ///
    /// The orchestrator stops, the name is taken, or dependencies go in a circle.
    pub fn add(&self, addition: impl Into<Addition>) -> Result<Option<ServiceHandle>, AddError> {
        let service = match addition.into() {
            Addition::None => return Ok(None),
            Addition::Service(service) => *service,
            Addition::Adopted(handle) => adopted(handle),
        };
        let (unit, slot) = self.hub.add(service)?;
        Ok(Some(ServiceHandle::of(Arc::clone(&self.hub), unit, slot)))
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<ServiceHandle> {
        let unit = self.hub.by_name(name)?;
        let slot = self.hub.slot(unit)?;
        Some(ServiceHandle::of(Arc::clone(&self.hub), unit, slot))
    }

    /// Stops a service, waits for its end and forgets it.
    ///
    /// # Errors
    ///
    /// There is none of that name. Cancellation leaves it stopping.
    pub async fn remove(&self, name: &str) -> Result<Arc<ExitReport>, LifecycleError> {
        let service = self.service(name).ok_or(LifecycleError::Unknown)?;
        let unit = self.hub.by_name(name).ok_or(LifecycleError::Unknown)?;
        self.hub.input(Input::CloseUnit(unit, Cause::Removed));
        let report = service.wait().await?;
        self.hub.forget(unit);
        Ok(report)
    }

    /// Ends a service and starts it again, or starts one that is parked.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it has ended for good.
    pub fn restart(&self, name: &str) -> Result<(), LifecycleError> {
        let service = self.service(name).ok_or(LifecycleError::Unknown)?;
        if service.state() == State::Exited {
            return Err(LifecycleError::Returned);
        }
        let unit = self.hub.by_name(name).ok_or(LifecycleError::Unknown)?;
        self.hub.input(Input::Restart(unit));
        Ok(())
    }

    /// Gives a service other limits for its stop, and the stop of all another budget; what is
    /// being stopped already keeps its own.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn set_limits(
        &self,
        name: &str,
        stop: StopPolicy,
        budget: Budget,
    ) -> Result<(), LifecycleError> {
        let unit = self.hub.by_name(name).ok_or(LifecycleError::Unknown)?;
        self.hub.input(Input::Limits(unit, stop, budget));
        Ok(())
    }

    /// Whether a stop has begun.
    pub fn is_closing(&self) -> bool {
        self.hub.is_closing()
    }

    /// The bounds of a stop that are in force.
    pub fn budget(&self) -> Budget {
        self.hub.budget()
    }

    /// Has every service that can take up new settings do so.
    pub fn reload(&self) {
        for status in self.list() {
            if let Some(unit) = self.hub.by_name(&status.name) {
                self.hub.input(Input::Reload(unit));
            }
        }
    }

    /// Its services, in the order they were added.
    pub fn list(&self) -> Vec<Status> {
        self.hub.list()
    }

    /// What happens from now on. A subscriber that lags behind misses the oldest events and
    /// is told how many.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.hub.events.subscribe()
    }

    /// Begins the stop, for `reason`; a second call ends the lame-duck time.
    pub fn close(&self, reason: impl Into<Arc<str>>) {
        self.hub.input(Input::Close(Cause::Closed(reason.into())));
    }

    /// Tells every service to end now.
    pub fn abort(&self) {
        self.hub.input(Input::Abort);
    }

    /// Waits for its end. Cancellation safe.
    ///
    /// # Errors
    ///
    /// It was not started.
    pub async fn wait(&self) -> Result<Arc<ExitReport>, LifecycleError> {
        if !self.hub.is_started() {
            return Err(LifecycleError::NotStarted);
        }
        Ok(self.ended().await)
    }

    async fn ended(&self) -> Arc<ExitReport> {
        reported(self.hub.outcome.subscribe()).await
    }
}

impl fmt::Debug for OrchestratorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrchestratorHandle")
            .field("path", &self.hub.setup.path)
            .finish_non_exhaustive()
    }
}

/// A service that is by itself, as one of an orchestrator's.
fn adopted(handle: ServiceHandle) -> Service {
    let name = Arc::clone(handle.name());
    Service::new(name, move |context: Context| {
        let handle = handle.clone();
        async move {
            // It may run already, or have ended: then its report is at hand.
            let _ = handle.start();
            let report = tokio::select! {
                report = handle.wait() => report,
                () = context.drain().cancelled() => {
                    handle.close("its orchestrator stops");
                    handle.wait().await
                }
            };
            if let Ok(report) = report {
                let attempt = &context.attempt;
                attempt.hub.inherit(attempt.unit, &report);
            }
        }
    })
    .restart(Restart::Never)
    .on_exit(OnExit::Ignore)
}
