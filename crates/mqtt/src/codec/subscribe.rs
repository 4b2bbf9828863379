//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).

use super::acknowledge::ReasonDetail;
use super::packet::{PacketIdentifier, QualityOfService};
use super::publish::SubscriptionIdentifier;
use super::reason::ReasonCode;
use super::topic::TopicFilter;
use super::user_property::UserProperties;

/// A client wants messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Ties it to its SUBACK.
    pub packet_identifier: PacketIdentifier,
    /// What to mark the messages with. MQTT 5.0 only.
    pub subscription_identifier: Option<SubscriptionIdentifier>,
    /// Whatever the client adds. MQTT 5.0 only.
    pub user_properties: UserProperties,
    /// At least one.
    pub subscriptions: Vec<Subscription>,
}

/// One filter of a SUBSCRIBE and how its messages are to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Which topics.
    pub filter: TopicFilter,
    /// How.
    pub options: SubscriptionOptions,
}

/// How the messages of a subscription are to be sent (section 3.8.3.1). In MQTT 3.1.1
/// only the quality of service can differ from the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The most.
    pub quality_of_service: QualityOfService,
    /// Not those that the client itself published.
    pub no_local: bool,
    /// With the retain flag they were published with.
    pub retain_as_published: bool,
    /// Which retained messages to send when the subscription is made.
    pub retain_handling: RetainHandling,
}

/// Which retained messages a new subscription brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RetainHandling {
    /// All that match.
    #[default]
    Send = 0,
    /// All that match, if the subscription did not exist.
    SendIfNew = 1,
    /// None.
    DoNotSend = 2,
}

/// The answer to a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeAck {
    /// That of the SUBSCRIBE.
    pub packet_identifier: PacketIdentifier,
    /// In words. MQTT 5.0 only.
    pub detail: Option<Box<ReasonDetail>>,
    /// One for each filter, in their order.
    pub reasons: Vec<ReasonCode>,
}

/// A client wants messages no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Ties it to its UNSUBACK.
    pub packet_identifier: PacketIdentifier,
    /// Whatever the client adds. MQTT 5.0 only.
    pub user_properties: UserProperties,
    /// At least one.
    pub filters: Vec<TopicFilter>,
}

/// The answer to an UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribeAck {
    /// That of the UNSUBSCRIBE.
    pub packet_identifier: PacketIdentifier,
    /// In words. MQTT 5.0 only.
    pub detail: Option<Box<ReasonDetail>>,
    /// One for each filter, in their order. MQTT 3.1.1 sends none, and none is read.
    pub reasons: Vec<ReasonCode>,
}
