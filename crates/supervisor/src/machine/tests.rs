//! Any order of events keeps what the machine promises.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::unit::Hooks;
use super::*;
use crate::policy::{Backoff, Exhausted, Intensity, Restart, Strategy};

/// A unit whose every trait is drawn from a number.
fn drawn(name: &str, number: u32, earlier: &[String]) -> UnitSpec {
    let bit = |position: u32| number >> position & 1 == 1;
    let backoff = Backoff {
        intensity: Some(Intensity {
            restarts: 3,
            within: Duration::from_secs(10),
        }),
        exhausted: if bit(0) {
            Exhausted::Park
        } else {
            Exhausted::Escalate
        },
        ..Backoff::default()
    };
    UnitSpec {
        requires: match earlier.last() {
            Some(last) if bit(1) => vec![last.as_str().into()],
            _ => Vec::new(),
        },
        gate: if bit(2) {
            Gate::Within(Duration::from_secs(2))
        } else {
            Gate::Immediate
        },
        heartbeat: bit(3).then_some(Duration::from_secs(3)),
        restart: match number >> 4 & 3 {
            0 => Restart::Never,
            1 => Restart::OnFailure(backoff),
            _ => Restart::Always(backoff),
        },
        on_exit: match number >> 6 & 3 {
            0 => OnExit::StopAll,
            1 => OnExit::FailAll,
            _ => OnExit::Ignore,
        },
        hooks: Hooks {
            shutdown: bit(8),
            cleanup: bit(9),
            reload: bit(10),
        },
        ..UnitSpec::named(name)
    }
}

/// What the machine believes to be running, checked at each of its actions.
#[derive(Default)]
struct World {
    runs: BTreeMap<UnitId, bool>,
    hooks: BTreeMap<(UnitId, u8), bool>,
    cleaned: BTreeMap<UnitId, u32>,
    finished: BTreeMap<UnitId, u32>,
    all_finished: bool,
}

const fn index(phase: Phase) -> u8 {
    phase as u8
}

impl World {
    fn see(&mut self, action: &Action) {
        assert!(!self.all_finished, "{action:?} after the end");
        match *action {
            Action::Run { unit, .. } => {
                let before = self.runs.insert(unit, true);
                assert_ne!(before, Some(true), "two attempts of {unit:?} at once");
                assert!(
                    !self.finished.contains_key(&unit),
                    "{unit:?} runs after its end"
                );
            }
            Action::Hook(unit, phase) => {
                if phase == Phase::Cleanup {
                    *self.cleaned.entry(unit).or_default() += 1;
                    assert_ne!(self.runs.get(&unit), Some(&true), "cleaned while it runs");
                    let shutdown = self.hooks.get(&(unit, index(Phase::Shutdown)));
                    assert_ne!(shutdown, Some(&true), "cleaned while it shuts down");
                }
                let before = self.hooks.insert((unit, index(phase)), true);
                assert!(phase == Phase::Reload || before.is_none(), "{phase} twice");
            }
            Action::Drop(unit, Phase::Run) => {
                self.runs.insert(unit, false);
            }
            Action::Drop(unit, phase) => {
                self.hooks.insert((unit, index(phase)), false);
            }
            Action::Finished(unit, _) => {
                *self.finished.entry(unit).or_default() += 1;
                assert_eq!(self.finished[&unit], 1, "{unit:?} finished twice");
                assert_ne!(self.runs.get(&unit), Some(&true), "finished while it runs");
            }
            Action::AllFinished => self.all_finished = true,
            _ => {}
        }
    }

    /// Something that runs and could end now.
    fn running(&self, draw: usize) -> Option<UnitId> {
        let runs: Vec<_> = self.runs.iter().filter(|(_, on)| **on).collect();
        (!runs.is_empty()).then(|| *runs[draw % runs.len()].0)
    }

    fn hooked(&self, draw: usize) -> Option<(UnitId, u8)> {
        let hooks: Vec<_> = self.hooks.iter().filter(|(_, on)| **on).collect();
        (!hooks.is_empty()).then(|| *hooks[draw % hooks.len()].0)
    }
}

const PHASES: [Phase; 4] = [Phase::Run, Phase::Shutdown, Phase::Cleanup, Phase::Reload];

struct Play {
    machine: Machine,
    world: World,
    now: Instant,
}

