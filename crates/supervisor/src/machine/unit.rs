//! One service, as the machine sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::policy::{OnExit, Restart, StopPolicy};
use crate::state::{Cause, State};

/// When a unit counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// As soon as it runs.
    Immediate,
    /// When it says so, within this time of its start.
    Within(Duration),
}

/// Which hooks there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) shutdown: bool,
    pub(crate) cleanup: bool,
    pub(crate) reload: bool,
}

/// What is asked of the machine for one unit.
#[derive(Clone, Debug)]
pub(crate) struct UnitSpec {
    pub(crate) name: Arc<str>,
    /// Started after these are ready, stopped before them.
    pub(crate) requires: Vec<Arc<str>>,
    /// So too if they are there.
    pub(crate) wants: Vec<Arc<str>>,
    pub(crate) gate: Gate,
    /// The longest silence; `None` if it need not be heard of.
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) restart: Restart,
    pub(crate) stop: StopPolicy,
    pub(crate) on_exit: OnExit,
    pub(crate) hooks: Hooks,
}

impl UnitSpec {
    /// A unit called `name` that asks for nothing in particular.
    pub(crate) fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            requires: Vec::new(),
            wants: Vec::new(),
            gate: Gate::Immediate,
            heartbeat: None,
            restart: Restart::Never,
            stop: StopPolicy::default(),
            on_exit: OnExit::Ignore,
            hooks: Hooks::default(),
        }
    }
}

/// How far something has come that runs once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Idle,
    Running,
    Ended,
}

#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) spec: UnitSpec,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) run: Progress,
    pub(crate) shutdown: Progress,
    /// Why it is ending, once somebody wants that.
    pub(crate) cause: Option<Cause>,
    /// Whether anything of its latest attempt has failed.
    pub(crate) failed: bool,
    /// It is ended because of a fault of its own.
    pub(crate) is_faulty: bool,
    /// It is ended to be started again at once.
    pub(crate) restarts_after: bool,
    /// When its present state must have ended.
    pub(crate) limit: Option<Instant>,
    pub(super) began: Option<Instant>,
    pub(super) consecutive: u32,
    /// Times of the latest restarts; no more than its intensity allows.
    pub(super) restarts: VecDeque<Instant>,
    /// Its place in the order of a stop, from 1.
    pub(super) level: u32,
    /// How many must have exited before it is told to stop.
    pub(super) dependents: usize,
}

impl Unit {
    pub(super) fn new(spec: UnitSpec) -> Self {
        Self {
            spec,
            state: State::Pending,
            attempts: 0,
            run: Progress::Idle,
            shutdown: Progress::Idle,
            cause: None,
            failed: false,
            is_faulty: false,
            restarts_after: false,
            limit: None,
            began: None,
            consecutive: 0,
            restarts: VecDeque::new(),
            level: 1,
            dependents: 0,
        }
    }

    /// Begins an attempt; its number.
    pub(super) fn begin(&mut self, now: Instant) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.run = Progress::Running;
        self.began = Some(now);
        self.failed = false;
        self.is_faulty = false;
        self.restarts_after = false;
        self.limit = match self.spec.gate {
            Gate::Immediate => self.silence_limit(now),
            Gate::Within(limit) => now.checked_add(limit),
        };
        self.attempts
    }

    pub(super) fn ready(&mut self, now: Instant) {
        self.limit = self.silence_limit(now);
    }

    pub(super) fn beat(&mut self, now: Instant) {
        if matches!(self.state, State::Ready | State::Reloading) {
            self.limit = self.silence_limit(now);
        }
    }

    fn silence_limit(&self, now: Instant) -> Option<Instant> {
        self.spec.heartbeat.and_then(|limit| now.checked_add(limit))
    }

    pub(super) fn can_reload(&self) -> bool {
        self.state == State::Ready && self.spec.hooks.reload
    }

    /// Whether it is being ended only to start again.
    pub(super) fn is_cycling(&self) -> bool {
        self.restarts_after && self.run == Progress::Running
    }

    /// Whether it has ended and will not start by itself.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Exited | State::Parked)
    }

    /// Whether whoever depends on it may start.
    pub(super) fn is_available(&self) -> bool {
        match self.state {
            State::Ready | State::Reloading => true,
            // One that had its work done, such as a migration, and left.
            State::Exited => self.attempts > 0 && !self.failed,
            _ => false,
        }
    }
}
