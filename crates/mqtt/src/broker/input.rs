//! What the core is told.

use std::rc::Rc;

use super::{
    ConnectionId,
    access::{AccessRules, Identity, Validity},
    auth::Authenticator,
    durable::Token,
    limits::Limits,
    message::MessageParts,
    parcel::Parcel,
    receipts::Receipt,
    shard::ShardId,
    system::SystemState,
};
use crate::codec::{Connect, Packet, ReasonCode};

/// Where a connection comes from and who it has proved to be, by password,
/// certificate or otherwise, before the core hears of it.
#[derive(Debug, Clone, Default)]
pub struct ConnectOrigin {
    /// Who it is.
    pub identity: Identity,
}

/// Whether the store takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreState {
    /// It does.
    #[default]
    Open,
    /// It does not: what would have to be stored is refused with 0x97.
    Full,
}

/// Who comes while everybody is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// Is told that the server is not available: nobody serves here any more.
    Refused,
    /// Is let in, and sent away like the others: somebody else listens here already, and who
    /// was accepted by this server all the same is not to pay for it.
    SeenOff,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// A connection's first packet, its client authenticated as far as that
    /// needs no AUTH packet.
    Connect {
        /// A number that no open connection has.
        connection: ConnectionId,
        /// The packet.
        packet: Box<Connect>,
        /// Who sent it.
        origin: ConnectOrigin,
    },
    /// Any other packet.
    Packet {
        /// From where.
        connection: ConnectionId,
        /// The packet.
        packet: Packet,
    },
    /// The client's bytes are no MQTT packet, or not one that it may send.
    Malformed {
        /// From where.
        connection: ConnectionId,
        /// What the client is told.
        reason: ReasonCode,
    },
    /// A CONNECT, PUBLISH or SUBSCRIBE that its owner refuses: the client is told so as if
    /// the core had refused it.
    Refused {
        /// Why.
        reason: ReasonCode,
        /// What is refused: [`Connect`](Self::Connect) or [`Packet`](Self::Packet).
        input: Box<Self>,
    },
    /// As [`Packet`](Self::Packet), of a client that whoever runs the broker has in the
    /// program itself: no access rule is asked of what it subscribes to, now or later.
    OwnPacket {
        /// From which connection.
        connection: ConnectionId,
        /// The packet.
        packet: Packet,
    },
    /// The connection is closed, by whoever; its number is free again.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// Time has passed.
    Tick,
    /// The store has the batch, and all before it, as durably as it promises.
    Committed(Token),
    /// The store could not take the batch yet. It keeps it and tries again;
    /// who waits for it is told 0x97.
    CommitFailed(Token),
    /// Whether the store takes more.
    Store(StoreState),
    /// Another core says something.
    Shard {
        /// Which.
        from: ShardId,
        /// What.
        parcel: Parcel,
    },
    /// Another core has died, and one without its memory is in its place: what was on its
    /// way there is lost, and numbers between the two begin anew. What comes from it next
    /// comes from the new one.
    NeighbourRestarted(ShardId),
    /// New access rules, for live sessions too: subscriptions that they do not
    /// allow end.
    Rules(Rc<dyn AccessRules>),
    /// New proofs: who is connected by one that holds no longer is sent away, with 0x87.
    Validity(Rc<dyn Validity>),
    /// New methods of enhanced authentication.
    Authenticator(Rc<dyn Authenticator>),
    /// New bounds. Connections keep what CONNACK told them.
    Limits(Box<Limits>),
    /// The state of the whole broker, to be published under `$SYS` if somebody here
    /// subscribes to that; none when it is not told any longer.
    System(Option<Box<SystemState>>),
    /// Publish this for whoever runs the broker; no access rule is asked.
    Publish {
        /// What.
        message: MessageParts,
        /// Named when it is done, or cannot be.
        receipt: Receipt,
    },
    /// Disconnect a client.
    Kick {
        /// Its Client Identifier.
        client_id: Box<str>,
        /// What it is told.
        reason: ReasonCode,
    },
    /// Send every client away, no faster than [`Limits::shutdown_per_second`]. Said again,
    /// it changes what becomes of newcomers.
    Shutdown {
        /// What they are told.
        reason: ReasonCode,
        /// Whether anybody is let in meanwhile.
        newcomers: Newcomers,
    },
    /// Accept clients again; who has not been sent away stays.
    Reopen,
}
