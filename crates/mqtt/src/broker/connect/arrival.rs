//! A CONNECT packet as the core keeps it while the client authenticates.

use std::rc::Rc;

use crate::{
    broker::{
        access::Identity, input::ConnectOrigin, link::ConnectionId, message::Message,
        session::EXPIRES_NEVER, will::Will,
    },
    codec::{Connect, Version},
};

#[derive(Debug)]
pub(in crate::broker) struct Arrival {
    pub(in crate::broker) connection: ConnectionId,
    pub(in crate::broker) version: Version,
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
    pub(in crate::broker) auth_method: Option<Box<str>>,
    pub(in crate::broker) auth_data: Vec<u8>,
}

impl Arrival {
    pub(in crate::broker) fn new(
        connection: ConnectionId,
        packet: &Connect<'_>,
        origin: ConnectOrigin,
    ) -> Self {
        let will = packet.will.as_ref().map(|will| Will {
            message: Rc::new(Message::of_will(will)),
            delay_secs: will.delay,
            expiry_secs: will.message_expiry,
            due: None,
        });
        Self {
            connection,
            version: packet.version,
            client_id: packet.client_id.into(),
            is_assigned: false,
            clean_start: packet.clean_start,
            expiry_secs: expiry_secs(packet),
            keep_alive_secs: packet.keep_alive,
            receive_maximum: packet.receive_maximum.unwrap_or(u16::MAX),
            packet_bytes_max: packet.maximum_packet_size.unwrap_or(u32::MAX),
            topic_alias_maximum: packet.topic_alias_maximum,
            will,
            identity: Rc::new(origin.identity),
            auth_method: packet.auth_method.map(Into::into),
            auth_data: packet.auth_data.unwrap_or_default().to_vec(),
        }
    }
}

/// MQTT 3.1.1 knows two kinds of session only: one that ends with its
/// connection, and one that does not (3.1.2.4 there).
fn expiry_secs(packet: &Connect<'_>) -> u32 {
    match packet.version {
        Version::V5 => packet.session_expiry.unwrap_or(0),
        Version::V311 if packet.clean_start => 0,
        Version::V311 => EXPIRES_NEVER,
    }
}
