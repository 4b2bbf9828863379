//! The process's own log, to standard error.

use std::io::IsTerminal;

use crate::cli::{LogDirectives, LogFormat};

/// Starts logging. Later calls change nothing.
pub fn init(directives: &LogDirectives, format: LogFormat) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(directives.filter())
        .with_writer(std::io::stderr);
    // A second start in one process (a test) keeps the first one's log.
    let _ = match format {
        LogFormat::Human => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
