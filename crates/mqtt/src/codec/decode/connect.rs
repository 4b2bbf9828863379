//! CONNECT (section 3.1) and CONNACK (section 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use super::answer::{DetailFields, Users, reason};
use super::publish::MessageFields;
use crate::codec::connect::{Connect, ConnectAck, ConnectAckProperties, ConnectProperties, Will};
use crate::codec::error::DecodeError;
use crate::codec::fields::Fields;
use crate::codec::packet::{PacketType, ProtocolVersion, QualityOfService};
use crate::codec::property::{self, Property};
use crate::codec::reason::ReasonCode;

const CLEAN_START: u8 = 0b0000_0010;
const WILL: u8 = 0b0000_0100;
const WILL_QOS: u8 = 0b0001_1000;
const WILL_RETAIN: u8 = 0b0010_0000;
const PASSWORD: u8 = 0b0100_0000;
const USER_NAME: u8 = 0b1000_0000;

pub(super) fn connect(fields: &mut Fields<'_>) -> Result<Connect, DecodeError> {
    if fields.skip_text()? != b"MQTT" {
        return Err(DecodeError::ProtocolName);
    }
    let version = match fields.byte()? {
        4 => ProtocolVersion::V311,
        5 => ProtocolVersion::V5,
        level => return Err(DecodeError::ProtocolVersion { level }),
    };
    let flags = fields.byte()?;
    check_connect_flags(flags, version)?;
    let keep_alive_seconds = fields.two_bytes()?;
    let properties = match version {
        ProtocolVersion::V311 => ConnectProperties::default(),
        ProtocolVersion::V5 => connect_properties(fields.properties()?)?,
    };
    let client_identifier = fields.text()?;
    let will = match flags & WILL {
        0 => None,
        _ => Some(will(fields, flags, version)?),
    };
    let user_name = match flags & USER_NAME {
        0 => None,
        _ => Some(fields.text()?),
    };
    let password = match flags & PASSWORD {
        0 => None,
        _ => Some(fields.binary()?),
    };
    Ok(Connect {
        version,
        clean_start: flags & CLEAN_START != 0,
        keep_alive_seconds,
        client_identifier,
        will,
        user_name,
        password,
        properties,
    })
}

/// MQTT-3.1.2-3, MQTT-3.1.2-11 to -13; MQTT 3.1.1 also wants a user name beside a password
/// (MQTT-3.1.2-22 there).
fn check_connect_flags(flags: u8, version: ProtocolVersion) -> Result<(), DecodeError> {
    let reserved = flags & 1 != 0;
    let will_without_flag = flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0;
    let password_alone =
        version == ProtocolVersion::V311 && flags & (USER_NAME | PASSWORD) == PASSWORD;
    if reserved || will_without_flag || password_alone {
        return Err(DecodeError::ConnectFlags);
    }
    if flags & WILL_QOS == WILL_QOS {
        return Err(DecodeError::QualityOfService);
    }
    Ok(())
}

fn connect_properties(mut section: Fields<'_>) -> Result<ConnectProperties, DecodeError> {
    let section = &mut section;
    let mut properties = ConnectProperties::default();
    let mut users = Users::default();
    loop {
        let start = section.position();
        let Some(property) = property::next(section)? else {
            break;
        };
        match property {
            Property::SessionExpiryInterval => {
                property.set(
                    &mut properties.session_expiry_seconds,
                    section.four_bytes()?,
                )?;
            }
            Property::ReceiveMaximum => property.set_checked(
                &mut properties.receive_maximum,
                NonZeroU16::new(section.two_bytes()?),
            )?,
            Property::MaximumPacketSize => property.set_checked(
                &mut properties.packet_bytes_max,
                NonZeroU32::new(section.four_bytes()?),
            )?,
            Property::TopicAliasMaximum => {
                property.set(&mut properties.topic_alias_maximum, section.two_bytes()?)?;
            }
            Property::RequestResponseInformation => {
                property.set_flag(&mut properties.request_response_information, section)?;
            }
            Property::RequestProblemInformation => {
                property.set_flag(&mut properties.request_problem_information, section)?;
            }
            Property::AuthenticationMethod => {
                property.set(&mut properties.authentication_method, section.text()?)?;
            }
            Property::AuthenticationData => {
                property.set(&mut properties.authentication_data, section.binary()?)?;
            }
            Property::UserProperty => users.read(section, start)?,
            other => return other.not_allowed(PacketType::Connect),
        }
    }
    if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
        return Err(DecodeError::AuthenticationMethod);
    }
    properties.user_properties = users.finish(section);
    Ok(properties)
}

