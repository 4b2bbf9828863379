//! Active checks: whether endpoints take connections, asked off the workers.
//!
//! One [`HealthChecker`] runs on the control thread and checks each endpoint once, however
//! many workers and sites use it. Chains ask its [`HealthHandle`] to
//! [`watch`](HealthHandle::watch) an endpoint while they are built, and read the [`Health`]
//! without waiting. A chain that replaces another finds what its predecessor knew; so does
//! one whose checks have other limits. Nobody is checked whom nobody watches.

mod probe;
mod standing;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, Semaphore};

pub use self::probe::{ConnectProbe, Probe};
pub use self::standing::Thresholds;
use self::standing::{Answer, Standing, Transition};
use crate::upstream::EndpointAddress;

/// How many endpoints are asked at once; others wait for their turn.
pub const PROBES_MAX: usize = 64;

/// How endpoints are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// From one answer to the next question.
    pub interval: Duration,
    /// After this long, no answer is one.
    pub timeout: Duration,
    /// How many answers in a row change what is thought of the endpoint.
    pub thresholds: Thresholds,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            thresholds: Thresholds::default(),
        }
    }
}

/// What is thought of one endpoint: kept up to date while this or a clone of it lives.
#[derive(Clone)]
pub struct Health(Arc<Checked>);

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("endpoint", &self.0.name)
            .field("is_healthy", &self.is_healthy())
            .finish_non_exhaustive()
    }
}

impl Health {
    /// Whether the endpoint is thought to take connections. No lock, no wait.
    pub fn is_healthy(&self) -> bool {
        self.0.is_healthy.load(Ordering::Relaxed)
    }
}

struct Checked {
    name: Box<str>,
    check: HealthCheck,
    is_healthy: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// Where it is asked; that of whoever watched it last.
    address: EndpointAddress,
    standing: Standing,
}

/// Creates a checker and the handle to it.
pub fn checker() -> (HealthHandle, HealthChecker) {
    let handle = HealthHandle::default();
    let registry = Arc::clone(&handle.registry);
    (handle, HealthChecker { registry })
}

/// Where chains ask for the health of endpoints; cheap to clone, the same for every worker.
#[derive(Clone, Default)]
pub struct HealthHandle {
    registry: Arc<Registry>,
}

impl fmt::Debug for HealthHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthHandle").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Registry {
    endpoints: Mutex<Endpoints>,
    /// Told when `Endpoints::new` has got something.
    changed: Notify,
}

#[derive(Default)]
struct Endpoints {
    /// By address; one for each way it is checked.
    watched: HashMap<Box<str>, Vec<Weak<Checked>>>,
    /// Not yet known to the checker.
    new: Vec<Weak<Checked>>,
}

impl HealthHandle {
    /// The health of the endpoint at `address`, checked from now on and until every clone
    /// of the answer is dropped. It counts as healthy until checks say otherwise.
    ///
    /// Takes a lock for a moment: call it while building, not for each request.
    pub fn watch(&self, address: &EndpointAddress, check: HealthCheck) -> Health {
        let name: Box<str> = address.to_string().into();
        let mut endpoints = self.registry.lock();
        let entry = endpoints.watched.entry(name.clone()).or_default();
        entry.retain(|checked| checked.strong_count() > 0);
        let known: Vec<_> = entry.iter().filter_map(Weak::upgrade).collect();
        if let Some(same) = known.iter().find(|checked| checked.check == check) {
            same.state().address = address.clone();
            return Health(Arc::clone(same));
        }
        let standing = known.first().map(|checked| checked.state().standing);
        let standing = standing.unwrap_or_default();
        let checked = Arc::new(Checked {
            name,
            check,
            is_healthy: AtomicBool::new(standing.is_healthy()),
            state: Mutex::new(State {
                address: address.clone(),
                standing,
            }),
        });
        entry.push(Arc::downgrade(&checked));
        endpoints.new.push(Arc::downgrade(&checked));
        drop(endpoints);
        self.registry.changed.notify_one();
        Health(checked)
    }

    /// All endpoints that are watched, by address, and whether each is healthy by all ways
    /// it is checked.
    pub fn all(&self) -> Vec<(Box<str>, bool)> {
        let endpoints = self.registry.lock();
        let mut all: Vec<_> = endpoints
            .watched
            .iter()
            .filter_map(|(name, checked)| {
                let known: Vec<_> = checked.iter().filter_map(Weak::upgrade).collect();
                let healthy = |it: &Arc<Checked>| it.is_healthy.load(Ordering::Relaxed);
                (!known.is_empty()).then(|| (name.clone(), known.iter().all(healthy)))
            })
            .collect();
        all.sort();
        all
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Endpoints> {
        // Nothing panics while holding it half-changed.
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn prune(&self) {
        self.lock().watched.retain(|_, checked| {
            checked.retain(|checked| checked.strong_count() > 0);
            !checked.is_empty()
        });
    }
}

impl Checked {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, answer: &Result<(), String>) {
        let answer = match answer {
            Ok(()) => Answer::Good,
            Err(_) => Answer::Bad,
        };
        let mut state = self.state();
        let transition = state.standing.input(answer, self.check.thresholds);
        self.is_healthy
            .store(state.standing.is_healthy(), Ordering::Relaxed);
        drop(state);
        let endpoint = &*self.name;
        match transition {
            None => {}
            Some(Transition::Recovered) => tracing::info!(endpoint, "the endpoint is healthy"),
            Some(Transition::Failed) => tracing::warn!(endpoint, "the endpoint is unhealthy"),
        }
    }
}

/// Checks endpoints until it is told to stop.
pub struct HealthChecker {
    registry: Arc<Registry>,
}

impl fmt::Debug for HealthChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecker").finish_non_exhaustive()
    }
}

impl HealthChecker {
    /// Runs until `shutdown` ends. Needs a tokio runtime with time enabled; all waiting is
    /// done here, on one task. What was found stays readable.
    pub async fn run<P: Probe>(self, probe: P, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let turns = Semaphore::new(PROBES_MAX);
        let mut checking = FuturesUnordered::new();
        loop {
            let new = std::mem::take(&mut self.registry.lock().new);
            checking.extend(new.into_iter().map(|it| check(it, &probe, &turns)));
            tokio::select! {
                () = &mut shutdown => return,
                () = self.registry.changed.notified() => {}
                Some(()) = checking.next() => self.registry.prune(),
            }
        }
    }
}

/// Asks one endpoint again and again, for as long as somebody wants to know.
async fn check<P: Probe>(checked: Weak<Checked>, probe: &P, turns: &Semaphore) {
    while let Some(watched) = checked.upgrade() {
        let (check, address) = (watched.check, watched.state().address.clone());
        drop(watched);
        let answer = {
            // Held for its drop. The semaphore is never closed.
            let _turn = turns.acquire().await;
            tokio::time::timeout(check.timeout, probe.probe(&address)).await
        };
        let answer = match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        let Some(watched) = checked.upgrade() else {
            return;
        };
        if let Err(why) = &answer {
            tracing::debug!(endpoint = &*watched.name, why, "a health check failed");
        }
        watched.record(&answer);
        drop(watched);
        tokio::time::sleep(check.interval).await;
    }
}

#[cfg(test)]
mod tests;
