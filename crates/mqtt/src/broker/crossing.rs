//! What cores of one broker say to each other.
//!
//! Each core numbers what it sends to each other core. A core that has taken a
//! message, and has in its store what the message obliges it to, says so by the
//! number; numbers are taken in order, so one answers for all before it. By
//! that an acknowledgement to a client waits for other cores without any of
//! them knowing of the client.

use super::{
    durable::{JointNumber, Token},
    handed::RunId,
    message::MessageParts,
    retained::Stamp,
    shard::ShardId,
    subscriptions::InterestChange,
};

/// The number of a message between two cores, from 1, in the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct CrossingNumber(pub u64);

/// A message to another core. It holds nothing that belongs to one thread.
#[derive(Debug, Clone)]
pub struct ShardMessage {
    /// Where it stands in the order; messages of QoS 0 may be lost on the way,
    /// the others may not.
    pub number: CrossingNumber,
    /// What is said.
    pub content: ShardContent,
}

/// What one core says to another.
#[derive(Debug, Clone)]
pub enum ShardContent {
    /// A message for subscribers there.
    Publish(Box<ForwardedPublish>),
    /// What the sender's subscribers want.
    Interest(InterestChange),
    /// All messages up to this number have been taken, and stored if need be.
    /// It is not numbered itself.
    Taken(CrossingNumber),
    /// What a core had stored, whose place the sender has taken, of the messages of QoS 2 that
    /// the receiver keeps: by run, all up to a number. It is not numbered itself.
    Recalled(Box<[(RunId, CrossingNumber)]>),
    /// The sender's store takes no more, and nothing after what is taken and up to this number
    /// is in it. It is not numbered itself.
    StoreFull(CrossingNumber),
    /// The sender's store takes more again. It is not numbered itself.
    StoreOpen,
}

/// A published message on its way to another core.
#[derive(Debug, Clone)]
pub struct ForwardedPublish {
    /// The message.
    pub message: MessageParts,
    /// Who is meant there.
    pub audience: Audience,
    /// The order among changes of the retained message, if it is one.
    pub retain: Option<Stamp>,
    /// What is stored of it there is stored together with its sender's part.
    pub joint: Option<JointNumber>,
    /// What its number belongs to, if its sender keeps it and it is to come once.
    pub run: Option<RunId>,
}

/// Which subscribers of the other core a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// All whose own filters match, and one of each of these shared
    /// subscriptions.
    Matching(Vec<SharedName>),
    /// One of this shared subscription only: it was given back by a member here.
    Shared(SharedName),
    /// Nobody: the other core is to keep the retained message only.
    Retained,
}

/// A shared subscription by name, as cores know it of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedName {
    /// The filter shared.
    pub filter: Box<str>,
    /// The ShareName.
    pub name: Box<str>,
}

impl SharedName {
    /// The filter as it is subscribed to.
    pub fn as_filter(&self) -> Box<str> {
        format!("$share/{}/{}", self.name, self.filter).into()
    }
}

/// What is known of one other core.
#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    sent: CrossingNumber,
    /// The last number it has said is taken.
    taken: CrossingNumber,
    /// The last number that came from it.
    received: CrossingNumber,
    /// The last number told to it as taken.
    told: CrossingNumber,
    /// The last number told to it as not stored.
    not_stored: CrossingNumber,
    /// `received` may be told once the store has this.
    after: Token,
    /// What it wants is what the core in its place before it wanted.
    is_new: bool,
}

/// The numbers between this core and the others.
#[derive(Debug)]
pub(super) struct Crossing {
    me: ShardId,
    peers: Vec<Peer>,
}

impl Crossing {
    pub(super) fn new(me: ShardId, count: u8) -> Self {
        Self {
            me,
            peers: vec![Peer::default(); usize::from(count)],
        }
    }

    pub(super) fn me(&self) -> ShardId {
        self.me
    }

    pub(super) fn count(&self) -> u8 {
        self.peers.len() as u8
    }

    /// The number for the next message to `shard`.
    pub(super) fn number(&mut self, shard: ShardId) -> CrossingNumber {
        let sent = &mut self.peers[usize::from(shard.0)].sent;
        sent.0 += 1;
        *sent
    }

    /// Notes what `shard` has taken.
    pub(super) fn taken(&mut self, shard: ShardId, number: CrossingNumber) {
        let taken = &mut self.peers[usize::from(shard.0)].taken;
        *taken = number.max(*taken);
    }

    /// The last number that `shard` has said is taken.
    pub(super) fn last_taken(&self, shard: ShardId) -> CrossingNumber {
        self.peers[usize::from(shard.0)].taken
    }

    /// What this core waits for at itself, it has nowhere.
    pub(super) fn has_taken(&self, shard: ShardId, number: CrossingNumber) -> bool {
        self.peers[usize::from(shard.0)].taken >= number
    }

    /// Notes a message from `shard` that is done once the store has `after`.
    pub(super) fn received(&mut self, shard: ShardId, number: CrossingNumber, after: Token) {
        let peer = &mut self.peers[usize::from(shard.0)];
        peer.received = number.max(peer.received);
        peer.after = after.max(peer.after);
    }

    /// Another core is in the place of `shard`.
    pub(super) fn restart(&mut self, shard: ShardId) {
        self.peers[usize::from(shard.0)] = Peer {
            is_new: true,
            ..Peer::default()
        };
    }

    /// Whether this is the first that is heard of a core that was restarted.
    pub(super) fn is_first_of(&mut self, shard: ShardId) -> bool {
        std::mem::take(&mut self.peers[usize::from(shard.0)].is_new)
    }

    /// What can be told as not stored, if nothing can be stored.
    pub(super) fn not_stored(&mut self) -> Vec<(ShardId, CrossingNumber)> {
        let mut news = Vec::new();
        for (shard, peer) in (0..).map(ShardId).zip(&mut self.peers) {
            if peer.received > peer.told.max(peer.not_stored) {
                peer.not_stored = peer.received;
                news.push((shard, peer.received));
            }
        }
        news
    }

    /// What can be told as taken, now that the store has `committed`.
    pub(super) fn tell(&mut self, committed: Token) -> Vec<(ShardId, CrossingNumber)> {
        let mut news = Vec::new();
        for (shard, peer) in (0..).map(ShardId).zip(&mut self.peers) {
            if peer.received > peer.told && peer.after <= committed {
                peer.told = peer.received;
                news.push((shard, peer.told));
            }
        }
        news
    }
}
