//! The `tidegate` binary.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use tidegate::check::check;
use tidegate::cli::mqtt::MqttVerb;
use tidegate::cli::{Cli, LogArgs, Verb};
use tidegate::mqtt_passwd::passwd;
use tidegate::operate::{Question, mqtt, operate};
use tidegate::run::run;

/// Requests allocate many small, short-lived pieces: this takes half the time of
/// the system's allocator over them, and keeps memory flat under churn.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::from_process().into_verb() {
        Verb::Check(arguments) => check(&arguments.config),
        Verb::Schema(arguments) => {
            // A reader that went away needs no more.
            let _ = std::io::stdout().write_all(arguments.text().as_bytes());
            ExitCode::SUCCESS
        }
        Verb::Run(arguments) => run(&arguments),
        Verb::Status(arguments) => operate(&Question::Status, &arguments),
        Verb::Services(arguments) => operate(&Question::Services, &arguments),
        Verb::Reload(arguments) => operate(&Question::Reload, &arguments),
        Verb::Upgrade(arguments) => operate(&Question::Upgrade, &arguments),
        Verb::Drain(arguments) => operate(&Question::Drain, &arguments),
        Verb::Mqtt(arguments) => match arguments.verb {
            MqttVerb::Passwd(arguments) => passwd(&arguments),
            MqttVerb::Ask(question) => mqtt::operate(&question),
        },
        Verb::Log(LogArgs { level, operate: to }) => {
            operate(&Question::Log(level.as_str().to_owned()), &to)
        }
    }
}
