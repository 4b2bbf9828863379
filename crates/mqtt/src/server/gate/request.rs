//! A client's packet as a request, and back.

use std::mem::discriminant;

use super::super::chain::{ClientInfo, MqttRequest, Refused, RequestPacket};
use super::super::core::Core;
use crate::broker::{ConnectOrigin, ConnectionId, Input};
use crate::codec::{Packet, PacketType, ReasonCode};

/// What was asked, as it came.
pub(super) struct Asked {
    connection: ConnectionId,
    packet: RequestPacket,
    /// With CONNECT.
    origin: Option<ConnectOrigin>,
}

/// What a client has sent.
#[allow(
    clippy::large_enum_variant,
    reason = "taken apart where it is made: a box would be an allocation for every packet"
)]
pub(super) enum Heard {
    /// What a chain is told of.
    Request(Asked, MqttRequest),
    /// What only the core is.
    Else(Input),
}

impl Core {
    /// What a packet asks for.
    pub(super) fn ask(&self, input: Input) -> Heard {
        let (connection, packet, origin) = match input {
            Input::Connect {
                connection,
                packet,
                origin,
            } => (connection, RequestPacket::Connect(packet), Some(origin)),
            Input::Packet {
                connection,
                packet: Packet::Publish(mut packet),
            } => {
                if let Err(reason) = self.resolve_topic(connection, &mut packet) {
                    return Heard::Else(Input::Malformed { connection, reason });
                }
                (connection, RequestPacket::Publish(packet), None)
            }
            Input::Packet {
                connection,
                packet: Packet::Subscribe(packet),
            } => (connection, RequestPacket::Subscribe(packet), None),
            other => return Heard::Else(other),
        };
        let asked = Asked {
            connection,
            packet,
            origin,
        };
        let client = match (&asked.packet, &asked.origin) {
            (RequestPacket::Connect(packet), Some(origin)) => Some(ClientInfo {
                id: packet.client_identifier.as_str().into(),
                identity: origin.identity.clone().into(),
            }),
            _ => self.client_of(connection),
        };
        match client {
            Some(client) => {
                let packet = asked.packet.clone();
                Heard::Request(asked, MqttRequest { client, packet })
            }
            // It has no session, or none any more: the core knows what to do.
            None => {
                let packet = asked.packet.clone();
                Heard::Else(asked.into_input(packet))
            }
        }
    }
}

impl Asked {
    /// What the chain has made of it, with what may not change as it was.
    pub(super) fn changed(
        &self,
        mut request: MqttRequest,
    ) -> Result<(ClientInfo, RequestPacket), Refused> {
        let unlike = Refused {
            reason: ReasonCode::ImplementationSpecificError,
        };
        if discriminant(&self.packet) != discriminant(&request.packet) {
            return Err(unlike);
        }
        match (&self.packet, &mut request.packet) {
            (RequestPacket::Connect(old), RequestPacket::Connect(new)) => {
                new.client_identifier = old.client_identifier.clone();
                new.version = old.version;
            }
            (RequestPacket::Publish(old), RequestPacket::Publish(new)) => {
                new.delivery = old.delivery;
                new.duplicate = old.duplicate;
            }
            (RequestPacket::Subscribe(old), RequestPacket::Subscribe(new)) => {
                if new.subscriptions.len() != old.subscriptions.len() {
                    return Err(unlike);
                }
                new.packet_identifier = old.packet_identifier;
            }
            _ => return Err(unlike),
        }
        Ok((request.client, request.packet))
    }

    /// What the core is told.
    pub(super) fn into_input(self, packet: RequestPacket) -> Input {
        let connection = self.connection;
        match packet {
            RequestPacket::Connect(packet) => Input::Connect {
                connection,
                packet,
                origin: self.origin.unwrap_or_default(),
            },
            RequestPacket::Publish(packet) => Input::Packet {
                connection,
                packet: Packet::Publish(packet),
            },
            RequestPacket::Subscribe(packet) => Input::Packet {
                connection,
                packet: Packet::Subscribe(packet),
            },
        }
    }
}

/// What the core is told of a request that is refused.
pub(super) fn refused(asked: Asked, reason: ReasonCode) -> Input {
    let packet = asked.packet.clone();
    let answer = match packet {
        RequestPacket::Connect(_) => PacketType::ConnectAck,
        RequestPacket::Publish(_) => PacketType::PublishAck,
        RequestPacket::Subscribe(_) => PacketType::SubscribeAck,
    };
    let reason = match reason.is_failure() && reason.is_allowed_in(answer) {
        true => reason,
        false => ReasonCode::UnspecifiedError,
    };
    Input::Refused {
        reason,
        input: Box::new(asked.into_input(packet)),
    }
}
