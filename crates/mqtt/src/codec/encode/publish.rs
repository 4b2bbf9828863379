//! PUBLISH, made for sending one message to many: what all receivers share is written as
//! it came, what differs is written before it or patched into it.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{put_binary, put_variable, variable_bytes};
use super::{EncodeError, REMAINING_BYTES_MAX};
use crate::codec::packet::{PacketIdentifier, ProtocolVersion};
use crate::codec::property::Property;
use crate::codec::publish::{Delivery, Publish, SubscriptionIdentifier, TopicAlias};

/// What all receivers of a message share.
#[derive(Clone, Copy, Debug)]
pub struct PublishBody<'a> {
    /// The topic name, checked.
    pub topic: &'a [u8],
    /// What is forwarded of the properties:
    /// [`MessageProperties::as_encoded`](crate::codec::MessageProperties::as_encoded).
    pub properties: &'a [u8],
    /// The length of the payload, which is not written with the head.
    pub payload_bytes: usize,
}

/// What is one receiver's own. All but the first three is for MQTT 5.0 only and left out
/// for others.
#[derive(Clone, Copy, Debug)]
pub struct PublishOptions<'a> {
    /// Quality of service and packet identifier.
    pub delivery: Delivery,
    /// Whether it may have been sent before.
    pub duplicate: bool,
    /// Whether it was a retained message, or is to be one.
    pub retain: bool,
    /// How the topic is said.
    pub topic_form: TopicForm,
    /// How long it is still worth anything.
    pub message_expiry_seconds: Option<u32>,
    /// Which of the receiver's subscriptions it is for.
    pub subscription_identifiers: &'a [SubscriptionIdentifier],
}

/// How a PUBLISH says its topic. MQTT 3.1.1 has the name only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicForm {
    /// By its name.
    Name,
    /// By its name, and from now on by the alias.
    NameAndAlias(TopicAlias),
    /// By the alias that was given it before.
    Alias(TopicAlias),
}

impl TopicForm {
    const fn alias(self) -> Option<TopicAlias> {
        match self {
            Self::Name => None,
            Self::NameAndAlias(alias) | Self::Alias(alias) => Some(alias),
        }
    }
}

/// Lengths and places in a PUBLISH, known before anything is written.
#[derive(Clone, Copy, Debug)]
struct Layout {
    topic_bytes: usize,
    properties_bytes: usize,
    remaining_bytes: usize,
}

impl Layout {
    fn of(
        version: ProtocolVersion,
        packet_bytes_max: u32,
        body: &PublishBody<'_>,
        options: &PublishOptions<'_>,
    ) -> Result<Self, EncodeError> {
        let topic_bytes = match (options.topic_form, version) {
            (TopicForm::Alias(_), ProtocolVersion::V311) => return Err(EncodeError::TopicMissing),
            (TopicForm::Alias(_), ProtocolVersion::V5) => 0,
            _ => body.topic.len(),
        };
        let identifier_bytes = match options.delivery {
            Delivery::AtMostOnce => 0,
            _ => 2,
        };
        let mut remaining_bytes = 2 + topic_bytes + identifier_bytes + body.payload_bytes;
        let mut properties_bytes = 0;
        if version == ProtocolVersion::V5 {
            properties_bytes = body.properties.len() + own_properties_bytes(options);
            remaining_bytes += variable_bytes(properties_bytes) + properties_bytes;
        }
        let packet_bytes = 1 + variable_bytes(remaining_bytes) + remaining_bytes;
        if remaining_bytes > REMAINING_BYTES_MAX as usize
            || packet_bytes > packet_bytes_max as usize
        {
            return Err(EncodeError::PacketTooLarge);
        }
        Ok(Self {
            topic_bytes,
            properties_bytes,
            remaining_bytes,
        })
    }
}

fn own_properties_bytes(options: &PublishOptions<'_>) -> usize {
    let expiry = options.message_expiry_seconds.map_or(0, |_| 5);
    let alias = options.topic_form.alias().map_or(0, |_| 3);
    let identifiers = options
        .subscription_identifiers
        .iter()
        .map(|identifier| 1 + variable_bytes(identifier.get() as usize))
        .sum::<usize>();
    expiry + alias + identifiers
}

/// Where what may be patched lies in a written head.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    identifier: Option<usize>,
    expiry: Option<usize>,
    alias: Option<usize>,
}

/// Appends a PUBLISH but for its payload, whose `payload_bytes` have to follow.
///
/// # Errors
///
/// When the packet with its payload has more than `packet_bytes_max` bytes, or MQTT 3.1.1
/// is to be told an alias. Nothing is written then.
pub fn encode_publish_head(
    version: ProtocolVersion,
    packet_bytes_max: u32,
    body: &PublishBody<'_>,
    options: &PublishOptions<'_>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let layout = Layout::of(version, packet_bytes_max, body, options)?;
    // One look at the capacity instead of one for each field.
    out.reserve(1 + 4 + layout.remaining_bytes - body.payload_bytes);
    write_head(version, layout, body, options, out).map(|_| ())
}

