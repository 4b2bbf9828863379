//! The command line.

pub mod mqtt;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

use self::mqtt::MqttArgs;
use crate::settings;

/// `tidegate [run] [--config FILE] ...`, `tidegate check --config FILE`, `tidegate status` ...
#[derive(Debug, Clone, Parser)]
#[command(
    name = "tidegate",
    version,
    about = "A gateway that is reconfigured while it runs and drops nobody.",
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; `run` when it is left out.
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: RunArgs,
}

/// What the process is asked to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Serve traffic; SIGHUP or a changed file reloads, SIGUSR2 upgrades, SIGTERM or SIGINT drains.
    Run(RunArgs),
    /// Say everything that is wrong with a configuration file; exit code 2 if it is.
    Check(CheckArgs),
    /// Print what a configuration file may say: a JSON Schema, for editors.
    Schema(SchemaArgs),
    /// Show what a running process serves.
    Status(OperateArgs),
    /// Show the services of a running process: state, restarts, last error.
    Services(OperateArgs),
    /// Have a running process read its file again; exit code 1 if it refuses.
    Reload(OperateArgs),
    /// Have a running process stop in order.
    Drain(OperateArgs),
    /// Have a running process start the program anew and leave its listeners to it; exit code
    /// 1 if the new one does not come to serve.
    Upgrade(OperateArgs),
    /// Have a running process log more, or less.
    Log(LogArgs),
    /// Look into a running MQTT broker, and have a hand in it.
    Mqtt(MqttArgs),
}

/// Which running process is asked, and how its answer is shown.
#[derive(Debug, Clone, Args)]
pub struct OperateArgs {
    /// The process's admin server [default: that of --config, or 127.0.0.1:9901].
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// The process's configuration file: names its admin server and token.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A file with the admin server's token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presentation {
    /// For people.
    Human,
    /// As it came.
    Json,
}

impl OperateArgs {
    /// How the answer is to be shown.
    pub const fn presentation(&self) -> Presentation {
        if self.json {
            Presentation::Json
        } else {
            Presentation::Human
        }
    }
}

/// What `log` has to be told.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// A level, or directives such as `info,tidegate_http=debug`.
    #[arg(value_name = "LEVEL")]
    pub level: LogDirectives,
    /// Which process.
    #[command(flatten)]
    pub operate: OperateArgs,
}

/// What `run` can be told.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The configuration file; an embedded demo when it is left out.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged: a level, or directives such as `info,tidegate_http=debug`.
    #[arg(
        long,
        visible_alias = "log-level",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log: LogDirectives,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "human")]
    pub log_format: LogFormat,
}

/// What `check` has to be told.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

/// What `schema` can be told.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// Print a page in Markdown instead.
    #[arg(long)]
    markdown: bool,
}

impl SchemaArgs {
    /// What to print.
    pub fn text(&self) -> String {
        match self.markdown {
            true => settings::reference(),
            false => format!("{:#}\n", settings::schema()),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Directives that are known to be understood; see [`EnvFilter`] for their form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirectives(String);

impl LogDirectives {
    /// The filter they describe.
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }

    /// The directives as they were given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogDirectives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let levels = "expected trace, debug, info, warn, error, off, or directives such as \
                      info,tidegate_http=debug";
        // A word alone would be read as the name of a target, so that a mistyped level
        // would silence everything else without a word.
        let bare = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let level = text
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_ok();
        if text.is_empty() || (bare && !level) {
            return Err(levels.to_owned());
        }
        match text.parse::<EnvFilter>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{error}; {levels}")),
        }
    }
}

impl Cli {
    /// The arguments of this process. Prints help, version or a mistake and exits
    /// when there is nothing else to do.
    pub fn from_process() -> Self {
        Self::parse()
    }

    /// What is asked for.
    pub fn into_verb(self) -> Verb {
        match self.verb {
            Some(verb) => verb,
            None => Verb::Run(self.run),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn verb(words: &[&str]) -> Result<Verb, clap::Error> {
        let words = std::iter::once("tidegate").chain(words.iter().copied());
        Cli::try_parse_from(words).map(Cli::into_verb)
    }

    fn run(words: &[&str]) -> RunArgs {
        match verb(words).unwrap() {
            Verb::Run(arguments) => arguments,
            _ => panic!("not run"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_what_happens_without_a_verb() {
        assert_eq!(run(&[]).config, None);
        assert_eq!(run(&[]).log_format, LogFormat::Human);
        assert_eq!(run(&[]).log.as_str(), "info");
        let bare = run(&["--config", "a.toml", "--log", "debug"]);
        assert_eq!(bare.config.unwrap(), PathBuf::from("a.toml"));
        assert_eq!(bare.log.as_str(), "debug");
    }

    #[test]
    fn log_sets_the_level_and_log_format_the_format() {
        let words = [
            "run",
            "--log",
            "info,tidegate_http=trace",
            "--log-format",
            "json",
        ];
        let arguments = run(&words);
        assert_eq!(arguments.log.as_str(), "info,tidegate_http=trace");
        assert_eq!(arguments.log_format, LogFormat::Json);
        assert_eq!(run(&["run", "--log-level", "warn"]).log.as_str(), "warn");
        assert!(verb(&["run", "--log", "loud"]).is_err());
        assert!(verb(&["run", "--log", ""]).is_err());
        assert!(verb(&["run", "--log-format", "xml"]).is_err());
    }

    #[test]
    fn check_needs_a_file() {
        assert!(verb(&["check"]).is_err());
        assert!(matches!(
            verb(&["check", "--config", "a.toml"]).unwrap(),
            Verb::Check(CheckArgs { config }) if config.as_os_str() == "a.toml"
        ));
    }
}
