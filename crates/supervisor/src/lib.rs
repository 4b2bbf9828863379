//! The services of one process: started in order, watched, restarted, and stopped within a
//! budget.
//!
//! A [`Service`] is described once: the factory of its work, its hooks, what it depends on, how it
//! is known to be ready and alive, when it is started again, how long it may take to stop. An
//! [`Orchestrator`] runs many; a [`ServiceHandle`] is one of them from outside; a [`Context`] is
//! what the work itself is given. [`services`] has some that are often wanted.
//!
//! What happens next is decided by a state machine that knows no clock and runs no task. One
//! task an orchestrator carries out what it wants and sleeps until there is something to do.
//!
//! Work runs on the orchestrator's thread. A service that needs threads of its own starts them in
//! its factory and ends when they have; one that blocks the thread blocks its orchestrator, which
//! no supervisor within the process can help.
//!
//! # From Go's `srv`
//!
//! The model is that of the `srv` package of `tychoish/fun`, version 0.10.9, whose documented
//! behaviour is kept where it can be.
//!
//! | srv | here | differences |
//! |---|---|---|
//! | `Service{Name, Run, Shutdown, Cleanup}` | [`Service`] | a factory, so that it can run again; each hook has a limit and is dropped at it |
//! | `ErrorHandler` | [`Service::on_error`], [`ServiceHandle::set_error_handler`] | called before waiters wake; its own panic is logged and changes nothing |
//! | `Start`, `Close`, `Running`, `Wait` | [`ServiceHandle`] | `is_running` is false from `close` on; `wait` lasts to the end, as srv's tests have it |
//! | `Worker` | [`ServiceHandle::run_until`] | |
//! | `String` | `Display` of each | errors carry path, phase and attempt |
//! | `ErrServiceAlreadyStarted`, `ErrServiceReturned`, `ErrServiceNotStarted` | [`LifecycleError`] | |
//! | `Orchestrator.Add` | [`Orchestrator::add`] | starts in the order of adding; after `close` it is an error; adopted services are awaited at the stop |
//! | `Orchestrator.Start`, `Wait`, `Service` | [`Orchestrator::start`], [`Orchestrator::wait`], [`Orchestrator::into_service`] | [`Orchestrator::reset`] makes it new, as srv's document says |
//! | `WithOrchestrator`, `SetOrchestrator`, `GetOrchestrator`, `HasOrchestrator` | [`Context::orchestrator`] | explicit, always there |
//! | `SetBaseContext`, `GetBaseContext`, `HasBaseContext` | [`Context::base`] | |
//! | `SetShutdownSignal`, `GetShutdownSignal`, `HasShutdownSignal` | [`Context::shutdown`], [`Context::child_scope`] | nearest wins, as srv's tests have it |
//! | `WithCleanup`, `HasCleanup`, `AddCleanup`, `AddCleanupError`, `Cleanup` | [`Context::cleanup`] | bounded; what is not done by the deadline is named; too late is an error, not a panic |
//! | `Group` | [`services::group`] | lives until its last member ends |
//! | `HTTP` | [`services::server_service`] | any accept loop; bound before it is ready; draining and aborting apart |
//! | `Cmd` | [`command`] | the whole process group; ends as soon as the program does; ended by our signal is ended well |
//! | `Broker` | [`services::broker_service`] | typed; bounded for each subscriber |
//! | `WorkerPool` | [`services::worker_pool`], [`queue`] | errors kept are bounded; what is queued at the stop is finished or discarded, as asked |
//! | `HandlerWorkerPool` | [`services::observed_pool`] | the observer sees errors and panics, not success |
//! | `WithWorkerPool`, `SetWorkerPool`, `WithHandlerWorkerPool`, `SetHandlerWorkerPool`, `AddToWorkerPool` | [`OrchestratorHandle::add_pool`], [`Context::pool`] | a key given twice is an error |
//! | `Daemon` | [`services::daemon`], [`Restart`] | the interval holds for the first restart too; panics and foreign time-outs restart; errors kept are bounded |
//! | `Wait` | [`services::wait_all`] | no panic is lost |
//! | `ProcessIterator` | [`services::process_stream`] | |
//!
//! Not in srv: dependencies and readiness, restart policies with back-off and intensity,
//! strategies, liveness, drain and abort apart, stop budgets, events, status, named culprits.
#![forbid(unsafe_code)]

pub mod command;
mod context;
mod deferred;
mod driver;
mod error;
mod handle;
mod hub;
mod machine;
mod orchestrator;
mod policy;
mod pools;
pub mod queue;
mod report;
mod service;
pub mod services;
mod severable;
mod state;
pub mod systemd;

pub use context::Context;
pub use deferred::{CleanupHandle, DEFERRED_MAX, DeferError};
pub use error::{
    AddError, BoxError, Failure, LifecycleError, PanicReport, ServiceError, install_hook,
};
pub use handle::ServiceHandle;
pub use hub::EVENTS_KEPT;
pub use orchestrator::{Addition, Builder, ERRORS_MAX, Orchestrator, OrchestratorHandle};
pub use policy::{Backoff, Budget, Exhausted, Intensity, OnExit, Restart, StopPolicy, Strategy};
pub use pools::UnknownPool;
pub use report::{ExitReport, Timeline, Unstopped};
pub use service::{Check, Ending, Exit, Liveness, Readiness, Service, check};
pub use state::{Cause, Event, EventKind, Phase, State, Status};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
