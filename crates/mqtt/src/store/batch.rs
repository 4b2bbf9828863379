//! A core's commit as bytes, which unlike its records may go to another thread.

use std::ops::Range;

use super::encode;
use super::key::{Keys, Table};
use crate::broker::durable::{Joint, Record, SessionNumber};
use crate::broker::shard::ShardId;

/// What a change does to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Writes a key that may be there already.
    Put(Range<usize>),
    /// Writes a key that was never there, such as a new message's.
    PutNew(Range<usize>),
    Drop,
    /// Drops the key, and everything that has the session's number.
    DropSession(SessionNumber),
}

/// One change: a key, and the value in the batch's bytes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) key: Range<usize>,
    pub(super) effect: Effect,
}

/// Changes to be made whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    changes: Vec<Change>,
    joints: Vec<Joint>,
    shard: u8,
}

impl Batch {
    /// The records of one of the cores.
    pub fn of(shard: ShardId, records: &[Record]) -> Self {
        let mut batch = Self {
            // Most are deliveries and their messages.
            bytes: Vec::with_capacity(records.len() * 64),
            changes: Vec::with_capacity(records.len()),
            joints: Vec::new(),
            shard: shard.0,
        };
        records.iter().for_each(|record| batch.add(record));
        batch
    }

    /// The same with parts in joint changes.
    #[must_use]
    pub fn with_joints(self, joints: Vec<Joint>) -> Self {
        Self { joints, ..self }
    }

    /// Its parts in joint changes.
    pub(super) fn joints(&self) -> &[Joint] {
        &self.joints
    }

    pub(super) fn joints_mut(&mut self) -> &mut Vec<Joint> {
        &mut self.joints
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn shard(&self) -> ShardId {
        ShardId(self.shard)
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    fn add(&mut self, record: &Record) {
        let shard = self.shard();
        let out = &mut self.bytes;
        let keys = Keys { shard, out };
        let key = match record {
            Record::SessionPut(session) => keys.session(Table::Session, session.number),
            Record::SessionDrop(number) => keys.session(Table::Session, *number),
            Record::SubscriptionPut(one) => keys.subscription(one.session, &one.filter),
            Record::SubscriptionDrop(session, filter) => keys.subscription(*session, filter),
            Record::MessagePut(number, _) | Record::MessageDrop(number) => keys.message(*number),
            Record::QueuePut(delivery) => keys.queue(delivery.session, delivery.position),
            Record::QueueReleased(session, position) | Record::QueueDrop(session, position) => {
                keys.queue(*session, *position)
            }
            Record::QueueSent(session, _) => keys.session(Table::Sent, *session),
            Record::ReceivedPut(session, id) | Record::ReceivedDrop(session, id) => {
                keys.received(*session, *id)
            }
            Record::RetainedPut(_, message) => keys.retained(message.topic().as_str()),
            Record::RetainedDrop(topic) => keys.retained(topic),
            Record::TakenPut(from, run, _) | Record::TakenDrop(from, run) => {
                keys.taken(*from, *run)
            }
        };
        let value = encode::value(&mut self.bytes, key.clone(), record);
        let effect = match (record, value) {
            (Record::MessagePut(..) | Record::QueuePut(..), Some(value)) => Effect::PutNew(value),
            (_, Some(value)) => Effect::Put(value),
            (Record::SessionDrop(number), None) => Effect::DropSession(*number),
            (_, None) => Effect::Drop,
        };
        self.changes.push(Change { key, effect });
    }
}
