//! Carries out what the machine wants: the only part that runs services.
//!
//! One local task an orchestrator. It sleeps until somebody has something for it or the
//! machine's next deadline comes; while nothing happens, nothing wakes it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio::time::{sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::context::{Attempt, Context};
use crate::error::{Failure, PanicReport, install_hook};
use crate::hub::{Hub, Orders};
use crate::machine::{Action, Fault, Input, Outcome, UnitId};
use crate::service::{Check, Exit, Parts, Work};
use crate::severable::Severable;
use crate::state::{EventKind, Phase, State};

/// Starts the driver of `hub` on the current thread's runtime.
pub(crate) fn spawn(hub: Arc<Hub>) -> JoinHandle<()> {
    install_hook();
    let driver = Driver {
        hub,
        live: BTreeMap::new(),
    };
    spawn_local(driver.run())
}

struct Driver {
    hub: Arc<Hub>,
    live: BTreeMap<UnitId, Live>,
}

/// A service the driver runs.
struct Live {
    parts: Parts,
    attempt: Option<Arc<Attempt>>,
    run: Option<Severable>,
    hooks: BTreeMap<Phase, Severable>,
    probes: Vec<AbortHandle>,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let Orders {
                actions,
                arrivals,
                deadline,
            } = self.hub.orders();
            for (unit, parts) in arrivals {
                self.live.insert(unit, Live::new(parts));
            }
            let idle = actions.is_empty();
            for action in actions {
                if self.carry_out(action) {
                    return;
                }
            }
            if idle {
                self.wait(deadline).await;
            }
        }
    }

    async fn wait(&self, deadline: Option<Instant>) {
        match deadline {
            None => self.hub.wake.notified().await,
            Some(deadline) => tokio::select! {
                () = self.hub.wake.notified() => {}
                () = sleep_until(deadline.into()) => self.hub.input(Input::Tick),
            },
        }
    }

    /// Whether that was the last of it.
    fn carry_out(&mut self, action: Action) -> bool {
        match action {
            Action::Run { unit, attempt } => self.begin(unit, attempt),
            Action::Drain { unit, until } => {
                if let Some(attempt) = self.attempt(unit) {
                    let deadline = attempt.deadline.lock();
                    *deadline.unwrap_or_else(PoisonError::into_inner) = Some(until);
                    attempt.drain.cancel();
                }
            }
            Action::Abort(unit) => {
                if let Some(attempt) = self.attempt(unit) {
                    attempt.drain.cancel();
                    attempt.abort.cancel();
                }
            }
            Action::Drop(unit, phase) => self.drop_phase(unit, phase),
            Action::Hook(unit, phase) => self.hook(unit, phase),
            Action::Fault(unit, fault) => {
                self.hub
                    .fail(unit, Phase::Run, Failure::Broken(promise(fault)));
            }
            Action::Changed(unit, state) => self.changed(unit, state),
            Action::Finished(unit, cause) => {
                self.live.remove(&unit);
                if let Some((slot, report)) = self.hub.conclude(unit, cause) {
                    let handler = slot.handler.lock();
                    let handler = handler.unwrap_or_else(PoisonError::into_inner).clone();
                    // The handler comes before whoever waits, and cannot keep them waiting by failing.
                    if let Some(handler) = handler.filter(|_| !report.is_clean()) {
                        let called =
                            std::panic::catch_unwind(AssertUnwindSafe(|| handler(&report)));
                        if called.is_err() {
                            tracing::error!(service = %report.path, "its error handler panicked");
                        }
                    }
                    slot.report.send_replace(Some(report));
                }
            }
            Action::Unready(cause) => self.hub.tell(None, EventKind::Unready(cause)),
            Action::Stopping => {
                self.hub.stopping();
                self.hub.tell(None, EventKind::Stopping);
            }
            Action::RunDeferred { until } => {
                spawn_local(run_deferred(Arc::clone(&self.hub), until));
            }
            Action::AllFinished => {
                self.hub.root().cancel();
                let report = self.hub.conclude_all();
                self.hub.tell(None, EventKind::Finished);
                self.hub.outcome.send_replace(Some(report));
                return true;
            }
        }
        false
    }

    fn attempt(&self, unit: UnitId) -> Option<&Arc<Attempt>> {
        self.live.get(&unit)?.attempt.as_ref()
    }

    fn changed(&mut self, unit: UnitId, state: State) {
        if state == State::Ready
            && let Some(live) = self.live.get_mut(&unit)
        {
            live.watch_liveness();
        }
        self.hub.changed(unit, state);
    }

    fn begin(&mut self, unit: UnitId, number: u32) {
        let Some(slot) = self.hub.slot(unit) else {
            return;
        };
        let Some(live) = self.live.get_mut(&unit) else {
            return;
        };
        let path = self.hub.path_of(&slot.name);
        let attempt = Arc::new(Attempt {
            hub: Arc::clone(&self.hub),
            unit,
            path,
            number,
            drain: self.hub.root().child_token(),
            abort: CancellationToken::new(),
            deadline: Mutex::new(None),
        });
        live.stop_probes();
        live.attempt = Some(Arc::clone(&attempt));
        let context = Context::new(attempt);
        live.watch_readiness(&context);
        let hub = Arc::clone(&self.hub);
        let work = called(&live.parts.run, context);
        live.run = Some(Severable::spawn(work, |work| async move {
            let outcome = judged(&hub, unit, Phase::Run, work).await;
            hub.input(Input::RunReturned(unit, outcome));
        }));
    }

    fn hook(&mut self, unit: UnitId, phase: Phase) {
        let Some(live) = self.live.get_mut(&unit) else {
            return;
        };
        let hook = match phase {
            Phase::Shutdown => &live.parts.shutdown,
            Phase::Cleanup => &live.parts.cleanup,
            Phase::Reload => &live.parts.reload,
            Phase::Run => &None,
        };
        let (Some(hook), Some(attempt)) = (hook, &live.attempt) else {
            self.hub
                .input(Input::HookReturned(unit, phase, Outcome::Completed));
            return;
        };
        let hub = Arc::clone(&self.hub);
        let work = called(hook, Context::new(Arc::clone(attempt)));
        let running = Severable::spawn(work, |work| async move {
            let outcome = judged(&hub, unit, phase, work).await;
            hub.input(Input::HookReturned(unit, phase, outcome));
        });
        live.hooks.insert(phase, running);
    }

    fn drop_phase(&mut self, unit: UnitId, phase: Phase) {
        if let Some(live) = self.live.get_mut(&unit) {
            let running = match phase {
                Phase::Run => live.run.take(),
                phase => live.hooks.remove(&phase),
            };
            if let Some(running) = running {
                running.sever();
            }
        }
        self.hub.fail(unit, phase, Failure::Unstopped);
    }
}

