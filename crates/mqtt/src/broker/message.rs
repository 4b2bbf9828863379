//! A published message, shared by all queues it is in.

mod shared_head;

use std::cell::Cell;

use bytes::Bytes;

pub(super) use self::shared_head::{HeadShape, SharedHead};
use super::{durable::MessageNumber, parcel::Outline, time::Moment};
use crate::codec::{MessageProperties, Publish, QualityOfService, TopicName, Will};

/// What a queued message costs beside its bytes: itself, its place in a queue, and what
/// allocators round up. A client that does not read makes it come to hundreds of megabytes.
pub(super) const OVERHEAD_BYTES: usize = 256;

/// Payloads up to here are copied out of the buffer they arrived in: a small
/// one would hold a large buffer, a large one is dearer to copy than to hold.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// What a message is made of; it can go to another core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageParts {
    /// Where to.
    pub topic: TopicName,
    /// What is forwarded as it is.
    pub properties: MessageProperties,
    /// What.
    pub payload: Bytes,
    /// The QoS it was published with.
    pub qos: QualityOfService,
    /// Whether it was published with RETAIN.
    pub retain: bool,
    /// When it expires.
    pub expires_at: Option<Moment>,
}

impl MessageParts {
    /// The same, as it goes to another core.
    pub(super) fn outline(&self) -> Outline<'_> {
        Outline {
            topic: self.topic.as_bytes(),
            properties: self.properties.as_encoded(),
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            expires_at: self.expires_at,
        }
    }
}

fn detached(payload: &Bytes) -> Bytes {
    match payload.len() {
        0..=COPIED_BYTES_MAX => Bytes::copy_from_slice(payload),
        _ => payload.clone(),
    }
}

/// A message as queues share it.
#[derive(Debug)]
pub struct Message {
    parts: MessageParts,
    pub(super) stored: Stored,
    pub(super) head: SharedHead,
}

impl Message {
    /// A message that is in no store.
    pub fn new(parts: MessageParts) -> Self {
        Self {
            parts,
            stored: Stored::default(),
            head: SharedHead::default(),
        }
    }

    /// As published, to a topic that the packet may name by an alias.
    pub(super) fn of_publish(
        packet: &Publish,
        topic: &TopicName,
        expires_at: Option<Moment>,
    ) -> Self {
        Self::new(MessageParts {
            topic: topic.detached(),
            properties: packet.properties.detached(),
            payload: detached(&packet.payload),
            qos: packet.delivery.quality_of_service(),
            retain: packet.retain,
            expires_at,
        })
    }

    pub(super) fn of_will(will: &Will) -> Self {
        Self::new(MessageParts {
            topic: will.topic.detached(),
            properties: will.properties.detached(),
            payload: detached(&will.payload),
            qos: will.quality_of_service,
            retain: will.retain,
            expires_at: None,
        })
    }

    pub(super) fn of_system(topic: &str, text: String) -> Self {
        Self::new(MessageParts {
            topic: TopicName::try_from(topic).expect("our own topics are valid"),
            properties: MessageProperties::new(),
            payload: text.into(),
            qos: QualityOfService::AtMostOnce,
            retain: true,
            expires_at: None,
        })
    }

    #[cfg(test)]
    pub(super) fn of_test(topic: &str) -> Self {
        Self::new(MessageParts {
            topic: TopicName::try_from(topic).expect("a valid topic"),
            properties: MessageProperties::new(),
            payload: Bytes::new(),
            qos: QualityOfService::ExactlyOnce,
            retain: false,
            expires_at: None,
        })
    }

    /// What it is made of.
    pub fn parts(&self) -> &MessageParts {
        &self.parts
    }

    /// Its topic name.
    pub fn topic(&self) -> &TopicName {
        &self.parts.topic
    }

    /// The properties that are forwarded as they are.
    pub fn properties(&self) -> &MessageProperties {
        &self.parts.properties
    }

    /// Its payload.
    pub fn payload(&self) -> &Bytes {
        &self.parts.payload
    }

    /// Its QoS, as published.
    pub fn qos(&self) -> QualityOfService {
        self.parts.qos
    }

    /// Whether it was published with RETAIN.
    pub fn is_retained(&self) -> bool {
        self.parts.retain
    }

    /// When it expires.
    pub fn expires_at(&self) -> Option<Moment> {
        self.parts.expires_at
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Moment) -> bool {
        self.parts.expires_at.is_some_and(|at| at <= now)
    }

    /// What it counts for in a queue and in the retained store.
    pub fn bytes(&self) -> usize {
        let parts = &self.parts;
        let properties = parts.properties.as_encoded().len();
        parts.topic.as_bytes().len() + properties + parts.payload.len() + OVERHEAD_BYTES
    }
}

/// A message's place in the store: its number, and how many stored queues have it.
#[derive(Debug, Default)]
pub(super) struct Stored {
    number: Cell<Option<MessageNumber>>,
    queues: Cell<u32>,
}

impl Stored {
    /// One more queue has it; its number, if it is in the store already.
    pub(super) fn refer(&self) -> Option<MessageNumber> {
        let number = self.number.get()?;
        self.queues.set(self.queues.get() + 1);
        Some(number)
    }

    /// It is in the store now, for one queue.
    pub(super) fn begin(&self, number: MessageNumber) {
        self.number.set(Some(number));
        self.queues.set(1);
    }

    /// One queue less has it; its number, if that was the last.
    pub(super) fn let_go(&self) -> Option<MessageNumber> {
        let number = self.number.get()?;
        self.queues.set(self.queues.get() - 1);
        if self.queues.get() > 0 {
            return None;
        }
        self.number.take();
        Some(number)
    }
}
