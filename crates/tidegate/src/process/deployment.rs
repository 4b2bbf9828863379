//! The sites on the workers, and how they become others.

use std::collections::BTreeSet;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_orchestrator::{SiteName, WorkerManager};
use tidegate_runtime::clock;
use tidegate_runtime::listener::{ListenAddr, ListenerBuilder, Predecessor, close_unclaimed};
use tidegate_supervisor::systemd::{Notice, Notifier};
use tidegate_supervisor::{BoxError, Budget, Context, OnExit, Readiness, Service};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::control::{ReloadOutcome, Report, Request, UpgradeOutcome};
use super::upgrade::{Program, Successor, UpgradeError};
use super::{DEPLOYMENT, apply_limits, commands, stop_policy};
use crate::assemble::{SiteChain, SiteChange};
use crate::cli::LogFormat;
use crate::demo::Demo;
use crate::deployer::Deployer;
use crate::settings::{self, Colour, Settings};
use crate::watch::Known;

/// How much longer than the workers' own limit the first deployment may take: certificates are
/// read and names looked up before.
const START_SLACK: Duration = Duration::from_secs(60);

/// How often, and after which pauses, stores are tried that the predecessor had open.
const LATE_ATTEMPTS_MAX: u32 = 50;
const LATE_PAUSE: Duration = Duration::from_millis(100);

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
    pub(super) program: Program,
    /// Whom this process replaces.
    pub(super) predecessor: Option<Arc<Predecessor>>,
    /// Cancelled when another process serves in this one's place.
    pub(super) left: CancellationToken,
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
        let (settings, late) = begin_with(self.settings, self.predecessor.as_ref());
        let deployer = Deployer::start(self.manager, services, settings, self.extra).await?;
        let mut serving = Serving {
            deployer,
            listening: Listening::default(),
            log_format: self.log_format,
            known: self.known,
            notifier: self.notifier,
            reloads: (0, 0),
            program: self.demo.is_none().then_some(self.program),
            left: self.left,
            late,
            context,
        };
        if serving.late.is_none() {
            close_unclaimed();
        }
        serving.note_files();
        serving.listening.announce(&serving.deployer).await;
        if let Some(demo) = &self.demo {
            demo.introduce();
        }
        if let Some(predecessor) = self.predecessor {
            // Gone already: then there is nobody to be told.
            let _ = predecessor.tell_ready();
        }
        serving.notifier.tell(&Notice::Ready);
        serving.context.notify_ready();
        let successor = serving.serve(self.requests).await;
        let stopped = serving.stop().await;
        // Here its line ends.
        drop(successor);
        stopped
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
    /// What an upgrade starts; the demo has none.
    program: Option<Program>,
    left: CancellationToken,
    /// What is deployed once the predecessor has gone.
    late: Option<Late>,
    context: Context,
}

/// Everything, for when the predecessor's stores are free.
struct Late {
    settings: Settings,
    gone: Pin<Box<dyn Future<Output = ()>>>,
}

/// What can be deployed now, and what only after the predecessor has gone. The addresses of the
/// latter are inherited all the same: who connects meanwhile waits in their queues.
fn begin_with(
    settings: Settings,
    predecessor: Option<&Arc<Predecessor>>,
) -> (Settings, Option<Late>) {
    match (predecessor, settings.before_stores_are_free()) {
        (Some(predecessor), Some(first)) => {
            let predecessor = Arc::clone(predecessor);
            let gone = Box::pin(async move {
                if let Err(error) = predecessor.gone().await {
                    tracing::warn!(%error, "the predecessor cannot be watched");
                }
            });
            (first, Some(Late { settings, gone }))
        }
        _ => (settings, None),
    }
}

/// Waits until what is late can be deployed; for ever if there is nothing. Cancellation safe.
async fn due(late: &mut Option<Late>) {
    match late {
        Some(late) => late.gone.as_mut().await,
        None => std::future::pending().await,
    }
}

/// An upgrade under way, and who waits for its outcome.
type Upgrading = (
    Pin<Box<dyn Future<Output = Result<Successor, UpgradeError>>>>,
    oneshot::Sender<UpgradeOutcome>,
);

impl Serving {
    /// Does what is asked for, until it is to stop. Answers with who goes on, if anybody does.
    async fn serve(&mut self, mut requests: mpsc::Receiver<Request>) -> Option<Successor> {
        let drain = self.context.drain().clone();
        let mut upgrading: Option<Upgrading> = None;
        let mut missed_reload = None;
        loop {
            let request = tokio::select! {
                // A stop is not kept waiting by a storm of reloads.
                biased;
                () = drain.cancelled() => return None,
                upgraded = outcome_of(&mut upgrading) => match self.upgraded(upgraded) {
                    Some(successor) => {
                        drain.cancelled().await;
                        return Some(successor);
                    }
                    None => match missed_reload.take() {
                        Some(cause) => Some(Request::Reload { cause, reply: oneshot::channel().0 }),
                        None => continue,
                    },
                },
                () = due(&mut self.late) => {
                    tokio::select! {
                        biased;
                        () = self.deploy_late() => {}
                        () = drain.cancelled() => return None,
                    }
                    continue;
                }
                request = requests.recv() => request,
            };
            match request {
                None => {
                    drain.cancelled().await;
                    return None;
                }
                Some(Request::ReopenLog) => self.deployer.reopen_access_log(),
                // Whoever asked may have gone meanwhile.
                Some(Request::Status { reply }) => drop(reply.send(self.report().await)),
                Some(Request::Drill { worker, reply }) => {
                    tracing::warn!(%worker, "a drill: a worker is made to die");
                    drop(reply.send(self.deployer.kill_worker(worker)));
                }
                Some(Request::Upgrade { cause, reply }) => {
                    if let Some(begun) = self.begin_upgrade(cause, reply, upgrading.is_some()) {
                        upgrading = Some(begun);
                    }
                }
                Some(Request::Reload { cause, reply }) if upgrading.is_some() => {
                    // The new process reads the file itself; if it comes to nothing, we do.
                    missed_reload = Some(cause);
                    let mistakes = vec!["an upgrade is under way".to_owned()];
                    drop(reply.send(ReloadOutcome::Rejected { mistakes }));
                }
                Some(Request::Reload { cause, reply }) => tokio::select! {
                    biased;
                    outcome = self.reload(cause) => drop(reply.send(outcome)),
                    () = drain.cancelled() => return None,
                },
            }
        }
    }

