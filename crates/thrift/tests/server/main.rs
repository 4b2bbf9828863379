//! Server and client connections over sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
mod leaving;
mod refusing;
mod rig;
mod serving;
