//! CONNECT (section 3.1) and CONNACK (section 3.2).

use bytes::{BufMut, BytesMut};

use super::frame::{PutProperty, put_binary, put_properties};
use super::rest::put_detail;
use super::{EncodeError, Explain};
use crate::codec::connect::{Connect, ConnectAck, ConnectProperties, Will};
use crate::codec::packet::{PacketType, ProtocolVersion};
use crate::codec::property::Property;

pub(super) fn connect(
    connect: &Connect,
    version: ProtocolVersion,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if connect.version != version {
        return Err(EncodeError::NotInVersion(PacketType::Connect));
    }
    let level = match version {
        ProtocolVersion::V311 => 4,
        ProtocolVersion::V5 => 5,
    };
    out.put_slice(b"\0\x04MQTT");
    out.put_u8(level);
    out.put_u8(connect_flags(connect));
    out.put_u16(connect.keep_alive_seconds);
    if version == ProtocolVersion::V5 {
        put_properties(out, |out| connect_properties(&connect.properties, out))?;
    }
    put_binary(out, connect.client_identifier.as_bytes())?;
    if let Some(message) = &connect.will {
        will(message, version, out)?;
    }
    if let Some(name) = &connect.user_name {
        put_binary(out, name.as_bytes())?;
    }
    if let Some(password) = &connect.password {
        put_binary(out, password)?;
    }
    Ok(())
}

fn connect_flags(connect: &Connect) -> u8 {
    let mut flags = u8::from(connect.clean_start) << 1;
    if let Some(will) = &connect.will {
        flags |= 0b100 | (will.quality_of_service.to_bits() << 3) | (u8::from(will.retain) << 5);
    }
    flags
        | (u8::from(connect.password.is_some()) << 6)
        | (u8::from(connect.user_name.is_some()) << 7)
}

fn connect_properties(
    properties: &ConnectProperties,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let p = properties;
    out.put_four_byte_property(Property::SessionExpiryInterval, p.session_expiry_seconds);
    out.put_two_byte_property(Property::ReceiveMaximum, p.receive_maximum.map(|n| n.get()));
    out.put_four_byte_property(
        Property::MaximumPacketSize,
        p.packet_bytes_max.map(|n| n.get()),
    );
    out.put_two_byte_property(Property::TopicAliasMaximum, p.topic_alias_maximum);
    out.put_flag_property(
        Property::RequestResponseInformation,
        p.request_response_information,
    );
    out.put_flag_property(
        Property::RequestProblemInformation,
        p.request_problem_information,
    );
    out.put_text_property(
        Property::AuthenticationMethod,
        p.authentication_method.as_ref(),
    )?;
    out.put_binary_property(
        Property::AuthenticationData,
        p.authentication_data.as_deref(),
    )?;
    out.put_slice(p.user_properties.as_encoded());
    Ok(())
}

fn will(will: &Will, version: ProtocolVersion, out: &mut BytesMut) -> Result<(), EncodeError> {
    if version == ProtocolVersion::V5 {
        put_properties(out, |out| {
            out.put_four_byte_property(Property::WillDelayInterval, will.delay_seconds);
            out.put_four_byte_property(
                Property::MessageExpiryInterval,
                will.message_expiry_seconds,
            );
            out.put_slice(will.properties.as_encoded());
            Ok(())
        })?;
    }
    put_binary(out, will.topic.as_bytes())?;
    put_binary(out, &will.payload)
}

pub(super) fn connect_ack(
    ack: &ConnectAck,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    out.put_u8(u8::from(ack.session_present));
    match version {
        ProtocolVersion::V311 => {
            out.put_u8(ack.reason.to_return_code());
            Ok(())
        }
        ProtocolVersion::V5 => {
            out.put_u8(ack.reason.to_byte());
            put_properties(out, |out| connect_ack_properties(ack, explain, out))
        }
    }
}

fn connect_ack_properties(
    ack: &ConnectAck,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let p = &ack.properties;
    out.put_four_byte_property(Property::SessionExpiryInterval, p.session_expiry_seconds);
    out.put_two_byte_property(Property::ReceiveMaximum, p.receive_maximum.map(|n| n.get()));
    if let Some(maximum) = p.maximum_quality_of_service {
        // QoS 2 is said by saying nothing; the property has 0 and 1 only.
        if maximum.to_bits() < 2 {
            out.put_slice(&[Property::MaximumQos.to_byte(), maximum.to_bits()]);
        }
    }
    out.put_flag_property(Property::RetainAvailable, p.retain_available);
    out.put_four_byte_property(
        Property::MaximumPacketSize,
        p.packet_bytes_max.map(|n| n.get()),
    );
    out.put_text_property(
        Property::AssignedClientIdentifier,
        p.assigned_client_identifier.as_ref(),
    )?;
    out.put_two_byte_property(Property::TopicAliasMaximum, p.topic_alias_maximum);
    put_detail(&p.detail, explain, out)?;
    out.put_flag_property(
        Property::WildcardSubscriptionAvailable,
        p.wildcard_subscription_available,
    );
    out.put_flag_property(
        Property::SubscriptionIdentifierAvailable,
        p.subscription_identifiers_available,
    );
    out.put_flag_property(
        Property::SharedSubscriptionAvailable,
        p.shared_subscription_available,
    );
    out.put_two_byte_property(Property::ServerKeepAlive, p.server_keep_alive_seconds);
    out.put_text_property(
        Property::ResponseInformation,
        p.response_information.as_ref(),
    )?;
    out.put_text_property(Property::ServerReference, p.server_reference.as_ref())?;
    out.put_text_property(
        Property::AuthenticationMethod,
        p.authentication_method.as_ref(),
    )?;
    out.put_binary_property(
        Property::AuthenticationData,
        p.authentication_data.as_deref(),
    )
}
