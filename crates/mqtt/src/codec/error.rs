//! Why bytes from a peer were refused.

use super::packet::PacketType;
use super::property::Property;
use super::reason::ReasonCode;
use super::text::TextError;
use super::topic::TopicError;

/// A packet that must not be processed. The connection ends with it (MQTT-4.13.1-1): with
/// MQTT 5.0 tell the peer [`reason`](Self::reason_code) first, in CONNACK or DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Packet type 0, or AUTH in MQTT 3.1.1 (section 2.1.2).
    #[error("a reserved packet type")]
    ReservedPacketType,
    /// Flags of the first byte that this type of packet does not have (MQTT-2.1.3-1).
    #[error("reserved flags are set in the fixed header of {0:?}")]
    FixedHeaderFlags(PacketType),
    /// A packet that the peer may not send, or not now (MQTT-3.1.0-1, MQTT-3.1.0-2).
    #[error("an unexpected {0:?}")]
    UnexpectedPacket(PacketType),
    /// A length of more than four bytes, or more bytes than it needs (MQTT-1.5.5-1).
    #[error("a malformed variable byte integer")]
    VariableByteInteger,
    /// The packet is larger than we had allowed, fixed header included.
    #[error("a packet of {bytes} bytes")]
    PacketTooLarge {
        /// How large it would have been.
        bytes: u32,
    },
    /// A field goes beyond the end of the packet or of the properties.
    #[error("a field is longer than what contains it")]
    Truncated,
    /// Bytes after the last field.
    #[error("bytes after the last field of {0:?}")]
    TrailingBytes(PacketType),
    /// A text that is none.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A topic name that is none.
    #[error("topic name: {0}")]
    TopicName(TopicError),
    /// A topic filter that is none.
    #[error("topic filter: {0}")]
    TopicFilter(TopicError),
    /// The protocol is not called `MQTT` (MQTT-3.1.2-1).
    #[error("the protocol name is not MQTT")]
    ProtocolName,
    /// A version that is not spoken here (MQTT-3.1.2-2).
    #[error("protocol version {level}")]
    ProtocolVersion {
        /// What the client asked for.
        level: u8,
    },
    /// Flags of CONNECT that contradict each other or are reserved (MQTT-3.1.2-3, -11, -13).
    #[error("the connect flags contradict each other")]
    ConnectFlags,
    /// Flags of CONNACK that are reserved, or a session beside a refusal (MQTT-3.2.2-1, -6).
    #[error("reserved flags are set in CONNACK")]
    ConnectAckFlags,
    /// Both bits of a quality of service are set (MQTT-3.3.1-4, MQTT-3.1.2-12).
    #[error("quality of service 3")]
    QualityOfService,
    /// DUP on a QoS 0 PUBLISH (MQTT-3.3.1-2).
    #[error("a QoS 0 PUBLISH is marked as a duplicate")]
    DuplicateFlag,
    /// Packet identifier zero (MQTT-2.2.1-3).
    #[error("packet identifier zero")]
    PacketIdentifier,
    /// A PUBLISH with neither topic nor alias (section 3.3.2.1).
    #[error("a PUBLISH without a topic")]
    TopicMissing,
    /// Topic alias zero (MQTT-3.3.2-8).
    #[error("topic alias zero")]
    TopicAlias,
    /// A property that does not exist (section 2.2.2.2).
    #[error("unknown property {0:#04x}")]
    PropertyUnknown(u8),
    /// A property that this packet does not have.
    #[error("{packet:?} has no property {property:?}")]
    PropertyNotAllowed {
        /// Where it was.
        packet: PacketType,
        /// What it was.
        property: Property,
    },
    /// A property that must not come from this side (MQTT-3.3.4-6, MQTT-3.14.2-2).
    #[error("property {0:?} is not for this side to send")]
    PropertySender(Property),
    /// A property more than once.
    #[error("property {0:?} is repeated")]
    PropertyRepeated(Property),
    /// A value that the property cannot have.
    #[error("property {0:?} has a value that is not allowed")]
    PropertyValue(Property),
    /// Authentication data, but no method (section 3.1.2.11.10), or AUTH without one.
    #[error("no authentication method is named")]
    AuthenticationMethod,
    /// A reason code that does not exist.
    #[error("unknown reason code {0:#04x}")]
    ReasonUnknown(u8),
    /// A reason code that this packet does not have.
    #[error("{packet:?} has no reason code {reason:?}")]
    ReasonNotAllowed {
        /// Where it was.
        packet: PacketType,
        /// What it was.
        reason: ReasonCode,
    },
    /// SUBSCRIBE, UNSUBSCRIBE or an answer to them about nothing (MQTT-3.8.3-2, MQTT-3.10.3-2).
    #[error("{0:?} without a topic filter")]
    NoTopicFilter(PacketType),
    /// Reserved bits in the options of a subscription (MQTT-3.8.3-5).
    #[error("reserved bits are set in the options of a subscription")]
    SubscriptionOptionsReserved,
    /// Maximum QoS 3 or retain handling 3 (section 3.8.3.1).
    #[error("the options of a subscription have a value that is not allowed")]
    SubscriptionOptions,
    /// No Local on a shared subscription (MQTT-3.8.3-4).
    #[error("no local on a shared subscription")]
    NoLocalShared,
}

impl DecodeError {
    /// What the peer is told (section 4.13): it sent what cannot be read (0x81), what may
    /// not be sent (0x82), or the special thing that the standard has a code for.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::ReservedPacketType
            | Self::FixedHeaderFlags(_)
            | Self::VariableByteInteger
            | Self::Truncated
            | Self::TrailingBytes(_)
            | Self::Text(_)
            | Self::TopicName(TopicError::Text(_))
            | Self::TopicFilter(TopicError::Text(_))
            | Self::ConnectFlags
            | Self::ConnectAckFlags
            | Self::QualityOfService
            | Self::DuplicateFlag
            | Self::PropertyUnknown(_)
            | Self::PropertyNotAllowed { .. }
            | Self::ReasonUnknown(_)
            | Self::SubscriptionOptionsReserved => ReasonCode::MalformedPacket,
            Self::UnexpectedPacket(_)
            | Self::PacketIdentifier
            | Self::TopicMissing
            | Self::PropertySender(_)
            | Self::PropertyRepeated(_)
            | Self::PropertyValue(_)
            | Self::AuthenticationMethod
            | Self::ReasonNotAllowed { .. }
            | Self::NoTopicFilter(_)
            | Self::SubscriptionOptions
            | Self::NoLocalShared => ReasonCode::ProtocolError,
            Self::TopicName(_) => ReasonCode::TopicNameInvalid,
            Self::TopicFilter(_) => ReasonCode::TopicFilterInvalid,
            Self::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::ProtocolName | Self::ProtocolVersion { .. } => {
                ReasonCode::UnsupportedProtocolVersion
            }
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
        }
    }
}
