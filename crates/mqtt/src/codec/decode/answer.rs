//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), and the two properties that
//! all answers have.

use crate::codec::acknowledge::{Acknowledgement, ReasonDetail};
use crate::codec::error::DecodeError;
use crate::codec::fields::Fields;
use crate::codec::packet::{PacketType, ProtocolVersion};
use crate::codec::property::{self, Kept, Property};
use crate::codec::reason::ReasonCode;
use crate::codec::text::Text;
use crate::codec::user_property::UserProperties;

pub(super) fn answer(
    fields: &mut Fields<'_>,
    packet: PacketType,
    version: ProtocolVersion,
) -> Result<Acknowledgement, DecodeError> {
    let mut answer = Acknowledgement::success(fields.packet_identifier()?);
    if version == ProtocolVersion::V311 || fields.is_at_end() {
        return Ok(answer);
    }
    answer.reason = reason(fields, packet)?;
    if !fields.is_at_end() {
        answer.detail = detail(fields, packet)?;
    }
    Ok(answer)
}

/// A reason code that the packet may have.
pub(super) fn reason(
    fields: &mut Fields<'_>,
    packet: PacketType,
) -> Result<ReasonCode, DecodeError> {
    let byte = fields.byte()?;
    let reason = ReasonCode::from_byte(byte).ok_or(DecodeError::ReasonUnknown(byte))?;
    if reason.is_allowed_in(packet) {
        Ok(reason)
    } else {
        Err(DecodeError::ReasonNotAllowed { packet, reason })
    }
}

/// Properties of which only the explaining ones are allowed.
pub(super) fn detail(
    fields: &mut Fields<'_>,
    packet: PacketType,
) -> Result<Option<Box<ReasonDetail>>, DecodeError> {
    let mut section = fields.properties()?;
    let mut explained = DetailFields::default();
    loop {
        let start = section.position();
        let Some(property) = property::next(&mut section)? else {
            break;
        };
        explained.read(&mut section, property, start, packet)?;
    }
    let detail = explained.finish(&section);
    Ok((!detail.is_empty()).then(|| Box::new(detail)))
}

/// Properties of which only user properties are allowed.
pub(super) fn user_properties(
    mut section: Fields<'_>,
    packet: PacketType,
) -> Result<UserProperties, DecodeError> {
    let mut users = Users::default();
    loop {
        let start = section.position();
        match property::next(&mut section)? {
            None => return Ok(users.finish(&section)),
            Some(Property::UserProperty) => users.read(&mut section, start)?,
            Some(other) => return other.not_allowed(packet),
        }
    }
}

/// User properties among others.
#[derive(Debug, Default)]
pub(super) struct Users(Kept);

impl Users {
    pub(super) fn read(
        &mut self,
        section: &mut Fields<'_>,
        start: usize,
    ) -> Result<(), DecodeError> {
        section.skip_text_pair()?;
        self.0.add(section, start);
        Ok(())
    }

    pub(super) fn finish(self, section: &Fields<'_>) -> UserProperties {
        UserProperties::from_encoded(self.0.finish(section))
    }
}

/// The explaining properties among others.
#[derive(Debug, Default)]
pub(super) struct DetailFields {
    reason_string: Option<Text>,
    users: Users,
}

impl DetailFields {
    /// Reads one property, whose identifier at `start` has been read.
    pub(super) fn read(
        &mut self,
        section: &mut Fields<'_>,
        property: Property,
        start: usize,
        packet: PacketType,
    ) -> Result<(), DecodeError> {
        match property {
            Property::ReasonString => property.set(&mut self.reason_string, section.text()?),
            Property::UserProperty => self.users.read(section, start),
            other => other.not_allowed(packet),
        }
    }

    pub(super) fn finish(self, section: &Fields<'_>) -> ReasonDetail {
        ReasonDetail {
            reason_string: self.reason_string,
            user_properties: self.users.finish(section),
        }
    }
}
