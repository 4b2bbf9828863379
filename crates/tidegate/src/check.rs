//! `tidegate check`: says everything that is wrong with a file, touches nothing.

use crate::settings::{self, Colour, Settings};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The exit code for a configuration that is wrong.
pub const BAD_CONFIG: u8 = 2;

/// Checks the file at `path`. Mistakes go to standard error, a summary of a good
/// file to standard output.
pub fn check(path: &Path) -> ExitCode {
    match settings::load(path) {
        Ok(settings) => {
            let summary = summary(path, &settings);
            // A reader that went away needs no summary.
            let _ = writeln!(std::io::stdout(), "{summary}");
            ExitCode::SUCCESS
        }
        Err(report) => {
            let rendered = report.render(Colour::for_stderr());
            let _ = std::io::stderr().write_all(rendered.as_bytes());
            ExitCode::from(BAD_CONFIG)
        }
    }
}

fn summary(path: &Path, settings: &Settings) -> String {
    let servers = settings.servers.values();
    let listeners = servers.clone().map(|server| server.listen.len()).sum();
    let routes = servers.map(|server| server.routes.len()).sum();
    format!(
        "{}: good: {}, {}, {}, {}",
        path.display(),
        counted(settings.servers.len(), "server"),
        counted(listeners, "listener"),
        counted(routes, "route"),
        counted(settings.upstreams.len(), "upstream"),
    )
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
