//! Messages on their way to another core, packed.
//!
//! A message is made of several pieces of memory. Given to another core they would be freed
//! there, one by one, which allocators do slowly, and each would have to be fetched from the
//! sender's cache, as must every line of it. So a parcel is one piece for all of its
//! messages, as short as it can be, written straight from what has come; the receiver makes
//! new ones, in memory of its own.

mod record;

use std::vec;

use bytes::Bytes;

pub(super) use self::record::Topic;
use self::record::{Reading, Record, Records};
use super::{
    crossing::{CrossingNumber, ShardContent, ShardMessage},
    message::MessageParts,
    time::Moment,
};
use crate::codec::{MessageProperties, QualityOfService, TopicName};

/// Payloads up to here are packed: a larger one is dearer to copy than to free.
const PACKED_BYTES_MAX: usize = 4 * 1024;

/// Room that the next parcel gets at once, at most, if this one filled as much.
const ROOM_BYTES_MAX: usize = 64 * 1024;

/// As much of it is brought to the other core at once: it has enough to do. What waits in
/// that one's mailbox is bounded by these and what one read brings, for each parcel.
const LARGE_MESSAGES: usize = 512;
const LARGE_BYTES: usize = 64 * 1024;

/// Messages in the order they were put in.
#[derive(Debug, Clone, Default)]
pub struct Parcel {
    count: usize,
    records: Records,
    /// Those that are not packed, in the order of their records.
    whole: Vec<ShardMessage>,
    /// Of payloads that are not packed.
    whole_bytes: usize,
    /// What the parcel before came to: as much room is made for this one at once.
    expected_bytes: usize,
}

/// What a message says, wherever it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline<'a> {
    pub(super) topic: &'a [u8],
    /// Encoded.
    pub(super) properties: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) qos: QualityOfService,
    pub(super) retain: bool,
    pub(super) expires_at: Option<Moment>,
}

/// What comes out of a parcel.
#[derive(Debug)]
pub(super) enum Unpacked {
    /// A message for everybody there whose filters match.
    Common(CrossingNumber, Topic, MessageParts),
    /// Anything else.
    Whole(ShardMessage),
}

impl Outline<'_> {
    /// Whether it is short enough to be packed.
    pub(super) fn is_short(&self) -> bool {
        self.payload.len() <= PACKED_BYTES_MAX
    }
}

impl Parcel {
    /// Messages in it.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether it is not to wait for more to come with it.
    pub(super) fn is_large(&self) -> bool {
        self.count >= LARGE_MESSAGES || self.records.len() + self.whole_bytes >= LARGE_BYTES
    }

    /// Takes all that is in it, and expects as much again.
    pub(super) fn take(&mut self) -> Self {
        let next = Self {
            expected_bytes: self.records.len().min(ROOM_BYTES_MAX),
            ..Self::default()
        };
        std::mem::replace(self, next)
    }

    /// Puts a short message in that is for everybody whose filters match.
    pub(super) fn pack(&mut self, number: CrossingNumber, outline: &Outline<'_>) {
        self.records.expect(self.expected_bytes);
        self.records.write(number, outline);
        self.count += 1;
    }

    /// Puts any other message in.
    pub(super) fn push(&mut self, message: ShardMessage) {
        if let ShardContent::Publish(publish) = &message.content {
            self.whole_bytes += publish.message.payload.len();
        }
        self.records.write_whole();
        self.whole.push(message);
        self.count += 1;
    }

    /// Puts those of another in behind its own. Once there are `messages_max`, those that
    /// may be lost are; returns how many.
    pub(crate) fn append(&mut self, other: Self, messages_max: usize) -> u64 {
        if self.is_empty() && other.len() <= messages_max {
            *self = other;
            return 0;
        }
        if self.len() + other.len() <= messages_max {
            self.count += other.count;
            self.records.append(&other.records);
            self.whole.extend(other.whole);
            self.whole_bytes += other.whole_bytes;
            return 0;
        }
        self.append_what_has_room(other, messages_max)
    }

    fn append_what_has_room(&mut self, other: Self, messages_max: usize) -> u64 {
        let mut lost = 0;
        let mut reading = Reading::default();
        let mut whole = other.whole.into_iter();
        while let Some(record) = other.records.read(&mut reading) {
            let has_room = self.len() < messages_max;
            match record {
                Record::Short {
                    number, outline, ..
                } if has_room || outline.qos != QualityOfService::AtMostOnce => {
                    self.pack(number, &outline);
                }
                Record::Short { .. } => lost += 1,
                Record::Whole => match whole.next() {
                    Some(message) if has_room || !may_be_lost(&message) => self.push(message),
                    _ => lost += 1,
                },
            }
        }
        lost
    }

    /// With short messages of QoS 1 under these numbers.
    #[cfg(test)]
    pub(crate) fn of_test(numbers: std::ops::Range<u64>) -> Self {
        let outline = Outline {
            topic: b"a/b",
            properties: b"",
            payload: b"payload",
            qos: QualityOfService::AtLeastOnce,
            retain: false,
            expires_at: None,
        };
        let mut parcel = Self::default();
        numbers.for_each(|number| parcel.pack(CrossingNumber(number), &outline));
        parcel
    }

    /// The numbers of its messages.
    #[cfg(test)]
    pub(crate) fn numbers(self) -> Vec<u64> {
        let number = |unpacked| match unpacked {
            Unpacked::Common(number, ..) => number.0,
            Unpacked::Whole(message) => message.number.0,
        };
        self.unpack().map(number).collect()
    }

    /// Takes all messages out. Those in a row with the same topic share it: who publishes
    /// often does so to one.
    pub(super) fn unpack(self) -> impl Iterator<Item = Unpacked> {
        Unpacking {
            records: self.records,
            reading: Reading::default(),
            whole: self.whole.into_iter(),
            topic: None,
        }
    }
}

/// Whether it is a message that is sent at most once, to subscribers only.
fn may_be_lost(message: &ShardMessage) -> bool {
    match &message.content {
        ShardContent::Publish(publish) => {
            publish.message.qos == QualityOfService::AtMostOnce && publish.retain.is_none()
        }
        ShardContent::Interest(_)
        | ShardContent::Taken(_)
        | ShardContent::Recalled(_)
        | ShardContent::StoreFull(_)
        | ShardContent::StoreOpen => false,
    }
}

/// A parcel that is being unpacked.
struct Unpacking {
    records: Records,
    reading: Reading,
    whole: vec::IntoIter<ShardMessage>,
    /// Of the last short message.
    topic: Option<TopicName>,
}

impl Iterator for Unpacking {
    type Item = Unpacked;

    fn next(&mut self) -> Option<Unpacked> {
        let (number, is_new, outline) = match self.records.read(&mut self.reading)? {
            Record::Whole => return self.whole.next().map(Unpacked::Whole),
            Record::Short {
                number,
                topic,
                outline,
            } => (number, topic, outline),
        };
        let own = Bytes::copy_from_slice;
        if is_new == Topic::New {
            self.topic = None;
        }
        let topic = self.topic.get_or_insert_with(|| {
            TopicName::new(own(outline.topic)).expect("it was one when it was packed")
        });
        let message = MessageParts {
            topic: topic.clone(),
            properties: MessageProperties::from_encoded(own(outline.properties)),
            payload: own(outline.payload),
            qos: outline.qos,
            retain: outline.retain,
            expires_at: outline.expires_at,
        };
        Some(Unpacked::Common(number, is_new, message))
    }
}

#[cfg(test)]
mod tests;
