//! Packets to bytes. Nothing is written of a packet that cannot be written whole.

mod connect;
mod frame;
mod publish;
mod rest;

use bytes::{BufMut, BytesMut};

use self::frame::framed;
pub use self::publish::{
    EncodedPublish, PublishBody, PublishOptions, PublishPatch, TopicForm, encode_publish_head,
};
use super::packet::{Packet, PacketType, ProtocolVersion};

/// The longest packet there can be: fixed header and 268,435,455 bytes.
pub const PACKET_BYTES_LARGEST: u32 = 5 + REMAINING_BYTES_MAX;

/// What four bytes of length can say.
const REMAINING_BYTES_MAX: u32 = 268_435_455;

/// Why a packet cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Larger than the receiver takes (MQTT-3.1.2-24) or than a packet can be.
    #[error("the packet is larger than its receiver takes")]
    PacketTooLarge,
    /// Binary data of more than 65,535 bytes.
    #[error("binary data is longer than 65,535 bytes")]
    BinaryTooLong,
    /// A packet that MQTT 3.1.1 does not have, or not in this form.
    #[error("MQTT 3.1.1 has no such {0:?}")]
    NotInVersion(PacketType),
    /// A list of filters or reasons without a member.
    #[error("{0:?} without a topic filter")]
    NoTopicFilter(PacketType),
    /// A PUBLISH with neither topic nor alias.
    #[error("a PUBLISH without a topic")]
    TopicMissing,
}

/// Writes packets for one receiver.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    version: ProtocolVersion,
    packet_bytes_max: u32,
}

impl Encoder {
    /// For a receiver that speaks `version` and takes packets of `packet_bytes_max` bytes at
    /// most, fixed header included.
    #[must_use]
    pub const fn new(version: ProtocolVersion, packet_bytes_max: u32) -> Self {
        Self {
            version,
            packet_bytes_max,
        }
    }

    /// What the receiver speaks.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Appends the packet to `out`. If it is too large with its reason string and user
    /// properties, and they only explain, it goes without them (MQTT-3.2.2-19 and its kin).
    ///
    /// # Errors
    ///
    /// When there is no such packet for this receiver; `out` is as before then.
    pub fn encode(&self, packet: &Packet, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        let mut result = self.encode_once(packet, Explain::Yes, out);
        if result == Err(EncodeError::PacketTooLarge) {
            out.truncate(start);
            result = self.encode_once(packet, Explain::No, out);
        }
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn encode_once(
        &self,
        packet: &Packet,
        explain: Explain,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let version = self.version;
        match packet {
            Packet::Publish(publish) => {
                let (body, options) = publish::parts(publish)?;
                encode_publish_head(version, self.packet_bytes_max, &body, &options, out)?;
                out.put_slice(&publish.payload);
                return Ok(());
            }
            Packet::PingRequest => out.put_slice(&[0xc0, 0]),
            Packet::PingResponse => out.put_slice(&[0xd0, 0]),
            other => {
                let first = first_byte(other.packet_type());
                return framed(out, first, self.packet_bytes_max, |out| {
                    write_body(other, version, explain, out)
                });
            }
        }
        if self.packet_bytes_max < 2 {
            return Err(EncodeError::PacketTooLarge);
        }
        Ok(())
    }
}

/// Whether properties that only explain are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Explain {
    Yes,
    No,
}

/// Type and reserved flags (table 2-2).
const fn first_byte(packet_type: PacketType) -> u8 {
    let flags = match packet_type {
        PacketType::PublishRelease | PacketType::Subscribe | PacketType::Unsubscribe => 0b0010,
        _ => 0,
    };
    ((packet_type as u8) << 4) | flags
}

fn write_body(
    packet: &Packet,
    version: ProtocolVersion,
    explain: Explain,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => connect::connect(connect, version, out),
        Packet::ConnectAck(ack) => connect::connect_ack(ack, version, explain, out),
        Packet::PublishAck(answer)
        | Packet::PublishReceived(answer)
        | Packet::PublishRelease(answer)
        | Packet::PublishComplete(answer) => rest::answer(answer, version, explain, out),
        Packet::Subscribe(subscribe) => rest::subscribe(subscribe, version, out),
        Packet::SubscribeAck(ack) => rest::subscribe_ack(ack, version, explain, out),
        Packet::Unsubscribe(unsubscribe) => rest::unsubscribe(unsubscribe, version, out),
        Packet::UnsubscribeAck(ack) => rest::unsubscribe_ack(ack, version, explain, out),
        Packet::Disconnect(disconnect) => rest::disconnect(disconnect, version, explain, out),
        Packet::Auth(auth) => rest::auth(auth, version, explain, out),
        Packet::Publish(_) | Packet::PingRequest | Packet::PingResponse => Ok(()),
    }
}
