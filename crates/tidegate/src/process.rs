//! The process as services under one supervisor.
//!
//! From the ground up: the watchdog's feeder and the admin server, which answer to the last;
//! the workers; the deployment, which has the sites on them; what asks it to reload; the
//! programs beside it. Each starts when what it stands on is ready, and stops before it.

pub mod commands;
mod config_watch;
pub mod control;
pub(crate) mod deployment;
pub mod predecessor;
mod systemd;
pub mod upgrade;
mod workers;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_orchestrator::{RuntimeConfig, SHUTDOWN_GRACE, WorkerManager};
use tidegate_runtime::listener::Predecessor;
use tidegate_supervisor::systemd::{Notice, Notifier};
use tidegate_supervisor::{AddError, Budget, Orchestrator, OrchestratorHandle, StopPolicy};

use tokio_util::sync::CancellationToken;

use self::commands::command_service;
use self::config_watch::config_watch;
use self::control::Control;
use self::deployment::Deployment;
use self::predecessor::departure;
use self::upgrade::Program;
use self::workers::worker;
use crate::admin::{self, Admin};
use crate::assemble::{SiteChain, SiteChange};
use crate::cli::LogFormat;
use crate::demo::Demo;
use crate::settings::Settings;
use crate::watch::FileWatch;

/// The service that has the sites.
pub const DEPLOYMENT: &str = "deployment";
/// The service that answers operators.
pub const ADMIN: &str = "admin";
const CONFIG_WATCH: &str = "config-watch";
const PREDECESSOR: &str = "predecessor";
const WATCHDOG: &str = "systemd-watchdog";

/// What a stop may take beyond the longest `drain` of a server.
const STOP_SLACK: Duration = Duration::from_secs(2);

/// What the process is made from.
pub struct Plan {
    /// The settings it starts with.
    pub settings: Settings,
    /// Sites that are in no settings.
    pub extra: Vec<SiteChange>,
    /// The file the settings come from.
    pub config: Option<PathBuf>,
    /// What is shown instead of a file.
    pub demo: Option<Demo>,
    /// How mistakes of a later file are told.
    pub log_format: LogFormat,
    /// What an upgrade starts.
    pub program: Program,
    /// Whom this process replaces.
    pub predecessor: Option<Predecessor>,
}

/// The process, assembled.
pub struct Process {
    orchestrator: Orchestrator,
    control: Control,
    notifier: Arc<Notifier>,
}

/// Why the process was not assembled.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The configuration file's directory cannot be watched.
    #[error("the configuration file cannot be watched: {0}")]
    Watch(#[from] notify::Error),
    /// What systemd said is no address.
    #[error("NOTIFY_SOCKET: {0}")]
    Systemd(#[from] io::Error),
    /// The admin server cannot have its token.
    #[error(transparent)]
    Admin(#[from] admin::AdminError),
    /// Services that cannot stand beside each other: a defect.
    #[error(transparent)]
    Services(#[from] AddError),
}

impl Process {
    /// Assembles the services of `plan`; nothing runs yet.
    ///
    /// # Errors
    ///
    /// What can be known before anything runs.
    pub fn new(plan: Plan) -> Result<Self, ProcessError> {
        let Plan {
            settings,
            extra,
            config,
            demo,
            log_format,
            program,
            predecessor,
        } = plan;
        let predecessor = predecessor.map(Arc::new);
        let left = CancellationToken::new();
        let orchestrator = Orchestrator::builder("tidegate")
            .budget(budget(&settings))
            .build();
        let notifier = Arc::new(Notifier::from_environment()?);
        let (control, requests) = Control::new();
        let watch = config.as_deref().map(FileWatch::new).transpose()?;

        orchestrator.add(systemd::watchdog(WATCHDOG, &notifier))?;
        if let Some(wanted) = &settings.admin {
            let admin = Admin::new(wanted, control.clone(), orchestrator.handle(), left.clone())?;
            orchestrator.add(admin.into_service(ADMIN))?;
        }
        let mut manager = WorkerManager::<SiteChain, _>::new(RuntimeConfig {
            workers: settings.runtime.workers,
            pin: settings.runtime.pin,
            command_timeout: settings.runtime.command_timeout,
        });
        let workers: Vec<_> = manager.spawn_workers().into_iter().map(worker).collect();
        let names: Vec<_> = workers.iter().map(|it| Arc::clone(it.name())).collect();
        for worker in workers {
            orchestrator.add(worker)?;
        }
        if let Some(predecessor) = &predecessor {
            orchestrator.add(departure(PREDECESSOR, Arc::clone(predecessor)))?;
        }
        // A program of which there can be one only waits for the predecessor's to end.
        let before_programs = predecessor.is_some().then_some(PREDECESSOR);
        for command in settings.commands.values() {
            orchestrator.add(command_service(command).requires(before_programs))?;
        }
        let config_watch = watch.map(|watch| {
            let known = watch.known();
            (config_watch(CONFIG_WATCH, watch, control.clone()), known)
        });
        let (config_watch, known) = config_watch.unzip();
        let deployment = Deployment {
            manager,
            settings,
            extra,
            demo,
            log_format,
            known,
            requests,
            notifier: Arc::clone(&notifier),
            program,
            predecessor,
            left,
        };
        let deployment = deployment
            .into_service(DEPLOYMENT)
            .requires(names)
            .wants([WATCHDOG, ADMIN]);
        orchestrator.add(deployment)?;
        orchestrator.add(config_watch.map(|it| it.requires([DEPLOYMENT])))?;
        Ok(Self {
            orchestrator,
            control,
            notifier,
        })
    }

    /// All of it.
    pub const fn orchestrator(&self) -> &Orchestrator {
        &self.orchestrator
    }

    /// The way to the deployment.
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// Tells systemd.
    pub fn notify(&self, notice: &Notice) {
        self.notifier.tell(notice);
    }
}

/// What the deployment may take to stop: as long as its slowest server.
fn stop_policy(settings: &Settings) -> StopPolicy {
    let drains = settings.servers.values().map(|server| server.drain);
    let drain = drains.max().unwrap_or(Duration::ZERO);
    StopPolicy {
        drain: drain + SHUTDOWN_GRACE + STOP_SLACK,
        ..StopPolicy::default()
    }
}

/// What a stop may take in all. Ceilings: the deployment's own limits come first, and its
/// share of this, one of three levels, is larger than they are.
fn budget(settings: &Settings) -> Budget {
    let programs = settings.commands.values().map(|it| it.stop_timeout);
    let longest = stop_policy(settings)
        .drain
        .max(programs.max().unwrap_or_default());
    Budget {
        lame_duck: settings.runtime.lame_duck,
        total: longest * 4,
        ..Budget::default()
    }
}

/// From now on a stop may take what `settings` say.
fn apply_limits(services: &OrchestratorHandle, settings: &Settings) {
    let limits = services.set_limits(DEPLOYMENT, stop_policy(settings), budget(settings));
    if let Err(error) = limits {
        tracing::error!(%error, "the limits of a stop stay as they were");
    }
}
