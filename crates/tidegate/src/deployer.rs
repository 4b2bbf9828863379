//! What is deployed, and how it becomes something else: all of it or nothing.

mod supervised;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tidegate_gateway::access_log::{AccessLog, CloseError};
use tidegate_gateway::health::{self, ConnectProbe, HealthHandle};
use tidegate_gateway::meter::Meters;
use tidegate_gateway::resolve::ResolverHandle;
use tidegate_mqtt::server::operator::Operator;
use tidegate_orchestrator::{
    ApplyError, Change, CommandError, Generation, ShutdownReport, SiteName, Status, WorkerManager,
};
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_runtime::worker::WorkerIndex;
use tidegate_supervisor::{AddError, OrchestratorHandle, Service};

use self::supervised::{LogWriter, Names, SystemTopics};
use crate::assemble::{AssembleError, Assembler, Common, Files, SiteChain, SiteChange};
use crate::settings::{self, EndpointAddress, Plan, Protocol, Settings, plan};
use crate::watch::Contents;

/// Why an update was refused; what was deployed before serves on.
#[derive(Debug, Error)]
pub enum UpdateError {
    /// The settings cannot be put to work.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The look-up of names, or the checks of endpoints, cannot start: the process stops.
    #[error(transparent)]
    Names(#[from] AddError),
    /// The workers or the listeners refused.
    #[error("{source}{}", placed(place.as_ref()))]
    Apply {
        /// What was refused, and by whom.
        source: ApplyError,
        /// Where the site is defined.
        place: Option<settings::Place>,
    },
}

fn placed(place: Option<&settings::Place>) -> String {
    place.map_or_else(String::new, |place| format!(" (defined at {place})"))
}

/// An update that took effect.
#[derive(Debug)]
pub struct Updated {
    /// The number of what was deployed; `None` when nothing had changed.
    pub generation: Option<Generation>,
    /// Which sites were deployed, removed, or left alone.
    pub plan: Plan,
}

/// The workers, what they serve, and the settings it was made from.
pub struct Deployer {
    manager: WorkerManager<SiteChain, ListenerBuilder>,
    assembler: Assembler,
    services: OrchestratorHandle,
    names: Names,
    log_writer: Option<LogWriter>,
    system_topics: SystemTopics,
    /// How many services were started for what is deployed.
    started: u32,
    health: HealthHandle,
    settings: Settings,
    files: BTreeMap<String, Files>,
}

impl Deployer {
    /// Deploys `settings` on the workers of `manager`, and `extra` sites beside them.
    ///
    /// Must be called on the control thread's runtime.
    ///
    /// # Errors
    ///
    /// Anything that would refuse an update; the workers are gone again then.
    pub async fn start(
        manager: WorkerManager<SiteChain, ListenerBuilder>,
        services: OrchestratorHandle,
        settings: Settings,
        extra: Vec<SiteChange>,
    ) -> Result<Self, UpdateError> {
        let (health, checker) = health::checker();
        services.add(Service::once("health-checks", |context| {
            let drain = context.drain().clone();
            checker.run(ConnectProbe, drain.cancelled_owned())
        }))?;
        let mut deployer = Self {
            health,
            assembler: Assembler::default(),
            names: Names::start(&settings.dns, &services, 0)?,
            log_writer: None,
            system_topics: SystemTopics::start(&services)?,
            started: 1,
            services,
            settings: Settings {
                servers: BTreeMap::new(),
                ..settings.clone()
            },
            files: BTreeMap::new(),
            manager,
        };
        deployer.replace(settings, extra).await?;
        Ok(deployer)
    }

    /// Replaces what is deployed by what `settings` say, as far as that differs.
    ///
    /// # Errors
    ///
    /// Nothing has changed then. Dropping the future has the same effect, unless
    /// the new sites are being deployed already.
    pub async fn update(&mut self, settings: Settings) -> Result<Updated, UpdateError> {
        let updated = self.replace(settings, Vec::new()).await;
        // Refused or not, chains were made, and cells for them.
        self.assembler.forget_figures_of_others(&self.settings);
        updated
    }

