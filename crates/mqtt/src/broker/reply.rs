//! Packets to a client that are not PUBLISH.

use super::{connect::Arrival, limits::Limits};
use crate::codec::{ReasonCode, Version};

/// A packet to a client; how it is encoded depends on the client's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// CONNACK.
    ConnAck(Box<ConnAckReply>),
    /// PUBACK: packet identifier and reason.
    PubAck(u16, ReasonCode),
    /// PUBREC: packet identifier and reason.
    PubRec(u16, ReasonCode),
    /// PUBREL: packet identifier and reason.
    PubRel(u16, ReasonCode),
    /// PUBCOMP: packet identifier and reason.
    PubComp(u16, ReasonCode),
    /// SUBACK.
    SubAck(Box<CodesReply>),
    /// UNSUBACK.
    UnsubAck(Box<CodesReply>),
    /// PINGRESP.
    PingResp,
    /// AUTH.
    Auth(Box<AuthReply>),
    /// DISCONNECT; the connection is closed behind it.
    Disconnect(ReasonCode),
}

impl Reply {
    pub(super) fn auth(reason: ReasonCode, method: &str, data: Vec<u8>) -> Self {
        Self::Auth(Box::new(AuthReply {
            reason,
            method: method.into(),
            data,
        }))
    }

    /// The most bytes it is encoded in.
    pub(super) fn bytes_max(&self) -> usize {
        /// Fixed header and property length, where they are long.
        const FRAME: usize = 5 + 4;
        match self {
            // Small enough for one byte each.
            Self::ConnAck(ack) if ack.bytes_max() < 0x80 => 3 + ack.bytes_max(),
            Self::ConnAck(ack) => FRAME + ack.bytes_max(),
            Self::SubAck(reply) | Self::UnsubAck(reply) => FRAME + 2 + reply.codes.len(),
            Self::Auth(auth) => FRAME + 7 + auth.method.len() + auth.data.len(),
            Self::PubAck(..) | Self::PubRec(..) | Self::PubRel(..) | Self::PubComp(..) => 5,
            Self::Disconnect(_) => 3,
            Self::PingResp => 2,
        }
    }
}

/// SUBACK and UNSUBACK: one reason for each filter, in order (3.9.3-1, 3.11.3-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodesReply {
    /// That of the request.
    pub packet_id: u16,
    /// What became of each filter.
    pub codes: Vec<ReasonCode>,
}

impl CodesReply {
    pub(super) fn new(packet_id: u16, codes: Vec<ReasonCode>) -> Self {
        Self { packet_id, codes }
    }

    /// What was granted is refused after all.
    pub(super) fn refuse(&mut self, reason: ReasonCode) {
        for code in self.codes.iter_mut().filter(|code| !code.is_error()) {
            *code = reason;
        }
    }
}

/// AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthReply {
    /// 0x18 to continue, 0x00 when re-authentication has succeeded.
    pub reason: ReasonCode,
    /// The Authentication Method, that of CONNECT (4.12.0-5).
    pub method: Box<str>,
    /// Authentication Data; none if empty.
    pub data: Vec<u8>,
}

/// CONNACK: what the client may do and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAckReply {
    /// 0x00, or why not; for MQTT 3.1.1 the encoder turns it into a return code.
    pub reason: ReasonCode,
    /// Whether there was a session to go on with.
    pub session_present: bool,
    /// What follows is absent if the client was refused.
    pub properties: Option<ConnAckGrant>,
}

/// The properties of a CONNACK that accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAckGrant {
    /// Session Expiry Interval, in seconds, if not what the client asked for.
    pub session_expiry_secs: Option<u32>,
    /// Receive Maximum.
    pub receive_maximum: u16,
    /// Maximum Packet Size.
    pub packet_bytes: u32,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: u16,
    /// Assigned Client Identifier, if the client had none.
    pub assigned_client_id: Option<Box<str>>,
    /// Server Keep Alive, in seconds, if not what the client asked for.
    pub keep_alive_secs: Option<u16>,
    /// Authentication Method, if the client named one.
    pub auth_method: Option<Box<str>>,
    /// Authentication Data; none if empty.
    pub auth_data: Vec<u8>,
}

impl ConnAckReply {
    pub(super) fn refusal(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_present: false,
            properties: None,
        }
    }

    /// `expiry_secs` and `keep_alive_secs` are what was granted.
    pub(super) fn success(
        arrival: &Arrival,
        limits: &Limits,
        session_present: bool,
        expiry_secs: u32,
        keep_alive_secs: u16,
    ) -> Self {
        let v5 = arrival.version == Version::V5;
        let assigned = v5 && arrival.is_assigned;
        Self {
            reason: ReasonCode::Success,
            session_present,
            properties: v5.then(|| ConnAckGrant {
                session_expiry_secs: (expiry_secs != arrival.expiry_secs).then_some(expiry_secs),
                receive_maximum: limits.receive_maximum,
                packet_bytes: limits.packet_bytes,
                topic_alias_maximum: limits.topic_aliases_in,
                assigned_client_id: assigned.then(|| (*arrival.client_id).into()),
                keep_alive_secs: (keep_alive_secs != arrival.keep_alive_secs)
                    .then_some(keep_alive_secs),
                auth_method: arrival.auth_method.clone(),
                auth_data: Vec::new(),
            }),
        }
    }

    pub(super) fn with_auth_data(mut self, data: Vec<u8>) -> Self {
        if let Some(properties) = &mut self.properties {
            properties.auth_data = data;
        }
        self
    }

    fn bytes_max(&self) -> usize {
        self.properties.as_ref().map_or(2, |grant| {
            let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| 3 + text.len());
            let expiry = grant.session_expiry_secs.map_or(0, |_| 5);
            let keep_alive = grant.keep_alive_secs.map_or(0, |_| 3);
            let data = match grant.auth_data.len() {
                0 => 0,
                length => 3 + length,
            };
            // Flags and reason; Receive Maximum, Maximum Packet Size, Topic Alias Maximum.
            let always = 2 + 3 + 5 + 3;
            let names = text(&grant.assigned_client_id) + text(&grant.auth_method);
            always + expiry + keep_alive + names + data
        })
    }
}
