//! What the core wants done.

use super::{
    ConnectionId,
    crossing::ShardMessage,
    durable::Commit,
    receipts::{Published, Receipt},
    shard::ShardId,
};

/// Something to be done.
#[derive(Debug)]
pub enum Output {
    /// [`Broker::next_packet`](super::Broker::next_packet) has something for
    /// the connection. Said once until that returns nothing.
    Ready(ConnectionId),
    /// Pass this to another core, in order.
    Shard {
        /// Which.
        to: ShardId,
        /// What.
        message: ShardMessage,
    },
    /// Have the store write this.
    Commit(Commit),
    /// What has become of an [`Input::Publish`](super::Input::Publish).
    Published(Receipt, Published),
    /// A shutdown is complete: no connection is left.
    Stopped,
}