    async fn replace(
        &mut self,
        settings: Settings,
        mut changes: Vec<SiteChange>,
    ) -> Result<Updated, UpdateError> {
        let files = files(&settings);
        let renewed: BTreeSet<String> = files
            .iter()
            .filter(|(site, files)| self.files.get(*site).is_some_and(|old| old != *files))
            .map(|(site, _)| site.clone())
            .collect();
        let plan = plan(&self.settings, &settings, &renewed);
        let names = if settings.dns == self.settings.dns {
            None
        } else {
            let number = self.next_number();
            Some(Names::start(&settings.dns, &self.services, number)?)
        };
        let common = Common {
            resolver: names.as_ref().unwrap_or(&self.names).resolver.clone(),
            health: self.health.clone(),
            access_log: self.assembler.access_log(&settings)?,
        };
        if plan.is_empty() && changes.is_empty() {
            self.keep(settings, names, common);
            return Ok(Updated {
                generation: None,
                plan,
            });
        }
        for name in &plan.deploy {
            let server = &settings.servers[name];
            changes.push(self.assembler.deploy(&settings, server, &common)?);
        }
        changes.extend(plan.remove.iter().map(|name| Change::Remove {
            site: SiteName::from(name.as_str()),
        }));
        await_names(&settings, &common.resolver).await;
        let applied = self
            .manager
            .apply(changes)
            .await
            .map_err(|source| located(source, &settings))?;
        self.keep(settings, names, common);
        self.files = files;
        for worker in &applied.late {
            tracing::warn!(%worker, "the worker has not confirmed the update yet");
        }
        Ok(Updated {
            generation: Some(applied.generation),
            plan,
        })
    }

    fn next_number(&mut self) -> u32 {
        let number = self.started;
        self.started += 1;
        number
    }

    /// Has the log's writer among the services, if it is another than before.
    fn supervise_log(&mut self, log: Option<&Rc<AccessLog>>) {
        let Some(log) = log else {
            self.log_writer = None;
            return;
        };
        let same = |old: &Rc<AccessLog>| Rc::ptr_eq(old, log);
        if self.assembler.current_access_log().is_some_and(same) {
            return;
        }
        let number = self.next_number();
        match LogWriter::watch(log, &self.services, number) {
            Ok(writer) => self.log_writer = Some(writer),
            // The process stops, and with it this update.
            Err(error) => tracing::debug!(%error, "the access log's writer is not supervised"),
        }
    }

    /// From now on these are the settings in force.
    fn keep(&mut self, settings: Settings, names: Option<Names>, common: Common) {
        if let Some(names) = names {
            self.names = names;
        }
        self.supervise_log(common.access_log.as_ref());
        self.assembler.keep_access_log(&settings, common.access_log);
        let command_timeout = settings.runtime.command_timeout;
        self.manager.set_command_timeout(command_timeout);
        let effective = settings.effective.clone();
        self.settings = Settings {
            effective: ["runtime", "admin"]
                .into_iter()
                .fold(effective, |it, name| {
                    it.keeping(name, &self.settings.effective)
                }),
            // The rest of it stays as it was until the process starts again.
            runtime: settings::Runtime {
                command_timeout,
                ..self.settings.runtime.clone()
            },
            ..settings
        };
        self.publish_figures();
    }

