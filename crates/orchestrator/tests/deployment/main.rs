//! Whole deployments, with worker threads and sockets on the loopback.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod draining;
mod dying;
mod listeners;
mod rig;
mod staging;
