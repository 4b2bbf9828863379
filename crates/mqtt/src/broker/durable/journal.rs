//! Collects records into batches and knows which of them the store has.

use std::rc::Rc;

use super::{
    Commit, Durability, Joint, JointNumber, MessageNumber, Record, SessionNumber, StoredDelivery,
    Token,
};
use crate::broker::{
    crossing::{CrossingNumber, SharedName},
    handed::RunId,
    message::Message,
    outbox::{Delivery, RetainFlag},
    shard::ShardId,
    time::Moment,
};

/// Records that may be lost and wait for a batch to go along with.
const ASIDE_MAX: usize = 4_096;

#[derive(Debug)]
pub(in crate::broker) struct Journal {
    durability: Durability,
    records: Vec<Record>,
    /// Records that go along with the next batch but are no reason for one.
    aside: Vec<Record>,
    joints: Vec<Joint>,
    /// What was taken from other cores, with what is written in this batch.
    taken: Vec<(ShardId, RunId, CrossingNumber)>,
    /// The batch that is being collected.
    open: Token,
    committed: Token,
    next_session: u64,
    next_message: u64,
    next_joint: u64,
}

impl Journal {
    pub(in crate::broker) fn new(durability: Durability, now: Moment) -> Self {
        Self {
            durability,
            records: Vec::new(),
            aside: Vec::new(),
            joints: Vec::new(),
            taken: Vec::new(),
            open: Token(1),
            committed: Token(0),
            next_session: 1,
            next_message: 1,
            next_joint: JointNumber::first_at(now),
        }
    }

    /// A number for a change that other cores are to have a part in.
    pub(in crate::broker) fn new_joint(&mut self, here: ShardId) -> JointNumber {
        let number = JointNumber(here, self.next_joint);
        self.next_joint += 1;
        number
    }

    /// What is written now is a part of a joint change.
    pub(in crate::broker) fn join(&mut self, joint: Joint) {
        // Of messages handed over together each says so.
        if self.is_on() && self.joints.last() != Some(&joint) {
            self.joints.push(joint);
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.joints.is_empty()
    }

    pub(in crate::broker) fn is_on(&self) -> bool {
        self.durability == Durability::Stored
    }

    /// The last batch that has anything in it: what is acknowledged now rests
    /// on it at most.
    pub(in crate::broker) fn latest(&self) -> Token {
        match self.is_empty() {
            true => Token(self.open.0 - 1),
            false => self.open,
        }
    }

    /// The batch that what is written now goes into.
    pub(in crate::broker) fn open(&self) -> Token {
        self.open
    }

    pub(in crate::broker) fn committed(&self) -> Token {
        self.committed
    }

    pub(in crate::broker) fn commit(&mut self, token: Token) {
        self.committed = self.committed.max(token);
    }

    /// Closes the batch, if there is anything in it.
    pub(in crate::broker) fn take(&mut self) -> Option<Commit> {
        if self.is_empty() {
            return None;
        }
        let token = self.open;
        self.open.0 += 1;
        // First, for what they speak of may be dropped further on.
        let mut records = std::mem::take(&mut self.aside);
        records.append(&mut self.records);
        let taken = self.taken.drain(..);
        records.extend(taken.map(|(from, run, number)| Record::TakenPut(from, run, number)));
        Some(Commit {
            token,
            records,
            joints: std::mem::take(&mut self.joints),
        })
    }

    pub(in crate::broker) fn write(&mut self, record: Record) {
        if self.is_on() {
            self.records.push(record);
        }
    }

    /// Writes what may be lost.
    pub(in crate::broker) fn write_aside(&mut self, record: Record) {
        if self.is_on() && self.aside.len() < ASIDE_MAX {
            self.aside.push(record);
        }
    }

    /// Goes along with what is written of the messages of `run` up to this one. Where that is
    /// nothing, there is nothing that could come twice.
    pub(in crate::broker) fn note_taken(
        &mut self,
        from: ShardId,
        run: RunId,
        number: CrossingNumber,
    ) {
        let mut noted = self.taken.iter_mut();
        match noted.find(|(_, known, _)| *known == run) {
            Some((_, _, last)) => *last = number,
            None => self.taken.push((from, run, number)),
        }
    }

    /// How much has been written: two marks differ if anything was between them.
    pub(in crate::broker) fn mark(&self) -> (Token, usize) {
        (self.open, self.records.len())
    }

    pub(in crate::broker) fn new_session(&mut self) -> SessionNumber {
        let number = SessionNumber(self.next_session);
        self.next_session += 1;
        number
    }

    /// Numbers given from now on are beyond this one.
    pub(in crate::broker) fn saw_session(&mut self, number: SessionNumber) {
        self.next_session = self.next_session.max(number.0 + 1);
    }

    /// As [`saw_session`](Self::saw_session), for messages.
    pub(in crate::broker) fn saw_message(&mut self, number: MessageNumber) {
        self.next_message = self.next_message.max(number.0 + 1);
    }

    /// Writes a delivery that was queued, and its message if no other queue
    /// has it yet.
    pub(in crate::broker) fn queued(
        &mut self,
        session: SessionNumber,
        delivery: &Delivery,
        shared: Option<SharedName>,
    ) {
        if !self.is_on() {
            return;
        }
        let message = self.refer(&delivery.message);
        self.records.push(Record::QueuePut(StoredDelivery {
            session,
            position: delivery.position,
            message,
            qos: delivery.qos,
            retain: delivery.retain == RetainFlag::Set,
            identifiers: delivery.identifiers.as_slice().to_vec(),
            shared,
        }));
    }

    fn refer(&mut self, message: &Rc<Message>) -> MessageNumber {
        if let Some(number) = message.stored.refer() {
            return number;
        }
        let number = MessageNumber(self.next_message);
        self.next_message += 1;
        message.stored.begin(number);
        self.records
            .push(Record::MessagePut(number, Rc::clone(message)));
        number
    }

    /// A queue lets go of a message: the last one removes it.
    pub(in crate::broker) fn let_go(&mut self, message: &Message) {
        if let Some(number) = message.stored.let_go() {
            self.write(Record::MessageDrop(number));
        }
    }

    /// Writes that a delivery is over, whichever way.
    pub(in crate::broker) fn unqueued(&mut self, session: SessionNumber, delivery: &Delivery) {
        if !self.is_on() {
            return;
        }
        self.records
            .push(Record::QueueDrop(session, delivery.position));
        self.let_go(&delivery.message);
    }
}
