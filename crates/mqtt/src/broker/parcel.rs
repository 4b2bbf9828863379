//! Messages on their way to another core, packed.
//!
//! A message is made of several pieces of memory. Given to another core they would be freed
//! there, one by one, which allocators do slowly, and each would have to be fetched from the
//! sender's cache. So a parcel is two pieces for all of its messages, written straight from
//! what has come; the receiver makes new ones, in memory of its own.

use bytes::Bytes;

use super::{
    crossing::{CrossingNumber, ShardContent, ShardMessage},
    message::MessageParts,
    time::Moment,
};
use crate::codec::{MessageProperties, QualityOfService, TopicName};

/// Payloads up to here are packed: a larger one is dearer to copy than to free.
const PACKED_BYTES_MAX: usize = 4 * 1024;

/// Room that the next parcel gets at once, at most, if this one filled as much.
const ROOM_ENTRIES_MAX: usize = 1_024;
const ROOM_BYTES_MAX: usize = 64 * 1024;

/// As much of it is brought to the other core at once: it has enough to do. What waits in
/// that one's mailbox is bounded by these and what one read brings, for each parcel.
const LARGE_MESSAGES: usize = 512;
const LARGE_BYTES: usize = 64 * 1024;

/// Messages in the order they were put in.
#[derive(Debug, Clone, Default)]
pub struct Parcel {
    entries: Vec<Entry>,
    /// Topics, properties and payloads behind each other.
    bytes: Vec<u8>,
    /// Of payloads that are not among `bytes`.
    whole_bytes: usize,
    expected: Expected,
}

/// What was in the parcel before: as much room is made for this one at once.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    entries: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Entry {
    Packed(Packed),
    Whole(ShardMessage),
}

/// All of a message but the bytes.
#[derive(Debug, Clone, Copy)]
struct Packed {
    number: CrossingNumber,
    topic_bytes: u16,
    properties_bytes: u32,
    payload_bytes: u16,
    qos: QualityOfService,
    retain: bool,
    expires_at: Option<Moment>,
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
    Common(CrossingNumber, MessageParts),
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
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it is not to wait for more to come with it.
    pub(super) fn is_large(&self) -> bool {
        self.len() >= LARGE_MESSAGES || self.bytes.len() + self.whole_bytes >= LARGE_BYTES
    }

    /// Takes all that is in it, and expects as much again.
    pub(super) fn take(&mut self) -> Self {
        let expected = Expected {
            entries: self.entries.len().min(ROOM_ENTRIES_MAX),
            bytes: self.bytes.len().min(ROOM_BYTES_MAX),
        };
        let next = Self {
            expected,
            ..Self::default()
        };
        std::mem::replace(self, next)
    }

    /// Puts a short message in that is for everybody whose filters match.
    pub(super) fn pack(&mut self, number: CrossingNumber, outline: &Outline<'_>) {
        let Outline {
            topic,
            properties,
            payload,
            ..
        } = outline;
        if self.bytes.capacity() == 0 {
            self.entries.reserve(self.expected.entries);
            self.bytes.reserve(self.expected.bytes);
        }
        self.bytes
            .reserve(topic.len() + properties.len() + payload.len());
        self.bytes.extend_from_slice(topic);
        self.bytes.extend_from_slice(properties);
        self.bytes.extend_from_slice(payload);
        self.entries.push(Entry::Packed(Packed {
            number,
            topic_bytes: u16::try_from(topic.len()).expect("a topic has at most 65,535 bytes"),
            properties_bytes: u32::try_from(properties.len())
                .expect("a packet has fewer than 2^28 bytes"),
            payload_bytes: u16::try_from(payload.len()).expect("it is short"),
            qos: outline.qos,
            retain: outline.retain,
            expires_at: outline.expires_at,
        }));
    }

    /// Puts any other message in.
    pub(super) fn push(&mut self, message: ShardMessage) {
        if let ShardContent::Publish(publish) = &message.content {
            self.whole_bytes += publish.message.payload.len();
        }
        self.entries.push(Entry::Whole(message));
    }

    /// Puts those of another in behind its own. Once there are `messages_max`, those that
    /// may be lost are; returns how many.
    pub(crate) fn append(&mut self, other: Self, messages_max: usize) -> u64 {
        if self.is_empty() && other.len() <= messages_max {
            *self = other;
            return 0;
        }
        let Self { entries, bytes, .. } = other;
        let (mut start, mut lost) = (0, 0);
        for entry in entries {
            let end = start + entry.bytes();
            if self.len() >= messages_max && entry.may_be_lost() {
                lost += 1;
            } else {
                self.bytes.extend_from_slice(&bytes[start..end]);
                self.entries.push(entry);
            }
            start = end;
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
            Unpacked::Common(number, _) => number.0,
            Unpacked::Whole(message) => message.number.0,
        };
        self.unpack().map(number).collect()
    }

