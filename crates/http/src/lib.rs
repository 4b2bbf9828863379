//! HTTP for Tidegate: a codec for HTTP/1.1 without I/O, and on it the server and
//! client connections. HTTP/2 is the `h2` crate behind the same types.
//!
//! A chain of handlers speaks one concrete [`Request`], [`Response`], [`Body`]
//! and [`Context`], whatever the version on the wire: no connection-level field
//! reaches a handler (only `Upgrade` does, where it is honoured), trailers and
//! informational responses are part of the types.
//!
//! The path of a request: [`server`] chooses the protocol of a connection →
//! `h1` or `h2` decodes → the [`HttpHandler`] chain → (in a gateway)
//! [`client`] → back down the same call stack, the body streaming behind.

#![forbid(unsafe_code)]

pub mod body;
pub mod client;
pub mod context;
pub mod exchange;
pub mod fault;
pub mod h1;
mod h2;
pub mod headers;
pub mod hop;
pub mod message;
pub mod server;
pub mod tunnel;
pub mod websocket;
mod write;

pub use body::{Body, Upgrade};
pub use context::{ConnectionInfo, Context, Scheme};
pub use exchange::{Exchange, HttpHandler};
pub use fault::{Fault, FaultKind};
pub use headers::Headers;
pub use message::{Request, RequestParts, Response, ResponseParts};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
