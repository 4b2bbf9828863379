//! DISCONNECT (section 3.14) and AUTH (section 3.15).

use super::answer::{DetailFields, reason};
use crate::codec::error::DecodeError;
use crate::codec::fields::Fields;
use crate::codec::finish::{Auth, Disconnect};
use crate::codec::packet::{PacketType, ProtocolVersion, Role};
use crate::codec::property::{self, Property};
use crate::codec::reason::ReasonCode;

pub(super) fn disconnect(
    fields: &mut Fields<'_>,
    version: ProtocolVersion,
    role: Role,
) -> Result<Disconnect, DecodeError> {
    let mut disconnect = Disconnect::new(ReasonCode::Success);
    if version == ProtocolVersion::V311 || fields.is_at_end() {
        return Ok(disconnect);
    }
    disconnect.reason = reason(fields, PacketType::Disconnect)?;
    if fields.is_at_end() {
        return Ok(disconnect);
    }
    let mut section = fields.properties()?;
    let mut detail = DetailFields::default();
    loop {
        let start = section.position();
        let Some(property) = property::next(&mut section)? else {
            break;
        };
        match (property, role) {
            (Property::SessionExpiryInterval, Role::Server) => {
                property.set(
                    &mut disconnect.session_expiry_seconds,
                    section.four_bytes()?,
                )?;
            }
            (Property::ServerReference, Role::Client) => {
                property.set(&mut disconnect.server_reference, section.text()?)?;
            }
            (Property::SessionExpiryInterval | Property::ServerReference, _) => {
                return Err(DecodeError::PropertySender(property));
            }
            _ => detail.read(&mut section, property, start, PacketType::Disconnect)?,
        }
    }
    disconnect.detail = detail.finish(&section);
    Ok(disconnect)
}

pub(super) fn auth(fields: &mut Fields<'_>) -> Result<Auth, DecodeError> {
    let mut auth = Auth {
        reason: ReasonCode::Success,
        method: None,
        data: None,
        detail: crate::codec::ReasonDetail::default(),
    };
    if fields.is_at_end() {
        return Ok(auth);
    }
    auth.reason = reason(fields, PacketType::Auth)?;
    if !fields.is_at_end() {
        let mut section = fields.properties()?;
        let mut detail = DetailFields::default();
        loop {
            let start = section.position();
            let Some(property) = property::next(&mut section)? else {
                break;
            };
            match property {
                Property::AuthenticationMethod => {
                    property.set(&mut auth.method, section.text()?)?;
                }
                Property::AuthenticationData => property.set(&mut auth.data, section.binary()?)?,
                _ => detail.read(&mut section, property, start, PacketType::Auth)?,
            }
        }
        auth.detail = detail.finish(&section);
    }
    // Section 3.15.2.2.2; the standard lets only the shortest form do without.
    let bare = auth.data.is_none() && auth.detail.is_empty();
    if auth.method.is_none() && !(auth.reason == ReasonCode::Success && bare) {
        return Err(DecodeError::AuthenticationMethod);
    }
    Ok(auth)
}