    /// Takes all messages out. Those in a row with the same topic share it: who publishes
    /// often does so to one.
    pub(super) fn unpack(self) -> impl Iterator<Item = Unpacked> {
        let Self { entries, bytes, .. } = self;
        let mut start = 0;
        let mut topic: Option<TopicName> = None;
        entries.into_iter().map(move |entry| {
            let end = start + entry.bytes();
            let piece = &bytes[start..end];
            start = end;
            match entry {
                Entry::Whole(message) => Unpacked::Whole(message),
                Entry::Packed(packed) => {
                    Unpacked::Common(packed.number, packed.unpack(piece, &mut topic))
                }
            }
        })
    }
}

impl Entry {
    /// How many of the parcel's bytes are its own.
    fn bytes(&self) -> usize {
        match self {
            Self::Packed(packed) => {
                usize::from(packed.topic_bytes)
                    + packed.properties_bytes as usize
                    + usize::from(packed.payload_bytes)
            }
            Self::Whole(_) => 0,
        }
    }

    /// Whether it is a message that is sent at most once, to subscribers only.
    fn may_be_lost(&self) -> bool {
        let Self::Whole(message) = self else {
            return matches!(self, Self::Packed(packed) if packed.qos == QualityOfService::AtMostOnce);
        };
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
}

impl Packed {
    /// The message whose bytes these are, with the topic of the one before if it is the same.
    fn unpack(self, bytes: &[u8], last: &mut Option<TopicName>) -> MessageParts {
        let (topic, rest) = bytes.split_at(usize::from(self.topic_bytes));
        let (properties, payload) = rest.split_at(self.properties_bytes as usize);
        let own = Bytes::copy_from_slice;
        last.take_if(|last| last.as_bytes() != topic);
        let topic = last.get_or_insert_with(|| {
            TopicName::new(own(topic)).expect("it was one when it was packed")
        });
        MessageParts {
            topic: topic.clone(),
            properties: MessageProperties::from_encoded(own(properties)),
            payload: own(payload),
            qos: self.qos,
            retain: self.retain,
            expires_at: self.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::broker::crossing::{Audience, ForwardedPublish, SharedName};
    use crate::codec::{MessagePropertiesBuilder, PayloadFormat};

    fn parts(number: u64, payload: &[u8], qos: QualityOfService) -> MessageParts {
        let properties = MessagePropertiesBuilder {
            payload_format: PayloadFormat::Utf8,
            ..MessagePropertiesBuilder::default()
        };
        MessageParts {
            topic: TopicName::try_from("a/b").unwrap(),
            properties: properties.build(),
            payload: Bytes::copy_from_slice(payload),
            qos,
            retain: number == 2,
            expires_at: Some(Moment::from_millis(number)),
        }
    }

    fn whole(number: u64, message: MessageParts, audience: Audience) -> ShardMessage {
        ShardMessage {
            number: CrossingNumber(number),
            content: ShardContent::Publish(Box::new(ForwardedPublish {
                message,
                audience,
                retain: None,
                joint: None,
                run: None,
            })),
        }
    }

    impl From<Unpacked> for ShardMessage {
        fn from(unpacked: Unpacked) -> Self {
            let (number, message) = match unpacked {
                Unpacked::Whole(message) => return message,
                Unpacked::Common(number, message) => (number, message),
            };
            let publish = ForwardedPublish {
                message,
                audience: Audience::Matching(Vec::new()),
                retain: None,
                joint: None,
                run: None,
            };
            Self {
                number,
                content: ShardContent::Publish(Box::new(publish)),
            }
        }
    }

    fn put(parcel: &mut Parcel, number: u64, payload: &[u8], qos: QualityOfService) {
        let parts = parts(number, payload, qos);
        parcel.pack(CrossingNumber(number), &parts.outline());
    }

    #[test]
    fn what_is_unpacked_is_what_was_put_in_in_order() {
        use QualityOfService::{AtLeastOnce, AtMostOnce};
        let all = || Audience::Matching(Vec::new());
        let shared = SharedName {
            filter: "a/#".into(),
            name: "group".into(),
        };
        let large = vec![7; PACKED_BYTES_MAX + 1];
        let taken = ShardMessage {
            number: CrossingNumber(0),
            content: ShardContent::Taken(CrossingNumber(9)),
        };
        let messages = [
            whole(1, parts(1, b"one", AtLeastOnce), all()),
            whole(2, parts(2, b"", AtMostOnce), all()),
            whole(3, parts(3, &large, AtLeastOnce), all()),
            taken,
            whole(4, parts(4, b"four", AtLeastOnce), Audience::Shared(shared)),
            whole(5, parts(5, b"five", AtLeastOnce), all()),
        ];
        let mut parcel = Parcel::default();
        for message in &messages {
            match &message.content {
                ShardContent::Publish(publish) if [1, 2, 5].contains(&message.number.0) => {
                    parcel.pack(message.number, &publish.message.outline());
                }
                _ => parcel.push(message.clone()),
            }
        }
        assert_eq!(parcel.len(), messages.len());
        let unpacked: Vec<_> = parcel.unpack().map(ShardMessage::from).collect();
        assert_eq!(format!("{unpacked:?}"), format!("{messages:?}"));
    }

    #[test]
    fn many_messages_are_a_large_parcel_and_so_are_many_bytes() {
        use QualityOfService::AtMostOnce;
        let mut parcel = Parcel::default();
        for number in 1..LARGE_MESSAGES as u64 {
            put(&mut parcel, number, b"short", AtMostOnce);
        }
        assert!(!parcel.is_large());
        put(&mut parcel, 0, b"short", AtMostOnce);
        assert!(parcel.is_large());

        let payload = [7; PACKED_BYTES_MAX];
        drop(parcel.take());
        for number in 0..(LARGE_BYTES / PACKED_BYTES_MAX) as u64 {
            assert!(!parcel.is_large());
            put(&mut parcel, number, &payload, AtMostOnce);
        }
        assert!(parcel.is_large());

        drop(parcel.take());
        let message = parts(1, &[7; LARGE_BYTES], AtMostOnce);
        parcel.push(whole(1, message, Audience::Retained));
        assert!(parcel.is_large());
    }

    #[test]
    fn each_message_has_its_own_topic_and_those_in_a_row_share_it() {
        let topics = ["a/b", "a/b", "a/c", "a", "a", "a/b"];
        let mut parcel = Parcel::default();
        for (number, topic) in (0..).zip(topics) {
            let mut message = parts(number, b"short", QualityOfService::AtMostOnce);
            message.topic = TopicName::try_from(topic).unwrap();
            parcel.pack(CrossingNumber(number), &message.outline());
        }
        let unpacked = parcel.unpack().map(|unpacked| match unpacked {
            Unpacked::Common(_, message) => message.topic,
            Unpacked::Whole(message) => panic!("{message:?}"),
        });
        let unpacked: Vec<_> = unpacked.collect();
        assert!(unpacked.iter().map(TopicName::as_str).eq(topics));
        let place = |at: usize| unpacked[at].as_bytes().as_ptr();
        assert_eq!((place(0), place(3)), (place(1), place(4)));
    }

    #[test]
    fn packed_messages_are_two_pieces_of_memory() {
        let mut parcel = Parcel::default();
        for number in 0..100 {
            put(&mut parcel, number, b"short", QualityOfService::AtMostOnce);
        }
        let is_packed = |entry: &Entry| matches!(entry, Entry::Packed(_));
        assert!(parcel.entries.iter().all(is_packed));
        // The next one holds no memory, and then need not grow to that size step by step.
        let taken = parcel.take();
        assert!(parcel.is_empty() && parcel.bytes.capacity() == 0);
        put(&mut parcel, 0, b"short", QualityOfService::AtMostOnce);
        assert!(parcel.bytes.capacity() >= taken.bytes.len());
        assert!(parcel.entries.capacity() >= taken.entries.len());
    }

    #[test]
    fn one_full_parcel_does_not_make_the_next_ones_large() {
        let mut parcel = Parcel::default();
        let payload = [7; PACKED_BYTES_MAX];
        for number in 0..2 * ROOM_ENTRIES_MAX as u64 {
            put(&mut parcel, number, &payload, QualityOfService::AtMostOnce);
        }
        drop(parcel.take());
        put(&mut parcel, 0, b"short", QualityOfService::AtMostOnce);
        assert!(parcel.bytes.capacity() <= 2 * ROOM_BYTES_MAX);
        assert!(parcel.entries.capacity() <= 2 * ROOM_ENTRIES_MAX);
    }

    #[test]
    fn a_full_backlog_loses_what_may_be_lost_and_nothing_else() {
        use QualityOfService::{AtLeastOnce, AtMostOnce};
        let mut backlog = Parcel::default();
        let mut first = Parcel::default();
        put(&mut first, 1, b"one", AtMostOnce);
        put(&mut first, 2, b"two", AtLeastOnce);
        assert_eq!(backlog.append(first, 3), 0);
        let mut second = Parcel::default();
        put(&mut second, 3, b"three", AtMostOnce);
        put(&mut second, 4, b"four", AtMostOnce);
        put(&mut second, 5, b"five", AtLeastOnce);
        second.push(whole(
            6,
            parts(6, b"six", AtMostOnce),
            Audience::Matching(Vec::new()),
        ));
        second.push(ShardMessage {
            number: CrossingNumber(0),
            content: ShardContent::Taken(CrossingNumber(9)),
        });
        assert_eq!(backlog.append(second, 3), 2);
        let payloads: Vec<_> = (backlog.clone().unpack())
            .filter_map(|unpacked| match unpacked {
                Unpacked::Common(_, message) => Some(message.payload),
                Unpacked::Whole(_) => None,
            })
            .collect();
        assert_eq!(payloads, ["one", "two", "three", "five"]);
        assert_eq!(backlog.numbers(), [1, 2, 3, 5, 0]);
    }
}
