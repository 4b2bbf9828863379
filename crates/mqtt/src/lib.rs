//! MQTT 5.0 and 3.1.1 for Tidegate.
//!
//! [`codec`] turns bytes into packets and back, in both versions and both roles.
//! It names no socket, clock or thread.

#![forbid(unsafe_code)]

pub mod codec;