    /// Has every broker publish its figures as often as its settings say.
    fn publish_figures(&self) {
        let brokers = self.brokers().into_iter();
        let published = brokers.filter_map(|(name, operator)| {
            match &self.settings.servers.get(&name)?.protocol {
                Protocol::Mqtt(mqtt) => Some((name, (operator, mqtt.system_interval))),
                _ => None,
            }
        });
        self.system_topics.set(published.collect());
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The files that what is deployed was made from.
    pub fn files(&self) -> Contents {
        let files = self.files.values().flat_map(Files::contents);
        files.chain(self.settings.read_files.clone()).collect()
    }

    /// What every worker serves.
    pub async fn status(&self) -> Status {
        self.manager.status().await
    }

    /// As [`Self::status`], but a worker that is stuck keeps nobody waiting beyond `patience`.
    pub async fn status_within(&self, patience: Duration) -> Status {
        self.manager.status_within(patience).await
    }

    /// Opens the access log's file anew, after it was moved away.
    pub fn reopen_access_log(&self) {
        if let Some(log) = self.assembler.current_access_log() {
            log.reopen();
        }
    }

    /// What all requests are counted with.
    pub const fn meters(&self) -> &Meters {
        self.assembler.meters()
    }

    /// Whether each endpoint that is checked is healthy.
    pub const fn health(&self) -> &HealthHandle {
        &self.health
    }

    /// The ways to the brokers that are deployed, by server name.
    pub fn brokers(&self) -> BTreeMap<String, Operator> {
        self.assembler.brokers(self.settings())
    }

    /// Lines of the access log: written, and dropped.
    pub fn log_lines(&self) -> Option<(u64, u64)> {
        let counts = self.assembler.current_access_log()?.counts();
        let dropped = counts.dropped_at_queue + counts.dropped_at_write;
        Some((counts.written, dropped))
    }

    /// Stops accepting, lets every connection finish within its server's `drain`,
    /// and ends the workers.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.manager.shutdown(self.longest_drain()).await
    }

    /// As [`Deployer::shutdown`], when another process has the listeners: connections that
    /// idle leave with the answer to their next request.
    pub async fn hand_over(&self) -> ShutdownReport {
        self.manager.hand_over(self.longest_drain()).await
    }

    fn longest_drain(&self) -> Duration {
        let drains = self.settings.servers.values().map(|server| server.drain);
        drains.max().unwrap_or(Duration::ZERO)
    }

    /// Makes a worker die of a panic.
    ///
    /// # Errors
    ///
    /// There is no such worker, or it does not take commands.
    pub fn kill_worker(&self, worker: WorkerIndex) -> Result<(), CommandError> {
        self.manager.kill_worker(worker)
    }

    /// Writes what is left of the access log; after [`Deployer::shutdown`].
    ///
    /// # Errors
    ///
    /// Lines are lost.
    pub fn close_access_log(&mut self) -> Result<(), CloseError> {
        self.assembler.close_access_log()
    }

    /// Drops every connection. Cuts a [`Deployer::shutdown`] short.
    pub fn abort(&self) {
        self.manager.abort();
    }
}

/// Gives every name the chance to be known before it is needed. A name that is not
/// found in time is no mistake of the settings: it is looked up on.
async fn await_names(settings: &Settings, resolver: &ResolverHandle) {
    let names: BTreeSet<(&str, u16)> = settings
        .upstreams
        .values()
        .flat_map(|upstream| &upstream.endpoints)
        .filter_map(|endpoint| match &endpoint.address {
            EndpointAddress::Name { host, port } => Some((host.as_str(), *port)),
            _ => None,
        })
        .collect();
    let timeout: Duration = settings.dns.timeout;
    let answers = names.into_iter().map(|(host, port)| async move {
        if resolver.watch(host, port).ready(timeout).await.is_err() {
            tracing::warn!(host, port, "the name is not resolved yet");
        }
    });
    join_all(answers).await;
}

fn files(settings: &Settings) -> BTreeMap<String, Files> {
    let servers = settings.servers.iter();
    servers
        .map(|(name, server)| (name.clone(), Files::of(settings, server)))
        .collect()
}

fn located(source: ApplyError, settings: &Settings) -> UpdateError {
    let place = match &source {
        ApplyError::Rejected { site, .. } | ApplyError::ChangedTwice { site } => settings
            .servers
            .get(site.as_str())
            .map(|server| server.place),
        _ => None,
    };
    UpdateError::Apply { source, place }
}
