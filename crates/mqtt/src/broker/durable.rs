//! What must outlive the process, as records for a store.
//!
//! The core tells what changed; it does not know how that is kept. It hands out
//! batches of records, each with a [`Token`], and holds back every
//! acknowledgement that rests on a batch until the store reports the token.
//! [`Broker::restore`](super::Broker::restore) takes the surviving records.

mod journal;

use std::rc::Rc;

pub(super) use self::journal::Journal;
use super::{
    crossing::{CrossingNumber, SharedName},
    grant::{Echo, Grant, RetainAs},
    handed::RunId,
    message::Message,
    outbox::Position,
    retained::Stamp,
    shard::{ShardId, ShardSet},
    time::Moment,
};
use crate::codec::{PacketIdentifier, QualityOfService, SubscriptionIdentifier};

/// Names a batch of records, in order; `Token(0)` is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token(pub u64);

/// Whether the core writes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// No: state ends with the process and acknowledgements wait for nothing.
    #[default]
    None,
    /// Yes: acknowledgements wait for the store.
    Stored,
}

/// A session in the store, over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNumber(pub u64);

/// A message in the store, over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(pub u64);

/// A batch to be written whole or not at all.
#[derive(Debug)]
pub struct Commit {
    /// What to report when it is done.
    pub token: Token,
    /// Its records, in order.
    pub records: Vec<Record>,
    /// What other cores have a part in.
    pub joints: Vec<Joint>,
}

/// Names a change that several cores make as one: the core that began it, and its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JointNumber(pub ShardId, pub u64);

impl JointNumber {
    /// No core that was made before `now` has begun changes from this count on: it would
    /// have had to begin a million in each millisecond.
    pub fn first_at(now: Moment) -> u64 {
        now.as_millis() << 20
    }
}

/// A batch's part in a joint change: it is written together with the others' or not at all.
///
/// That a message of QoS 2 was received is in one core's store, the message in the store of
/// its receivers' cores. With one and not the other it would be lost, or come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joint {
    /// Which.
    pub number: JointNumber,
    /// The cores with a part in it, as the one that began it says; the others do not know.
    pub others: Option<ShardSet>,
}

/// One change. `...Put` replaces what has the same key; `...Drop` of a key that
/// is not there means nothing. The key of each is named.
#[derive(Debug, Clone)]
pub enum Record {
    /// Key: the session's number.
    SessionPut(Box<StoredSession>),
    /// A session has ended. Everything else with its number goes with it.
    SessionDrop(SessionNumber),
    /// Key: the session's number and the filter.
    SubscriptionPut(Box<StoredSubscription>),
    /// Key: the session's number and the filter as subscribed to.
    SubscriptionDrop(SessionNumber, Box<str>),
    /// A message that queues refer to. Key: its number.
    MessagePut(MessageNumber, Rc<Message>),
    /// No queue refers to the message any longer.
    MessageDrop(MessageNumber),
    /// A message is queued. Key: the session's number and the position.
    QueuePut(StoredDelivery),
    /// The client has it and PUBCOMP is awaited; the message is let go of.
    QueueReleased(SessionNumber, Position),
    /// The delivery is complete or given up.
    QueueDrop(SessionNumber, Position),
    /// Positions before this one have been sent at least once. Key: the
    /// session's number. Nothing waits for it: at worst a message that is sent
    /// again after a restart does not say so.
    QueueSent(SessionNumber, Position),
    /// A message of QoS 2 was received. Key: session's number and packet identifier.
    ReceivedPut(SessionNumber, PacketIdentifier),
    /// PUBREL came for it.
    ReceivedDrop(SessionNumber, PacketIdentifier),
    /// Key: the topic.
    RetainedPut(Stamp, Rc<Message>),
    /// Key: the topic.
    RetainedDrop(Box<str>),
    /// Of what another core keeps until it is stored here, all up to this number is. Key: the
    /// other core and the run.
    TakenPut(ShardId, RunId, CrossingNumber),
    /// Nobody will ask for that any more.
    TakenDrop(ShardId, RunId),
}

/// A session, without its lists.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// Its number.
    pub number: SessionNumber,
    /// Whose it is.
    pub client_id: Box<str>,
    /// How long it outlives its connection, in seconds; `u32::MAX`: for ever.
    pub expiry_secs: u32,
    /// When it ends; none while it is connected.
    pub ends_at: Option<Moment>,
    /// The will of its connection, or of its last one if still to be published.
    pub will: Option<StoredWill>,
}

/// A will in the store.
#[derive(Debug, Clone)]
pub struct StoredWill {
    /// What is published.
    pub message: Rc<Message>,
    /// How long after the connection is gone, in seconds.
    pub delay_secs: u32,
    /// Its Message Expiry Interval, which begins when it is published.
    pub expiry_secs: Option<u32>,
    /// When it is due; none while the session is connected.
    pub due: Option<Moment>,
}

/// A subscription in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubscription {
    /// Whose.
    pub session: SessionNumber,
    /// The filter as subscribed to, with `$share/NAME/` if shared.
    pub filter: Box<str>,
    /// The QoS granted.
    pub qos: QualityOfService,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// The Subscription Identifier.
    pub identifier: Option<SubscriptionIdentifier>,
}

impl StoredSubscription {
    pub(super) fn grant(&self) -> Grant {
        Grant {
            qos: self.qos,
            retain: match self.retain_as_published {
                true => RetainAs::Published,
                false => RetainAs::Cleared,
            },
            echo: match self.no_local {
                true => Echo::NoLocal,
                false => Echo::Local,
            },
            identifier: self.identifier,
        }
    }
}

/// A queued message in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// For whom.
    pub session: SessionNumber,
    /// Where in the queue.
    pub position: Position,
    /// Which message.
    pub message: MessageNumber,
    /// At which QoS: 1 or 2.
    pub qos: QualityOfService,
    /// Whether it is sent with RETAIN.
    pub retain: bool,
    /// The Subscription Identifiers it carries.
    pub identifiers: Vec<SubscriptionIdentifier>,
    /// The shared subscription it came by: another member may have it still.
    pub shared: Option<SharedName>,
}
