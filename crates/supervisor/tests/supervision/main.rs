//! The supervisor as its users see it, on a paused clock: time passes only when every task
//! waits for it, and then at once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cleanup;
mod commands;
mod dependencies;
mod lifecycle;
mod orchestrator;
mod pools;
mod races;
mod restart;
mod rig;
mod scale;
mod scopes;
mod services;
mod stop;
