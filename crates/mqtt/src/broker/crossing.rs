//! What cores of one broker say to each other.
//!
//! Each core numbers what it sends to each other core. A core that has taken a
//! message, and has in its store what the message obliges it to, says so by the
//! number; numbers are taken in order, so one answers for all before it. By
//! that an acknowledgement to a client waits for other cores without any of
//! them knowing of the client.
//!
//! What is said until somebody asks for it leaves in one parcel for each core, and with it
//! one answer for all that has been taken.

use super::{
    durable::{JointNumber, Token},
    handed::RunId,
    message::MessageParts,
    parcel::{Outline, Parcel},
    retained::Stamp,
    shard::{ShardId, ShardSet},
    subscriptions::InterestChange,
};

/// The number of a message between two cores, from 1, in the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct CrossingNumber(pub u64);

/// A message to another core. It holds nothing that belongs to one thread.
#[derive(Debug, Clone)]
pub(super) struct ShardMessage {
    /// Where it stands in the order; messages of QoS 0 may be lost on the way,
    /// the others may not.
    pub(super) number: CrossingNumber,
    /// What is said.
    pub(super) content: ShardContent,
}

/// What one core says to another.
#[derive(Debug, Clone)]
pub(super) enum ShardContent {
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
pub(super) struct ForwardedPublish {
    /// The message.
    pub(super) message: MessageParts,
    /// Who is meant there.
    pub(super) audience: Audience,
    /// The order among changes of the retained message, if it is one.
    pub(super) retain: Option<Stamp>,
    /// What is stored of it there is stored together with its sender's part.
    pub(super) joint: Option<JointNumber>,
    /// What its number belongs to, if its sender keeps it and it is to come once.
    pub(super) run: Option<RunId>,
}

/// Which subscribers of the other core a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Audience {
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

/// What there is for other cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parcels {
    /// Nothing.
    None,
    /// Answers at most, which may have to wait for the store.
    Answers,
    /// Something that may wait for more to come with it, but not for the other core.
    Some,
    /// What is not to wait: so much for one core, or news of what is wanted.
    Urgent,
}

/// What is known of one other core.
#[derive(Debug, Clone, Default)]
struct Peer {
    sent: CrossingNumber,
    /// The last number it has said is taken.
    taken: CrossingNumber,
    /// The last number that came from it and that somebody there waits for.
    received: CrossingNumber,
    /// The last number told to it as taken.
    told: CrossingNumber,
    /// The last number told to it as not stored.
    not_stored: CrossingNumber,
    /// `received` may be told once the store has this.
    after: Token,
    /// What it wants is what the core in its place before it wanted.
    is_new: bool,
    /// What is to be said to it.
    parcel: Parcel,
}

/// The numbers between this core and the others.
#[derive(Debug)]
pub(super) struct Crossing {
    me: ShardId,
    peers: Vec<Peer>,
    /// Cores that there may be something for: a parcel, or an answer.
    due: ShardSet,
    /// What they are.
    parcels: Parcels,
}

impl Crossing {
    pub(super) fn new(me: ShardId, count: u8) -> Self {
        Self {
            me,
            peers: vec![Peer::default(); usize::from(count)],
            due: ShardSet::default(),
            parcels: Parcels::None,
        }
    }

    pub(super) fn me(&self) -> ShardId {
        self.me
    }

    pub(super) fn count(&self) -> u8 {
        self.peers.len() as u8
    }

    /// Says something to `shard`.
    pub(super) fn say(&mut self, shard: ShardId, content: ShardContent) -> CrossingNumber {
        if matches!(content, ShardContent::Interest(_)) {
            self.hurry();
        }
        self.put(shard, |number, parcel| {
            parcel.push(ShardMessage { number, content });
        })
    }

    /// Passes on a short message that is for everybody at `shard` whose filters match.
    pub(super) fn pack(&mut self, shard: ShardId, outline: &Outline<'_>) -> CrossingNumber {
        self.put(shard, |number, parcel| parcel.pack(number, outline))
    }

    fn put(
        &mut self,
        shard: ShardId,
        message: impl FnOnce(CrossingNumber, &mut Parcel),
    ) -> CrossingNumber {
        self.due.insert(shard);
        let peer = &mut self.peers[usize::from(shard.0)];
        peer.sent.0 += 1;
        message(peer.sent, &mut peer.parcel);
        let parcels = match peer.parcel.is_large() {
            true => Parcels::Urgent,
            false => Parcels::Some,
        };
        self.parcels = self.parcels.max(parcels);
        peer.sent
    }

    /// Says something to `shard` that has no number: nobody waits for it.
    pub(super) fn say_aside(&mut self, shard: ShardId, content: ShardContent) {
        self.due.insert(shard);
        let number = CrossingNumber::default();
        let parcel = &mut self.peers[usize::from(shard.0)].parcel;
        parcel.push(ShardMessage { number, content });
        self.parcels = self.parcels.max(Parcels::Some);
    }

    /// What there is to be said, or answered, is not to wait: a subscriber does.
    pub(super) fn hurry(&mut self) {
        self.parcels = Parcels::Urgent;
    }

    /// What there is to be said.
    pub(super) fn parcels(&self) -> Parcels {
        match self.parcels {
            Parcels::None if !self.due.is_empty() => Parcels::Answers,
            parcels => parcels,
        }
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

    /// Notes a message from `shard` that is done once the store has `after`; somebody there
    /// waits for that.
    pub(super) fn received(&mut self, shard: ShardId, number: CrossingNumber, after: Token) {
        let peer = &mut self.peers[usize::from(shard.0)];
        peer.received = number.max(peer.received);
        peer.after = after.max(peer.after);
        self.due.insert(shard);
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

    /// What can be told as not stored, as nothing more than `committed` can be stored.
    pub(super) fn not_stored(&mut self, committed: Token) -> Vec<(ShardId, CrossingNumber)> {
        let mut news = Vec::new();
        for (shard, peer) in (0..).map(ShardId).zip(&mut self.peers) {
            let is_waited_for = peer.received > peer.told.max(peer.not_stored);
            if is_waited_for && peer.after > committed {
                peer.not_stored = peer.received;
                news.push((shard, peer.received));
            }
        }
        news
    }

    /// What one core is to be given, now that the store has `committed`.
    pub(super) fn next_parcel(&mut self, committed: Token) -> Option<(ShardId, Parcel)> {
        for shard in self.due.iter() {
            let peer = &mut self.peers[usize::from(shard.0)];
            if peer.received > peer.told && peer.after <= committed {
                peer.told = peer.received;
                peer.parcel.push(ShardMessage {
                    number: CrossingNumber::default(),
                    content: ShardContent::Taken(peer.told),
                });
            }
            if peer.received == peer.told {
                self.due.remove(shard);
            }
            if !peer.parcel.is_empty() {
                return Some((shard, peer.parcel.take()));
            }
        }
        self.parcels = Parcels::None;
        None
    }
}
