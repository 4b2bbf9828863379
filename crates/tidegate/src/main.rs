//! The `tidegate` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tidegate::check::check;
use tidegate::cli::{Cli, Verb};
use tidegate::run::run;

/// Requests allocate many small, short-lived pieces: this takes half the time of
/// the system's allocator over them, and keeps memory flat under churn.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::from_process().into_verb() {
        Verb::Check(arguments) => check(&arguments.config),
        Verb::Run(arguments) => run(&arguments),
    }
}