    /// Deploys what had to wait for the predecessor.
    async fn deploy_late(&mut self) {
        let Some(late) = self.late.take() else {
            return;
        };
        let cause = "the predecessor has gone";
        let mut outcome = Ok(());
        for _ in 0..LATE_ATTEMPTS_MAX {
            let updated = self.update(late.settings.clone(), cause, clock::precise());
            outcome = updated.await.map(drop);
            if outcome.is_ok() {
                break;
            }
            // It said farewell; its last files close with the process.
            sleep(LATE_PAUSE).await;
        }
        match outcome {
            Ok(()) => self.listening.announce(&self.deployer).await,
            Err(error) => {
                let missing = "servers with a store are missing; reload to try again";
                tracing::error!(cause, %error, "{missing}");
            }
        }
        close_unclaimed();
    }

    fn begin_upgrade(
        &self,
        cause: &'static str,
        reply: oneshot::Sender<UpgradeOutcome>,
        under_way: bool,
    ) -> Option<Upgrading> {
        let program = match &self.program {
            Some(program) if !under_way => program.clone(),
            program => {
                let reason = match program {
                    Some(_) => "an upgrade is under way already",
                    None => "the demo cannot be upgraded",
                };
                tracing::warn!(cause, reason, "not upgraded");
                let reason = reason.to_owned();
                drop(reply.send(UpgradeOutcome::Rejected { reason }));
                return None;
            }
        };
        tracing::info!(cause, "upgrading: starting the new process");
        let within = self.deployer.settings().runtime.upgrade_timeout;
        Some((Box::pin(program.succeed(within)), reply))
    }

    /// Leaves everything to the new process, if there is one.
    fn upgraded(
        &self,
        (upgraded, reply): (
            Result<Successor, UpgradeError>,
            oneshot::Sender<UpgradeOutcome>,
        ),
    ) -> Option<Successor> {
        let (outcome, successor) = match upgraded {
            Ok(successor) => {
                let pid = successor.pid;
                tracing::info!(pid, "upgraded: the new process serves; draining");
                successor.heir.leave_to();
                self.notifier.leave_to(pid);
                self.left.cancel();
                // Everybody who connects can be served there: nothing to be lame for.
                let services = self.context.orchestrator();
                let settings = self.deployer.settings();
                let at_once = Budget {
                    lame_duck: Duration::ZERO,
                    ..services.budget()
                };
                let set = services.set_limits(DEPLOYMENT, stop_policy(settings), at_once);
                if let Err(error) = set {
                    tracing::error!(%error, "the limits of the stop stay as they were");
                }
                services.close("another process has taken over");
                (UpgradeOutcome::Done { pid }, Some(successor))
            }
            Err(error) => {
                tracing::error!(%error, "not upgraded; serving on");
                let reason = error.to_string();
                (UpgradeOutcome::Rejected { reason }, None)
            }
        };
        // Whoever asked may have gone meanwhile.
        drop(reply.send(outcome));
        successor
    }

    async fn report(&self) -> Report {
        Report {
            status: self.deployer.status_within(STATUS_PATIENCE).await,
            settings: self.deployer.settings().clone(),
            log_lines: self.deployer.log_lines(),
            reloads: self.reloads,
            meters: self.deployer.meters().clone(),
            health: self.deployer.health().clone(),
            brokers: self.deployer.brokers(),
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
        self.note_files();
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

    /// Has the files in use watched.
    fn note_files(&self) {
        if let Some(known) = &self.known {
            known.note_others(self.deployer.files());
        }
    }

    /// Drains; whoever is still there when the abort comes is dropped.
    async fn stop(mut self) -> Result<(), BoxError> {
        let report = {
            let shutdown = async {
                match self.left.is_cancelled() {
                    true => self.deployer.hand_over().await,
                    false => self.deployer.shutdown().await,
                }
            };
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

/// What became of the upgrade under way; never comes without one. Cancellation safe.
async fn outcome_of(
    upgrading: &mut Option<Upgrading>,
) -> (
    Result<Successor, UpgradeError>,
    oneshot::Sender<UpgradeOutcome>,
) {
    let Some((upgrade, _)) = upgrading else {
        return std::future::pending().await;
    };
    let outcome = upgrade.await;
    match upgrading.take() {
        Some((_, reply)) => (outcome, reply),
        None => std::future::pending().await,
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
