//! Volo's Thrift and ours: one codec against the other, and its clients and servers through
//! the gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod codec_ours;
mod codec_theirs;
mod gateway;
mod heads;
mod rig;
