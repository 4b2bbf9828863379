//! Listening sockets: bound by the control side, accepted from by every worker.
//!
//! A [`ListenerBuilder`] makes a [`ListenerSet`], which owns the sockets: one per
//! worker and address (`SO_REUSEPORT`), so that a worker's death leaves its queue
//! alive. A worker accepts through the [`Listener`]s it gets from
//! [`ListenerSet::for_worker`]. A successor made from an older set takes over the
//! sockets both name; an address no set names any more is closed once the workers
//! have emptied its queue. Connections are spread: a worker with notably more than
//! the least loaded hands new ones to it.

mod accept;
mod address;
mod admission;
mod backoff;
mod bind;
mod builder;
mod group;
mod passed;
mod seat;
mod set;
mod succession;

pub use self::accept::{ACCEPT_BATCH, EMPTYING_MAX, Listener};
pub use self::address::{ListenAddr, ParseListenAddrError};
pub use self::admission::{Admission, Admitted, Incoming, Pass, Permit};
pub use self::backoff::{BACKOFF_FIRST, BACKOFF_LONGEST, WARNING_INTERVAL};
pub use self::bind::BindError;
pub use self::builder::{
    DEFAULT_BACKLOG, DEFAULT_CONNECTIONS_MAX, DEFAULT_DRAIN, ListenerBuilder, ListenerOptions,
};
pub use self::passed::take_over;
pub use self::seat::{HANDOVER_CAPACITY, HANDOVER_SLACK, ListenerCounters};
pub use self::set::{ListenerSet, SocketId};
pub use self::succession::{Heir, Predecessor, close_unclaimed};

#[cfg(test)]
mod tests;
