//! The process's own log, to standard error.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::cli::{LogDirectives, LogFormat};

/// The way to the filter of the log that was started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// The level cannot be changed: this process's log is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log was not started here")]
pub struct NotOurs;

/// Starts logging. Later calls change nothing.
pub fn init(directives: &LogDirectives, format: LogFormat) {
    let (filter, handle) = reload::Layer::new(directives.filter());
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    // A second start in one process (a test) keeps the first one's log.
    let started = match format {
        LogFormat::Human => registry
            .with(
                lines
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false),
            )
            .try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    if started.is_ok() {
        // The first to start is the only one that can have.
        let _ = FILTER.set(handle);
    }
}

/// Logs by other directives from now on.
///
/// # Errors
///
/// The log was started by somebody else.
pub fn change(directives: &LogDirectives) -> Result<(), NotOurs> {
    let filter = FILTER.get().ok_or(NotOurs)?;
    filter.reload(directives.filter()).map_err(|_| NotOurs)
}
