//! Thrift services behind HTTP routes, over real sockets, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod faults;
#[path = "../updates/harness.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
mod http;
#[path = "../updates/log.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod log;
mod observed;
mod service;
mod settings;
mod updates;
