//! PUBLISH (section 3.3) and what is forwarded of it.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::{BufMut, Bytes, BytesMut};

use super::packet::{PacketIdentifier, QualityOfService};
use super::text::Text;
use super::topic::TopicName;
use super::user_property::{USER_PROPERTY, put_text, take_field, take_text};

const PAYLOAD_FORMAT: u8 = 0x01;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;

/// A message on its way, from a client or to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Its quality of service, with the packet identifier that this takes.
    pub delivery: Delivery,
    /// Whether it may have been sent before; never with QoS 0.
    pub duplicate: bool,
    /// To a server: keep it. From a server: it was kept.
    pub retain: bool,
    /// Where to; `None` if only the alias says it.
    pub topic: Option<TopicName>,
    /// The number that stands for the topic on this connection. MQTT 5.0 only.
    pub topic_alias: Option<TopicAlias>,
    /// How long it is worth anything. MQTT 5.0 only.
    pub message_expiry_seconds: Option<u32>,
    /// Which subscriptions it is for; from servers only. MQTT 5.0 only.
    pub subscription_identifiers: Vec<SubscriptionIdentifier>,
    /// What is forwarded as it is. MQTT 5.0 only.
    pub properties: MessageProperties,
    /// The message itself.
    pub payload: Bytes,
}

/// The quality of service of a PUBLISH, with the packet identifier that this takes
/// (MQTT-2.2.1-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce(PacketIdentifier),
    /// QoS 2.
    ExactlyOnce(PacketIdentifier),
}

impl Delivery {
    /// The quality alone.
    #[must_use]
    pub const fn quality_of_service(self) -> QualityOfService {
        match self {
            Self::AtMostOnce => QualityOfService::AtMostOnce,
            Self::AtLeastOnce(_) => QualityOfService::AtLeastOnce,
            Self::ExactlyOnce(_) => QualityOfService::ExactlyOnce,
        }
    }

    /// The packet identifier, unless QoS 0.
    #[must_use]
    pub const fn packet_identifier(self) -> Option<PacketIdentifier> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce(identifier) | Self::ExactlyOnce(identifier) => Some(identifier),
        }
    }
}

/// A number that stands for a topic on one connection, in one direction (section 3.3.2.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicAlias(pub NonZeroU16);

/// A client's own number for a subscription: 1 to 268,435,455 (section 3.8.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionIdentifier(NonZeroU32);

impl SubscriptionIdentifier {
    /// The identifier with this number, if it is one.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) if number.get() <= 268_435_455 => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// What a payload is said to be (section 3.3.2.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum PayloadFormat {
    /// Just bytes.
    #[default]
    Unspecified = 0,
    /// UTF-8.
    Utf8 = 1,
}

/// The properties that a server forwards as they are (MQTT-3.3.2-4, -15, -16, -17, -18,
/// -20): payload format, response topic, correlation data, content type and user
/// properties. They are checked when they arrive and kept as they are on the wire.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MessageProperties(Bytes);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageProperty<'a> {
    PayloadFormat(PayloadFormat),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    User(&'a str, &'a str),
}

