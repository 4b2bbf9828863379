//! The meeting place of an orchestrator: its machine, and what waits to be done about it.
//!
//! Everybody who has something to say, on whatever thread, says it here; the machine's
//! answer is queued for the [driver](crate::driver), which alone runs the services.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, Values};
use crate::deferred::{DEFERRED_MAX, DeferError, Deferred};
use crate::error::{AddError, BoxError, Failure, LifecycleError, ServiceError};
use crate::machine::{Action, Input, Machine, Rules, UnitId};
use crate::policy::Budget;
use crate::pools::Pools;
use crate::report::{ErrorLog, ExitReport, Timeline, Unstopped};
use crate::service::{ErrorHandler, Parts, Service};
use crate::state::{Cause, Event, EventKind, Phase, State, Status};

/// How many events a slow subscriber may lag behind before it misses some.
pub const EVENTS_KEPT: usize = 1024;

/// Sizes and names of an orchestrator.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) path: Arc<str>,
    pub(crate) rules: Rules,
    /// How many errors of one service are kept, and how many of all.
    pub(crate) errors_max: usize,
}

pub(crate) struct Hub {
    pub(crate) setup: Setup,
    shared: Mutex<Shared>,
    values: Mutex<Values>,
    /// What the orchestrator itself was given, if it runs as a service of another one.
    above: OnceLock<Context>,
    pub(crate) pools: Mutex<Pools>,
    /// Wakes the driver.
    pub(crate) wake: Notify,
    pub(crate) events: broadcast::Sender<Event>,
    /// The report of the whole, once there is one.
    pub(crate) outcome: watch::Sender<Option<Arc<ExitReport>>>,
    root: CancellationToken,
}

struct Shared {
    machine: Machine,
    /// What the machine wants done. Bounded by what came in since the driver last looked.
    actions: VecDeque<Action>,
    /// Services the driver has not taken over yet.
    arrivals: Vec<(UnitId, Parts)>,
    records: BTreeMap<UnitId, Record>,
    deferred: Option<Vec<Deferred>>,
    errors: ErrorLog,
    unstopped: Vec<Unstopped>,
    timeline: Timeline,
}

/// What is known of a service besides where it stands.
pub(crate) struct Record {
    pub(crate) slot: Arc<Slot>,
    path: Arc<str>,
    note: Option<Arc<str>>,
    errors: ErrorLog,
    unstopped: Vec<Unstopped>,
    timeline: Timeline,
}

/// The part of a service that its handles share, and that outlives its removal.
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    pub(crate) handler: Mutex<Option<ErrorHandler>>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) report: watch::Sender<Option<Arc<ExitReport>>>,
}

