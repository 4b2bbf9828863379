//! CONNECT (section 3.1) and CONNACK (section 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::acknowledge::ReasonDetail;
use super::packet::{ProtocolVersion, QualityOfService};
use super::publish::MessageProperties;
use super::reason::ReasonCode;
use super::text::Text;
use super::topic::TopicName;
use super::user_property::UserProperties;

/// A client opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// What the client speaks.
    pub version: ProtocolVersion,
    /// Whether an earlier session is to be dropped (Clean Session in MQTT 3.1.1).
    pub clean_start: bool,
    /// The longest silence of the client; 0 for no limit.
    pub keep_alive_seconds: u16,
    /// Empty: the server assigns one.
    pub client_identifier: Text,
    /// What to publish when the connection ends otherwise than by DISCONNECT.
    pub will: Option<Will>,
    /// Who connects.
    pub user_name: Option<Text>,
    /// How it shows it.
    pub password: Option<Bytes>,
    /// The rest. Default in MQTT 3.1.1.
    pub properties: ConnectProperties,
}

/// The properties of CONNECT (section 3.1.2.11). MQTT 5.0 only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectProperties {
    /// How long the session lives on without a connection; `u32::MAX` is for ever.
    pub session_expiry_seconds: Option<u32>,
    /// How many QoS 1 and 2 messages the client takes at once.
    pub receive_maximum: Option<NonZeroU16>,
    /// The largest packet the client takes.
    pub packet_bytes_max: Option<NonZeroU32>,
    /// The highest topic alias the client takes.
    pub topic_alias_maximum: Option<u16>,
    /// Whether the client wants response information.
    pub request_response_information: Option<bool>,
    /// Whether reason strings and user properties may be sent on any packet.
    pub request_problem_information: Option<bool>,
    /// The method of enhanced authentication.
    pub authentication_method: Option<Text>,
    /// Its first data.
    pub authentication_data: Option<Bytes>,
    /// Whatever the client adds.
    pub user_properties: UserProperties,
}

/// A message that the server keeps and publishes if the client is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where to.
    pub topic: TopicName,
    /// What.
    pub payload: Bytes,
    /// How.
    pub quality_of_service: QualityOfService,
    /// Whether it is to be retained.
    pub retain: bool,
    /// How long after the connection's end. MQTT 5.0 only.
    pub delay_seconds: Option<u32>,
    /// How long it is worth anything. MQTT 5.0 only.
    pub message_expiry_seconds: Option<u32>,
    /// What is forwarded with it. MQTT 5.0 only.
    pub properties: MessageProperties,
}

/// The answer to CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectAck {
    /// Whether the server knows this session.
    pub session_present: bool,
    /// Whether the connection is accepted. MQTT 3.1.1 has a return code instead:
    /// [`ReasonCode::to_return_code`].
    pub reason: ReasonCode,
    /// The rest. Default in MQTT 3.1.1.
    pub properties: ConnectAckProperties,
}

/// The properties of CONNACK (section 3.2.2.3). MQTT 5.0 only. None: the standard's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectAckProperties {
    /// What the server made of the session expiry.
    pub session_expiry_seconds: Option<u32>,
    /// How many QoS 1 and 2 messages the server takes at once.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest quality of service the server takes; QoS 2 is said by `None`.
    pub maximum_quality_of_service: Option<QualityOfService>,
    /// Whether the server keeps retained messages.
    pub retain_available: Option<bool>,
    /// The largest packet the server takes.
    pub packet_bytes_max: Option<NonZeroU32>,
    /// What the client is called now.
    pub assigned_client_identifier: Option<Text>,
    /// The highest topic alias the server takes.
    pub topic_alias_maximum: Option<u16>,
    /// In words.
    pub detail: ReasonDetail,
    /// Whether filters may contain wildcards.
    pub wildcard_subscription_available: Option<bool>,
    /// Whether subscriptions may have identifiers.
    pub subscription_identifiers_available: Option<bool>,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: Option<bool>,
    /// The keep-alive to use instead of the client's own.
    pub server_keep_alive_seconds: Option<u16>,
    /// Where to expect responses.
    pub response_information: Option<Text>,
    /// Which server to use instead.
    pub server_reference: Option<Text>,
    /// The method of enhanced authentication.
    pub authentication_method: Option<Text>,
    /// Its last data.
    pub authentication_data: Option<Bytes>,
}
