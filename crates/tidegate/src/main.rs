//! The `tidegate` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tidegate::check::check;
use tidegate::cli::{Cli, Verb};
use tidegate::run::run;

fn main() -> ExitCode {
    match Cli::from_process().into_verb() {
        Verb::Check(arguments) => check(&arguments.config),
        Verb::Run(arguments) => run(&arguments),
    }
}