impl Hub {
    pub(crate) fn new(setup: Setup, values: Values) -> Arc<Self> {
        let seed = seed(&setup.path);
        Arc::new(Self {
            shared: Mutex::new(Shared {
                machine: Machine::new(setup.rules, seed),
                actions: VecDeque::new(),
                arrivals: Vec::new(),
                records: BTreeMap::new(),
                deferred: Some(Vec::new()),
                errors: ErrorLog::new(setup.errors_max),
                unstopped: Vec::new(),
                timeline: Timeline::default(),
            }),
            values: Mutex::new(values),
            above: OnceLock::new(),
            pools: Mutex::new(Pools::new()),
            wake: Notify::new(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            outcome: watch::Sender::new(None),
            root: CancellationToken::new(),
            setup,
        })
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No service runs under this lock, so it is poisoned by a defect of ours only.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared_values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn above(&self) -> Option<&Context> {
        self.above.get()
    }

    /// Runs below `context` from now on. One run has one place: a second is not heard.
    pub(crate) fn place_below(&self, context: Context) {
        self.above.get_or_init(|| context);
    }

    pub(crate) fn root(&self) -> &CancellationToken {
        &self.root
    }

    pub(crate) fn input(&self, input: Input) {
        let mut shared = self.shared();
        shared.input(input);
        let idle = shared.actions.is_empty();
        drop(shared);
        if !idle {
            self.wake.notify_one();
        }
    }

    /// What a unit says, if it is still in that attempt.
    pub(crate) fn input_from(&self, unit: UnitId, attempt: u32, input: Input) {
        let mut shared = self.shared();
        let current = shared.machine.unit(unit).map(|unit| unit.attempts);
        if current != Some(attempt) {
            return;
        }
        let before = shared.machine.next_deadline();
        shared.input(input);
        // A heartbeat only moves a deadline away: the driver finds out when it looks.
        let wanted = !shared.actions.is_empty()
            || before.is_none() && shared.machine.next_deadline().is_some();
        drop(shared);
        if wanted {
            self.wake.notify_one();
        }
    }

    pub(crate) fn start(&self) -> Result<(), LifecycleError> {
        let mut shared = self.shared();
        if self.outcome.borrow().is_some() {
            return Err(LifecycleError::Returned);
        }
        if shared.machine.is_started() {
            return Err(LifecycleError::AlreadyStarted);
        }
        shared.timeline.started = Some(Instant::now().into_std());
        shared.input(Input::Start);
        Ok(())
    }

    pub(crate) fn is_started(&self) -> bool {
        self.shared().machine.is_started()
    }

    pub(crate) fn add(&self, service: Service) -> Result<(UnitId, Arc<Slot>), AddError> {
        let Service {
            spec,
            parts,
            on_error,
        } = service;
        let name = Arc::clone(&spec.name);
        let mut shared = self.shared();
        if shared.machine.is_closing() {
            return Err(AddError::Closing { name });
        }
        let present = shared.machine.by_name(&name);
        let present = present.and_then(|id| Some((id, shared.machine.unit(id)?.state.clone())));
        match present {
            Some((id, State::Exited)) if shared.is_concluded(id) => {
                shared.forget(id);
            }
            Some(_) => return Err(AddError::Duplicate { name }),
            None => {}
        }
        let dependencies: Vec<_> = spec.requires.iter().chain(&spec.wants).cloned().collect();
        if let Some(circle) = shared.machine.circle(&name, &dependencies) {
            return Err(AddError::Circle { circle });
        }
        let id = shared.machine.add(spec);
        let slot = Arc::new(Slot {
            name: Arc::clone(&name),
            handler: Mutex::new(on_error),
            state: watch::Sender::new(State::Pending),
            report: watch::Sender::new(None),
        });
        let record = Record {
            slot: Arc::clone(&slot),
            path: self.path_of(&name),
            note: None,
            errors: ErrorLog::new(self.setup.errors_max),
            unstopped: Vec::new(),
            timeline: Timeline::default(),
        };
        shared.records.insert(id, record);
        shared.arrivals.push((id, parts));
        if shared.machine.is_started() {
            shared.input(Input::Tick);
            drop(shared);
            self.wake.notify_one();
        }
        Ok((id, slot))
    }

    /// The path of one of its services. A service by itself is its own orchestrator.
    pub(crate) fn path_of(&self, name: &str) -> Arc<str> {
        if *self.setup.path == *name {
            Arc::clone(&self.setup.path)
        } else {
            format!("{}/{name}", self.setup.path).into()
        }
    }

    /// Forgets a service that has ended.
    pub(crate) fn forget(&self, unit: UnitId) {
        // In this order, as where pools are added: nobody takes the name in between.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = self.shared().forget(unit).and_then(|it| pools.remove(&it));
        drop(pools);
        // Jobs it has may look for pools themselves as they are dropped.
        drop(pool);
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<UnitId> {
        self.shared().machine.by_name(name)
    }

    pub(crate) fn slot(&self, unit: UnitId) -> Option<Arc<Slot>> {
        let shared = self.shared();
        shared.records.get(&unit).map(|it| Arc::clone(&it.slot))
    }

    pub(crate) fn state(&self, unit: UnitId) -> Option<(State, u32)> {
        let shared = self.shared();
        let unit = shared.machine.unit(unit)?;
        Some((unit.state.clone(), unit.attempts))
    }

    pub(crate) fn list(&self) -> Vec<Status> {
        let shared = self.shared();
        let units = shared.machine.units();
        units
            .filter_map(|(id, unit)| {
                let record = shared.records.get(&id)?;
                let timeline = record.timeline;
                Some(Status {
                    name: Arc::clone(&unit.spec.name),
                    state: unit.state.clone(),
                    attempts: unit.attempts,
                    note: record.note.clone(),
                    last_error: record.errors.last().map(|it| it.to_string().into()),
                    ready_after: timeline
                        .ready
                        .zip(timeline.started)
                        .map(|(ready, started)| ready.saturating_duration_since(started)),
                })
            })
            .collect()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.shared().machine.is_closing()
    }

    pub(crate) fn budget(&self) -> Budget {
        self.shared().machine.budget()
    }

    pub(crate) fn note(&self, unit: UnitId, note: Arc<str>) {
        if let Some(record) = self.shared().records.get_mut(&unit) {
            record.note = Some(note);
        }
    }

    pub(crate) fn defer(&self, deferred: Deferred) -> Result<(), DeferError> {
        let mut shared = self.shared();
        let list = shared.deferred.as_mut().ok_or(DeferError::Begun)?;
        if list.len() >= DEFERRED_MAX {
            return Err(DeferError::Full);
        }
        list.push(deferred);
        Ok(())
    }

    /// The deferred functions; there are no more after this.
    pub(crate) fn take_deferred(&self) -> Vec<Deferred> {
        self.shared().deferred.take().unwrap_or_default()
    }

    pub(crate) fn tell(&self, service: Option<Arc<str>>, kind: EventKind) {
        // Nobody may be listening.
        let _ = self.events.send(Event { service, kind });
    }
}

/// What the driver finds to do.
pub(crate) struct Orders {
    pub(crate) actions: VecDeque<Action>,
    pub(crate) arrivals: Vec<(UnitId, Parts)>,
    pub(crate) deadline: Option<std::time::Instant>,
}

/// For the driver.
impl Hub {
    pub(crate) fn orders(&self) -> Orders {
        let mut shared = self.shared();
        Orders {
            actions: std::mem::take(&mut shared.actions),
            arrivals: std::mem::take(&mut shared.arrivals),
            deadline: shared.machine.next_deadline(),
        }
    }

    pub(crate) fn record_error(&self, error: BoxError) {
        let error = ServiceError {
            path: Arc::clone(&self.setup.path),
            phase: Phase::Run,
            attempt: 0,
            failure: Failure::Error(error.into()),
        };
        self.shared().errors.push(Arc::new(error));
    }

    pub(crate) fn record_deferred(&self, name: &str, failure: Failure) {
        let error = ServiceError {
            path: self.path_of(name),
            phase: Phase::Cleanup,
            attempt: 0,
            failure,
        };
        let mut shared = self.shared();
        if let Failure::Unstopped = error.failure {
            shared.unstopped.push(Unstopped {
                path: error.path,
                phase: Phase::Cleanup,
            });
        } else {
            shared.errors.push(Arc::new(error));
        }
    }

    /// Notes what went wrong with a unit.
    pub(crate) fn fail(&self, unit: UnitId, phase: Phase, failure: Failure) {
        let mut shared = self.shared();
        let attempt = shared.machine.unit(unit).map_or(0, |unit| unit.attempts);
        let Some(record) = shared.records.get_mut(&unit) else {
            return;
        };
        let name = Arc::clone(&record.slot.name);
        let error = ServiceError {
            path: Arc::clone(&record.path),
            phase,
            attempt,
            failure,
        };
        let kind = if let Failure::Unstopped = error.failure {
            record.unstopped.push(Unstopped {
                path: error.path,
                phase,
            });
            EventKind::Unstopped(phase)
        } else {
            let text: Arc<str> = error.to_string().into();
            record.errors.push(Arc::new(error));
            EventKind::Failed(text)
        };
        drop(shared);
        self.tell(Some(name), kind);
    }

    /// Takes over the errors of an orchestrator below.
    pub(crate) fn inherit(&self, unit: UnitId, report: &ExitReport) {
        let mut shared = self.shared();
        if let Some(record) = shared.records.get_mut(&unit) {
            for error in &report.errors {
                record.errors.push(Arc::clone(error));
            }
            record.errors.suppress(report.suppressed);
            record.unstopped.extend(report.unstopped.iter().cloned());
        }
    }

    pub(crate) fn changed(&self, unit: UnitId, state: State) {
        let mut shared = self.shared();
        let now = Instant::now().into_std();
        let Some(record) = shared.records.get_mut(&unit) else {
            return;
        };
        let slot = Arc::clone(&record.slot);
        let timeline = &mut record.timeline;
        match state {
            State::Starting => timeline.started = timeline.started.or(Some(now)),
            State::Ready => {
                timeline.started = timeline.started.or(Some(now));
                timeline.ready = timeline.ready.or(Some(now));
            }
            State::Draining => timeline.stopping = timeline.stopping.or(Some(now)),
            _ => {}
        }
        drop(shared);
        slot.state.send_replace(state.clone());
        self.tell(Some(Arc::clone(&slot.name)), EventKind::Changed(state));
    }

    /// The report of a unit that has ended; its errors become the orchestrator's.
    pub(crate) fn conclude(
        &self,
        unit: UnitId,
        cause: Cause,
    ) -> Option<(Arc<Slot>, Arc<ExitReport>)> {
        let mut shared = self.shared();
        let shared = &mut *shared;
        let attempts = shared.machine.unit(unit).map_or(0, |unit| unit.attempts);
        let record = shared.records.get_mut(&unit)?;
        record.timeline.ended = Some(Instant::now().into_std());
        let (errors, suppressed) = record.errors.to_parts();
        for error in &errors {
            shared.errors.push(Arc::clone(error));
        }
        shared.errors.suppress(suppressed);
        shared.unstopped.extend(record.unstopped.iter().cloned());
        let report = ExitReport {
            path: Arc::clone(&record.path),
            cause,
            attempts,
            errors,
            suppressed,
            unstopped: record.unstopped.clone().into(),
            timeline: record.timeline,
        };
        Some((Arc::clone(&record.slot), Arc::new(report)))
    }

    pub(crate) fn stopping(&self) {
        let now = Instant::now().into_std();
        self.shared().timeline.stopping.get_or_insert(now);
    }

    /// The report of the whole.
    pub(crate) fn conclude_all(&self) -> Arc<ExitReport> {
        let mut shared = self.shared();
        shared.timeline.ended = Some(Instant::now().into_std());
        let (errors, suppressed) = shared.errors.to_parts();
        Arc::new(ExitReport {
            path: Arc::clone(&self.setup.path),
            cause: shared.machine.cause().cloned().unwrap_or(Cause::Returned),
            attempts: 1,
            errors,
            suppressed,
            unstopped: shared.unstopped.clone().into(),
            timeline: shared.timeline,
        })
    }
}

impl Shared {
    fn input(&mut self, input: Input) {
        self.machine.input(input, Instant::now().into_std());
        self.actions.extend(self.machine.actions());
    }

    /// Whether its report is out: whoever forgets it before leaves those who wait without one.
    fn is_concluded(&self, unit: UnitId) -> bool {
        let record = self.records.get(&unit);
        record.is_none_or(|it| it.slot.report.borrow().is_some())
    }

    /// The name that is free again, if it had one to itself.
    fn forget(&mut self, unit: UnitId) -> Option<Arc<str>> {
        let name = self.machine.forget(unit);
        self.records.remove(&unit);
        self.arrivals.retain(|(id, _)| *id != unit);
        name
    }
}

/// Another start for each orchestrator's jitter.
fn seed(path: &str) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(path)
}
