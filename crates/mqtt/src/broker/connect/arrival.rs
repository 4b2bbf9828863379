//! A CONNECT packet as the core keeps it while the client authenticates.

use std::num::{NonZeroU16, NonZeroU32};
use std::rc::Rc;

use bytes::Bytes;

use crate::{
    broker::{
        access::Identity, input::ConnectOrigin, link::ConnectionId, message::Message,
        session::EXPIRES_NEVER, will::Will,
    },
    codec::{Connect, ProtocolVersion, Text},
};

#[derive(Debug)]
pub(in crate::broker) struct Arrival {
    pub(in crate::broker) connection: ConnectionId,
    pub(in crate::broker) version: ProtocolVersion,
    pub(in crate::broker) client_id: Rc<str>,
    pub(in crate::broker) is_assigned: bool,
    pub(in crate::broker) clean_start: bool,
    pub(in crate::broker) expiry_secs: u32,
    pub(in crate::broker) keep_alive_secs: u16,
    pub(in crate::broker) receive_maximum: u16,
    pub(in crate::broker) packet_bytes_max: u32,
    pub(in crate::broker) topic_alias_maximum: u16,
    pub(in crate::broker) will: Option<Will>,
    pub(in crate::broker) identity: Rc<Identity>,
    pub(in crate::broker) auth_method: Option<Text>,
    pub(in crate::broker) auth_data: Bytes,
}

impl Arrival {
    pub(in crate::broker) fn new(
        connection: ConnectionId,
        packet: &Connect,
        origin: ConnectOrigin,
    ) -> Self {
        let will = packet.will.as_ref().map(|will| Will {
            message: Rc::new(Message::of_will(will)),
            delay_secs: will.delay_seconds.unwrap_or(0),
            expiry_secs: will.message_expiry_seconds,
            due: None,
        });
        let properties = &packet.properties;
        Self {
            connection,
            version: packet.version,
            client_id: packet.client_identifier.as_str().into(),
            is_assigned: false,
            clean_start: packet.clean_start,
            expiry_secs: expiry_secs(packet),
            keep_alive_secs: packet.keep_alive_seconds,
            receive_maximum: properties.receive_maximum.map_or(u16::MAX, NonZeroU16::get),
            packet_bytes_max: properties
                .packet_bytes_max
                .map_or(u32::MAX, NonZeroU32::get),
            topic_alias_maximum: properties.topic_alias_maximum.unwrap_or(0),
            will,
            identity: Rc::new(origin.identity),
            auth_method: properties
                .authentication_method
                .as_ref()
                .map(Text::detached),
            auth_data: properties.authentication_data.clone().unwrap_or_default(),
        }
    }
}

/// MQTT 3.1.1 knows two kinds of session only: one that ends with its
/// connection, and one that does not (3.1.2.4 there).
fn expiry_secs(packet: &Connect) -> u32 {
    match packet.version {
        ProtocolVersion::V5 => packet.properties.session_expiry_seconds.unwrap_or(0),
        ProtocolVersion::V311 if packet.clean_start => 0,
        ProtocolVersion::V311 => EXPIRES_NEVER,
    }
}
