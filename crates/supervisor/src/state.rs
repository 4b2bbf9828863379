//! Where a service stands, and what is told of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Added; its orchestrator has not started.
    Pending,
    /// Waits for this one to be ready.
    Blocked(Arc<str>),
    /// Runs, and has not said yet that it is ready.
    Starting,
    /// Runs.
    Ready,
    /// Runs, and takes up new settings.
    Reloading,
    /// Was asked to finish.
    Draining,
    /// Was told to end now.
    Aborting,
    /// Has ended; cleans up.
    Cleaning,
    /// Has ended; is started again at this time.
    Backoff(Instant),
    /// Has ended for good.
    Exited,
    /// Ended too often; waits to be started by hand.
    Parked,
}

impl State {
    /// A word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Blocked(_) => "blocked",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Reloading => "reloading",
            Self::Draining => "draining",
            Self::Aborting => "aborting",
            Self::Cleaning => "cleaning",
            Self::Backoff(_) => "backoff",
            Self::Exited => "exited",
            Self::Parked => "parked",
        }
    }

    /// Whether it is up and was not asked to stop.
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Reloading)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Blocked(on) => write!(f, " on {on}"),
            _ => Ok(()),
        }
    }
}

/// A part of a service's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its work.
    Run,
    /// The hook that helps it to stop.
    Shutdown,
    /// The hook after everything has ended.
    Cleanup,
    /// The hook that takes up new settings.
    Reload,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run => "run",
            Self::Shutdown => "shutdown",
            Self::Cleanup => "cleanup",
            Self::Reload => "reload",
        })
    }
}

/// Why services stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself.
    Returned,
    /// Somebody asked, for this reason.
    Closed(Arc<str>),
    /// A service ended whose end concerns all.
    Exited(Arc<str>),
    /// A service ended too often.
    Escalated(Arc<str>),
    /// It was removed from its orchestrator.
    Removed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Closed(reason) => f.write_str(reason),
            Self::Exited(name) => write!(f, "{name} ended"),
            Self::Escalated(name) => write!(f, "{name} failed too often"),
            Self::Removed => f.write_str("removed"),
        }
    }
}

/// A service as its orchestrator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub state: State,
    /// How often it was started.
    pub attempts: u32,
    /// What it last said of itself.
    pub note: Option<Arc<str>>,
    /// Its last error, spelt out.
    pub last_error: Option<Arc<str>>,
    /// When it was ready first.
    pub ready_after: Option<Duration>,
}

/// Something that happened to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which service; `None` for the orchestrator itself.
    pub service: Option<Arc<str>>,
    /// What.
    pub kind: EventKind,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It stands elsewhere now.
    Changed(State),
    /// It failed.
    Failed(Arc<str>),
    /// It would not stop and was dropped in this phase.
    Unstopped(Phase),
    /// A stop begins: nobody should be sent here any more.
    Unready(Cause),
    /// The services are told to stop.
    Stopping,
    /// All have gone.
    Finished,
}
