//! Packets out of a buffer, one at a time, as soon as they are whole.
//!
//! The fixed header is judged from its first byte on, the length before anything more is
//! buffered; the body is read once, when it is all there. So any split of the input gives
//! the same packets and the same error.

mod answer;
mod connect;
mod finish;
mod publish;
mod subscribe;

use bytes::{Bytes, BytesMut};

use super::connect::Connect;
use super::error::DecodeError;
use super::fields::{Fields, variable};
use super::packet::{Packet, PacketType, ProtocolVersion, Role};

/// Reads the packets of one connection.
///
/// ```
/// use bytes::BytesMut;
/// use tidegate_mqtt::codec::{Decoder, Packet};
///
/// let mut decoder = Decoder::server(65_536);
/// let mut buffer = BytesMut::from(&b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a\xc0"[..]);
/// assert!(matches!(decoder.decode(&mut buffer), Ok(Some(Packet::Connect(_)))));
/// assert_eq!(decoder.decode(&mut buffer), Ok(None));
/// buffer.extend_from_slice(b"\0");
/// assert_eq!(decoder.decode(&mut buffer), Ok(Some(Packet::PingRequest)));
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    role: Role,
    /// Unknown to a server until CONNECT.
    version: Option<ProtocolVersion>,
    packet_bytes_max: u32,
}

/// The start of a packet.
#[derive(Clone, Copy, Debug)]
struct FixedHeader {
    packet_type: PacketType,
    flags: u8,
    header_bytes: usize,
    packet_bytes: usize,
}

impl Decoder {
    /// Reads what a client sends: CONNECT first, which says the version, and then no other.
    /// Packets of more than `packet_bytes_max` bytes are refused before they are buffered.
    #[must_use]
    pub const fn server(packet_bytes_max: u32) -> Self {
        Self {
            role: Role::Server,
            version: None,
            packet_bytes_max,
        }
    }

    /// Reads what a client sends after `connect`, which was read elsewhere.
    #[must_use]
    pub const fn server_after(connect: &Connect, packet_bytes_max: u32) -> Self {
        Self {
            role: Role::Server,
            version: Some(connect.version),
            packet_bytes_max,
        }
    }

    /// Reads what a server sends to a client of this version.
    #[must_use]
    pub const fn client(version: ProtocolVersion, packet_bytes_max: u32) -> Self {
        Self {
            role: Role::Client,
            version: Some(version),
            packet_bytes_max,
        }
    }

    /// What the connection speaks, if that is known yet.
    #[must_use]
    pub const fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// Refuses packets of more bytes from now on.
    pub const fn set_packet_bytes_max(&mut self, packet_bytes_max: u32) {
        self.packet_bytes_max = packet_bytes_max;
    }

