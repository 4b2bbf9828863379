//! Staged, all-or-nothing deployment of service chains onto per-core workers.
//!
//! The control side holds a [`WorkerManager`]: it binds listeners, tells every worker at
//! once what to build, and lets it serve only when all have built it. On each worker a
//! [`ServiceExecutor`] keeps one [`ServiceDeploymentContainer`] per site. A new chain is
//! made from the one it replaces, so that its state is handed over; connections stay with
//! the chain that accepted them and are asked to leave.
//!
//! Invariants: a generation has the same number on every worker; what was staged
//! everywhere can be deployed without failing; an address that stays is never closed.
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod accept_loop;
mod command;
mod container;
mod control;
mod deployed;
mod doors;
mod executor;
mod factory;
mod outcome;
mod site;

pub use command::{CommandError, ServiceCommand, ServiceCommandTask};
pub use container::{ServiceDeploymentContainer, ServiceSlot};
pub use control::{
    Applied, ApplyError, CLOSING_PATIENCE, Change, DEFAULT_COMMAND_TIMEOUT, RESPAWN_PAUSE_FIRST,
    RESPAWN_PAUSE_LONGEST, RuntimeConfig, SHUTDOWN_GRACE, ShutdownReport, WorkerJoin, WorkerLives,
    WorkerManager,
};
pub use control::{ConnectionCount, SiteStatus, Status, WorkerStatus};
pub use deployed::HURRY_GRACE;
pub use doors::{DoorError, serve_as};
pub use executor::ServiceExecutor;
pub use factory::{Chain, ChainFactory, ListenerFactory};
pub use outcome::{ResultGroup, WorkerError, WorkerOutcome};
pub use site::{Generation, Phase, SiteName};
