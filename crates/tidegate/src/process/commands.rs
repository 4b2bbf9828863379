//! Programs of others, as the settings name them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_supervisor::command::{CommandPolicy, CommandSpec, Output, command};
use tidegate_supervisor::{Backoff, OrchestratorHandle, Restart, Service};

use super::DEPLOYMENT;
use crate::settings::{Command, CommandRestart};

/// The pause before a program that ended is started again, to begin with.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// The name of a program's service.
fn service_name(command: &Command) -> String {
    format!("command-{}", command.name)
}

/// The program as a service, which starts when the sites are up and stops before them.
pub(super) fn command_service(wanted: &Command) -> Service {
    let spec = CommandSpec {
        program: wanted.program.clone().into(),
        arguments: wanted.arguments.iter().map(Into::into).collect(),
        environment: wanted
            .environment
            .iter()
            .map(|(name, value)| (name.into(), value.reveal().into()))
            .collect(),
        directory: wanted.directory.clone(),
    };
    let policy = CommandPolicy {
        stop_timeout: wanted.stop_timeout,
    };
    let name = wanted.name.clone();
    let lines = Arc::new(move |output, line: &str| match output {
        Output::Out => tracing::info!(command = name, line, "output"),
        Output::Error => tracing::warn!(command = name, line, "output"),
    });
    let backoff = Backoff {
        base: RESTART_PAUSE,
        ..Backoff::default()
    };
    command(service_name(wanted), spec, policy, lines)
        .restart(match wanted.restart {
            CommandRestart::Never => Restart::Never,
            CommandRestart::OnFailure => Restart::OnFailure(backoff),
            CommandRestart::Always => Restart::Always(backoff),
        })
        .requires([DEPLOYMENT])
}

/// Stops the programs that are gone or changed, and starts those that are new or changed.
pub(super) async fn replace(
    services: OrchestratorHandle,
    old: BTreeMap<String, Command>,
    new: BTreeMap<String, Command>,
) {
    for (name, command) in &old {
        if new.get(name) != Some(command) {
            // One that is gone by itself need not be stopped.
            let _ = services.remove(&service_name(command)).await;
        }
    }
    for (name, command) in &new {
        if old.get(name) != Some(command)
            && let Err(error) = services.add(command_service(command))
        {
            tracing::error!(command = name, %error, "the program was not started");
        }
    }
}
