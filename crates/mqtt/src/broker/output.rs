//! What the core wants done.

use super::{
    ConnectionId,
    durable::Commit,
    receipts::{Published, Receipt},
};

/// Something to be done.
#[derive(Debug)]
pub enum Output {
    /// [`Broker::next_packet`](super::Broker::next_packet) has something for
    /// the connection. Said once until that returns nothing.
    Ready(ConnectionId),
    /// Have the store write this.
    Commit(Commit),
    /// What has become of an [`Input::Publish`](super::Input::Publish).
    Published(Receipt, Published),
    /// A shutdown is complete: no connection is left.
    Stopped,
}
