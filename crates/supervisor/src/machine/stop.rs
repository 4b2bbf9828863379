//! Stopping: one unit, and all in reverse order within a budget.
//!
//! The budget is divided along the longest chain of dependencies: a unit on level n of m
//! must have drained by n/m of it. What one level does not use goes to the next.

use std::time::{Duration, Instant};

use super::{Action, Machine, Outcome, Progress, Unit, UnitId};
use crate::state::{Cause, Phase, State};

/// The part of the budget kept for aborting and clean-up.
const RESERVE_PART: u32 = 10;

/// How far the orchestrator as a whole has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    Running,
    /// A stop was asked for; the services do not know yet.
    StopAsked,
    LameDuck {
        until: Instant,
    },
    Stopping(Window),
    /// The deferred functions run.
    CleaningUp {
        until: Instant,
    },
    Finished,
}

/// The time a stop may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    since: Instant,
    end: Instant,
    levels: u32,
}

impl Window {
    /// When a unit on `level` is to be aborted at the latest.
    fn drained_by(&self, level: u32) -> Instant {
        let usable = self.end.saturating_duration_since(self.since);
        let usable = usable - usable / RESERVE_PART;
        let share = usable.mul_f64(f64::from(level) / f64::from(self.levels.max(1)));
        self.since.checked_add(share).unwrap_or(self.end)
    }
}

fn after(now: Instant, wait: Duration) -> Instant {
    // A wait beyond what the clock can tell is one for a year.
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(wait).unwrap_or_else(|| now + YEAR)
}

