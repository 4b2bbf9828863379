//! Live updates and stops, over real sockets, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod harness;
mod origin;
mod state;
mod storm;
mod tls;
