//! The broker core: sessions, subscriptions and messages of one worker, with no
//! socket, clock, thread or runtime.
//!
//! Its verbs: [`handle`](Broker::handle) takes what happened and the time;
//! [`poll_output`](Broker::poll_output) gives what is to be done;
//! [`poll_parcel`](Broker::poll_parcel) gives what other cores are to be told;
//! [`next_packet`](Broker::next_packet) gives what one connection is to be
//! sent, as fast as its socket takes it; [`next_deadline`](Broker::next_deadline)
//! says when to come back with [`Input::Tick`].
//!
//! A broker of several workers has one core each. A client's session is on the
//! core that [`shard::shard_of`] names, and cores pass each other
//! [`Parcel`]s of messages. The path of a message: `publish` → `route` → `deliver`
//! into the outbox of each session → `drain` out of it.
//!
//! ```
//! use tidegate_mqtt::broker::{Broker, Input, Output, Settings, time::Moment};
//!
//! let mut now = Moment::from_millis(0);
//! let mut broker = Broker::new(now, Settings::default());
//! broker.handle(now, Input::Tick);
//! while let Some(output) = broker.poll_output() {
//!     if let Output::Ready(connection) = output {
//!         while let Some(packet) = broker.next_packet(now, connection) {
//!             println!("{connection:?} is sent {packet:?}");
//!         }
//!     }
//! }
//! // Sleep until then, or until something happens.
//! now = broker.next_deadline().unwrap_or(now);
//! ```

pub mod access;
mod acknowledge;
mod aliases;
pub mod auth;
mod connect;
pub mod counters;
mod crossing;
mod deliver;
mod detach;
mod draft;
mod drain;
pub mod durable;
mod expire;
mod fullness;
mod grant;
mod hand_over;
mod handed;
mod held;
mod inbox;
mod input;
pub mod inspect;
pub mod limits;
mod link;
mod message;
mod neighbour;
mod outbox;
mod output;
mod packet;
mod parcel;
mod publish;
pub mod rate;
mod reauthenticate;
mod recall;
mod receipts;
mod remote;
mod replay;
mod reply;
mod restore;
pub mod retained;
mod route;
mod rules;
mod session;
mod settle;
pub mod shard;
mod shared;
mod shutdown;
mod subscribe;
mod subscriptions;
pub mod system;
pub mod time;
mod timers;
pub mod topics;
mod will;

use std::{collections::VecDeque, rc::Rc};

use smallvec::SmallVec;

use crate::codec::ReasonCode;

use self::{
    access::{AccessRules, AllowAll, AlwaysValid, Validity},
    auth::{Authenticator, NoMethods},
    connect::Slot,
    counters::Counters,
    crossing::Crossing,
    deliver::Unsent,
    durable::{Durability, JointNumber, Journal},
    expire::TimerKey,
    handed::HandOvers,
    limits::Limits,
    rate::Bucket,
    recall::Recall,
    retained::{RetainedStore, StampClock},
    session::{SessionKey, Sessions},
    shard::{ShardId, ShardSet},
    shutdown::Shutdown,
    subscriptions::Subscriptions,
    time::Moment,
    timers::Timers,
};
pub use self::{
    crossing::{CrossingNumber, Parcels, SharedName},
    drain::{Outgoing, PublishOut},
    handed::RunId,
    input::{ConnectOrigin, Input, Newcomers, StoreState},
    link::ConnectionId,
    message::{Message, MessageParts},
    outbox::Position,
    output::Output,
    parcel::Parcel,
    receipts::{Published, Receipt},
    restore::Restored,
};

/// What a core is made with.
#[derive(Debug)]
pub struct Settings {
    /// Which core it is.
    pub shard: ShardId,
    /// How many there are, at most [`shard::SHARDS_MAX`].
    pub shards: u8,
    /// Whether it writes records.
    pub durability: Durability,
    /// Its bounds.
    pub limits: Limits,
    /// Who may publish and subscribe to what.
    pub access: Rc<dyn AccessRules>,
    /// Whether what clients have proved still holds.
    pub validity: Rc<dyn Validity>,
    /// Methods of enhanced authentication.
    pub authenticator: Rc<dyn Authenticator>,
    /// Makes assigned client ids unguessable and unlike those of other runs.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shard: ShardId(0),
            shards: 1,
            durability: Durability::None,
            limits: Limits::default(),
            access: Rc::new(AllowAll),
            validity: Rc::new(AlwaysValid),
            authenticator: Rc::new(NoMethods),
            seed: 0,
        }
    }
}