impl Play {
    fn input(&mut self, input: Input) {
        self.machine.input(input, self.now);
        for action in self.machine.actions() {
            self.world.see(&action);
        }
    }

    /// One drawn event.
    fn step(&mut self, draw: u32) {
        let (kind, pick) = (draw % 12, (draw / 12) as usize);
        let outcome = match pick % 3 {
            0 => Outcome::Completed,
            1 => Outcome::Failed,
            _ => Outcome::Cancelled,
        };
        let unit = UnitId((pick % 4) as u64);
        match kind {
            0..=2 => {
                if let Some(unit) = self.world.running(pick) {
                    self.world.runs.insert(unit, false);
                    self.input(Input::RunReturned(unit, outcome));
                }
            }
            3 | 4 => {
                if let Some((unit, phase)) = self.world.hooked(pick) {
                    self.world.hooks.insert((unit, phase), false);
                    let phase = PHASES.into_iter().find(|it| index(*it) == phase);
                    self.input(Input::HookReturned(
                        unit,
                        phase.unwrap_or(Phase::Run),
                        outcome,
                    ));
                }
            }
            5 => self.input(Input::Ready(unit)),
            6 => self.input(Input::Heartbeat(unit)),
            7 => self.input(Input::Restart(unit)),
            8 => self.input(Input::Reload(unit)),
            9 if pick % 5 == 0 => self.input(Input::CloseUnit(unit, Cause::Removed)),
            _ => {
                self.now += Duration::from_millis((pick % 4000) as u64);
                self.input(Input::Tick);
            }
        }
    }

    /// Lets time pass, and nothing else happen, until the end; how long that took.
    fn run_out(&mut self) -> Duration {
        let begun = self.now;
        for _ in 0..1000 {
            if self.world.all_finished {
                return self.now.duration_since(begun);
            }
            if let Some(deadline) = self.machine.next_deadline() {
                self.now = self.now.max(deadline);
            }
            self.input(Input::Tick);
            if matches!(self.machine.stage, Stage::CleaningUp { .. }) {
                self.input(Input::DeferredReturned);
            }
        }
        panic!("it does not end");
    }
}

fn play(rules: Rules, units: &[u32]) -> Play {
    let mut play = Play {
        machine: Machine::new(rules, 7),
        world: World::default(),
        now: Instant::now(),
    };
    let mut names = Vec::new();
    for (position, number) in units.iter().enumerate() {
        let name = position.to_string();
        play.machine.add(drawn(&name, *number, &names));
        names.push(name);
    }
    play.input(Input::Start);
    play
}

proptest! {
    #[test]
    fn any_order_of_events_keeps_the_promises(
        units in proptest::collection::vec(any::<u32>(), 1..5),
        strategy in 0..3_usize,
        steps in proptest::collection::vec(any::<u32>(), 0..120),
        aborts in any::<bool>(),
    ) {
        let budget = Budget { total: Duration::from_secs(20), ..Budget::default() };
        let strategy = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][strategy];
        let mut play = play(Rules { strategy, budget, ends_with_last: false }, &units);
        for step in steps {
            if play.world.all_finished || matches!(play.machine.stage, Stage::CleaningUp { .. }) {
                break;
            }
            play.step(step);
        }
        play.input(if aborts { Input::Abort } else { Input::Close(Cause::Closed("end".into())) });
        let took = play.run_out();
        prop_assert!(took <= budget.total, "took {took:?}");
        // Each has ended, once, and cleaned up, once, if it ever ran and has something to clean.
        for (id, unit) in play.machine.units() {
            prop_assert_eq!(play.world.finished.get(&id), Some(&1));
            let due = unit.spec.hooks.cleanup && unit.attempts > 0;
            prop_assert_eq!(play.world.cleaned.get(&id).copied().unwrap_or(0), u32::from(due));
        }
    }
}

#[test]
fn a_million_come_and_go_without_growth() {
    let mut machine = Machine::new(Rules::default(), 7);
    let now = Instant::now();
    machine.input(Input::Start, now);
    for _ in 0..1_000_000 {
        let unit = machine.add(UnitSpec::named("one"));
        machine.input(Input::Tick, now);
        machine.input(Input::RunReturned(unit, Outcome::Completed), now);
        machine.forget(unit);
        let actions = machine.actions();
        assert!(actions.len() < 8 && machine.names.is_empty() && machine.units.is_empty());
    }
}
