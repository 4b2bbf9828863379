//! `tidegate run`: starts, reloads on request, and stops in order.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use tidegate_orchestrator::{ShutdownReport, SiteName};
use tidegate_runtime::clock;
use tidegate_runtime::listener::ListenAddr;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::check::BAD_CONFIG;
use crate::cli::{LogFormat, RunArgs};
use crate::demo::Demo;
use crate::deployer::{Deployer, UpdateError};
use crate::settings::{self, Colour, Report, Settings};
use crate::watch::FileWatch;

/// The exit code of a process that did not start: a port in use, a bad certificate.
pub const NOT_STARTED: u8 = 1;
/// The exit code of a stop that was cut short by a second signal, or that left a
/// worker behind.
pub const CUT_SHORT: u8 = 3;

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
        match start(arguments).await {
            Ok(mut process) => process.serve().await,
            Err(code) => code,
        }
    })
}

struct Process {
    deployer: Deployer,
    listening: Listening,
    log_format: LogFormat,
    config: Option<FileWatch>,
    signals: Signals,
    /// Held for its drop: it takes the demo's socket away.
    _demo: Option<Demo>,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    reopen: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
        })
    }

    async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Something that happened to the process.
enum Event {
    Stop(&'static str),
    Reload(&'static str),
    Reopen,
}

async fn start(arguments: &RunArgs) -> Result<Process, ExitCode> {
    let signals = Signals::install().map_err(|error| not_started(&error))?;
    let log_format = arguments.log_format;
    let Some(path) = &arguments.config else {
        let (demo, deployer) = Demo::start().await.map_err(|error| not_started(&error))?;
        let mut listening = Listening::default();
        listening.announce(&deployer).await;
        demo.introduce();
        return Ok(Process {
            deployer,
            listening,
            log_format,
            config: None,
            signals,
            _demo: Some(demo),
        });
    };
    let watch = FileWatch::new(path).map_err(|error| not_started(&error))?;
    let settings = settings::load(path).map_err(|report| {
        tell(&report, log_format);
        ExitCode::from(BAD_CONFIG)
    })?;
    let deployer = Deployer::start(settings, Vec::new())
        .await
        .map_err(|error| not_started(&error))?;
    let mut listening = Listening::default();
    listening.announce(&deployer).await;
    Ok(Process {
        deployer,
        listening,
        log_format,
        config: Some(watch),
        signals,
        _demo: None,
    })
}

fn not_started(error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!(%error, "not started");
    ExitCode::from(NOT_STARTED)
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
fn tell(report: &Report, format: LogFormat) {
    if format == LogFormat::Json {
        report.log();
        return;
    }
    let rendered = report.render(Colour::for_stderr());
    // Nobody is left to be told that standard error is gone.
    let _ = std::io::stderr().write_all(rendered.as_bytes());
}

impl Process {
    async fn serve(&mut self) -> ExitCode {
        loop {
            match self.next_event().await {
                Event::Reopen => self.deployer.reopen_access_log(),
                Event::Stop(signal) => return self.stop(signal).await,
                Event::Reload(cause) => {
                    if let Some(signal) = self.reload(cause).await {
                        return self.stop(signal).await;
                    }
                }
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let changed = async {
            match &mut self.config {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        let signals = &mut self.signals;
        tokio::select! {
            // A stop is not kept waiting by a storm of reloads.
            biased;
            _ = signals.terminate.recv() => Event::Stop("SIGTERM"),
            _ = signals.interrupt.recv() => Event::Stop("SIGINT"),
            _ = signals.hangup.recv() => Event::Reload("SIGHUP"),
            _ = signals.reopen.recv() => Event::Reopen,
            () = changed => Event::Reload("file change"),
        }
    }

    /// Reads the file again and deploys what changed. Gives the signal that
    /// interrupted it, if one did.
    async fn reload(&mut self, cause: &'static str) -> Option<&'static str> {
        let Some(watch) = &mut self.config else {
            tracing::warn!(cause, "the demo has no file to read again");
            return None;
        };
        watch.note_content();
        let begun = clock::precise();
        let settings = match settings::load(watch.path()) {
            Ok(settings) => settings,
            Err(report) => {
                let mistakes = report.errors.len();
                tracing::error!(
                    cause,
                    mistakes,
                    "reload rejected: the file is wrong; serving on"
                );
                tell(&report, self.log_format);
                return None;
            }
        };
        let updating = async {
            let updated = update(&mut self.deployer, settings, cause, begun).await;
            match updated {
                Ok(()) => self.listening.announce(&self.deployer).await,
                Err(error) => tracing::error!(cause, %error, "reload rejected; serving on"),
            }
        };
        tokio::select! {
            () = updating => None,
            signal = self.signals.stop() => Some(signal),
        }
    }

    async fn stop(&mut self, signal: &'static str) -> ExitCode {
        tracing::info!(signal, "stopping: no new connections, draining");
        let (report, second) = self.shut_down().await;
        if let Err(error) = self.deployer.close_access_log() {
            tracing::warn!(%error, "the access log was not written to its end");
        }
        let clean = second.is_none() && report.stuck.is_empty();
        let dropped = report.connections_dropped;
        for worker in &report.stuck {
            tracing::error!(%worker, "the worker did not end");
        }
        tracing::info!(dropped, "stopped");
        if clean {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(CUT_SHORT)
        }
    }

    /// Drains; the signal that cut it short, if one did.
    async fn shut_down(&mut self) -> (ShutdownReport, Option<&'static str>) {
        let (deployer, signals) = (&self.deployer, &mut self.signals);
        let shutdown = deployer.shutdown();
        tokio::pin!(shutdown);
        let mut second = None;
        loop {
            tokio::select! {
                report = &mut shutdown => return (report, second),
                signal = signals.stop() => {
                    tracing::warn!(signal, "stopping at once: connections are dropped");
                    second = Some(signal);
                    deployer.abort();
                }
            }
        }
    }
}

async fn update(
    deployer: &mut Deployer,
    settings: Settings,
    cause: &'static str,
    begun: std::time::Instant,
) -> Result<(), UpdateError> {
    let updated = deployer.update(settings).await?;
    for warning in &updated.plan.warnings {
        tracing::warn!(cause, "{warning}");
    }
    let duration_ms = begun.elapsed().as_millis();
    match updated.generation {
        None => tracing::info!(cause, duration_ms, "reloaded: nothing has changed"),
        Some(generation) => {
            let (deployed, removed) = (names(&updated.plan.deploy), names(&updated.plan.remove));
            tracing::info!(cause, %generation, deployed, removed, duration_ms, "reloaded");
        }
    }
    Ok(())
}

fn names(sites: &BTreeSet<String>) -> String {
    sites
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}
