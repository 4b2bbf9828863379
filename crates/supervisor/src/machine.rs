//! What happens next, as a pure function of what has happened.
//!
//! A [`Machine`] holds the services of one orchestrator as *units*. It is given
//! [`Input`]s with the time they came at, answers with [`Action`]s that somebody else
//! carries out, and names the time at which it wants to be asked again. It knows no
//! clock, task or socket, so that hours of restarts are tested in microseconds.
//!
//! Invariants: a unit has one attempt under way at most; its clean-up is called once, after
//! its work and its shutdown hook have both ended; nothing outlives the stop's budget.

mod order;
mod restart;
mod stop;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use self::stop::Stage;
pub(crate) use self::unit::{Gate, Progress, Unit, UnitSpec};
use crate::policy::{Budget, OnExit, StopPolicy, Strategy};
use crate::state::{Cause, Phase, State};

/// A unit's number; later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UnitId(pub(crate) u64);

/// How something that ran has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    /// It noticed that it was cancelled, though not by us.
    Cancelled,
    Failed,
}

/// What the machine found wrong with a unit by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ended without having been ready.
    NeverReady,
    /// It was not ready in time.
    ReadyTimeout,
    /// Its heartbeat stopped.
    HeartbeatLost,
}

#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The orchestrator starts.
    Start,
    /// All are to stop.
    Close(Cause),
    /// All are to end now.
    Abort,
    CloseUnit(UnitId, Cause),
    Restart(UnitId),
    Reload(UnitId),
    /// Other limits for this unit's stop, and for that of all.
    Limits(UnitId, StopPolicy, Budget),
    Ready(UnitId),
    Heartbeat(UnitId),
    RunReturned(UnitId, Outcome),
    HookReturned(UnitId, Phase, Outcome),
    DeferredReturned,
    /// Time has passed.
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Call its factory and run what it gives, with fresh tokens.
    Run {
        unit: UnitId,
        attempt: u32,
    },
    /// Cancel the attempt's drain token; it will be aborted at this time.
    Drain {
        unit: UnitId,
        until: Instant,
    },
    /// Cancel its abort token too.
    Abort(UnitId),
    /// Drop what is left of this phase: it would not stop.
    Drop(UnitId, Phase),
    /// Call a hook.
    Hook(UnitId, Phase),
    Fault(UnitId, Fault),
    Changed(UnitId, State),
    /// It has ended for good.
    Finished(UnitId, Cause),
    Unready(Cause),
    Stopping,
    /// Run the deferred clean-up functions, until this time.
    RunDeferred {
        until: Instant,
    },
    /// Everything has ended.
    AllFinished,
}

/// How an orchestrator behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) strategy: Strategy,
    pub(crate) budget: Budget,
    /// Whether the orchestrator ends with its last unit, as a group does.
    pub(crate) ends_with_last: bool,
}

#[derive(Debug)]
pub(crate) struct Machine {
    rules: Rules,
    units: BTreeMap<UnitId, Unit>,
    /// The latest unit of each name.
    names: BTreeMap<Arc<str>, UnitId>,
    next: u64,
    stage: Stage,
    cause: Option<Cause>,
    actions: Vec<Action>,
    /// For jitter; any start will do.
    seed: u64,
}

