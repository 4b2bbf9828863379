//! MQTT.

#![forbid(unsafe_code)]

pub mod broker;
pub mod codec;
