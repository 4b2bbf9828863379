//! The sites on the workers, and how they become others.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_orchestrator::{SiteName, WorkerManager};
use tidegate_runtime::clock;
use tidegate_runtime::listener::{ListenAddr, ListenerBuilder};
use tidegate_supervisor::systemd::{Notice, Notifier};
use tidegate_supervisor::{BoxError, Context, OnExit, Readiness, Service};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::control::{ReloadOutcome, Report, Request};
use super::{apply_limits, commands, stop_policy};
use crate::assemble::{SiteChain, SiteChange};
use crate::cli::LogFormat;
use crate::demo::Demo;
use crate::deployer::Deployer;
use crate::settings::{self, Colour, Settings};
use crate::watch::Known;

/// How much longer than the workers' own limit the first deployment may take: certificates are
/// read and names looked up before.
const START_SLACK: Duration = Duration::from_secs(60);

/// How long the workers may take to say what they are at, for a report.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// What is deployed to begin with, and what goes with it.
pub(super) struct Deployment {
    pub(super) manager: WorkerManager<SiteChain, ListenerBuilder>,
    pub(super) settings: Settings,
    pub(super) extra: Vec<SiteChange>,
    pub(super) demo: Option<Demo>,
    pub(super) log_format: LogFormat,
    /// The file, if there is one.
    pub(super) known: Option<Known>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) notifier: Arc<Notifier>,
}

impl Deployment {
    /// As a service, ready when the sites serve. Without it the process is of no use.
    pub(super) fn into_service(self, name: &str) -> Service {
        let within = self.settings.runtime.command_timeout + START_SLACK;
        let stop = stop_policy(&self.settings);
        Service::once(name, move |context| self.run(context))
            .readiness(Readiness::Explicit { within })
            .stop(stop)
            .on_exit(OnExit::StopAll)
    }

    async fn run(self, context: Context) -> Result<(), BoxError> {
        let services = context.orchestrator();
        let deployer = Deployer::start(self.manager, services, self.settings, self.extra).await?;
        let mut serving = Serving {
            deployer,
            listening: Listening::default(),
            log_format: self.log_format,
            known: self.known,
            notifier: self.notifier,
            reloads: (0, 0),
            context,
        };
        serving.listening.announce(&serving.deployer).await;
        if let Some(demo) = &self.demo {
            demo.introduce();
        }
        serving.notifier.tell(&Notice::Ready);
        serving.context.notify_ready();
        serving.serve(self.requests).await;
        serving.stop().await
    }
}

struct Serving {
    deployer: Deployer,
    listening: Listening,
    log_format: LogFormat,
    known: Option<Known>,
    notifier: Arc<Notifier>,
    /// How reloads ended: well, and not.
    reloads: (u64, u64),
    context: Context,
}

impl Serving {
    /// Does what is asked for, until it is to stop.
    async fn serve(&mut self, mut requests: mpsc::Receiver<Request>) {
        let drain = self.context.drain().clone();
        loop {
            let request = tokio::select! {
                // A stop is not kept waiting by a storm of reloads.
                biased;
                () = drain.cancelled() => return,
                request = requests.recv() => request,
            };
            match request {
                None => return drain.cancelled().await,
                Some(Request::ReopenLog) => self.deployer.reopen_access_log(),
                // Whoever asked may have gone meanwhile.
                Some(Request::Status { reply }) => drop(reply.send(self.report().await)),
                Some(Request::Reload { cause, reply }) => tokio::select! {
                    biased;
                    outcome = self.reload(cause) => drop(reply.send(outcome)),
                    () = drain.cancelled() => return,
                },
            }
        }
    }

    async fn report(&self) -> Report {
        Report {
            status: self.deployer.status_within(STATUS_PATIENCE).await,
            settings: self.deployer.settings().clone(),
            log_lines: self.deployer.log_lines(),
            reloads: self.reloads,
            meters: self.deployer.meters().clone(),
        }
    }

    /// Reads the file again and deploys what changed.
    async fn reload(&mut self, cause: &'static str) -> ReloadOutcome {
        self.notifier.tell(&Notice::reloading_now());
        let outcome = self.try_reload(cause).await;
        self.notifier.tell(&Notice::Ready);
        match &outcome {
            ReloadOutcome::Done { .. } => self.reloads.0 += 1,
            ReloadOutcome::Rejected { .. } => self.reloads.1 += 1,
        }
        outcome
    }