impl Machine {
    pub(super) fn stage_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::LameDuck { until } | Stage::CleaningUp { until } => Some(until),
            Stage::Stopping(window) => Some(window.end),
            _ => None,
        }
    }

    pub(super) fn close_all(&mut self, cause: Cause, now: Instant) {
        match self.stage {
            Stage::Pending | Stage::Running => self.begin_stop_of_all(cause),
            // Asked again: somebody is in a hurry.
            Stage::LameDuck { .. } => self.stop_services(now),
            _ => {}
        }
    }

    pub(super) fn begin_stop_of_all(&mut self, cause: Cause) {
        if !self.is_closing() {
            self.cause = Some(cause.clone());
            self.stage = Stage::StopAsked;
            self.actions.push(Action::Unready(cause));
        }
    }

    pub(super) fn abort_all(&mut self, now: Instant) {
        self.begin_stop_of_all(Cause::Closed("abort".into()));
        if !matches!(self.stage, Stage::Stopping(_)) && !self.is_past_services() {
            self.stop_services(now);
        }
        for id in self.units.keys().copied().collect::<Vec<_>>() {
            self.close_unit(id, now);
            if self
                .units
                .get(&id)
                .is_some_and(|it| it.state == State::Draining)
            {
                self.abort_unit(id, now);
            }
        }
    }

    fn is_past_services(&self) -> bool {
        matches!(self.stage, Stage::CleaningUp { .. } | Stage::Finished)
    }

    fn stop_services(&mut self, now: Instant) {
        let levels = self.assign_levels();
        self.count_dependents();
        self.stage = Stage::Stopping(Window {
            since: now,
            end: after(now, self.rules.budget.total),
            levels,
        });
        self.actions.push(Action::Stopping);
    }

    /// Numbers the units by how many stop before them; the largest number.
    fn assign_levels(&mut self) -> u32 {
        let mut largest = 1;
        for unit in self.units.values_mut() {
            unit.level = 1;
        }
        // Dependencies may be younger than what depends on them: as often as a chain is long.
        for _ in 0..self.units.len() {
            let mut changed = false;
            for id in self.units.keys().rev().copied().collect::<Vec<_>>() {
                let Some(unit) = self.units.get(&id) else {
                    continue;
                };
                let level = unit.level + 1;
                for dependency in self.dependencies(unit) {
                    if let Some(unit) = self.units.get_mut(&dependency)
                        && unit.level < level
                    {
                        unit.level = level;
                        largest = largest.max(level);
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        largest
    }

    fn count_dependents(&mut self) {
        let left: Vec<UnitId> = self
            .units
            .values()
            .filter(|unit| unit.state != State::Exited)
            .flat_map(|unit| self.dependencies(unit))
            .collect();
        for unit in self.units.values_mut() {
            unit.dependents = 0;
        }
        for id in left {
            if let Some(unit) = self.units.get_mut(&id) {
                unit.dependents += 1;
            }
        }
    }

    /// A unit has exited: those it needed have one less to wait for.
    pub(super) fn release_dependencies(&mut self, id: UnitId) {
        if !matches!(self.stage, Stage::Stopping(_)) {
            return;
        }
        let Some(unit) = self.units.get(&id) else {
            return;
        };
        for dependency in self.dependencies(unit) {
            if let Some(unit) = self.units.get_mut(&dependency) {
                unit.dependents = unit.dependents.saturating_sub(1);
            }
        }
    }

    /// Takes a stop as far as it can go now.
    pub(super) fn advance_stop(&mut self, now: Instant) {
        if self.stage == Stage::StopAsked {
            let until = after(now, self.rules.budget.lame_duck);
            self.stage = Stage::LameDuck { until };
        }
        if let Stage::LameDuck { until } = self.stage
            && (until <= now || self.units.values().all(Unit::is_over))
        {
            self.stop_services(now);
        }
        if let Stage::Stopping(window) = self.stage {
            self.close_what_can(now);
            if window.end <= now {
                self.drop_everything(now);
            }
            if self.units.values().all(|unit| unit.state == State::Exited) {
                let until = after(now, self.rules.budget.cleanup);
                self.stage = Stage::CleaningUp { until };
                self.actions.push(Action::RunDeferred { until });
            }
        }
    }

    /// Closes, youngest first, every unit that nothing depends on any more.
    fn close_what_can(&mut self, now: Instant) {
        loop {
            let before = self.actions.len();
            let free: Vec<UnitId> = self
                .units
                .iter()
                .rev()
                .filter(|(_, unit)| unit.dependents == 0)
                .map(|(id, _)| *id)
                .collect();
            for id in free {
                self.close_unit(id, now);
            }
            // Some end at once, which frees others.
            if self.actions.len() == before {
                return;
            }
        }
    }

    pub(super) fn deferred_returned(&mut self) {
        if matches!(self.stage, Stage::CleaningUp { .. }) {
            self.stage = Stage::Finished;
            self.actions.push(Action::AllFinished);
        }
    }

    pub(super) fn close_unit_for(&mut self, id: UnitId, cause: Cause, now: Instant) {
        if let Some(unit) = self.units.get_mut(&id)
            && unit.cause.is_none()
            && unit.state != State::Exited
        {
            unit.cause = Some(cause);
            self.close_unit(id, now);
        }
    }

    fn close_unit(&mut self, id: UnitId, now: Instant) {
        let (window, all) = match self.stage {
            Stage::Stopping(window) => (Some(window), self.cause.clone()),
            _ => (None, None),
        };
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        match unit.state {
            State::Exited | State::Aborting | State::Cleaning => return,
            State::Draining if !unit.restarts_after => return,
            _ => {}
        }
        if unit.cause.is_none() {
            unit.cause = all;
        }
        unit.restarts_after = false;
        if unit.run != Progress::Running {
            self.wind_up(id, now);
            return;
        }
        let mut until = after(now, unit.spec.stop.drain);
        if let Some(window) = window {
            until = until.min(window.drained_by(unit.level));
        }
        unit.limit = Some(until);
        self.actions.push(Action::Drain { unit: id, until });
        self.call_shutdown(id);
        self.set_state(id, State::Draining);
    }

    fn call_shutdown(&mut self, id: UnitId) {
        if let Some(unit) = self.units.get_mut(&id)
            && unit.spec.hooks.shutdown
            && unit.shutdown == Progress::Idle
        {
            unit.shutdown = Progress::Running;
            self.actions.push(Action::Hook(id, Phase::Shutdown));
        }
    }

    /// Its work has ended, or never began, and will not begin again.
    pub(super) fn wind_up(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        if unit.attempts == 0 {
            self.finish(id);
            return;
        }
        unit.limit = Some(after(now, unit.spec.stop.drain));
        self.call_shutdown(id);
        self.set_state(id, State::Draining);
        self.clean_up_if_due(id, now);
    }

    /// Clean-up comes after both its work and its shutdown hook.
    pub(super) fn clean_up_if_due(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        if unit.run == Progress::Running
            || unit.shutdown == Progress::Running
            || !matches!(unit.state, State::Draining | State::Aborting)
        {
            return;
        }
        if unit.spec.hooks.cleanup {
            unit.limit = Some(after(now, unit.spec.stop.cleanup));
            self.actions.push(Action::Hook(id, Phase::Cleanup));
            self.set_state(id, State::Cleaning);
        } else {
            self.finish(id);
        }
    }

    fn abort_unit(&mut self, id: UnitId, now: Instant) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.limit = Some(after(now, unit.spec.stop.abort));
            self.actions.push(Action::Abort(id));
            self.set_state(id, State::Aborting);
        }
    }

    /// Does what is due to units whose limit has passed.
    pub(super) fn pass_deadlines(&mut self, now: Instant) {
        let late: Vec<UnitId> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.limit.is_some_and(|limit| limit <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(unit) = self.units.get(&id) else {
                continue;
            };
            match unit.state {
                State::Starting | State::Ready | State::Reloading => {
                    self.give_up_on_attempt(id, now);
                }
                State::Draining => self.abort_unit(id, now),
                State::Aborting | State::Cleaning => self.drop_unit(id, now),
                _ => {}
            }
        }
    }

    fn drop_everything(&mut self, now: Instant) {
        for id in self.units.keys().rev().copied().collect::<Vec<_>>() {
            self.close_unit(id, now);
            self.drop_unit(id, now);
            // Its clean-up, which began only now.
            self.drop_unit(id, now);
        }
    }

    /// It would not stop: whatever of it still runs is dropped.
    fn drop_unit(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        unit.limit = None;
        if unit.state == State::Cleaning {
            unit.failed = true;
            self.actions.push(Action::Drop(id, Phase::Cleanup));
            self.finish(id);
            return;
        }
        if unit.shutdown == Progress::Running {
            unit.failed = true;
            unit.shutdown = Progress::Ended;
            self.actions.push(Action::Drop(id, Phase::Shutdown));
        }
        if unit.run == Progress::Running {
            unit.failed = true;
            self.actions.push(Action::Drop(id, Phase::Run));
            self.run_returned(id, Outcome::Failed, now);
        } else {
            self.clean_up_if_due(id, now);
        }
    }
}
