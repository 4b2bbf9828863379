//! Live updates and stops, over real sockets, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod broker;
mod broker_access;
mod broker_admin;
mod broker_durable;
mod broker_limits;
mod broker_system;
mod certificates;
mod client;
mod demo;
mod draining;
mod harness;
mod listeners;
mod log;
mod mqtt_client;
mod mqtt_sessions;
mod origin;
mod rejected;
mod state;
mod stop;
mod storm;
mod tls;
mod upgrade;
mod watch;
mod worker_death;