impl MessageProperties {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Bytes::new())
    }

    /// From their encoding, which the caller has checked.
    pub(crate) const fn from_encoded(encoded: Bytes) -> Self {
        Self(encoded)
    }

    /// What the payload is said to be.
    #[must_use]
    pub fn payload_format(&self) -> PayloadFormat {
        self.find(|property| match property {
            MessageProperty::PayloadFormat(format) => Some(format),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// What kind of content the payload is.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.find(|property| match property {
            MessageProperty::ContentType(text) => Some(text),
            _ => None,
        })
    }

    /// Where a response is to go; it is a topic name.
    #[must_use]
    pub fn response_topic(&self) -> Option<&str> {
        self.find(|property| match property {
            MessageProperty::ResponseTopic(text) => Some(text),
            _ => None,
        })
    }

    /// What ties a response to its request.
    #[must_use]
    pub fn correlation_data(&self) -> Option<&[u8]> {
        self.find(|property| match property {
            MessageProperty::CorrelationData(data) => Some(data),
            _ => None,
        })
    }

    /// The user properties, in their order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|property| match property {
            MessageProperty::User(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are on the wire, without the length before them.
    #[must_use]
    pub const fn as_encoded(&self) -> &Bytes {
        &self.0
    }

    /// The same in memory of their own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    fn find<'a, T>(&'a self, choose: impl FnMut(MessageProperty<'a>) -> Option<T>) -> Option<T> {
        self.iter().find_map(choose)
    }

    fn iter(&self) -> impl Iterator<Item = MessageProperty<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&identifier, after) = rest.split_first()?;
            rest = after;
            Some(match identifier {
                PAYLOAD_FORMAT => {
                    let format = match rest.split_off_first() {
                        Some(1) => PayloadFormat::Utf8,
                        _ => PayloadFormat::Unspecified,
                    };
                    MessageProperty::PayloadFormat(format)
                }
                CONTENT_TYPE => MessageProperty::ContentType(take_text(&mut rest)),
                RESPONSE_TOPIC => MessageProperty::ResponseTopic(take_text(&mut rest)),
                CORRELATION_DATA => MessageProperty::CorrelationData(take_field(&mut rest)),
                _ => MessageProperty::User(take_text(&mut rest), take_text(&mut rest)),
            })
        })
    }
}

/// Builds [`MessageProperties`], each at most once except user properties.
#[derive(Clone, Debug, Default)]
pub struct MessagePropertiesBuilder {
    /// What the payload is said to be; the default is not sent.
    pub payload_format: PayloadFormat,
    /// What kind of content the payload is.
    pub content_type: Option<Text>,
    /// Where a response is to go.
    pub response_topic: Option<TopicName>,
    /// What ties a response to its request, at most 65,535 bytes; longer is cut off.
    pub correlation_data: Option<Bytes>,
    /// Pairs of texts.
    pub user_properties: Vec<(Text, Text)>,
}

impl MessagePropertiesBuilder {
    /// Encodes them.
    #[must_use]
    pub fn build(&self) -> MessageProperties {
        let mut out = BytesMut::new();
        if self.payload_format != PayloadFormat::Unspecified {
            out.put_slice(&[PAYLOAD_FORMAT, self.payload_format as u8]);
        }
        if let Some(content_type) = &self.content_type {
            out.put_u8(CONTENT_TYPE);
            put_text(&mut out, content_type.as_bytes());
        }
        if let Some(topic) = &self.response_topic {
            out.put_u8(RESPONSE_TOPIC);
            put_text(&mut out, topic.as_bytes());
        }
        if let Some(data) = &self.correlation_data {
            out.put_u8(CORRELATION_DATA);
            put_text(&mut out, &data[..data.len().min(usize::from(u16::MAX))]);
        }
        for (name, value) in &self.user_properties {
            out.put_u8(USER_PROPERTY);
            put_text(&mut out, name.as_bytes());
            put_text(&mut out, value.as_bytes());
        }
        MessageProperties(out.freeze())
    }
}

impl fmt::Debug for MessageProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_built_is_found_again() {
        let text = |text: &str| Text::copy_from(text).unwrap();
        let properties = MessagePropertiesBuilder {
            payload_format: PayloadFormat::Utf8,
            content_type: Some(text("text/plain")),
            response_topic: Some(TopicName::try_from("answers/1").unwrap()),
            correlation_data: Some(Bytes::from_static(b"\0\x01")),
            user_properties: vec![
                (text("b"), text("1")),
                (text("a"), text("")),
                (text("b"), text("2")),
            ],
        }
        .build();
        assert_eq!(properties.payload_format(), PayloadFormat::Utf8);
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.response_topic(), Some("answers/1"));
        assert_eq!(properties.correlation_data(), Some(&b"\0\x01"[..]));
        let pairs: Vec<_> = properties.user_properties().collect();
        assert_eq!(pairs, [("b", "1"), ("a", ""), ("b", "2")]);
    }
}
