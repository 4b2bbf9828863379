//! How a short message is written down in a parcel.
//!
//! What is as with the message before it is left out: of messages in a row most have the
//! same topic and the next number, and hardly any has properties. Those take three bytes
//! beside their payload. It is read on the same machine by the same program, and by nobody
//! else: it has no versions.

use super::{CrossingNumber, Outline};
use crate::broker::time::Moment;
use crate::codec::QualityOfService;

/// The flags a record begins with.
mod flags {
    pub(super) const QOS: u8 = 0b11;
    pub(super) const RETAIN: u8 = 1 << 2;
    /// The topic is that of the message before.
    pub(super) const SAME_TOPIC: u8 = 1 << 3;
    pub(super) const PROPERTIES: u8 = 1 << 4;
    pub(super) const EXPIRES: u8 = 1 << 5;
    /// The number is the one after that of the message before.
    pub(super) const NEXT_NUMBER: u8 = 1 << 6;
    /// The message is not written here; nothing follows.
    pub(super) const WHOLE: u8 = 1 << 7;
}

/// A record without its topic, properties and payload: flags, length of the payload, number,
/// length of the topic, length of the properties, expiry.
const FIXED_BYTES_MAX: usize = 1 + 2 + 8 + 2 + 4 + 8;

/// The message before.
#[derive(Debug, Clone)]
struct Last {
    number: CrossingNumber,
    /// Where its topic begins.
    topic_start: usize,
    topic_bytes: usize,
}

/// Records behind one another.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    last: Option<Last>,
}

/// What is read.
#[derive(Debug)]
pub(super) enum Record<'a> {
    Short {
        number: CrossingNumber,
        topic: Topic,
        outline: Outline<'a>,
    },
    /// A message that is kept elsewhere.
    Whole,
}

/// Whose topic it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Topic {
    /// That of the short message before.
    Same,
    /// Its own.
    New,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room, if there is none yet.
    pub(super) fn expect(&mut self, bytes: usize) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(bytes);
        }
    }

    /// Writes a short message down.
    pub(super) fn write(&mut self, number: CrossingNumber, outline: &Outline<'_>) {
        let Outline {
            topic,
            properties,
            payload,
            ..
        } = *outline;
        let mut head = Head::of(outline);
        let last = self.last.as_ref();
        match last {
            Some(last) if last.number.0 + 1 == number.0 => head.set(flags::NEXT_NUMBER),
            _ => head.put(number.0.to_le_bytes()),
        }
        let written = last.map(|last| (last.topic_start, last.topic_bytes));
        let same = written.filter(|&(start, length)| self.bytes[start..][..length] == *topic);
        if same.is_some() {
            head.set(flags::SAME_TOPIC);
        } else {
            let length = u16::try_from(topic.len()).expect("a topic has at most 65,535 bytes");
            head.put(length.to_le_bytes());
        }
        if !properties.is_empty() {
            head.set(flags::PROPERTIES);
            let length = u32::try_from(properties.len());
            let length = length.expect("a packet has fewer than 2^28 bytes");
            head.put(length.to_le_bytes());
        }
        if let Some(expires_at) = outline.expires_at {
            head.set(flags::EXPIRES);
            head.put(expires_at.as_millis().to_le_bytes());
        }
        let pieces = topic.len() + properties.len() + payload.len();
        self.bytes.reserve(FIXED_BYTES_MAX + pieces);
        self.bytes.extend_from_slice(head.bytes());
        let (topic_start, topic_bytes) = same.unwrap_or_else(|| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(topic);
            (start, topic.len())
        });
        self.bytes.extend_from_slice(properties);
        self.bytes.extend_from_slice(payload);
        self.last = Some(Last {
            number,
            topic_start,
            topic_bytes,
        });
    }

    /// Notes that a message that is kept elsewhere comes here.
    pub(super) fn write_whole(&mut self) {
        self.bytes.push(flags::WHOLE);
    }

    /// Puts those of another behind these.
    pub(super) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        // What comes next is written as if it were the first.
        self.last = None;
    }

    /// The record that begins at `at`, which is set to where the next one does.
    pub(super) fn read(&self, reading: &mut Reading) -> Option<Record<'_>> {
        let mut rest = &self.bytes[reading.at..];
        let (&flags, after) = rest.split_first()?;
        rest = after;
        let has = |flag: u8| flags & flag != 0;
        if has(flags::WHOLE) {
            reading.at += 1;
            return Some(Record::Whole);
        }
        let payload = usize::from(u16::from_le_bytes(array(&mut rest)));
        reading.number = match has(flags::NEXT_NUMBER) {
            true => reading.number + 1,
            false => u64::from_le_bytes(array(&mut rest)),
        };
        let topic = match has(flags::SAME_TOPIC) {
            true => None,
            false => Some(usize::from(u16::from_le_bytes(array(&mut rest)))),
        };
        let properties = match has(flags::PROPERTIES) {
            true => u32::from_le_bytes(array(&mut rest)) as usize,
            false => 0,
        };
        let expires_at =
            has(flags::EXPIRES).then(|| Moment::from_millis(u64::from_le_bytes(array(&mut rest))));
        let start = self.bytes.len() - rest.len();
        if let Some(length) = topic {
            reading.topic = (start, length);
            rest = &rest[length..];
        }
        let (properties, rest) = rest.split_at(properties);
        let (payload, rest) = rest.split_at(payload);
        reading.at = self.bytes.len() - rest.len();
        let (topic_start, topic_bytes) = reading.topic;
        let outline = Outline {
            topic: &self.bytes[topic_start..][..topic_bytes],
            properties,
            payload,
            qos: QualityOfService::from_bits(flags & flags::QOS).expect("as it was written"),
            retain: has(flags::RETAIN),
            expires_at,
        };
        Some(Record::Short {
            number: CrossingNumber(reading.number),
            topic: match topic {
                Some(_) => Topic::New,
                None => Topic::Same,
            },
            outline,
        })
    }
}

/// How far records have been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Where the next one begins.
    at: usize,
    /// Of the last.
    number: u64,
    /// Where the topic of the last stands, and its length.
    topic: (usize, usize),
}

fn array<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, after) = rest.split_first_chunk().expect("records are whole");
    *rest = after;
    *first
}

/// The beginning of a record, put together.
struct Head {
    bytes: [u8; FIXED_BYTES_MAX],
    length: usize,
}

impl Head {
    fn of(outline: &Outline<'_>) -> Self {
        let mut head = Self {
            bytes: [0; FIXED_BYTES_MAX],
            length: 1,
        };
        head.set(outline.qos.to_bits());
        if outline.retain {
            head.set(flags::RETAIN);
        }
        let payload = u16::try_from(outline.payload.len()).expect("it is short");
        head.put(payload.to_le_bytes());
        head
    }

    fn set(&mut self, flag: u8) {
        self.bytes[0] |= flag;
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.length..][..N].copy_from_slice(&bytes);
        self.length += N;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
