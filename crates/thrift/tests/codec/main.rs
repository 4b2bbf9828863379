//! The codec through its public interface, against writers of the tests' own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod hostile;
mod messages;
mod values;