impl Machine {
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            units: BTreeMap::new(),
            names: BTreeMap::new(),
            next: 0,
            stage: Stage::Pending,
            cause: None,
            actions: Vec::new(),
            seed,
        }
    }

    /// Takes in what happened at `now`. What is to be done about it is in [`Self::actions`].
    pub(crate) fn input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Start => self.start(),
            Input::Close(cause) => self.close_all(cause, now),
            Input::Abort => self.abort_all(now),
            Input::CloseUnit(unit, cause) => self.close_unit_for(unit, cause, now),
            Input::Restart(unit) => self.restart_by_hand(unit, now),
            Input::Reload(unit) => self.reload(unit),
            Input::Limits(unit, stop, budget) => {
                self.rules.budget = budget;
                if let Some(unit) = self.units.get_mut(&unit) {
                    unit.spec.stop = stop;
                }
            }
            Input::Ready(unit) => self.became_ready(unit, now),
            Input::Heartbeat(unit) => self.heard(unit, now),
            Input::RunReturned(unit, outcome) => self.run_returned(unit, outcome, now),
            Input::HookReturned(unit, phase, outcome) => {
                self.hook_returned(unit, phase, outcome, now);
            }
            Input::DeferredReturned => self.deferred_returned(),
            Input::Tick => {}
        }
        self.pass_deadlines(now);
        self.start_what_can(now);
        self.advance_stop(now);
    }

    /// What is to be done, in this order. Empties the list.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When [`Input::Tick`] is wanted; `None` while there is nothing to wait for.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let starts = self.may_start();
        let units = self.units.values().filter_map(|unit| match unit.state {
            // Starting is not a matter of time while nobody may start.
            State::Backoff(at) => starts.then_some(at),
            _ => unit.limit,
        });
        units.chain(self.stage_deadline()).min()
    }

    /// Adds a unit, which starts when it can.
    pub(crate) fn add(&mut self, spec: UnitSpec) -> UnitId {
        let id = UnitId(self.next);
        self.next += 1;
        self.names.insert(Arc::clone(&spec.name), id);
        self.units.insert(id, Unit::new(spec));
        id
    }

    /// Forgets a unit that has ended, or never began; the name that is free again.
    pub(crate) fn forget(&mut self, id: UnitId) -> Option<Arc<str>> {
        let name = self.units.remove(&id)?.spec.name;
        if self.names.get(&name) != Some(&id) {
            return None;
        }
        self.names.remove(&name);
        Some(name)
    }

    pub(crate) fn unit(&self, unit: UnitId) -> Option<&Unit> {
        self.units.get(&unit)
    }

    pub(crate) fn units(&self) -> impl DoubleEndedIterator<Item = (UnitId, &Unit)> {
        self.units.iter().map(|(id, unit)| (*id, unit))
    }

    /// Why all stop, once they do.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    pub(crate) const fn budget(&self) -> Budget {
        self.rules.budget
    }

    pub(crate) fn is_started(&self) -> bool {
        self.stage != Stage::Pending
    }

    /// Whether a stop has begun.
    pub(crate) fn is_closing(&self) -> bool {
        !matches!(self.stage, Stage::Pending | Stage::Running)
    }

    fn start(&mut self) {
        if self.stage == Stage::Pending {
            self.stage = Stage::Running;
        }
    }

    fn set_state(&mut self, id: UnitId, state: State) {
        if let Some(unit) = self.units.get_mut(&id)
            && unit.state != state
        {
            unit.state = state.clone();
            self.actions.push(Action::Changed(id, state));
        }
    }

    /// Starts each unit whose time has come and whose dependencies are met, oldest first.
    fn start_what_can(&mut self, now: Instant) {
        // One that is ready at once may be what an older one waits for.
        while self.start_pass(now) {}
    }

    /// Those that restart together wait for the last of them to have ended.
    fn may_start(&self) -> bool {
        self.stage == Stage::Running && !self.units.values().any(Unit::is_cycling)
    }

    /// Whether any was started.
    fn start_pass(&mut self, now: Instant) -> bool {
        if !self.may_start() {
            return false;
        }
        let mut any = false;
        for id in self.units.keys().copied().collect::<Vec<_>>() {
            let Some(unit) = self.units.get(&id) else {
                continue;
            };
            match unit.state {
                State::Pending | State::Blocked(_) => {}
                State::Backoff(at) if at <= now => {}
                _ => continue,
            }
            match self.blocked_on(unit) {
                Some(name) => self.set_state(id, State::Blocked(name)),
                None => {
                    self.begin_attempt(id, now);
                    any = true;
                }
            }
        }
        any
    }

    fn begin_attempt(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let attempt = unit.begin(now);
        let state = match unit.spec.gate {
            Gate::Immediate => State::Ready,
            Gate::Within(_) => State::Starting,
        };
        self.actions.push(Action::Run { unit: id, attempt });
        self.set_state(id, state);
    }

    fn became_ready(&mut self, id: UnitId, now: Instant) {
        if let Some(unit) = self.units.get_mut(&id)
            && unit.state == State::Starting
        {
            unit.ready(now);
            self.set_state(id, State::Ready);
        }
    }

    fn heard(&mut self, id: UnitId, now: Instant) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.beat(now);
        }
    }

    fn reload(&mut self, id: UnitId) {
        if self.units.get(&id).is_some_and(Unit::can_reload) {
            self.actions.push(Action::Hook(id, Phase::Reload));
            self.set_state(id, State::Reloading);
        }
    }

    fn run_returned(&mut self, id: UnitId, outcome: Outcome, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        if unit.run != Progress::Running {
            return;
        }
        unit.run = Progress::Ended;
        unit.limit = None;
        match unit.state {
            State::Starting if outcome == Outcome::Completed => {
                self.actions.push(Action::Fault(id, Fault::NeverReady));
                self.ended_by_itself(id, Outcome::Failed, now);
            }
            State::Starting | State::Ready | State::Reloading => {
                self.ended_by_itself(id, outcome, now);
            }
            _ if unit.is_faulty => self.ended_by_itself(id, Outcome::Failed, now),
            _ if unit.restarts_after => self.come_back(id, now),
            _ => self.clean_up_if_due(id, now),
        }
    }

    fn hook_returned(&mut self, id: UnitId, phase: Phase, outcome: Outcome, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        if outcome == Outcome::Failed {
            unit.failed = true;
        }
        match phase {
            Phase::Shutdown if unit.shutdown == Progress::Running => {
                unit.shutdown = Progress::Ended;
                self.clean_up_if_due(id, now);
            }
            Phase::Cleanup if unit.state == State::Cleaning => self.finish(id),
            Phase::Reload if unit.state == State::Reloading => self.set_state(id, State::Ready),
            _ => {}
        }
    }

    /// A unit has ended for good: who else does that concern?
    fn finish(&mut self, id: UnitId) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        unit.limit = None;
        let cause = unit.cause.clone().unwrap_or(Cause::Returned);
        let name = Arc::clone(&unit.spec.name);
        let concerns_all = match unit.spec.on_exit {
            OnExit::Ignore => false,
            OnExit::StopAll => true,
            OnExit::FailAll => unit.failed,
        };
        let by_itself = unit.cause.is_none();
        self.set_state(id, State::Exited);
        self.actions.push(Action::Finished(id, cause));
        self.release_dependencies(id);
        if concerns_all && by_itself && self.stage == Stage::Running {
            self.begin_stop_of_all(Cause::Exited(name));
        } else if self.rules.ends_with_last
            && self.stage == Stage::Running
            && self.units.values().all(Unit::is_over)
        {
            self.begin_stop_of_all(Cause::Returned);
        }
    }
}