    async fn try_reload(&mut self, cause: &'static str) -> ReloadOutcome {
        let Some(known) = &self.known else {
            tracing::warn!(cause, "the demo has no file to read again");
            let mistakes = vec!["the demo has no file to read again".to_owned()];
            return ReloadOutcome::Rejected { mistakes };
        };
        known.note_content();
        let begun = clock::precise();
        let settings = match settings::load(known.path()) {
            Ok(settings) => settings,
            Err(report) => {
                let mistakes = report.errors.len();
                tracing::error!(
                    cause,
                    mistakes,
                    "reload rejected: the file is wrong; serving on"
                );
                tell(&report, self.log_format);
                let mistakes = report.errors.iter().map(ToString::to_string).collect();
                return ReloadOutcome::Rejected { mistakes };
            }
        };
        match self.update(settings, cause, begun).await {
            Ok(outcome) => {
                self.listening.announce(&self.deployer).await;
                outcome
            }
            Err(error) => {
                tracing::error!(cause, %error, "reload rejected; serving on");
                let mistakes = vec![error.to_string()];
                ReloadOutcome::Rejected { mistakes }
            }
        }
    }

    async fn update(
        &mut self,
        settings: Settings,
        cause: &'static str,
        begun: Instant,
    ) -> Result<ReloadOutcome, BoxError> {
        let programs = self.deployer.settings().commands.clone();
        let updated = self.deployer.update(settings).await?;
        for warning in &updated.plan.warnings {
            tracing::warn!(cause, "{warning}");
        }
        let services = self.context.orchestrator();
        let settings = self.deployer.settings();
        apply_limits(&services, settings);
        if programs != settings.commands {
            let wanted = settings.commands.clone();
            // A program that takes its time to stop does not hold up the next reload.
            spawn_local(commands::replace(services, programs, wanted));
        }
        let duration = begun.elapsed();
        let duration_ms = duration.as_millis();
        let (deployed, removed) = (&updated.plan.deploy, &updated.plan.remove);
        match updated.generation {
            None => tracing::info!(cause, duration_ms, "reloaded: nothing has changed"),
            Some(generation) => {
                let (deployed, removed) = (names(deployed), names(removed));
                tracing::info!(cause, %generation, deployed, removed, duration_ms, "reloaded");
            }
        }
        Ok(ReloadOutcome::Done {
            generation: updated.generation.map(|generation| generation.0),
            duration,
            deployed: deployed.iter().cloned().collect(),
            removed: removed.iter().cloned().collect(),
        })
    }

    /// Drains; whoever is still there when the abort comes is dropped.
    async fn stop(mut self) -> Result<(), BoxError> {
        let report = {
            let shutdown = self.deployer.shutdown();
            tokio::pin!(shutdown);
            tokio::select! {
                report = &mut shutdown => report,
                () = self.context.abort().cancelled() => {
                    self.deployer.abort();
                    shutdown.await
                }
            }
        };
        if let Err(error) = self.deployer.close_access_log() {
            tracing::warn!(%error, "the access log was not written to its end");
        }
        let dropped = report.connections_dropped;
        tracing::info!(dropped, "stopped");
        match report.stuck.as_slice() {
            [] => Ok(()),
            stuck => {
                let stuck: Vec<String> = stuck.iter().map(ToString::to_string).collect();
                Err(format!("workers that did not end: {}", stuck.join(" ")).into())
            }
        }
    }
}

/// The addresses the log knows of, each with its site.
#[derive(Default)]
struct Listening(BTreeSet<(SiteName, ListenAddr)>);

impl Listening {
    /// Logs what has changed.
    async fn announce(&mut self, deployer: &Deployer) {
        let sites = deployer.status().await.sites;
        let present: BTreeSet<_> = sites
            .into_iter()
            .flat_map(|(site, status)| {
                let addresses = status.addresses.into_iter();
                addresses.map(move |address| (site.clone(), address))
            })
            .collect();
        for (site, address) in present.difference(&self.0) {
            tracing::info!(%site, %address, "listening");
        }
        for (site, address) in self.0.difference(&present) {
            tracing::info!(%site, %address, "no longer listening");
        }
        self.0 = present;
    }
}

/// For a program as events, for a person with the lines of the file.
pub(crate) fn tell(report: &settings::Report, format: LogFormat) {
    if format == LogFormat::Json {
        report.log();
        return;
    }
    let rendered = report.render(Colour::for_stderr());
    // Nobody is left to be told that standard error is gone.
    let _ = std::io::stderr().write_all(rendered.as_bytes());
}

fn names(sites: &BTreeSet<String>) -> String {
    let names: Vec<&str> = sites.iter().map(String::as_str).collect();
    names.join(" ")
}
