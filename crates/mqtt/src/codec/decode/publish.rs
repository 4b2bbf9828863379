//! PUBLISH (section 3.3), and the properties that a will shares with it.

use std::num::NonZeroU16;

use bytes::{Buf, Bytes};

use super::FixedHeader;
use crate::codec::error::DecodeError;
use crate::codec::fields::Fields;
use crate::codec::packet::{PacketType, ProtocolVersion, QualityOfService, Role};
use crate::codec::property::{self, Kept, Property};
use crate::codec::publish::{
    Delivery, MessageProperties, Publish, SubscriptionIdentifier, TopicAlias,
};
use crate::codec::topic::{TopicError, TopicName};

/// The flags have been checked. The packet becomes the payload: a reference less to count.
#[inline]
pub(super) fn publish(
    mut packet: Bytes,
    header: &FixedHeader,
    version: ProtocolVersion,
    role: Role,
) -> Result<Publish, DecodeError> {
    let flags = header.flags;
    let mut fields = Fields::new(&packet, header.header_bytes);
    let topic = match fields.topic_name() {
        Ok(topic) => Some(topic),
        Err(DecodeError::TopicName(TopicError::Empty)) if version == ProtocolVersion::V5 => None,
        Err(error) => return Err(error),
    };
    let delivery = match QualityOfService::from_bits((flags >> 1) & 0b11) {
        Some(QualityOfService::AtMostOnce) => Delivery::AtMostOnce,
        Some(QualityOfService::AtLeastOnce) => Delivery::AtLeastOnce(fields.packet_identifier()?),
        Some(QualityOfService::ExactlyOnce) => Delivery::ExactlyOnce(fields.packet_identifier()?),
        None => return Err(DecodeError::QualityOfService),
    };
    let mut properties = PublishProperties::default();
    if version == ProtocolVersion::V5 {
        properties.read(fields.properties()?, role)?;
    }
    if topic.is_none() && properties.topic_alias.is_none() {
        return Err(DecodeError::TopicMissing);
    }
    let payload_at = fields.position();
    packet.advance(payload_at);
    Ok(Publish {
        delivery,
        duplicate: flags & 0b1000 != 0,
        retain: flags & 0b0001 != 0,
        topic,
        topic_alias: properties.topic_alias,
        message_expiry_seconds: properties.message_expiry_seconds,
        subscription_identifiers: properties.subscription_identifiers,
        properties: properties.kept,
        payload: packet,
    })
}

#[derive(Debug, Default)]
struct PublishProperties {
    topic_alias: Option<TopicAlias>,
    message_expiry_seconds: Option<u32>,
    subscription_identifiers: Vec<SubscriptionIdentifier>,
    kept: MessageProperties,
}

impl PublishProperties {
    fn read(&mut self, mut section: Fields<'_>, role: Role) -> Result<(), DecodeError> {
        if section.is_at_end() {
            return Ok(());
        }
        let mut message = MessageFields::default();
        loop {
            let start = section.position();
            let Some(property) = property::next(&mut section)? else {
                break;
            };
            match property {
                Property::TopicAlias => {
                    let alias = NonZeroU16::new(section.two_bytes()?);
                    let alias = alias.ok_or(DecodeError::TopicAlias)?;
                    property.set(&mut self.topic_alias, TopicAlias(alias))?;
                }
                Property::SubscriptionIdentifier if role == Role::Server => {
                    return Err(DecodeError::PropertySender(property));
                }
                Property::SubscriptionIdentifier => {
                    let identifier = SubscriptionIdentifier::new(section.variable()?)
                        .ok_or(DecodeError::PropertyValue(property))?;
                    self.subscription_identifiers.push(identifier);
                }
                other => message.read(&mut section, other, start, PacketType::Publish)?,
            }
        }
        (self.kept, self.message_expiry_seconds) = message.finish(&section);
        Ok(())
    }
}

impl MessageProperties {
    /// From what [`as_encoded`](Self::as_encoded) gave, which may have come to harm since.
    ///
    /// # Errors
    ///
    /// When they are not the properties of a message that are forwarded.
    pub(crate) fn checked(encoded: Bytes) -> Result<Self, DecodeError> {
        let mut section = Fields::new(&encoded, 0);
        let mut message = MessageFields::default();
        loop {
            let start = section.position();
            let Some(property) = property::next(&mut section)? else {
                break;
            };
            if property == Property::MessageExpiryInterval {
                return property.not_allowed(PacketType::Publish);
            }
            message.read(&mut section, property, start, PacketType::Publish)?;
        }
        Ok(Self::from_encoded(encoded))
    }
}

/// What PUBLISH and a will have in common.
#[derive(Debug, Default)]
pub(super) struct MessageFields {
    kept: Kept,
    message_expiry_seconds: Option<u32>,
    payload_format: Option<()>,
    content_type: Option<()>,
    response_topic: Option<()>,
    correlation_data: Option<()>,
}

impl MessageFields {
    /// Reads one property, whose identifier at `start` has been read.
    pub(super) fn read(
        &mut self,
        section: &mut Fields<'_>,
        property: Property,
        start: usize,
        packet: PacketType,
    ) -> Result<(), DecodeError> {
        match property {
            Property::MessageExpiryInterval => {
                return property.set(&mut self.message_expiry_seconds, section.four_bytes()?);
            }
            Property::PayloadFormatIndicator => {
                if section.byte()? > 1 {
                    return Err(DecodeError::PropertyValue(property));
                }
                property.set(&mut self.payload_format, ())?;
            }
            Property::ContentType => {
                section.skip_text()?;
                property.set(&mut self.content_type, ())?;
            }
            Property::ResponseTopic => {
                let topic = section.skip_text()?;
                // MQTT-3.3.2-14.
                if !TopicName::is_valid(topic) {
                    return Err(DecodeError::PropertyValue(property));
                }
                property.set(&mut self.response_topic, ())?;
            }
            Property::CorrelationData => {
                section.skip_binary()?;
                property.set(&mut self.correlation_data, ())?;
            }
            Property::UserProperty => section.skip_text_pair()?,
            other => return other.not_allowed(packet),
        }
        self.kept.add(section, start);
        Ok(())
    }

    /// What is forwarded, and the expiry.
    pub(super) fn finish(self, section: &Fields<'_>) -> (MessageProperties, Option<u32>) {
        let kept = MessageProperties::from_encoded(self.kept.finish(section));
        (kept, self.message_expiry_seconds)
    }
}
