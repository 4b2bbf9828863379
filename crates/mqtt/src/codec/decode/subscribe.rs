//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).

use super::answer::{Users, detail, reason, user_properties};
use crate::codec::error::DecodeError;
use crate::codec::fields::Fields;
use crate::codec::packet::{PacketType, ProtocolVersion, QualityOfService};
use crate::codec::property::{self, Property};
use crate::codec::publish::SubscriptionIdentifier;
use crate::codec::reason::ReasonCode;
use crate::codec::subscribe::{
    RetainHandling, Subscribe, SubscribeAck, Subscription, SubscriptionOptions, Unsubscribe,
    UnsubscribeAck,
};
use crate::codec::user_property::UserProperties;

pub(super) fn subscribe(
    fields: &mut Fields<'_>,
    version: ProtocolVersion,
) -> Result<Subscribe, DecodeError> {
    let packet_identifier = fields.packet_identifier()?;
    let (subscription_identifier, user_properties) = match version {
        ProtocolVersion::V311 => (None, UserProperties::new()),
        ProtocolVersion::V5 => subscribe_properties(fields.properties()?)?,
    };
    let mut subscriptions = Vec::new();
    while !fields.is_at_end() {
        let filter = fields.topic_filter()?;
        let options = match version {
            ProtocolVersion::V311 => plain_options(fields.byte()?)?,
            ProtocolVersion::V5 => options(fields.byte()?)?,
        };
        if options.no_local && filter.share_name().is_some() {
            return Err(DecodeError::NoLocalShared);
        }
        subscriptions.push(Subscription { filter, options });
    }
    if subscriptions.is_empty() {
        return Err(DecodeError::NoTopicFilter(PacketType::Subscribe));
    }
    Ok(Subscribe {
        packet_identifier,
        subscription_identifier,
        user_properties,
        subscriptions,
    })
}

fn subscribe_properties(
    mut section: Fields<'_>,
) -> Result<(Option<SubscriptionIdentifier>, UserProperties), DecodeError> {
    let mut identifier = None;
    let mut users = Users::default();
    loop {
        let start = section.position();
        match property::next(&mut section)? {
            None => return Ok((identifier, users.finish(&section))),
            Some(property @ Property::SubscriptionIdentifier) => {
                let value = SubscriptionIdentifier::new(section.variable()?);
                property.set_checked(&mut identifier, value)?;
            }
            Some(Property::UserProperty) => users.read(&mut section, start)?,
            Some(other) => return other.not_allowed(PacketType::Subscribe),
        }
    }
}

/// MQTT 3.1.1 has a quality of service alone; all else is reserved (MQTT-3-8.3-4 there).
fn plain_options(byte: u8) -> Result<SubscriptionOptions, DecodeError> {
    if byte & 0b1111_1100 != 0 {
        return Err(DecodeError::SubscriptionOptionsReserved);
    }
    options(byte)
}

fn options(byte: u8) -> Result<SubscriptionOptions, DecodeError> {
    if byte & 0b1100_0000 != 0 {
        return Err(DecodeError::SubscriptionOptionsReserved);
    }
    let retain_handling = match (byte >> 4) & 0b11 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(DecodeError::SubscriptionOptions),
    };
    Ok(SubscriptionOptions {
        quality_of_service: QualityOfService::from_bits(byte & 0b11)
            .ok_or(DecodeError::SubscriptionOptions)?,
        no_local: byte & 0b0100 != 0,
        retain_as_published: byte & 0b1000 != 0,
        retain_handling,
    })
}

pub(super) fn subscribe_ack(
    fields: &mut Fields<'_>,
    version: ProtocolVersion,
) -> Result<SubscribeAck, DecodeError> {
    let packet_identifier = fields.packet_identifier()?;
    let detail = match version {
        ProtocolVersion::V311 => None,
        ProtocolVersion::V5 => detail(fields, PacketType::SubscribeAck)?,
    };
    let reasons = reasons(fields, PacketType::SubscribeAck)?;
    if version == ProtocolVersion::V311 {
        plain_reasons(&reasons)?;
    }
    Ok(SubscribeAck {
        packet_identifier,
        detail,
        reasons,
    })
}

/// MQTT 3.1.1 knows a single failure (MQTT-3.9.3-2 there).
fn plain_reasons(reasons: &[ReasonCode]) -> Result<(), DecodeError> {
    let unknown =
        |reason: &&ReasonCode| reason.is_failure() && **reason != ReasonCode::UnspecifiedError;
    match reasons.iter().find(unknown) {
        Some(reason) => Err(DecodeError::ReasonUnknown(reason.to_byte())),
        None => Ok(()),
    }
}

pub(super) fn unsubscribe(
    fields: &mut Fields<'_>,
    version: ProtocolVersion,
) -> Result<Unsubscribe, DecodeError> {
    let packet_identifier = fields.packet_identifier()?;
    let user_properties = match version {
        ProtocolVersion::V311 => UserProperties::new(),
        ProtocolVersion::V5 => user_properties(fields.properties()?, PacketType::Unsubscribe)?,
    };
    let mut filters = Vec::new();
    while !fields.is_at_end() {
        filters.push(fields.topic_filter()?);
    }
    if filters.is_empty() {
        return Err(DecodeError::NoTopicFilter(PacketType::Unsubscribe));
    }
    Ok(Unsubscribe {
        packet_identifier,
        user_properties,
        filters,
    })
}

pub(super) fn unsubscribe_ack(
    fields: &mut Fields<'_>,
    version: ProtocolVersion,
) -> Result<UnsubscribeAck, DecodeError> {
    let packet_identifier = fields.packet_identifier()?;
    let (detail, reasons) = match version {
        ProtocolVersion::V311 => (None, Vec::new()),
        ProtocolVersion::V5 => {
            let detail = detail(fields, PacketType::UnsubscribeAck)?;
            (detail, reasons(fields, PacketType::UnsubscribeAck)?)
        }
    };
    Ok(UnsubscribeAck {
        packet_identifier,
        detail,
        reasons,
    })
}

fn reasons(fields: &mut Fields<'_>, packet: PacketType) -> Result<Vec<ReasonCode>, DecodeError> {
    let mut reasons = Vec::with_capacity(fields.left());
    while !fields.is_at_end() {
        reasons.push(reason(fields, packet)?);
    }
    if reasons.is_empty() {
        return Err(DecodeError::NoTopicFilter(packet));
    }
    Ok(reasons)
}
