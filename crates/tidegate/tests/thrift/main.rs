//! The Thrift gateway over real sockets, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod carried;
mod faults;
#[path = "../updates/harness.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
#[path = "../updates/log.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod log;
mod observed;
mod peers;
mod routing;
mod settings;
#[path = "../transports/tls.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod tls;
mod updates;
