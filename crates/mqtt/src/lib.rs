//! MQTT 5.0 and 3.1.1 for Tidegate.
//!
//! [`codec`] turns bytes into packets and back, in both versions and both roles;
//! [`broker`] is the state of a broker on one core: packets and time in, packets,
//! records and messages for other cores out. Neither names a socket, a clock or a
//! thread. [`access`] has the rules for who may do what. [`server`] runs them on a worker,
//! for connections. [`store`] keeps the records on disk, by a thread of its own.

#![forbid(unsafe_code)]

pub mod access;
pub mod broker;
pub mod codec;
pub mod server;
pub mod store;
