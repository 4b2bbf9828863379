//! Packets to a client that are not PUBLISH, small while they wait.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::{connect::Arrival, limits::Limits};
use crate::codec::{
    Acknowledgement, Auth, ConnectAck, ConnectAckProperties, Disconnect, Packet, PacketIdentifier,
    ProtocolVersion, ReasonCode, ReasonDetail, SubscribeAck, Text, UnsubscribeAck,
};

/// A packet to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    ConnAck(Box<ConnectAck>),
    PubAck(PacketIdentifier, ReasonCode),
    PubRec(PacketIdentifier, ReasonCode),
    PubRel(PacketIdentifier, ReasonCode),
    PubComp(PacketIdentifier, ReasonCode),
    SubAck(Box<SubscribeAck>),
    UnsubAck(Box<UnsubscribeAck>),
    PingResp,
    Auth(Box<Auth>),
    /// The connection is closed behind it.
    Disconnect(ReasonCode),
}

impl Reply {
    pub(super) fn suback(packet_identifier: PacketIdentifier, reasons: Vec<ReasonCode>) -> Self {
        Self::SubAck(Box::new(SubscribeAck {
            packet_identifier,
            detail: None,
            reasons,
        }))
    }

    pub(super) fn unsuback(packet_identifier: PacketIdentifier, reasons: Vec<ReasonCode>) -> Self {
        Self::UnsubAck(Box::new(UnsubscribeAck {
            packet_identifier,
            detail: None,
            reasons,
        }))
    }

    pub(super) fn auth(reason: ReasonCode, method: &Text, data: Vec<u8>) -> Self {
        Self::Auth(Box::new(Auth {
            reason,
            method: Some(method.clone()),
            data: as_data(data),
            detail: ReasonDetail::default(),
        }))
    }

    /// CONNACK with a reason against the client.
    pub(super) fn refusal(reason: ReasonCode) -> Self {
        Self::ConnAck(Box::new(ConnectAck {
            session_present: false,
            reason,
            properties: ConnectAckProperties::default(),
        }))
    }

    /// CONNACK that accepts; says what differs from what the client asked for.
    pub(super) fn welcome(
        arrival: &Arrival,
        limits: &Limits,
        granted: Granted,
        data: Vec<u8>,
    ) -> Self {
        let mut ack = Box::new(ConnectAck {
            session_present: granted.session_present,
            reason: ReasonCode::Success,
            properties: ConnectAckProperties::default(),
        });
        if arrival.version == ProtocolVersion::V5 {
            let (expiry, keep_alive) = (granted.expiry_secs, granted.keep_alive_secs);
            let assigned = arrival
                .is_assigned
                .then(|| Text::copy_from(&arrival.client_id));
            ack.properties = ConnectAckProperties {
                session_expiry_seconds: (expiry != arrival.expiry_secs).then_some(expiry),
                receive_maximum: NonZeroU16::new(limits.receive_maximum),
                packet_bytes_max: NonZeroU32::new(limits.packet_bytes),
                topic_alias_maximum: Some(limits.topic_aliases_in),
                assigned_client_identifier: assigned.and_then(Result::ok),
                server_keep_alive_seconds: (keep_alive != arrival.keep_alive_secs)
                    .then_some(keep_alive),
                authentication_method: arrival.auth_method.clone(),
                authentication_data: as_data(data),
                ..ConnectAckProperties::default()
            };
        }
        Self::ConnAck(ack)
    }

    /// Whether it refuses a message that its sender has to send again.
    pub(super) fn refuses_to_keep(&self) -> bool {
        use ReasonCode::{QuotaExceeded, UnspecifiedError};
        matches!(
            self,
            Self::PubAck(_, QuotaExceeded | UnspecifiedError)
                | Self::PubRec(_, QuotaExceeded | UnspecifiedError)
        )
    }

    pub(super) fn into_packet(self) -> Packet {
        let acknowledgement = Acknowledgement::new;
        match self {
            Self::ConnAck(ack) => Packet::ConnectAck(ack),
            Self::PubAck(id, reason) => Packet::PublishAck(acknowledgement(id, reason)),
            Self::PubRec(id, reason) => Packet::PublishReceived(acknowledgement(id, reason)),
            Self::PubRel(id, reason) => Packet::PublishRelease(acknowledgement(id, reason)),
            Self::PubComp(id, reason) => Packet::PublishComplete(acknowledgement(id, reason)),
            Self::SubAck(ack) => Packet::SubscribeAck(*ack),
            Self::UnsubAck(ack) => Packet::UnsubscribeAck(*ack),
            Self::PingResp => Packet::PingResponse,
            Self::Auth(auth) => Packet::Auth(auth),
            Self::Disconnect(reason) => Packet::Disconnect(Box::new(Disconnect::new(reason))),
        }
    }

    /// The most bytes it is encoded in.
    pub(super) fn bytes_max(&self) -> usize {
        /// Fixed header and property length, where they are long.
        const FRAME: usize = 5 + 4;
        match self {
            // Small enough for one byte each.
            Self::ConnAck(ack) if connack_bytes(ack) < 0x80 => 3 + connack_bytes(ack),
            Self::ConnAck(ack) => FRAME + connack_bytes(ack),
            Self::SubAck(ack) => FRAME + 2 + ack.reasons.len(),
            Self::UnsubAck(ack) => FRAME + 2 + ack.reasons.len(),
            Self::Auth(auth) => {
                let method = auth.method.as_ref().map_or(0, Text::len);
                FRAME + 7 + method + auth.data.as_ref().map_or(0, Bytes::len)
            }
            Self::PubAck(..) | Self::PubRec(..) | Self::PubRel(..) | Self::PubComp(..) => 5,
            Self::Disconnect(_) => 3,
            Self::PingResp => 2,
        }
    }
}

/// What CONNACK tells of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granted {
    /// Whether there was a session to go on with.
    pub(super) session_present: bool,
    pub(super) expiry_secs: u32,
    pub(super) keep_alive_secs: u16,
}

fn as_data(data: Vec<u8>) -> Option<Bytes> {
    (!data.is_empty()).then(|| Bytes::from(data))
}

/// Flags, reason and the properties that the core sets.
fn connack_bytes(ack: &ConnectAck) -> usize {
    let properties = &ack.properties;
    let text = |text: &Option<Text>| text.as_ref().map_or(0, |text| 3 + text.len());
    let expiry = properties.session_expiry_seconds.map_or(0, |_| 5);
    let receive = properties.receive_maximum.map_or(0, |_| 3);
    let packet = properties.packet_bytes_max.map_or(0, |_| 5);
    let alias = properties.topic_alias_maximum.map_or(0, |_| 3);
    let keep_alive = properties.server_keep_alive_seconds.map_or(0, |_| 3);
    let data = properties
        .authentication_data
        .as_ref()
        .map_or(0, |data| 3 + data.len());
    let names =
        text(&properties.assigned_client_identifier) + text(&properties.authentication_method);
    2 + expiry + receive + packet + alias + keep_alive + data + names
}