    /// Takes the next packet off the buffer. Nothing is taken while it is not whole.
    ///
    /// # Errors
    ///
    /// When the peer breaks the protocol. The connection has to end: what follows in the
    /// buffer cannot be relied on.
    #[inline]
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(header) = self.fixed_header(buffer)? else {
            return Ok(None);
        };
        if buffer.len() < header.packet_bytes {
            return Ok(None);
        }
        let packet = buffer.split_to(header.packet_bytes).freeze();
        if header.packet_type == PacketType::Publish {
            // By itself, so that it is built where it is wanted and not moved there.
            let version = self.version.unwrap_or(ProtocolVersion::V5);
            let publish = publish::publish(packet, &header, version, self.role)?;
            return Ok(Some(Packet::Publish(publish)));
        }
        self.body(header, &packet).map(Some)
    }

    /// How many bytes the packet at the start of the buffer has, as soon as that is known,
    /// so that a large one can be read into memory of its size.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn packet_bytes(&self, buffer: &[u8]) -> Result<Option<usize>, DecodeError> {
        Ok(self.fixed_header(buffer)?.map(|header| header.packet_bytes))
    }

    #[inline]
    fn fixed_header(&self, buffer: &[u8]) -> Result<Option<FixedHeader>, DecodeError> {
        let Some((&first, rest)) = buffer.split_first() else {
            return Ok(None);
        };
        let packet_type =
            PacketType::from_bits(first >> 4).ok_or(DecodeError::ReservedPacketType)?;
        self.expect(packet_type)?;
        let flags = first & 0x0f;
        check_flags(packet_type, flags)?;
        let Some((length, length_bytes)) = variable(rest)? else {
            return Ok(None);
        };
        let header_bytes = 1 + length_bytes;
        let packet_bytes = header_bytes + length as usize;
        if packet_bytes > self.packet_bytes_max as usize {
            return Err(DecodeError::PacketTooLarge {
                bytes: length + header_bytes as u32,
            });
        }
        Ok(Some(FixedHeader {
            packet_type,
            flags,
            header_bytes,
            packet_bytes,
        }))
    }

    /// Whether the peer may send such a packet now.
    fn expect(&self, packet_type: PacketType) -> Result<(), DecodeError> {
        use PacketType as T;
        let Some(version) = self.version else {
            return match packet_type {
                T::Connect => Ok(()),
                other => Err(DecodeError::UnexpectedPacket(other)),
            };
        };
        let expected = match packet_type {
            T::Publish | T::PublishAck | T::PublishReceived => true,
            T::PublishRelease | T::PublishComplete => true,
            T::Subscribe | T::Unsubscribe | T::PingRequest => self.role == Role::Server,
            T::ConnectAck | T::SubscribeAck | T::UnsubscribeAck | T::PingResponse => {
                self.role == Role::Client
            }
            T::Disconnect => self.role == Role::Server || version == ProtocolVersion::V5,
            T::Auth if version == ProtocolVersion::V311 => {
                return Err(DecodeError::ReservedPacketType);
            }
            T::Auth => true,
            T::Connect => false,
        };
        if expected {
            Ok(())
        } else {
            Err(DecodeError::UnexpectedPacket(packet_type))
        }
    }

    fn body(&mut self, header: FixedHeader, packet: &Bytes) -> Result<Packet, DecodeError> {
        use PacketType as T;
        let packet_type = header.packet_type;
        // The only packet before the version is known is CONNECT, which does not ask for it.
        let version = self.version.unwrap_or(ProtocolVersion::V5);
        let mut fields = Fields::new(packet, header.header_bytes);
        let fields = &mut fields;
        let packet = match packet_type {
            // Read by `decode` itself.
            T::Publish => return Err(DecodeError::UnexpectedPacket(packet_type)),
            T::PublishAck => Packet::PublishAck(answer::answer(fields, packet_type, version)?),
            T::PublishReceived => {
                Packet::PublishReceived(answer::answer(fields, packet_type, version)?)
            }
            T::PublishRelease => {
                Packet::PublishRelease(answer::answer(fields, packet_type, version)?)
            }
            T::PublishComplete => {
                Packet::PublishComplete(answer::answer(fields, packet_type, version)?)
            }
            T::Connect => {
                let connect = connect::connect(fields)?;
                self.version = Some(connect.version);
                Packet::Connect(Box::new(connect))
            }
            T::ConnectAck => Packet::ConnectAck(Box::new(connect::connect_ack(fields, version)?)),
            T::Subscribe => Packet::Subscribe(subscribe::subscribe(fields, version)?),
            T::SubscribeAck => Packet::SubscribeAck(subscribe::subscribe_ack(fields, version)?),
            T::Unsubscribe => Packet::Unsubscribe(subscribe::unsubscribe(fields, version)?),
            T::UnsubscribeAck => {
                Packet::UnsubscribeAck(subscribe::unsubscribe_ack(fields, version)?)
            }
            T::PingRequest => Packet::PingRequest,
            T::PingResponse => Packet::PingResponse,
            T::Disconnect => {
                Packet::Disconnect(Box::new(finish::disconnect(fields, version, self.role)?))
            }
            T::Auth => Packet::Auth(Box::new(finish::auth(fields)?)),
        };
        if fields.is_at_end() {
            Ok(packet)
        } else {
            Err(DecodeError::TrailingBytes(packet_type))
        }
    }
}

/// Whether the flags are those of the type (table 2-2); those of PUBLISH mean something.
fn check_flags(packet_type: PacketType, flags: u8) -> Result<(), DecodeError> {
    let expected = match packet_type {
        PacketType::Publish => {
            return match flags {
                _ if flags & 0b0110 == 0b0110 => Err(DecodeError::QualityOfService),
                _ if flags & 0b1110 == 0b1000 => Err(DecodeError::DuplicateFlag),
                _ => Ok(()),
            };
        }
        PacketType::PublishRelease | PacketType::Subscribe | PacketType::Unsubscribe => 0b0010,
        _ => 0,
    };
    if flags == expected {
        Ok(())
    } else {
        Err(DecodeError::FixedHeaderFlags(packet_type))
    }
}
