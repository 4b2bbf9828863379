//! MQTT for Tidegate: the state of a broker, without I/O.

#![forbid(unsafe_code)]

pub mod broker;
