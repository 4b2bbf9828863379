//! `tidegate run`: starts the process's services, passes signals on, and ends with a code
//! that says how it went.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tidegate_runtime::listener::take_over;
use tidegate_supervisor::systemd::{Notice, passed_sockets};
use tidegate_supervisor::{Cause, Event, EventKind, ExitReport};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::check::BAD_CONFIG;
use crate::cli::RunArgs;
use crate::demo::Demo;
use crate::process::deployment::tell;
use crate::process::predecessor::inherit;
use crate::process::upgrade::Program;
use crate::process::{DEPLOYMENT, Plan, Process};
use crate::settings;

/// The exit code of a process that did not start: a port in use, a bad certificate.
pub const NOT_STARTED: u8 = 1;
/// The exit code of a stop that was cut short by a second signal, or that left something
/// behind.
pub const CUT_SHORT: u8 = 3;
/// The exit code of a process that stopped because a service of its own failed for good.
pub const FAILED: u8 = 4;

/// Runs until a signal ends it.
pub fn run(arguments: &RunArgs) -> ExitCode {
    crate::log::init(&arguments.log, arguments.log_format);
    tidegate_runtime::panic::install_hook();
    let runtime = match tidegate_runtime::local::build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the control thread cannot start");
            return ExitCode::from(NOT_STARTED);
        }
    };
    runtime.block_on(async {
        match start(arguments) {
            Ok((process, signals)) => attend(process, signals).await,
            Err(code) => code,
        }
    })
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    reopen: Signal,
    upgrade: Signal,
}

/// What a signal asks for.
enum Asked {
    Stop(&'static str),
    Reload,
    ReopenLog,
    Upgrade,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Cancellation safe.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.reopen.recv() => Asked::ReopenLog,
            _ = self.upgrade.recv() => Asked::Upgrade,
        }
    }
}

fn start(arguments: &RunArgs) -> Result<(Process, Signals), ExitCode> {
    // Before the file can become another.
    let program = Program::current().map_err(|error| not_started(&error))?;
    let signals = Signals::install().map_err(|error| not_started(&error))?;
    let mut plan = match &arguments.config {
        Some(path) => from_file(path, arguments, program)?,
        None => {
            let demo = Demo::new().map_err(|error| not_started(&error))?;
            demo.into_plan(arguments.log_format, program)
                .map_err(|error| not_started(&error))?
        }
    };
    take_over_sockets();
    plan.predecessor = inherit().map_err(|error| not_started(&error))?;
    let process = Process::new(plan).map_err(|error| not_started(&error))?;
    let started = process.orchestrator().start();
    started.map_err(|error| not_started(&error))?;
    Ok((process, signals))
}

fn from_file(path: &Path, arguments: &RunArgs, program: Program) -> Result<Plan, ExitCode> {
    let settings = settings::load(path).map_err(|report| {
        tell(&report, arguments.log_format);
        ExitCode::from(BAD_CONFIG)
    })?;
    Ok(Plan {
        settings,
        extra: Vec::new(),
        config: Some(path.to_owned()),
        demo: None,
        log_format: arguments.log_format,
        program,
        predecessor: None,
    })
}

/// Takes over the sockets that systemd holds for this process.
fn take_over_sockets() {
    let sockets = passed_sockets(|name| std::env::var_os(name), std::process::id());
    let sockets = sockets.into_iter().map(|it| (it.name, it.descriptor));
    if let Err(error) = take_over(sockets) {
        tracing::warn!(%error, "not every passed socket was taken over");
    }
}

fn not_started(error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!(%error, "not started");
    ExitCode::from(NOT_STARTED)
}

/// Whether anybody has hastened the stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    None,
    Aborted,
}

/// Passes signals on until all services have ended.
async fn attend(process: Process, mut signals: Signals) -> ExitCode {
    let all = process.orchestrator().handle();
    let deployment = all.service(DEPLOYMENT);
    let mut haste = Haste::None;
    let mut stopping = None;
    let mut events = all.events();
    let ended = all.wait();
    tokio::pin!(ended);
    let report = loop {
        let asked = tokio::select! {
            // Events first: a short stop may be over before anybody was told of it.
            biased;
            event = events.recv() => {
                if let Ok(event) = event {
                    announce(&event, &process, all.budget().total);
                }
                continue;
            }
            asked = signals.next() => asked,
            report = &mut ended => break report,
        };
        match asked {
            Asked::ReopenLog => process.control().reopen_log(),
            Asked::Upgrade => {
                let control = process.control().clone();
                tokio::task::spawn_local(async move {
                    // The outcome is logged where the upgrade happens.
                    if control.upgrade("SIGUSR2").await.is_err() {
                        tracing::warn!("SIGUSR2 came at a bad moment; nothing was upgraded");
                    }
                });
            }
            Asked::Reload => {
                let control = process.control().clone();
                tokio::task::spawn_local(async move {
                    // The outcome is logged where the reload happens.
                    if control.reload("SIGHUP").await.is_err() {
                        tracing::warn!("SIGHUP came at a bad moment; nothing was reloaded");
                    }
                });
            }
            Asked::Stop(signal) if stopping.is_none() => {
                tracing::info!(signal, "stopping: no new connections, draining");
                stopping = Some(signal);
                all.close(signal);
            }
            Asked::Stop(signal) => {
                tracing::warn!(signal, "stopping at once: connections are dropped");
                haste = Haste::Aborted;
                all.abort();
            }
        }
    };
    let was_ready = deployment.is_some_and(|it| it.was_ready());
    match report {
        Ok(report) => conclude(&report, was_ready, haste),
        Err(error) => not_started(&error),
    }
}

/// Tells systemd that a stop begins, whoever asked for it, and the log what fails.
fn announce(event: &Event, process: &Process, budget: Duration) {
    match &event.kind {
        EventKind::Unready(_) => {
            process.notify(&Notice::Stopping);
            process.notify(&Notice::ExtendTimeout(budget));
        }
        EventKind::Failed(error) => {
            let service = event.service.as_deref().unwrap_or_default();
            tracing::warn!(service, %error, "a service failed");
        }
        _ => {}
    }
}

/// Tells what went wrong, and says it in a number.
fn conclude(report: &ExitReport, was_ready: bool, haste: Haste) -> ExitCode {
    for unstopped in &report.unstopped {
        let (service, phase) = (&unstopped.path, unstopped.phase);
        tracing::error!(%service, %phase, "would not stop and was dropped");
    }
    if !was_ready && !matches!(report.cause, Cause::Closed(_)) {
        let first = report.errors.first();
        let text = first.map_or_else(|| report.to_string(), |error| error.failure.to_string());
        return not_started(&text);
    }
    match &report.cause {
        Cause::Closed(_) if haste == Haste::None && report.unstopped.is_empty() => {
            ExitCode::SUCCESS
        }
        Cause::Closed(_) => ExitCode::from(CUT_SHORT),
        cause => {
            tracing::error!(%cause, "stopped by a failure of its own: {report}");
            ExitCode::from(FAILED)
        }
    }
}
