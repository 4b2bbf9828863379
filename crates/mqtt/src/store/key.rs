//! Keys: the core, the table, and what the table is ordered by.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use super::fields::{RecordError, put_u16, put_u64};
use crate::broker::durable::{MessageNumber, SessionNumber};
use crate::broker::shard::ShardId;
use crate::broker::{Position, RunId};
use crate::codec::PacketIdentifier;

/// Names are keys as they are up to here. A key has at most 65,535 bytes, a topic as many.
const NAME_BYTES_MAX: usize = 60_000;

/// Bytes before what a table is ordered by.
pub(super) const HEAD_BYTES: usize = 2;

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Table {
    Session = 1,
    Subscription = 2,
    Message = 3,
    Queue = 4,
    Sent = 5,
    Received = 6,
    Retained = 7,
    Taken = 8,
}

impl Table {
    /// Those whose records belong to a session and begin with its number.
    pub(super) const OF_SESSION: [Self; 4] =
        [Self::Subscription, Self::Queue, Self::Sent, Self::Received];

    pub(super) fn from_byte(byte: u8) -> Result<Self, RecordError> {
        Ok(match byte {
            1 => Self::Session,
            2 => Self::Subscription,
            3 => Self::Message,
            4 => Self::Queue,
            5 => Self::Sent,
            6 => Self::Received,
            7 => Self::Retained,
            8 => Self::Taken,
            _ => return Err(RecordError::Table(byte)),
        })
    }

    /// What the keys of one core's table begin with.
    pub(super) fn prefix(self, shard: ShardId) -> [u8; HEAD_BYTES] {
        [shard.0, self as u8]
    }
}

/// Appends keys of one core to a buffer.
pub(super) struct Keys<'a> {
    pub(super) shard: ShardId,
    pub(super) out: &'a mut Vec<u8>,
}

impl Keys<'_> {
    fn begin(&mut self, table: Table) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&table.prefix(self.shard));
        start
    }

    pub(super) fn session(self, table: Table, session: SessionNumber) -> Range<usize> {
        self.numbers(table, session.0, |_| {})
    }

    pub(super) fn message(self, message: MessageNumber) -> Range<usize> {
        self.numbers(Table::Message, message.0, |_| {})
    }

    pub(super) fn queue(self, session: SessionNumber, position: Position) -> Range<usize> {
        self.numbers(Table::Queue, session.0, |out| put_u64(out, position.0))
    }

    pub(super) fn received(self, session: SessionNumber, id: PacketIdentifier) -> Range<usize> {
        self.numbers(Table::Received, session.0, |out| put_u16(out, id.get()))
    }

    pub(super) fn subscription(self, session: SessionNumber, filter: &str) -> Range<usize> {
        self.numbers(Table::Subscription, session.0, |out| put_name(out, filter))
    }

    pub(super) fn retained(mut self, topic: &str) -> Range<usize> {
        let start = self.begin(Table::Retained);
        put_name(self.out, topic);
        start..self.out.len()
    }

    pub(super) fn taken(mut self, from: ShardId, run: RunId) -> Range<usize> {
        let start = self.begin(Table::Taken);
        self.out.push(from.0);
        put_u64(self.out, run.0);
        start..self.out.len()
    }

    fn numbers(mut self, table: Table, first: u64, rest: impl Fn(&mut Vec<u8>)) -> Range<usize> {
        let start = self.begin(table);
        put_u64(self.out, first);
        rest(self.out);
        start..self.out.len()
    }
}

/// A name, told apart from any other by its hash if it is too long for a key.
fn put_name(out: &mut Vec<u8>, name: &str) {
    match name.as_bytes().get(..NAME_BYTES_MAX) {
        Some(beginning) => {
            out.extend_from_slice(beginning);
            out.extend_from_slice(&xxh3_128(name.as_bytes()).to_be_bytes());
        }
        None => out.extend_from_slice(name.as_bytes()),
    }
}
