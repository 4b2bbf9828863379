//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), which look alike, and the
//! explanation that most answers may carry.

use super::packet::PacketIdentifier;
use super::reason::ReasonCode;
use super::text::Text;
use super::user_property::UserProperties;

/// A step of the acknowledgement of a PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Which PUBLISH it is about.
    pub packet_identifier: PacketIdentifier,
    /// How it went. Always success in MQTT 3.1.1.
    pub reason: ReasonCode,
    /// In words, if the sender explains itself.
    pub detail: Option<Box<ReasonDetail>>,
}

impl Acknowledgement {
    /// All went well.
    #[must_use]
    pub const fn success(packet_identifier: PacketIdentifier) -> Self {
        Self::new(packet_identifier, ReasonCode::Success)
    }

    /// It went so, without a word on it.
    #[must_use]
    pub const fn new(packet_identifier: PacketIdentifier, reason: ReasonCode) -> Self {
        Self {
            packet_identifier,
            reason,
            detail: None,
        }
    }
}

/// What a person reads about a reason code. MQTT 5.0 only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonDetail {
    /// The reason string.
    pub reason_string: Option<Text>,
    /// Whatever the sender adds.
    pub user_properties: UserProperties,
}

impl ReasonDetail {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user_properties.is_empty()
    }
}
