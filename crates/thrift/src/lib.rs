//! Apache Thrift for Tidegate: without an IDL, and with one where it takes that.
//!
//! [`codec`] turns bytes into messages and back, of which it reads the envelope
//! alone: method, message type, sequence id and headers. By an IDL it also puts bodies
//! into JSON and back. [`server`] runs a
//! [`ThriftHandler`] on accepted connections; [`client`] asks other servers.
//!
//! The path of a call: [`server`] decodes → the [`ThriftHandler`] chain → (in a
//! gateway) [`client`] → back down the same call stack.

#![forbid(unsafe_code)]

pub mod call;
pub mod client;
pub mod codec;
pub mod context;
pub mod fault;
pub mod server;
mod spelling;
mod wire;

pub use call::{Answer, Call, ThriftHandler};
pub use context::{ConnectionInfo, Context};
pub use fault::{Fault, FaultKind};
pub use spelling::respell;
