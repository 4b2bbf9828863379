//! HTTP/1.1: the codec, and the connections that move its bytes.

pub(crate) mod client;
pub mod codec;
mod incoming;
pub(crate) mod respond;
pub(crate) mod server;
mod wire;
