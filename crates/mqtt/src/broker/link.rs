//! What a session's connection was agreed to be, and what waits on it.

use super::{
    aliases::{AliasesIn, AliasesOut},
    auth::Exchange,
    held::Replies,
    rate::Bucket,
    time::Moment,
};
use crate::codec::{ProtocolVersion, ReasonCode, Text};

/// A connection, by the number its owner gives it: small, and free to be given
/// again once the core was told that the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

/// Whether the owner has been told that there is something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    No,
    Yes,
}

/// How far a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// CONNACK has not been handed out: nothing else may be (3.2.0-1).
    Accepted,
    Open,
    /// What waits is still handed out, then DISCONNECT with this reason.
    Leaving(ReasonCode),
}

/// Enhanced authentication of a connection.
#[derive(Debug)]
pub(super) struct LinkAuth {
    pub(super) method: Text,
    /// A re-authentication under way, and when it must be over.
    pub(super) exchange: Option<(Box<dyn Exchange>, Moment)>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: ConnectionId,
    pub(super) version: ProtocolVersion,
    pub(super) phase: Phase,
    pub(super) told: Told,
    /// One and a half times the keep-alive, in milliseconds; 0: none.
    pub(super) silence_max_ms: u32,
    pub(super) last_seen: Moment,
    /// Our Receive Maximum, as the client was told.
    pub(super) receive_maximum: u16,
    /// Our Topic Alias Maximum, as the client was told.
    pub(super) aliases_in_max: u16,
    /// The client's Receive Maximum, or ours if that is less.
    pub(super) inflight_max: u16,
    /// The client's Maximum Packet Size.
    pub(super) packet_bytes_max: u32,
    pub(super) replies: Replies,
    pub(super) aliases_in: AliasesIn,
    pub(super) aliases_out: Option<Box<AliasesOut>>,
    pub(super) publish_rate: Bucket,
    pub(super) auth: Option<Box<LinkAuth>>,
}

impl Link {
    /// When the client has been silent for too long, or takes too long to
    /// authenticate again.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let silence = (self.silence_max_ms > 0).then(|| self.silent_until());
        let exchange = self
            .auth
            .as_ref()
            .and_then(|auth| Some(auth.exchange.as_ref()?.1));
        [silence, exchange].into_iter().flatten().min()
    }

    fn silent_until(&self) -> Moment {
        Moment::from_millis(self.last_seen.as_millis() + u64::from(self.silence_max_ms))
    }

    pub(super) fn is_silent(&self, now: Moment) -> bool {
        self.silence_max_ms > 0 && self.silent_until() <= now
    }
}
