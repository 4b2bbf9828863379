//! A service from outside: started, asked about, told to stop, waited for.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::Values;
use crate::driver;
use crate::error::LifecycleError;
use crate::hub::{Hub, Setup, Slot};
use crate::machine::{Input, Rules, UnitId};
use crate::orchestrator::ERRORS_MAX;
use crate::policy::Budget;
use crate::report::ExitReport;
use crate::service::Service;
use crate::state::{Cause, State};

/// A service from outside. Clones are the same service; it may be used on any thread, but
/// for [`Self::start`], which runs the service where it is called.
#[derive(Clone)]
pub struct ServiceHandle {
    hub: Arc<Hub>,
    unit: UnitId,
    slot: Arc<Slot>,
    owner: Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is by itself.
    Itself,
    /// It is one of an orchestrator's.
    Orchestrator,
}

impl Service {
    /// A handle on this service by itself, without an orchestrator; not started.
    pub fn into_handle(self) -> ServiceHandle {
        let stop = self.spec.stop;
        let setup = Setup {
            path: Arc::clone(&self.spec.name),
            rules: Rules {
                budget: Budget {
                    // The service's own limits are all there is.
                    total: (stop.drain + stop.abort + stop.cleanup).mul_f64(1.5)
                        + Duration::from_secs(1),
                    ..Budget::default()
                },
                ends_with_last: true,
                ..Rules::default()
            },
            errors_max: ERRORS_MAX,
        };
        let hub = Hub::new(setup, Values::default());
        let (unit, slot) = hub
            .add(self)
            .expect("a new orchestrator takes its first service");
        ServiceHandle {
            hub,
            unit,
            slot,
            owner: Owner::Itself,
        }
    }
}

impl ServiceHandle {
    pub(crate) fn of(hub: Arc<Hub>, unit: UnitId, slot: Arc<Slot>) -> Self {
        Self {
            hub,
            unit,
            slot,
            owner: Owner::Orchestrator,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.slot.name
    }

    /// Starts a service that is by itself, on the current thread. One of an orchestrator's
    /// starts with that.
    ///
    /// # Errors
    ///
    /// It runs, or has ended.
    ///
    /// # Panics
    ///
    /// Outside a tokio `LocalRuntime` or `LocalSet`.
    pub fn start(&self) -> Result<(), LifecycleError> {
        if self.slot.report.borrow().is_some() {
            return Err(LifecycleError::Returned);
        }
        if self.owner == Owner::Orchestrator {
            return Err(LifecycleError::AlreadyStarted);
        }
        self.hub.start()?;
        driver::spawn(Arc::clone(&self.hub));
        Ok(())
    }

    /// Asks it to end, for `reason`. Does not wait; of no effect unless it runs.
    pub fn close(&self, reason: impl Into<Arc<str>>) {
        if self.hub.is_started() {
            let cause = Cause::Closed(reason.into());
            self.hub.input(Input::CloseUnit(self.unit, cause));
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.hub.state(self.unit) {
            Some((state, _)) => state,
            None => State::Exited,
        }
    }

    /// How often it was started.
    pub fn attempts(&self) -> u32 {
        self.hub
            .state(self.unit)
            .map_or(0, |(_, attempts)| attempts)
    }

    /// Whether it is up and was not asked to stop.
    pub fn is_running(&self) -> bool {
        self.state().is_running()
    }

    /// Sets what is called with its report if something goes wrong; also while it runs.
    pub fn set_error_handler(&self, handler: impl Fn(&Arc<ExitReport>) + Send + Sync + 'static) {
        let slot = self.slot.handler.lock();
        *slot.unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(handler));
    }

    /// Whether it has ended after having been ready at least once.
    pub fn was_ready(&self) -> bool {
        let report = self.slot.report.borrow();
        report
            .as_ref()
            .is_some_and(|it| it.timeline.ready.is_some())
    }

    /// Waits until it is ready. Cancellation safe.
    ///
    /// # Errors
    ///
    /// It ended, or waits to be started by hand, without having become ready.
    pub async fn ready(&self) -> Result<(), LifecycleError> {
        let mut state = self.slot.state.subscribe();
        let settled = state.wait_for(|state| {
            matches!(
                state,
                State::Ready | State::Reloading | State::Exited | State::Parked
            )
        });
        match settled.await.as_deref() {
            Ok(State::Ready | State::Reloading) => Ok(()),
            _ => Err(LifecycleError::Returned),
        }
    }

    /// Waits for its end, however long it takes, and whatever its error handler does first.
    /// Any number of callers get the same report, any number of times. Cancellation safe.
    ///
    /// # Errors
    ///
    /// It was not started.
    pub async fn wait(&self) -> Result<Arc<ExitReport>, LifecycleError> {
        if !self.hub.is_started() && self.slot.report.borrow().is_none() {
            return Err(LifecycleError::NotStarted);
        }
        Ok(reported(self.slot.report.subscribe()).await)
    }

    /// The same, but not for longer than `limit`.
    ///
    /// # Errors
    ///
    /// It was not started, or goes on.
    pub async fn wait_timeout(&self, limit: Duration) -> Result<Arc<ExitReport>, LifecycleError> {
        tokio::time::timeout(limit, self.wait())
            .await
            .unwrap_or(Err(LifecycleError::Elapsed))
    }

    /// Starts it if need be, and waits for its end or until `token` is cancelled, whichever
    /// comes first. The service goes on in the latter case.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::Elapsed`] when the token was cancelled first.
    pub async fn run_until(
        &self,
        token: &CancellationToken,
    ) -> Result<Arc<ExitReport>, LifecycleError> {
        // Running already is as good.
        let _ = self.start();
        tokio::select! {
            biased;
            report = self.wait() => report,
            () = token.cancelled() => Err(LifecycleError::Elapsed),
        }
    }
}

/// Waits for a report.
pub(crate) async fn reported(
    mut receiver: watch::Receiver<Option<Arc<ExitReport>>>,
) -> Arc<ExitReport> {
    loop {
        if let Some(report) = &*receiver.borrow_and_update() {
            return Arc::clone(report);
        }
        if receiver.changed().await.is_err() {
            // Its sender lives in the handle that waits, so this cannot come about.
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Display for ServiceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service<{}>", self.slot.name)
    }
}

impl fmt::Debug for ServiceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceHandle")
            .field("name", &self.slot.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
