//! A shared message and what one client's copy of it has of its own.

use std::rc::Rc;

use bytes::BytesMut;

use crate::{
    broker::{
        grant::Identifiers,
        message::{HeadShape, Message},
        outbox::{Delivery, RetainFlag},
        time::Moment,
    },
    codec::{
        Delivery as Quality, EncodeError, EncodedPublish, PACKET_BYTES_LARGEST, PacketIdentifier,
        ProtocolVersion, PublishBody, PublishOptions, PublishPatch, QualityOfService,
        SubscriptionIdentifier, TopicForm, encode_publish_head,
    },
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
    packet_id: Option<PacketIdentifier>,
    form: TopicForm,
    qos: QualityOfService,
    retain: RetainFlag,
    dup: Dup,
}

impl PublishOut {
    fn new(delivery: &Delivery, dup: Dup) -> Self {
        Self {
            message: Rc::clone(&delivery.message),
            identifiers: delivery.identifiers.clone(),
            expiry_secs: None,
            packet_id: (delivery.qos != QualityOfService::AtMostOnce)
                .then(|| delivery.position.packet_id()),
            form: TopicForm::Name,
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

    pub(super) fn set_form(&mut self, form: TopicForm) {
        self.form = form;
    }

    pub(super) fn sets_alias(&self) -> bool {
        matches!(self.form, TopicForm::NameAndAlias(_))
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// QoS of this delivery.
    pub fn qos(&self) -> QualityOfService {
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
    pub fn packet_id(&self) -> Option<PacketIdentifier> {
        self.packet_id
    }

    /// How the topic is written. MQTT 3.1.1 never has an alias.
    pub fn form(&self) -> TopicForm {
        self.form
    }

    /// Message Expiry Interval, in seconds.
    pub fn expiry_secs(&self) -> Option<u32> {
        self.expiry_secs
    }

    /// Subscription Identifiers.
    pub fn identifiers(&self) -> &[SubscriptionIdentifier] {
        self.identifiers.as_slice()
    }

    /// The part of its encoding that all receivers share.
    pub fn body(&self) -> PublishBody<'_> {
        PublishBody {
            topic: self.message.topic().as_bytes(),
            properties: self.message.properties().as_encoded(),
            payload_bytes: self.message.payload().len(),
        }
    }

    /// The part of its encoding that is this receiver's.
    pub fn options(&self) -> PublishOptions<'_> {
        PublishOptions {
            delivery: match (self.qos, self.packet_id) {
                (QualityOfService::AtLeastOnce, Some(id)) => Quality::AtLeastOnce(id),
                (QualityOfService::ExactlyOnce, Some(id)) => Quality::ExactlyOnce(id),
                _ => Quality::AtMostOnce,
            },
            duplicate: self.dup(),
            retain: self.retain(),
            topic_form: self.form,
            message_expiry_seconds: self.expiry_secs,
            subscription_identifiers: self.identifiers(),
        }
    }

    /// Appends it to `out`, but for the payload, which has to follow: beside it
    /// in one vectored write, or copied if it is small. It is not larger than
    /// what the receiver takes; the core has seen to that.
    ///
    /// # Errors
    ///
    /// None that can come of what the core makes.
    pub fn write_head(
        &self,
        version: ProtocolVersion,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let (body, options) = (self.body(), self.options());
        if self.is_plain() {
            let shape = HeadShape {
                version,
                qos: self.qos,
                retain: self.retain(),
            };
            let encode = || EncodedPublish::new(version, &body, &options).ok();
            if let Some(head) = self.message.head.get(shape, encode) {
                head.write_head(self.patch(), out);
                return Ok(());
            }
        }
        encode_publish_head(version, PACKET_BYTES_LARGEST, &body, &options, out)
    }

    /// Whether nothing but the packet identifier and the expiry is its own.
    fn is_plain(&self) -> bool {
        let is_named = self.form == TopicForm::Name;
        is_named && self.dup == Dup::First && self.identifiers().is_empty()
    }

    fn patch(&self) -> PublishPatch {
        PublishPatch {
            packet_identifier: self.packet_id,
            topic_alias: None,
            message_expiry_seconds: self.expiry_secs,
        }
    }

    /// The bytes it is encoded in, fixed header included.
    pub fn encoded_len(&self, version: ProtocolVersion) -> usize {
        let topic = match self.form {
            TopicForm::Alias(_) => 0,
            _ => self.message.topic().as_bytes().len(),
        };
        let identifier = if self.packet_id.is_some() { 2 } else { 0 };
        let mut length = 2 + topic + identifier + self.message.payload().len();
        if version == ProtocolVersion::V5 {
            let properties = self.properties_len();
            length += varint_len(properties) + properties;
        }
        1 + varint_len(length) + length
    }

    fn properties_len(&self) -> usize {
        let expiry = if self.expiry_secs.is_some() { 5 } else { 0 };
        let alias = if self.form == TopicForm::Name { 0 } else { 3 };
        let identifiers = self
            .identifiers()
            .iter()
            .map(|id| 1 + varint_len(id.get() as usize));
        self.message.properties().as_encoded().len() + expiry + alias + identifiers.sum::<usize>()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::num::NonZeroU16;

    use super::*;
    use crate::{broker::outbox::Position, codec::TopicAlias};

    #[test]
    fn a_shared_head_is_what_each_would_have_written_itself() {
        let message = Rc::new(Message::of_test("a/b"));
        for position in 0..3 {
            for qos in [QualityOfService::AtLeastOnce, QualityOfService::ExactlyOnce] {
                let delivery = Delivery {
                    message: Rc::clone(&message),
                    identifiers: Identifiers::None,
                    position: Position(position),
                    group: None,
                    qos,
                    retain: RetainFlag::Clear,
                };
                let mut publish = PublishOut::first(&delivery);
                publish.expiry_secs = Some(position as u32);
                let (mut shared, mut own) = (BytesMut::new(), BytesMut::new());
                publish
                    .write_head(ProtocolVersion::V5, &mut shared)
                    .unwrap();
                let (body, options) = (publish.body(), publish.options());
                let max = PACKET_BYTES_LARGEST;
                encode_publish_head(ProtocolVersion::V5, max, &body, &options, &mut own).unwrap();
                assert_eq!(shared, own);
            }
        }
        assert!(
            message
                .head
                .get(
                    HeadShape {
                        version: ProtocolVersion::V5,
                        qos: QualityOfService::ExactlyOnce,
                        retain: false,
                    },
                    || None
                )
                .is_some(),
            "the second to ask had the shape kept"
        );
    }

    #[test]
    fn the_length_told_is_the_length_written() {
        let identifiers: Vec<_> = [1, 200, 70_000]
            .into_iter()
            .filter_map(SubscriptionIdentifier::new)
            .collect();
        let alias = TopicAlias(NonZeroU16::MIN);
        let forms = [
            TopicForm::Name,
            TopicForm::NameAndAlias(alias),
            TopicForm::Alias(alias),
        ];
        for (form, topic) in forms
            .into_iter()
            .zip(["a", &"b".repeat(130), &"c".repeat(20_000)])
        {
            for count in 0..=identifiers.len() {
                let delivery = Delivery {
                    message: Rc::new(Message::of_test(topic)),
                    identifiers: Identifiers::all(&identifiers[..count]),
                    position: Position(7),
                    group: None,
                    qos: QualityOfService::ExactlyOnce,
                    retain: RetainFlag::Set,
                };
                let mut publish = PublishOut::first(&delivery);
                publish.expiry_secs = Some(5);
                for version in [ProtocolVersion::V5, ProtocolVersion::V311] {
                    publish.form = match version {
                        ProtocolVersion::V5 => form,
                        ProtocolVersion::V311 => TopicForm::Name,
                    };
                    let mut out = BytesMut::new();
                    publish.write_head(version, &mut out).unwrap();
                    assert_eq!(out.len(), publish.encoded_len(version));
                }
            }
        }
    }
}
