//! Calls into a program that embeds a broker, when something happens in it.

use std::fmt;

use super::chain::ClientInfo;
use crate::broker::PublishOut;
use crate::codec::{Connect, Publish, Subscribe};

/// Is told what happens, on the worker where it does. Nothing is changed or refused here:
/// that is for a [chain](super::chain).
///
/// Each call holds up the worker with all of its clients until it returns. A server without
/// hooks spends one comparison on each packet; with them, each packet from a client costs a
/// look-up of its session, and each message to one the same.
pub trait Hooks: fmt::Debug + Send + Sync {
    /// A client asks to come in, and has proved who it is. The broker has not answered.
    fn on_connect(&self, client: &ClientInfo, packet: &Connect) {
        let _ = (client, packet);
    }

    /// A client publishes. The broker has not asked its access rules.
    fn on_publish(&self, client: &ClientInfo, packet: &Publish) {
        let _ = (client, packet);
    }

    /// A client subscribes. The broker has not asked its access rules.
    fn on_subscribe(&self, client: &ClientInfo, packet: &Subscribe) {
        let _ = (client, packet);
    }

    /// A message is written to a client; again, if [`PublishOut::dup`] says so.
    fn on_deliver(&self, client: &ClientInfo, message: &PublishOut) {
        let _ = (client, message);
    }
}
