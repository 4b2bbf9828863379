//! Programs of others, as services.

mod lines;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::lines::LINE_BYTES_MAX;
use self::lines::follow;
use crate::context::Context;
use crate::policy::StopPolicy;
use crate::service::Service;

/// How long what a program wrote is read after its end, if its pipes do not close with it.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(500);

/// What systemd says to us alone. A program that believed it would speak in our name.
const OURS_ALONE: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// A program and what it is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandSpec {
    /// The program: a path, or a name to be looked for in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables added to ours, those apart that systemd means for us alone.
    pub environment: BTreeMap<OsString, OsString>,
    /// Where it runs; here unless said otherwise.
    pub directory: Option<PathBuf>,
}

/// How a program is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandPolicy {
    /// From SIGTERM until SIGKILL. Zero is SIGKILL at once.
    pub stop_timeout: Duration,
}

impl Default for CommandPolicy {
    fn default() -> Self {
        Self {
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// Which stream of a program a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Its standard output.
    Out,
    /// Its standard error.
    Error,
}

/// Why a program failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot start {program:?}: {source}")]
    Start {
        /// The program.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// It ended in a way that is no success, and not because we stopped it.
    #[error("ended with {0}")]
    Ended(ExitStatus),
    /// Nobody knows how it ended.
    #[error("cannot be waited for: {0}")]
    Wait(io::Error),
}

/// What is done with the lines a program writes.
pub type LineSink = Arc<dyn Fn(Output, &str) + Send + Sync>;

/// Runs a program, with all it starts, as one process group.
///
/// Stopping is SIGTERM to the group, the rest of the time-out for it to end, and SIGKILL; the
/// service ends as soon as the program has, and the program is always reaped. A program that
/// ends by the signal that was sent to stop it has ended well. `lines` gets what it writes,
/// line by line, long ones cut at [`LINE_BYTES_MAX`].
pub fn command(
    name: impl Into<Arc<str>>,
    spec: CommandSpec,
    policy: CommandPolicy,
    lines: LineSink,
) -> Service {
    let stop = StopPolicy {
        // Killing takes a moment too.
        drain: policy.stop_timeout + Duration::from_secs(2),
        ..StopPolicy::default()
    };
    Service::new(name, move |context: Context| {
        let (spec, lines) = (spec.clone(), Arc::clone(&lines));
        async move { run(&spec, policy, &context, &lines).await }
    })
    .stop(stop)
}

async fn run(
    spec: &CommandSpec,
    policy: CommandPolicy,
    context: &Context,
    lines: &LineSink,
) -> Result<(), CommandError> {
    let mut child = start(spec)?;
    let group = Group::of(&child);
    let output = child.stdout.take();
    let errors = child.stderr.take();
    let over = CancellationToken::new();
    let ending = async {
        let ended = tokio::select! {
            status = child.wait() => (status, Asked::No),
            () = context.drain().cancelled() => {
                (stop(&mut child, &group, policy, context).await, Asked::Yes)
            }
        };
        // What it started does not outlive it.
        group.signal(Signal::KILL);
        over.cancel();
        ended
    };
    let following = async {
        let heard = async {
            tokio::join!(
                follow(output, Output::Out, lines),
                follow(errors, Output::Error, lines)
            )
        };
        tokio::select! {
            _ = heard => {}
            () = last_words(&over) => {}
        }
    };
    let ((status, asked), ()) = tokio::join!(ending, following);
    let status = status.map_err(CommandError::Wait)?;
    match asked {
        Asked::Yes => Ok(()),
        Asked::No if status.success() => Ok(()),
        Asked::No => Err(CommandError::Ended(status)),
    }
}

/// Until the program has ended and what it wrote last can be read: it is in the pipes still.
/// They need not close then, for a descendant may have left the group and hold them open.
async fn last_words(over: &CancellationToken) {
    over.cancelled().await;
    tokio::time::sleep(LAST_WORDS_LIMIT).await;
}

/// Whether the end was asked for.
#[derive(Clone, Copy)]
enum Asked {
    Yes,
    No,
}

fn start(spec: &CommandSpec) -> Result<Child, CommandError> {
    prepare(spec).spawn().map_err(|source| CommandError::Start {
        program: spec.program.clone(),
        source,
    })
}

fn prepare(spec: &CommandSpec) -> Command {
    let mut command = Command::new(&spec.program);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    command
        .args(&spec.arguments)
        .envs(&spec.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
    command
}

async fn stop(
    child: &mut Child,
    group: &Group,
    policy: CommandPolicy,
    context: &Context,
) -> io::Result<ExitStatus> {
    if !policy.stop_timeout.is_zero() {
        group.signal(Signal::TERM);
        let patience = timeout(policy.stop_timeout, child.wait());
        let ended = tokio::select! {
            ended = patience => ended.ok(),
            () = context.abort().cancelled() => None,
        };
        if let Some(ended) = ended {
            return ended;
        }
        tracing::warn!(
            service = context.path(),
            "did not stop when asked and is killed"
        );
    }
    group.signal(Signal::KILL);
    child.wait().await
}

/// A program with everything it started; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_program_does_not_speak_to_systemd_in_our_name() {
        let mut spec = CommandSpec::default();
        spec.environment.insert("LISTEN_FDS".into(), "1".into());
        let command = prepare(&spec);
        let value = |wanted: &str| {
            let mut all = command.as_std().get_envs();
            all.find(|(name, _)| *name == wanted).unwrap().1
        };
        assert_eq!(value("NOTIFY_SOCKET"), None);
        assert_eq!(value("WATCHDOG_PID"), None);
        // What the settings say has been thought of.
        assert_eq!(value("LISTEN_FDS"), Some(OsStr::new("1")));
    }
}