fn write_head(
    version: ProtocolVersion,
    layout: Layout,
    body: &PublishBody<'_>,
    options: &PublishOptions<'_>,
    out: &mut BytesMut,
) -> Result<Places, EncodeError> {
    let mut places = Places::default();
    out.put_u8(first_byte(options));
    put_variable(out, layout.remaining_bytes);
    put_binary(out, &body.topic[..layout.topic_bytes])?;
    if let Some(identifier) = options.delivery.packet_identifier() {
        places.identifier = Some(out.len());
        out.put_u16(identifier.get());
    }
    if version == ProtocolVersion::V311 {
        return Ok(places);
    }
    put_variable(out, layout.properties_bytes);
    if let Some(seconds) = options.message_expiry_seconds {
        out.put_u8(Property::MessageExpiryInterval.to_byte());
        places.expiry = Some(out.len());
        out.put_u32(seconds);
    }
    if let Some(alias) = options.topic_form.alias() {
        out.put_u8(Property::TopicAlias.to_byte());
        places.alias = Some(out.len());
        out.put_u16(alias.0.get());
    }
    for identifier in options.subscription_identifiers {
        out.put_u8(Property::SubscriptionIdentifier.to_byte());
        put_variable(out, identifier.get() as usize);
    }
    out.put_slice(body.properties);
    Ok(places)
}

fn first_byte(options: &PublishOptions<'_>) -> u8 {
    let quality = options.delivery.quality_of_service().to_bits();
    0x30 | (u8::from(options.duplicate) << 3) | (quality << 1) | u8::from(options.retain)
}

/// The two halves of a PUBLISH that came in.
pub(super) fn parts(
    publish: &Publish,
) -> Result<(PublishBody<'_>, PublishOptions<'_>), EncodeError> {
    let topic_form = match (&publish.topic, publish.topic_alias) {
        (Some(_), None) => TopicForm::Name,
        (Some(_), Some(alias)) => TopicForm::NameAndAlias(alias),
        (None, Some(alias)) => TopicForm::Alias(alias),
        (None, None) => return Err(EncodeError::TopicMissing),
    };
    let body = PublishBody {
        topic: publish.topic.as_ref().map_or(&[], |topic| topic.as_bytes()),
        properties: publish.properties.as_encoded(),
        payload_bytes: publish.payload.len(),
    };
    let options = PublishOptions {
        delivery: publish.delivery,
        duplicate: publish.duplicate,
        retain: publish.retain,
        topic_form,
        message_expiry_seconds: publish.message_expiry_seconds,
        subscription_identifiers: &publish.subscription_identifiers,
    };
    Ok((body, options))
}

/// A PUBLISH written once for all receivers that want it in the same shape: same version,
/// quality of service, flags and subscription identifiers, and with or without alias and
/// expiry. Packet identifier, alias and expiry are patched into each copy.
#[derive(Clone, Debug)]
pub struct EncodedPublish {
    head: Bytes,
    places: Places,
    packet_bytes: usize,
}

/// What differs between the receivers of an [`EncodedPublish`]. What its shape does not
/// have is ignored.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishPatch {
    /// Instead of the one it was written with.
    pub packet_identifier: Option<PacketIdentifier>,
    /// Instead of the one it was written with.
    pub topic_alias: Option<TopicAlias>,
    /// Instead of the one it was written with.
    pub message_expiry_seconds: Option<u32>,
}

impl EncodedPublish {
    /// Writes the shape, with the values of the first receiver.
    ///
    /// # Errors
    ///
    /// When the packet would be larger than a packet can be, or MQTT 3.1.1 is to be told an
    /// alias.
    pub fn new(
        version: ProtocolVersion,
        body: &PublishBody<'_>,
        options: &PublishOptions<'_>,
    ) -> Result<Self, EncodeError> {
        let layout = Layout::of(version, super::PACKET_BYTES_LARGEST, body, options)?;
        let mut head = BytesMut::with_capacity(5 + layout.remaining_bytes - body.payload_bytes);
        let places = write_head(version, layout, body, options, &mut head)?;
        Ok(Self {
            packet_bytes: head.len() + body.payload_bytes,
            head: head.freeze(),
            places,
        })
    }

    /// The length of the whole packet, to be held against the receiver's Maximum Packet Size.
    #[must_use]
    pub const fn packet_bytes(&self) -> usize {
        self.packet_bytes
    }

    /// Appends a copy for one receiver, but for the payload, which has to follow.
    pub fn write_head(&self, patch: PublishPatch, out: &mut BytesMut) {
        let start = out.len();
        out.put_slice(&self.head);
        let copy = &mut out[start..];
        if let (Some(at), Some(identifier)) = (self.places.identifier, patch.packet_identifier) {
            copy[at..at + 2].copy_from_slice(&identifier.get().to_be_bytes());
        }
        if let (Some(at), Some(alias)) = (self.places.alias, patch.topic_alias) {
            copy[at..at + 2].copy_from_slice(&alias.0.get().to_be_bytes());
        }
        if let (Some(at), Some(seconds)) = (self.places.expiry, patch.message_expiry_seconds) {
            copy[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        }
    }
}
