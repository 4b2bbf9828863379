//! Packets as tests write them: borrowed, with only what tests set.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use crate::codec::{
    self, Acknowledgement, ConnectProperties, Delivery, MessageProperties, PacketIdentifier,
    ProtocolVersion, QualityOfService, ReasonCode, ReasonDetail, RetainHandling,
    SubscriptionIdentifier, SubscriptionOptions, Text, TopicAlias, TopicFilter, TopicName,
    UserProperties,
};

pub(in crate::broker) fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

fn text(text: &str) -> Text {
    Text::copy_from(text).unwrap()
}

#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Publish<'a> {
    pub(in crate::broker) dup: bool,
    pub(in crate::broker) qos: QualityOfService,
    pub(in crate::broker) retain: bool,
    pub(in crate::broker) topic: &'a str,
    pub(in crate::broker) packet_id: u16,
    pub(in crate::broker) topic_alias: Option<u16>,
    pub(in crate::broker) message_expiry: Option<u32>,
    pub(in crate::broker) payload: &'a [u8],
}

impl Publish<'_> {
    fn build(&self) -> codec::Publish {
        codec::Publish {
            delivery: match self.qos {
                QualityOfService::AtMostOnce => Delivery::AtMostOnce,
                QualityOfService::AtLeastOnce => Delivery::AtLeastOnce(id(self.packet_id)),
                QualityOfService::ExactlyOnce => Delivery::ExactlyOnce(id(self.packet_id)),
            },
            duplicate: self.dup,
            retain: self.retain,
            topic: TopicName::try_from(self.topic).ok(),
            topic_alias: self
                .topic_alias
                .map(|alias| TopicAlias(NonZeroU16::new(alias).unwrap())),
            message_expiry_seconds: self.message_expiry,
            subscription_identifiers: Vec::new(),
            properties: MessageProperties::new(),
            payload: Bytes::copy_from_slice(self.payload),
        }
    }
}

#[derive(Debug, Clone)]
pub(in crate::broker) struct Will<'a> {
    pub(in crate::broker) qos: QualityOfService,
    pub(in crate::broker) retain: bool,
    pub(in crate::broker) topic: &'a str,
    pub(in crate::broker) delay: u32,
    pub(in crate::broker) message_expiry: Option<u32>,
}

#[derive(Debug, Clone)]
pub(in crate::broker) struct Connect<'a> {
    pub(in crate::broker) version: ProtocolVersion,
    pub(in crate::broker) clean_start: bool,
    pub(in crate::broker) keep_alive: u16,
    pub(in crate::broker) client_id: &'a str,
    pub(in crate::broker) will: Option<Will<'a>>,
    pub(in crate::broker) session_expiry: Option<u32>,
    pub(in crate::broker) receive_maximum: Option<u16>,
    pub(in crate::broker) maximum_packet_size: Option<u32>,
    pub(in crate::broker) topic_alias_maximum: u16,
    pub(in crate::broker) auth_method: Option<&'a str>,
}

impl Connect<'_> {
    pub(in crate::broker) fn build(&self) -> Box<codec::Connect> {
        let will = self.will.as_ref().map(|will| codec::Will {
            topic: TopicName::try_from(will.topic).unwrap(),
            payload: Bytes::from_static(b"gone"),
            quality_of_service: will.qos,
            retain: will.retain,
            delay_seconds: Some(will.delay),
            message_expiry_seconds: will.message_expiry,
            properties: MessageProperties::new(),
        });
        Box::new(codec::Connect {
            version: self.version,
            clean_start: self.clean_start,
            keep_alive_seconds: self.keep_alive,
            client_identifier: text(self.client_id),
            will,
            user_name: None,
            password: None,
            properties: ConnectProperties {
                session_expiry_seconds: self.session_expiry,
                receive_maximum: self.receive_maximum.and_then(NonZeroU16::new),
                packet_bytes_max: self.maximum_packet_size.and_then(NonZeroU32::new),
                topic_alias_maximum: Some(self.topic_alias_maximum),
                authentication_method: self.auth_method.map(text),
                ..ConnectProperties::default()
            },
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Filter<'a> {
    pub(in crate::broker) filter: &'a str,
    pub(in crate::broker) qos: QualityOfService,
    pub(in crate::broker) no_local: bool,
    pub(in crate::broker) retain_as_published: bool,
    pub(in crate::broker) retain_handling: RetainHandling,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Ack {
    pub(in crate::broker) packet_id: u16,
    pub(in crate::broker) reason: ReasonCode,
}

impl Ack {
    fn build(self) -> Acknowledgement {
        Acknowledgement::new(id(self.packet_id), self.reason)
    }
}

#[derive(Debug, Clone)]
pub(in crate::broker) enum Packet<'a> {
    Connect(Connect<'a>),
    Publish(Publish<'a>),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(u16, Option<u32>, Vec<Filter<'a>>),
    Unsubscribe(Vec<&'a str>),
    PingReq,
    /// Reason and Session Expiry Interval.
    Disconnect(ReasonCode, Option<u32>),
    /// Reason, method and data.
    Auth(ReasonCode, &'a str, &'a str),
}

impl Packet<'_> {
    pub(in crate::broker) fn build(&self) -> codec::Packet {
        match self {
            Self::Connect(connect) => codec::Packet::Connect(connect.build()),
            Self::Publish(publish) => codec::Packet::Publish(publish.build()),
            Self::PubAck(ack) => codec::Packet::PublishAck(ack.build()),
            Self::PubRec(ack) => codec::Packet::PublishReceived(ack.build()),
            Self::PubRel(ack) => codec::Packet::PublishRelease(ack.build()),
            Self::PubComp(ack) => codec::Packet::PublishComplete(ack.build()),
            Self::Subscribe(packet_id, identifier, filters) => {
                subscribe(*packet_id, *identifier, filters)
            }
            Self::Unsubscribe(filters) => codec::Packet::Unsubscribe(codec::Unsubscribe {
                packet_identifier: id(9),
                user_properties: UserProperties::new(),
                filters: filters
                    .iter()
                    .map(|text| TopicFilter::try_from(*text).unwrap())
                    .collect(),
            }),
            Self::PingReq => codec::Packet::PingRequest,
            Self::Disconnect(reason, expiry) => {
                let mut disconnect = codec::Disconnect::new(*reason);
                disconnect.session_expiry_seconds = *expiry;
                codec::Packet::Disconnect(Box::new(disconnect))
            }
            Self::Auth(reason, method, data) => codec::Packet::Auth(Box::new(codec::Auth {
                reason: *reason,
                method: Some(text(method)),
                data: Some(Bytes::copy_from_slice(data.as_bytes())),
                detail: ReasonDetail::default(),
            })),
        }
    }
}

fn subscribe(packet_id: u16, identifier: Option<u32>, filters: &[Filter<'_>]) -> codec::Packet {
    let subscriptions = filters.iter().map(|filter| codec::Subscription {
        filter: TopicFilter::try_from(filter.filter).unwrap(),
        options: SubscriptionOptions {
            quality_of_service: filter.qos,
            no_local: filter.no_local,
            retain_as_published: filter.retain_as_published,
            retain_handling: filter.retain_handling,
        },
    });
    codec::Packet::Subscribe(codec::Subscribe {
        packet_identifier: id(packet_id),
        subscription_identifier: identifier.and_then(SubscriptionIdentifier::new),
        user_properties: UserProperties::new(),
        subscriptions: subscriptions.collect(),
    })
}