/// The core.
#[derive(Debug)]
pub struct Broker {
    /// When the last input came.
    now: Moment,
    limits: Limits,
    access: Rc<dyn AccessRules>,
    validity: Rc<dyn Validity>,
    authenticator: Rc<dyn Authenticator>,
    sessions: Sessions,
    connections: Vec<Slot>,
    /// Connections that are not free.
    open: usize,
    connected: usize,
    subscriptions: Subscriptions,
    retained: RetainedStore<Rc<Message>>,
    stamps: StampClock,
    journal: Journal,
    crossing: Crossing,
    handed: HandOvers,
    /// What others hand over that is stored here.
    recall: Recall,
    /// What is passed on is kept until the other core has it, and belongs to this.
    keeping: Option<RunId>,
    store: StoreState,
    /// Other cores whose store takes no more.
    full: ShardSet,
    timers: Timers<TimerKey>,
    upkeep_armed: Option<Moment>,
    outputs: VecDeque<Output>,
    /// The joint change that is being made.
    joint: Option<JointNumber>,
    /// The last word on what subscribers here want, to each other core.
    interest_told: SmallVec<[(ShardId, CrossingNumber); 1]>,
    /// Sessions with replies that wait for the store or another core.
    holding: Vec<SessionKey>,
    /// Messages of whoever runs the broker that the store or another core has yet to take.
    receipts: Vec<receipts::Open>,
    /// Messages that are not sent before the store has them, in the order of its batches.
    unsent: VecDeque<Unsent>,
    /// Sessions that new access rules, or proofs, have yet to be asked about.
    unchecked: Vec<SessionKey>,
    /// There may be retained messages of the broker's own topics.
    knows_system: bool,
    /// Sessions of clients in the program itself, which no access rule binds.
    own: Vec<SessionKey>,
    /// Why what is being handled is refused, whatever it is.
    refusing: Option<ReasonCode>,
    connect_rate: Bucket,
    shutdown: Option<Shutdown>,
    counters: Counters,
    seed: u64,
    assigned: u64,
}

impl Broker {
    /// A core without any state.
    pub fn new(now: Moment, settings: Settings) -> Self {
        let limits = settings.limits;
        let mut broker = Self {
            now,
            access: settings.access,
            validity: settings.validity,
            authenticator: settings.authenticator,
            sessions: Sessions::default(),
            connections: Vec::new(),
            open: 0,
            connected: 0,
            subscriptions: Subscriptions::new(settings.shards.saturating_sub(1)),
            retained: RetainedStore::new(limits.retained),
            stamps: StampClock::default(),
            journal: Journal::new(settings.durability, now),
            crossing: Crossing::new(settings.shard, settings.shards),
            handed: HandOvers::new(settings.shards, now),
            recall: Recall::new(settings.shards),
            keeping: None,
            store: StoreState::Open,
            full: ShardSet::default(),
            timers: Timers::default(),
            upkeep_armed: None,
            outputs: VecDeque::new(),
            joint: None,
            interest_told: SmallVec::new(),
            holding: Vec::new(),
            receipts: Vec::new(),
            unsent: VecDeque::new(),
            unchecked: Vec::new(),
            knows_system: false,
            own: Vec::new(),
            refusing: None,
            connect_rate: Bucket::new(limits.connect_rate, now),
            shutdown: None,
            counters: Counters::default(),
            seed: settings.seed,
            assigned: 0,
            limits,
        };
        broker.arm_upkeep(now);
        broker
    }

    /// Takes in what happened. `now` never goes back.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.now = now;
        let input = match input {
            Input::Refused { reason, input } => {
                self.refusing = Some(reason);
                *input
            }
            input => input,
        };
        match input {
            // One refusal is enough.
            Input::Refused { .. } => {}
            Input::Connect {
                connection,
                packet,
                origin,
            } => {
                self.counters.packets_received += 1;
                self.connect(now, connection, &packet, origin);
            }
            Input::Packet { connection, packet } => {
                self.counters.packets_received += 1;
                self.packet(now, connection, packet);
            }
            Input::OwnPacket { connection, packet } => {
                self.own_packet(now, connection, packet);
            }
            Input::Malformed { connection, reason } => self.broken(now, connection, reason),
            Input::Closed { connection } => self.closed(now, connection),
            Input::Tick => {}
            Input::Committed(token) => self.committed(token),
            Input::CommitFailed(token) => self.commit_failed(token),
            Input::Store(state) => self.store_is(state),
            Input::Shard { from, parcel } => self.crossed(now, from, parcel),
            Input::NeighbourRestarted(shard) => self.neighbour_restarted(now, shard),
            Input::Rules(rules) => self.exchange_rules(now, rules),
            Input::Validity(validity) => self.exchange_validity(now, validity),
            Input::Authenticator(authenticator) => self.authenticator = authenticator,
            Input::Limits(limits) => self.exchange_limits(*limits),
            Input::System(system) => self.publish_system(now, system.as_deref()),
            Input::Publish { message, receipt } => self.publish_own(now, message, receipt),
            Input::Kick { client_id, reason } => self.kick(now, &client_id, reason),
            Input::Shutdown { reason, newcomers } => self.begin_shutdown(now, reason, newcomers),
            Input::Reopen => self.shutdown = None,
        }
        self.refusing = None;
        self.expire(now);
        self.settle();
    }

    /// The next thing to be done; none when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.journal.take().map(Output::Commit)
    }

    /// What [`poll_parcel`](Self::poll_parcel) has.
    pub fn parcels(&self) -> Parcels {
        self.crossing.parcels()
    }

    /// What is to be brought to another core next, in order.
    pub fn poll_parcel(&mut self) -> Option<(ShardId, Parcel)> {
        self.crossing.next_parcel(self.journal.committed())
    }

    /// When to come with [`Input::Tick`] if nothing else comes before.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sessions, connected or not.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Sessions with a connection.
    pub fn connected_count(&self) -> usize {
        self.connected
    }

    /// Distinct topic filters, those of other cores included.
    pub fn filter_count(&self) -> usize {
        self.subscriptions.index().len()
    }

    /// Retained messages, and their bytes.
    pub fn retained_size(&self) -> (usize, usize) {
        (self.retained.len(), self.retained.bytes())
    }

    fn exchange_limits(&mut self, limits: Limits) {
        self.retained.set_limits(limits.retained);
        self.limits = limits;
    }
}

#[cfg(test)]
mod tests;
