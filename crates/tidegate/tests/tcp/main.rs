//! The TCP proxy over real sockets, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod detection;
mod faults;
#[path = "../updates/harness.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
mod health;
#[path = "../updates/log.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod log;
mod observed;
mod one_port;
mod peers;
mod proxying;
mod server_names;
#[path = "../transports/tls.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod tls;
mod updates;
