//! The state of a broker, with no socket, clock, thread or runtime.

pub mod retained;
pub mod time;
pub mod topics;
