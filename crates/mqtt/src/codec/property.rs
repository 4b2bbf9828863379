//! Properties (MQTT 5.0 section 2.2.2), as they are read.

use super::error::DecodeError;
use super::fields::Fields;
use super::packet::PacketType;

/// The identifier of a property (table 2-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as in the standard")]
pub enum Property {
    PayloadFormatIndicator = 0x01,
    MessageExpiryInterval = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionIdentifier = 0x0b,
    SessionExpiryInterval = 0x11,
    AssignedClientIdentifier = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelayInterval = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1a,
    ServerReference = 0x1c,
    ReasonString = 0x1f,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQos = 0x24,
    RetainAvailable = 0x25,
    UserProperty = 0x26,
    MaximumPacketSize = 0x27,
    WildcardSubscriptionAvailable = 0x28,
    SubscriptionIdentifierAvailable = 0x29,
    SharedSubscriptionAvailable = 0x2a,
}

impl Property {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::PayloadFormatIndicator,
            0x02 => Self::MessageExpiryInterval,
            0x03 => Self::ContentType,
            0x08 => Self::ResponseTopic,
            0x09 => Self::CorrelationData,
            0x0b => Self::SubscriptionIdentifier,
            0x11 => Self::SessionExpiryInterval,
            0x12 => Self::AssignedClientIdentifier,
            0x13 => Self::ServerKeepAlive,
            0x15 => Self::AuthenticationMethod,
            0x16 => Self::AuthenticationData,
            0x17 => Self::RequestProblemInformation,
            0x18 => Self::WillDelayInterval,
            0x19 => Self::RequestResponseInformation,
            0x1a => Self::ResponseInformation,
            0x1c => Self::ServerReference,
            0x1f => Self::ReasonString,
            0x21 => Self::ReceiveMaximum,
            0x22 => Self::TopicAliasMaximum,
            0x23 => Self::TopicAlias,
            0x24 => Self::MaximumQos,
            0x25 => Self::RetainAvailable,
            0x26 => Self::UserProperty,
            0x27 => Self::MaximumPacketSize,
            0x28 => Self::WildcardSubscriptionAvailable,
            0x29 => Self::SubscriptionIdentifierAvailable,
            0x2a => Self::SharedSubscriptionAvailable,
            _ => return None,
        })
    }

    /// Its byte on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The error for a packet that has no such property.
    pub(super) const fn not_allowed<T>(self, packet: PacketType) -> Result<T, DecodeError> {
        Err(DecodeError::PropertyNotAllowed {
            packet,
            property: self,
        })
    }

    /// Keeps a value unless there is one already.
    pub(super) fn set<T>(self, slot: &mut Option<T>, value: T) -> Result<(), DecodeError> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(DecodeError::PropertyRepeated(self)),
        }
    }

    /// Keeps a value that has to be one of those allowed.
    pub(super) fn set_checked<T>(
        self,
        slot: &mut Option<T>,
        value: Option<T>,
    ) -> Result<(), DecodeError> {
        self.set(slot, value.ok_or(DecodeError::PropertyValue(self))?)
    }

    /// Keeps a byte that has to be 0 or 1.
    pub(super) fn set_flag(
        self,
        slot: &mut Option<bool>,
        fields: &mut Fields<'_>,
    ) -> Result<(), DecodeError> {
        let value = match fields.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        self.set_checked(slot, value)
    }
}

/// The next property of a section, if there is one.
pub(super) fn next(section: &mut Fields<'_>) -> Result<Option<Property>, DecodeError> {
    if section.is_at_end() {
        return Ok(None);
    }
    let byte = section.byte()?;
    Property::from_byte(byte)
        .map(Some)
        .ok_or(DecodeError::PropertyUnknown(byte))
}

/// Which of a section's properties are kept as they are on the wire: one slice if they
/// lie behind each other, as they nearly always do, otherwise a copy.
#[derive(Debug, Default)]
pub(super) enum Kept {
    #[default]
    Nothing,
    Range(usize, usize),
    Copy(Vec<u8>),
}

impl Kept {
    /// Adds the property that starts at `start` (its identifier) and ends where `fields` is.
    pub(super) fn add(&mut self, fields: &Fields<'_>, start: usize) {
        let end = fields.position();
        match self {
            Self::Nothing => *self = Self::Range(start, end),
            Self::Range(_, last) if *last == start => *last = end,
            Self::Range(first, last) => {
                let mut copy = fields.between(*first, *last).to_vec();
                copy.extend_from_slice(fields.between(start, end));
                *self = Self::Copy(copy);
            }
            Self::Copy(copy) => copy.extend_from_slice(fields.between(start, end)),
        }
    }

    /// All that was added.
    pub(super) fn finish(self, fields: &Fields<'_>) -> bytes::Bytes {
        match self {
            Self::Nothing => bytes::Bytes::new(),
            Self::Range(start, end) => fields.slice(start, end),
            Self::Copy(copy) => copy.into(),
        }
    }
}
