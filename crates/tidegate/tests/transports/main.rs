//! What carries a protocol to the real binary: behind proxies, over TLS, Unix sockets and
//! WebSocket, and how it all ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carried;
#[path = "../updates/harness.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
mod leaving;
#[path = "../updates/log.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod log;
mod mqtt;
mod proxied;
mod reload;
mod rumqttc;
mod talk;
mod tls;
mod websocket;