const fn promise(fault: Fault) -> &'static str {
    match fault {
        Fault::NeverReady => "ended without having been ready",
        Fault::ReadyTimeout => "was not ready in time",
        Fault::HeartbeatLost => "its heartbeat stopped",
    }
}

/// Calls a factory; one that panics makes work that fails.
fn called(factory: &crate::service::Factory, context: Context) -> Work {
    std::panic::catch_unwind(AssertUnwindSafe(|| factory(context)))
        .unwrap_or_else(|payload| async move { std::panic::resume_unwind(payload) }.boxed_local())
}

/// Runs a part of a service, and notes what went wrong.
async fn judged(hub: &Hub, unit: UnitId, phase: Phase, work: Work) -> Outcome {
    let failure = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(Exit::Done)) => return Outcome::Completed,
        Ok(Ok(Exit::Cancelled)) => return Outcome::Cancelled,
        Ok(Err(error)) => Failure::Error(error.into()),
        Err(payload) => Failure::Panic(PanicReport::from_payload(&*payload)),
    };
    hub.fail(unit, phase, failure);
    Outcome::Failed
}

/// Runs the deferred functions, all at once, until there is no more time.
async fn run_deferred(hub: Arc<Hub>, until: Instant) {
    let functions = hub.take_deferred();
    let calls = functions.into_iter().map(|deferred| {
        let hub = &hub;
        async move {
            let work = std::panic::catch_unwind(AssertUnwindSafe(deferred.function));
            let outcome = match work {
                Ok(work) => timeout_at(until.into(), AssertUnwindSafe(work).catch_unwind()).await,
                Err(payload) => Ok(Err(payload)),
            };
            let failure = match outcome {
                Ok(Ok(Ok(_))) => return,
                Ok(Ok(Err(error))) => Failure::Error(error.into()),
                Ok(Err(payload)) => Failure::Panic(PanicReport::from_payload(&*payload)),
                Err(_) => Failure::Unstopped,
            };
            hub.record_deferred(&deferred.name, failure);
        }
    });
    join_all(calls).await;
    hub.input(Input::DeferredReturned);
}

impl Live {
    fn new(parts: Parts) -> Self {
        Self {
            parts,
            attempt: None,
            run: None,
            hooks: BTreeMap::new(),
            probes: Vec::new(),
        }
    }

    fn stop_probes(&mut self) {
        for probe in self.probes.drain(..) {
            probe.abort();
        }
    }

    fn watch_readiness(&mut self, context: &Context) {
        if let Some((every, check)) = &self.parts.ready_check {
            let asked = ask(check, context.clone(), *every, Context::notify_ready);
            self.probes.push(asked);
        }
    }

    fn watch_liveness(&mut self) {
        let (Some((every, check)), Some(attempt)) = (&self.parts.live_check, &self.attempt) else {
            return;
        };
        let context = Context::new(Arc::clone(attempt));
        let asked = ask(check, context, *every, Context::heartbeat);
        self.probes.push(asked);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop_probes();
        let hooks = self.hooks.values();
        for running in hooks.chain(&self.run) {
            running.sever();
        }
    }
}

/// Asks `check` again and again, and says `good` each time it answers true.
fn ask(check: &Check, context: Context, every: Duration, good: fn(&Context)) -> AbortHandle {
    let check = Arc::clone(check);
    let task = spawn_local(async move {
        loop {
            if check(context.clone()).await {
                good(&context);
            }
            sleep(every).await;
        }
    });
    task.abort_handle()
}