fn will(fields: &mut Fields<'_>, flags: u8, version: ProtocolVersion) -> Result<Will, DecodeError> {
    let mut delay_seconds = None;
    let mut message = MessageFields::default();
    let (properties, message_expiry_seconds) = match version {
        ProtocolVersion::V311 => message.finish(fields),
        ProtocolVersion::V5 => {
            let mut section = fields.properties()?;
            loop {
                let start = section.position();
                match property::next(&mut section)? {
                    None => break,
                    Some(property @ Property::WillDelayInterval) => {
                        property.set(&mut delay_seconds, section.four_bytes()?)?;
                    }
                    Some(other) => message.read(&mut section, other, start, PacketType::Connect)?,
                }
            }
            message.finish(&section)
        }
    };
    Ok(Will {
        topic: fields.topic_name()?,
        payload: fields.binary()?,
        quality_of_service: QualityOfService::from_bits((flags & WILL_QOS) >> 3)
            .ok_or(DecodeError::QualityOfService)?,
        retain: flags & WILL_RETAIN != 0,
        delay_seconds,
        message_expiry_seconds,
        properties,
    })
}

pub(super) fn connect_ack(
    fields: &mut Fields<'_>,
    version: ProtocolVersion,
) -> Result<ConnectAck, DecodeError> {
    let flags = fields.byte()?;
    let (reason, properties) = match version {
        ProtocolVersion::V311 => {
            let code = fields.byte()?;
            let reason =
                ReasonCode::from_return_code(code).ok_or(DecodeError::ReasonUnknown(code))?;
            (reason, ConnectAckProperties::default())
        }
        ProtocolVersion::V5 => {
            let reason = reason(fields, PacketType::ConnectAck)?;
            (reason, connect_ack_properties(fields.properties()?)?)
        }
    };
    if flags > 1 || (flags == 1 && reason != ReasonCode::Success) {
        return Err(DecodeError::ConnectAckFlags);
    }
    Ok(ConnectAck {
        session_present: flags == 1,
        reason,
        properties,
    })
}

fn connect_ack_properties(mut section: Fields<'_>) -> Result<ConnectAckProperties, DecodeError> {
    let section = &mut section;
    let mut properties = ConnectAckProperties::default();
    let mut detail = DetailFields::default();
    loop {
        let start = section.position();
        let Some(property) = property::next(section)? else {
            break;
        };
        if !connect_ack_property(section, property, &mut properties)? {
            detail.read(section, property, start, PacketType::ConnectAck)?;
        }
    }
    if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
        return Err(DecodeError::AuthenticationMethod);
    }
    properties.detail = detail.finish(section);
    Ok(properties)
}

/// Reads a property if it is one of CONNACK's own.
fn connect_ack_property(
    section: &mut Fields<'_>,
    property: Property,
    properties: &mut ConnectAckProperties,
) -> Result<bool, DecodeError> {
    let p = properties;
    match property {
        Property::SessionExpiryInterval => {
            property.set(&mut p.session_expiry_seconds, section.four_bytes()?)?;
        }
        Property::ReceiveMaximum => {
            property.set_checked(
                &mut p.receive_maximum,
                NonZeroU16::new(section.two_bytes()?),
            )?;
        }
        Property::MaximumQos => {
            let maximum = match section.byte()? {
                0 => Some(QualityOfService::AtMostOnce),
                1 => Some(QualityOfService::AtLeastOnce),
                _ => None,
            };
            property.set_checked(&mut p.maximum_quality_of_service, maximum)?;
        }
        Property::RetainAvailable => property.set_flag(&mut p.retain_available, section)?,
        Property::MaximumPacketSize => property.set_checked(
            &mut p.packet_bytes_max,
            NonZeroU32::new(section.four_bytes()?),
        )?,
        Property::AssignedClientIdentifier => {
            property.set(&mut p.assigned_client_identifier, section.text()?)?;
        }
        Property::TopicAliasMaximum => {
            property.set(&mut p.topic_alias_maximum, section.two_bytes()?)?;
        }
        Property::WildcardSubscriptionAvailable => {
            property.set_flag(&mut p.wildcard_subscription_available, section)?;
        }
        Property::SubscriptionIdentifierAvailable => {
            property.set_flag(&mut p.subscription_identifiers_available, section)?;
        }
        Property::SharedSubscriptionAvailable => {
            property.set_flag(&mut p.shared_subscription_available, section)?;
        }
        Property::ServerKeepAlive => {
            property.set(&mut p.server_keep_alive_seconds, section.two_bytes()?)?;
        }
        Property::ResponseInformation => {
            property.set(&mut p.response_information, section.text()?)?;
        }
        Property::ServerReference => property.set(&mut p.server_reference, section.text()?)?,
        Property::AuthenticationMethod => {
            property.set(&mut p.authentication_method, section.text()?)?;
        }
        Property::AuthenticationData => {
            property.set(&mut p.authentication_data, section.binary()?)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
