//! A shared message and what one client's copy of it has of its own.

use std::rc::Rc;

use crate::{
    broker::{
        aliases::TopicAlias,
        grant::Identifiers,
        message::Message,
        outbox::{Delivery, RetainFlag},
        time::Moment,
    },
    codec::{QoS, Version},
};

/// The DUP flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dup {
    First,
    Again,
}

/// A PUBLISH to one client: the message, which all its receivers share, and the
/// little that differs.
#[derive(Debug, Clone)]
pub struct PublishOut {
    message: Rc<Message>,
    identifiers: Identifiers,
    expiry_secs: Option<u32>,
    packet_id: Option<u16>,
    alias: TopicAlias,
    qos: QoS,
    retain: RetainFlag,
    dup: Dup,
}

impl PublishOut {
    fn new(delivery: &Delivery, dup: Dup) -> Self {
        Self {
            message: Rc::clone(&delivery.message),
            identifiers: delivery.identifiers.clone(),
            expiry_secs: None,
            packet_id: (delivery.qos != QoS::AtMostOnce).then(|| delivery.position.packet_id()),
            alias: TopicAlias::None,
            qos: delivery.qos,
            retain: delivery.retain,
            dup,
        }
    }

    pub(super) fn first(delivery: &Delivery) -> Self {
        Self::new(delivery, Dup::First)
    }

    pub(super) fn again(delivery: &Delivery) -> Self {
        Self::new(delivery, Dup::Again)
    }

    /// What is left of the Message Expiry Interval (3.3.2-6).
    pub(super) fn set_expiry(&mut self, now: Moment) {
        self.expiry_secs = self.message.expires_at().map(|at| {
            let left_ms = at.since(now).as_millis();
            u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(u32::MAX)
        });
    }

    pub(super) fn set_alias(&mut self, alias: TopicAlias) {
        self.alias = alias;
    }

    pub(super) fn sets_alias(&self) -> bool {
        matches!(self.alias, TopicAlias::Set(_))
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// QoS of this delivery.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// The RETAIN flag.
    pub fn retain(&self) -> bool {
        self.retain == RetainFlag::Set
    }

    /// The DUP flag: it was sent before (3.3.1-1).
    pub fn dup(&self) -> bool {
        self.dup == Dup::Again
    }

    /// The packet identifier, if QoS is not 0.
    pub fn packet_id(&self) -> Option<u16> {
        self.packet_id
    }

    /// How the topic is written. MQTT 3.1.1 never has an alias.
    pub fn alias(&self) -> TopicAlias {
        self.alias
    }

    /// Message Expiry Interval, in seconds.
    pub fn expiry_secs(&self) -> Option<u32> {
        self.expiry_secs
    }

    /// Subscription Identifiers.
    pub fn identifiers(&self) -> &[u32] {
        self.identifiers.as_slice()
    }

    /// The bytes it is encoded in, fixed header included.
    pub fn encoded_len(&self, version: Version) -> usize {
        let topic = match self.alias {
            TopicAlias::Use(_) => 0,
            _ => self.message.topic().len(),
        };
        let identifier = if self.packet_id.is_some() { 2 } else { 0 };
        let mut length = 2 + topic + identifier + self.message.payload().len();
        if version == Version::V5 {
            let properties = self.properties_len();
            length += varint_len(properties) + properties;
        }
        1 + varint_len(length) + length
    }

    fn properties_len(&self) -> usize {
        let expiry = if self.expiry_secs.is_some() { 5 } else { 0 };
        let alias = if self.alias == TopicAlias::None { 0 } else { 3 };
        let identifiers = self
            .identifiers()
            .iter()
            .map(|id| 1 + varint_len(*id as usize));
        self.message.properties().len() + expiry + alias + identifiers.sum::<usize>()
    }
}

fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}
