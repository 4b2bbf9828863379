//! The whole request path: the real binary, real sockets, and peers on both sides
//! of it that misbehave as told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../agreement/check.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod agreement;
mod bodies;
mod descriptors;
mod faults_framing;
mod faults_upstream;
mod forwarding;
mod harness;
mod http2;
mod keep_alive;
mod limits;
mod memory;
mod routes;
mod timeouts;
mod tls;
mod upgrade;
