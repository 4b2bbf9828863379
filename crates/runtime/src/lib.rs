//! Everything that touches the machine: worker threads pinned to cores, sockets,
//! TLS, coarse deadlines, buffers, mailboxes and cancellation.
//!
//! One worker is one thread, one core and one tokio `LocalRuntime`; nothing here
//! moves a connection between threads behind its owner's back, and nothing takes
//! a lock on the data path. This is the only crate of the workspace that may
//! contain `unsafe`.

pub mod buffer;
pub mod cancel;
pub mod clock;
pub mod connections;
pub mod deadline;
pub mod in_place;
pub mod io;
pub mod limit;
pub mod listener;
pub mod local;
pub mod mailbox;
pub mod network;
pub mod opening;
pub mod panic;
pub mod proxy_protocol;
pub mod relay;
pub mod tls;
pub mod websocket;
pub mod worker;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
