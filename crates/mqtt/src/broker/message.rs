//! A published message, shared by all queues it is in.

use std::cell::Cell;

use bytes::{BufMut, Bytes, BytesMut};

use super::{durable::MessageNumber, time::Moment};
use crate::codec::{Publish, QoS, Will};

/// What a queued message costs beside its bytes.
const OVERHEAD_BYTES: usize = 64;

/// The RETAIN flag as it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retain {
    No,
    Yes,
}

/// What a message is made of; it can go to another core. Topic, properties and
/// payload lie behind each other in one allocation.
#[derive(Debug, Clone)]
pub struct MessageParts {
    bytes: Bytes,
    topic_len: u16,
    properties_len: u32,
    qos: QoS,
    retain: Retain,
    expires_at: Option<Moment>,
}

impl MessageParts {
    /// Puts a message together. `properties` are those of MQTT 5 that are
    /// forwarded unaltered, encoded, without their length: all but Message
    /// Expiry Interval, Topic Alias and Subscription Identifier.
    pub fn new(topic: &str, properties: &[u8], payload: &[u8], qos: QoS, retain: bool) -> Self {
        let mut bytes = BytesMut::with_capacity(topic.len() + properties.len() + payload.len());
        bytes.put_slice(topic.as_bytes());
        bytes.put_slice(properties);
        bytes.put_slice(payload);
        Self {
            bytes: bytes.freeze(),
            topic_len: topic.len() as u16,
            properties_len: properties.len() as u32,
            qos,
            retain: if retain { Retain::Yes } else { Retain::No },
            expires_at: None,
        }
    }

    /// Sets when the message expires.
    #[must_use]
    pub fn expiring(mut self, at: Option<Moment>) -> Self {
        self.expires_at = at;
        self
    }

    fn properties_at(&self) -> usize {
        usize::from(self.topic_len)
    }

    fn payload_at(&self) -> usize {
        self.properties_at() + self.properties_len as usize
    }
}

/// A message as queues share it.
#[derive(Debug)]
pub struct Message {
    parts: MessageParts,
    pub(super) stored: Stored,
}

impl Message {
    /// A message that is in no store.
    pub fn new(parts: MessageParts) -> Self {
        Self {
            parts,
            stored: Stored::default(),
        }
    }

    pub(super) fn of_publish(now: Moment, packet: &Publish<'_>, topic: Option<&str>) -> Self {
        let topic = topic.unwrap_or(packet.topic);
        let properties = packet.forwarded_properties;
        let parts = MessageParts::new(topic, properties, packet.payload, packet.qos, packet.retain);
        Self::new(parts.expiring(packet.message_expiry.map(|secs| now.plus_secs(secs))))
    }

    pub(super) fn of_will(will: &Will<'_>) -> Self {
        let properties = will.forwarded_properties;
        Self::new(MessageParts::new(
            will.topic,
            properties,
            will.payload,
            will.qos,
            will.retain,
        ))
    }

    pub(super) fn of_system(topic: &str, text: String) -> Self {
        Self::new(MessageParts::new(
            topic,
            &[],
            text.as_bytes(),
            QoS::AtMostOnce,
            true,
        ))
    }

    #[cfg(test)]
    pub(super) fn of_test(topic: &str) -> Self {
        Self::new(MessageParts::new(topic, &[], &[], QoS::ExactlyOnce, false))
    }

    /// What it is made of.
    pub fn parts(&self) -> &MessageParts {
        &self.parts
    }

    /// Its topic name.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.parts.bytes[..self.parts.properties_at()])
            .expect("it was put in as a string")
    }

    /// The properties that are forwarded unaltered, encoded, without their length.
    pub fn properties(&self) -> &[u8] {
        &self.parts.bytes[self.parts.properties_at()..self.parts.payload_at()]
    }

    /// Its payload.
    pub fn payload(&self) -> &[u8] {
        &self.parts.bytes[self.parts.payload_at()..]
    }

    /// Its QoS, as published.
    pub fn qos(&self) -> QoS {
        self.parts.qos
    }

    /// Whether it was published with RETAIN.
    pub fn is_retained(&self) -> bool {
        self.parts.retain == Retain::Yes
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
        self.parts.bytes.len() + OVERHEAD_BYTES
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
