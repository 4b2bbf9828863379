//! The packets with an identifier and a list, or with a reason, or both.

use bytes::{BufMut, BytesMut};

use super::frame::{PutProperty, put_binary, put_properties, put_variable};
use super::{EncodeError, Explain};
use crate::codec::acknowledge::{Acknowledgement, ReasonDetail};
use crate::codec::finish::{Auth, Disconnect};
use crate::codec::packet::{PacketType, ProtocolVersion};
use crate::codec::property::Property;
use crate::codec::reason::ReasonCode;
use crate::codec::subscribe::{
    Subscribe, SubscribeAck, SubscriptionOptions, Unsubscribe, UnsubscribeAck,
};

/// Reason string and user properties.
pub(super) fn put_detail(
    detail: &ReasonDetail,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if explain == Explain::No {
        return Ok(());
    }
    out.put_text_property(Property::ReasonString, detail.reason_string.as_ref())?;
    out.put_slice(detail.user_properties.as_encoded());
    Ok(())
}

fn put_boxed_detail(
    detail: Option<&ReasonDetail>,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    put_properties(out, |out| match detail {
        Some(detail) => put_detail(detail, explain, out),
        None => Ok(()),
    })
}

/// In its shortest form: without properties, and without a reason that is success.
pub(super) fn answer(
    answer: &Acknowledgement,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    out.put_u16(answer.packet_identifier.get());
    let detail = answer.detail.as_deref().filter(|_| explain == Explain::Yes);
    let plain = answer.reason == ReasonCode::Success && detail.is_none();
    if version == ProtocolVersion::V311 || plain {
        return Ok(());
    }
    out.put_u8(answer.reason.to_byte());
    match detail {
        Some(_) => put_boxed_detail(detail, explain, out),
        None => Ok(()),
    }
}

pub(super) fn subscribe(
    subscribe: &Subscribe,
    version: ProtocolVersion,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if subscribe.subscriptions.is_empty() {
        return Err(EncodeError::NoTopicFilter(PacketType::Subscribe));
    }
    out.put_u16(subscribe.packet_identifier.get());
    if version == ProtocolVersion::V5 {
        put_properties(out, |out| {
            if let Some(identifier) = subscribe.subscription_identifier {
                out.put_u8(Property::SubscriptionIdentifier.to_byte());
                put_variable(out, identifier.get() as usize);
            }
            out.put_slice(subscribe.user_properties.as_encoded());
            Ok(())
        })?;
    }
    for subscription in &subscribe.subscriptions {
        put_binary(out, subscription.filter.as_bytes())?;
        out.put_u8(options_byte(subscription.options, version)?);
    }
    Ok(())
}

fn options_byte(options: SubscriptionOptions, version: ProtocolVersion) -> Result<u8, EncodeError> {
    let byte = options.quality_of_service.to_bits()
        | (u8::from(options.no_local) << 2)
        | (u8::from(options.retain_as_published) << 3)
        | ((options.retain_handling as u8) << 4);
    if version == ProtocolVersion::V311 && byte > 2 {
        return Err(EncodeError::NotInVersion(PacketType::Subscribe));
    }
    Ok(byte)
}

pub(super) fn subscribe_ack(
    ack: &SubscribeAck,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if ack.reasons.is_empty() {
        return Err(EncodeError::NoTopicFilter(PacketType::SubscribeAck));
    }
    out.put_u16(ack.packet_identifier.get());
    if version == ProtocolVersion::V5 {
        put_boxed_detail(ack.detail.as_deref(), explain, out)?;
    }
    out.extend(ack.reasons.iter().map(|reason| match version {
        // The one failure that MQTT 3.1.1 has.
        ProtocolVersion::V311 if reason.is_failure() => ReasonCode::UnspecifiedError.to_byte(),
        _ => reason.to_byte(),
    }));
    Ok(())
}

pub(super) fn unsubscribe(
    unsubscribe: &Unsubscribe,
    version: ProtocolVersion,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if unsubscribe.filters.is_empty() {
        return Err(EncodeError::NoTopicFilter(PacketType::Unsubscribe));
    }
    out.put_u16(unsubscribe.packet_identifier.get());
    if version == ProtocolVersion::V5 {
        put_properties(out, |out| {
            out.put_slice(unsubscribe.user_properties.as_encoded());
            Ok(())
        })?;
    }
    for filter in &unsubscribe.filters {
        put_binary(out, filter.as_bytes())?;
    }
    Ok(())
}

pub(super) fn unsubscribe_ack(
    ack: &UnsubscribeAck,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    out.put_u16(ack.packet_identifier.get());
    if version == ProtocolVersion::V311 {
        return Ok(());
    }
    if ack.reasons.is_empty() {
        return Err(EncodeError::NoTopicFilter(PacketType::UnsubscribeAck));
    }
    put_boxed_detail(ack.detail.as_deref(), explain, out)?;
    out.extend(ack.reasons.iter().map(|reason| reason.to_byte()));
    Ok(())
}

/// MQTT 3.1.1 has the plain goodbye of a client alone.
pub(super) fn disconnect(
    disconnect: &Disconnect,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if version == ProtocolVersion::V311 {
        return match disconnect.reason {
            ReasonCode::Success => Ok(()),
            _ => Err(EncodeError::NotInVersion(PacketType::Disconnect)),
        };
    }
    let silent = explain == Explain::No || disconnect.detail.is_empty();
    let no_properties = disconnect.session_expiry_seconds.is_none()
        && disconnect.server_reference.is_none()
        && silent;
    if no_properties {
        if disconnect.reason != ReasonCode::Success {
            out.put_u8(disconnect.reason.to_byte());
        }
        return Ok(());
    }
    out.put_u8(disconnect.reason.to_byte());
    put_properties(out, |out| {
        out.put_four_byte_property(
            Property::SessionExpiryInterval,
            disconnect.session_expiry_seconds,
        );
        out.put_text_property(
            Property::ServerReference,
            disconnect.server_reference.as_ref(),
        )?;
        put_detail(&disconnect.detail, explain, out)
    })
}

pub(super) fn auth(
    auth: &Auth,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if version == ProtocolVersion::V311 {
        return Err(EncodeError::NotInVersion(PacketType::Auth));
    }
    out.put_u8(auth.reason.to_byte());
    put_properties(out, |out| {
        out.put_text_property(Property::AuthenticationMethod, auth.method.as_ref())?;
        out.put_binary_property(Property::AuthenticationData, auth.data.as_deref())?;
        put_detail(&auth.detail, explain, out)
    })
}
