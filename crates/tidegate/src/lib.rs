//! The `tidegate` server: settings, assembly and control of the gateway.
//!
//! The binary in `main.rs` is a thin wrapper around this library, so that tests and
//! other programs can use the same parts.
#![forbid(unsafe_code)]

pub mod admin;
pub mod assemble;
pub mod check;
pub mod cli;
pub mod demo;
pub mod deployer;
pub mod log;
pub mod mqtt_passwd;
pub mod operate;
pub mod process;
pub mod run;
pub mod settings;
pub mod watch;
