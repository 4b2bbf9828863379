//! The state that records describe, as maps: what a store reads back, and what
//! a test keeps in a store's place.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    broker::{
        crossing::CrossingNumber,
        durable::{
            MessageNumber, Record, SessionNumber, StoredDelivery, StoredSession, StoredSubscription,
        },
        handed::RunId,
        message::MessageParts,
        outbox::Position,
        retained::Stamp,
        shard::ShardId,
    },
    codec::PacketIdentifier,
};

/// Everything that was stored, by the keys that [`Record`] names. Put together
/// by a store from its tables, or by [`apply`](Self::apply) from records.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Sessions.
    pub sessions: BTreeMap<SessionNumber, StoredSession>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<(SessionNumber, Box<str>), StoredSubscription>,
    /// Messages in queues.
    pub messages: BTreeMap<MessageNumber, MessageParts>,
    /// Queues; none: the message is let go of and PUBCOMP awaited.
    pub queue: BTreeMap<(SessionNumber, Position), Option<StoredDelivery>>,
    /// How far each queue has been sent.
    pub sent: BTreeMap<SessionNumber, Position>,
    /// Messages of QoS 2 received and not released.
    pub received: BTreeSet<(SessionNumber, PacketIdentifier)>,
    /// Retained messages by topic.
    pub retained: BTreeMap<Box<str>, (Stamp, MessageParts)>,
    /// How far what other cores keep has been stored.
    pub taken: BTreeMap<(ShardId, RunId), CrossingNumber>,
}

impl Restored {
    /// Makes the change that a record stands for.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::SessionPut(session) => {
                self.sessions.insert(session.number, *session);
            }
            Record::SessionDrop(number) => self.drop_session(number),
            Record::SubscriptionPut(subscription) => {
                let key = (subscription.session, subscription.filter.clone());
                self.subscriptions.insert(key, *subscription);
            }
            Record::SubscriptionDrop(session, filter) => {
                self.subscriptions.remove(&(session, filter));
            }
            Record::MessagePut(number, message) => {
                self.messages.insert(number, message.parts().clone());
            }
            Record::MessageDrop(number) => {
                self.messages.remove(&number);
            }
            Record::QueuePut(delivery) => {
                let key = (delivery.session, delivery.position);
                self.queue.insert(key, Some(delivery));
            }
            Record::QueueReleased(session, position) => {
                self.queue.insert((session, position), None);
            }
            Record::QueueDrop(session, position) => {
                self.queue.remove(&(session, position));
            }
            Record::QueueSent(session, position) => {
                self.sent.insert(session, position);
            }
            Record::ReceivedPut(session, packet_id) => {
                self.received.insert((session, packet_id));
            }
            Record::ReceivedDrop(session, packet_id) => {
                self.received.remove(&(session, packet_id));
            }
            Record::RetainedPut(stamp, message) => {
                let topic = message.topic().as_str().into();
                self.retained
                    .insert(topic, (stamp, message.parts().clone()));
            }
            Record::RetainedDrop(topic) => {
                self.retained.remove(&topic);
            }
            Record::TakenPut(from, run, number) => {
                self.taken.insert((from, run), number);
            }
            Record::TakenDrop(from, run) => {
                self.taken.remove(&(from, run));
            }
        }
    }

    fn drop_session(&mut self, number: SessionNumber) {
        self.sessions.remove(&number);
        self.subscriptions
            .retain(|(session, _), _| *session != number);
        self.queue.retain(|(session, _), _| *session != number);
        self.received.retain(|(session, _)| *session != number);
        self.sent.remove(&number);
    }

    /// Positions before this one have been sent for certain. What is released
    /// was, whether or not that was noted.
    pub(in crate::broker) fn sent_through(&self, session: SessionNumber) -> Position {
        let noted = self.sent.get(&session).copied().unwrap_or_default();
        let last = (session, Position(0))..=(session, Position(u64::MAX));
        let released = self
            .queue
            .range(last)
            .rev()
            .find(|(_, entry)| entry.is_none());
        released.map_or(noted, |((_, position), _)| {
            noted.max(Position(position.0 + 1))
        })
    }

    /// Whether a session had a connection when the store heard of it last.
    pub(in crate::broker) fn was_connected(&self, number: SessionNumber) -> bool {
        self.sessions.get(&number).is_some_and(|session| {
            let will_is_due = session.will.as_ref().is_some_and(|will| will.due.is_some());
            session.ends_at.is_none() && !will_is_due
        })
    }
}
