//! The gateway that the tests put between Volo's clients and servers: `tidegate run`, whole.
//! A test finds a binary of its own package alone.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tidegate::cli::{Cli, Verb};
use tidegate::run::run;

fn main() -> ExitCode {
    match Cli::from_process().into_verb() {
        Verb::Run(arguments) => run(&arguments),
        _ => ExitCode::FAILURE,
    }
}
