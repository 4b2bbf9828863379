//! What becomes of a unit that ended by itself, or is to start anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Action, Fault, Gate, Machine, Outcome, Progress, UnitId};
use crate::policy::{Backoff, Exhausted, Restart, Strategy};
use crate::state::{Cause, State};

/// What the policy says.
enum Verdict {
    Again(Instant),
    Over,
    Exhausted(Exhausted),
}

impl Machine {
    pub(super) fn ended_by_itself(&mut self, id: UnitId, outcome: Outcome, now: Instant) {
        let chance = self.chance();
        let is_closing = self.is_closing();
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        unit.failed |= outcome == Outcome::Failed;
        unit.is_faulty = false;
        let backoff = match (&unit.spec.restart, outcome) {
            _ if is_closing || unit.cause.is_some() => None,
            (Restart::OnFailure(backoff), Outcome::Failed) => Some(backoff.clone()),
            (Restart::Always(backoff), Outcome::Failed | Outcome::Completed) => {
                Some(backoff.clone())
            }
            _ => None,
        };
        let verdict = match backoff {
            None => Verdict::Over,
            Some(backoff) => self.again(id, &backoff, chance, now),
        };
        match verdict {
            Verdict::Again(at) => {
                self.set_state(id, State::Backoff(at));
                self.restart_with(id, now);
            }
            Verdict::Over => self.wind_up(id, now),
            Verdict::Exhausted(Exhausted::Park) => self.set_state(id, State::Parked),
            Verdict::Exhausted(Exhausted::Escalate) => {
                let name = self.units.get(&id).map(|unit| Arc::clone(&unit.spec.name));
                self.wind_up(id, now);
                self.begin_stop_of_all(Cause::Escalated(name.unwrap_or_default()));
            }
        }
    }

    fn again(&mut self, id: UnitId, backoff: &Backoff, chance: f64, now: Instant) -> Verdict {
        let Some(unit) = self.units.get_mut(&id) else {
            return Verdict::Over;
        };
        let began = unit.began.unwrap_or(now);
        if now.saturating_duration_since(began) >= backoff.reset_after {
            unit.consecutive = 0;
        }
        if let Some(intensity) = backoff.intensity {
            while unit
                .restarts
                .front()
                .is_some_and(|&earlier| now.saturating_duration_since(earlier) > intensity.within)
            {
                unit.restarts.pop_front();
            }
            if unit.restarts.len() >= intensity.restarts {
                return Verdict::Exhausted(backoff.exhausted);
            }
            unit.restarts.push_back(now);
        }
        let pause = backoff.pause(unit.consecutive, chance);
        unit.consecutive = unit.consecutive.saturating_add(1);
        let earliest = began.checked_add(backoff.min_interval).unwrap_or(now);
        let at = now.checked_add(pause).unwrap_or(now).max(earliest);
        Verdict::Again(at)
    }

    /// A number from 0 to 1 (SplitMix64).
    fn chance(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(high) / f64::from(u32::MAX)
    }

    /// Ends, to start them again, those whom the restart of `id` concerns.
    fn restart_with(&mut self, id: UnitId, now: Instant) {
        let concerned: Vec<UnitId> = match self.rules.strategy {
            Strategy::OneForOne => return,
            Strategy::OneForAll => self.units.keys().copied().collect(),
            Strategy::RestForOne => self.units.range(id..).map(|(id, _)| *id).collect(),
        };
        for other in concerned.into_iter().rev().filter(|other| *other != id) {
            self.cycle(other, now);
        }
    }

    /// Ends a running unit to start it again.
    fn cycle(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        if unit.run != Progress::Running || !unit.state.is_running() {
            return;
        }
        unit.restarts_after = true;
        let until = now.checked_add(unit.spec.stop.drain).unwrap_or(now);
        unit.limit = Some(until);
        self.actions.push(Action::Drain { unit: id, until });
        self.set_state(id, State::Draining);
    }

    /// A cycled unit has ended.
    pub(super) fn come_back(&mut self, id: UnitId, now: Instant) {
        if self.is_closing() {
            self.wind_up(id, now);
        } else {
            self.set_state(id, State::Backoff(now));
        }
    }

    pub(super) fn restart_by_hand(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        match unit.state {
            State::Parked | State::Backoff(_) => {
                unit.restarts.clear();
                unit.consecutive = 0;
                unit.failed = false;
                self.set_state(id, State::Backoff(now));
            }
            _ => self.cycle(id, now),
        }
    }

    /// A unit has not kept to what it promised: it is ended, and its policy asked.
    pub(super) fn give_up_on_attempt(&mut self, id: UnitId, now: Instant) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let fault = match (&unit.state, unit.spec.gate) {
            (State::Starting, Gate::Within(_)) => Fault::ReadyTimeout,
            _ => Fault::HeartbeatLost,
        };
        unit.is_faulty = true;
        unit.failed = true;
        unit.limit = now.checked_add(unit.spec.stop.abort.max(Duration::from_millis(1)));
        self.actions.push(Action::Fault(id, fault));
        self.actions.push(Action::Abort(id));
        self.set_state(id, State::Aborting);
    }
}
