//! The packet types, and the small types that several of them share.

use std::fmt;
use std::num::NonZeroU16;

use super::acknowledge::Acknowledgement;
use super::connect::{Connect, ConnectAck};
use super::finish::{Auth, Disconnect};
use super::publish::Publish;
use super::subscribe::{Subscribe, SubscribeAck, Unsubscribe, UnsubscribeAck};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolVersion {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol version 5.
    V5,
}

/// Which end of a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It reads what clients send.
    Server,
    /// It reads what a server sends.
    Client,
}

/// How hard delivery is tried (section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum QualityOfService {
    /// QoS 0.
    #[default]
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

impl QualityOfService {
    /// The quality with this number.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        self as u8
    }
}

/// Ties a packet to its acknowledgement; never zero (section 2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketIdentifier(pub NonZeroU16);

impl PacketIdentifier {
    /// The first that a session uses.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// The identifier with this number, if it is one.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The one after it; 1 after 65,535.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(number) => Self(number),
            None => Self::FIRST,
        }
    }
}

impl fmt::Debug for PacketIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.get())
    }
}

/// The type of a packet: the upper four bits of its first byte (table 2-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the packets themselves are documented")]
pub enum PacketType {
    Connect = 1,
    ConnectAck = 2,
    Publish = 3,
    PublishAck = 4,
    PublishReceived = 5,
    PublishRelease = 6,
    PublishComplete = 7,
    Subscribe = 8,
    SubscribeAck = 9,
    Unsubscribe = 10,
    UnsubscribeAck = 11,
    PingRequest = 12,
    PingResponse = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type with this number; 0 is reserved.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Connect,
            2 => Self::ConnectAck,
            3 => Self::Publish,
            4 => Self::PublishAck,
            5 => Self::PublishReceived,
            6 => Self::PublishRelease,
            7 => Self::PublishComplete,
            8 => Self::Subscribe,
            9 => Self::SubscribeAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubscribeAck,
            12 => Self::PingRequest,
            13 => Self::PingResponse,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }
}

/// A packet (chapter 3). The rare large ones are boxed to keep the others cheap to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNECT: a client opens a session.
    Connect(Box<Connect>),
    /// CONNACK: the server's answer.
    ConnectAck(Box<ConnectAck>),
    /// PUBLISH: a message, either way.
    Publish(Publish),
    /// PUBACK: the answer to a QoS 1 PUBLISH.
    PublishAck(Acknowledgement),
    /// PUBREC: the first answer to a QoS 2 PUBLISH.
    PublishReceived(Acknowledgement),
    /// PUBREL: the answer to PUBREC.
    PublishRelease(Acknowledgement),
    /// PUBCOMP: the answer to PUBREL.
    PublishComplete(Acknowledgement),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// SUBACK.
    SubscribeAck(SubscribeAck),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe),
    /// UNSUBACK.
    UnsubscribeAck(UnsubscribeAck),
    /// PINGREQ: a client shows that it is there.
    PingRequest,
    /// PINGRESP: the server does.
    PingResponse,
    /// DISCONNECT: the last packet of a connection.
    Disconnect(Box<Disconnect>),
    /// AUTH: a step of enhanced authentication; MQTT 5.0 only.
    Auth(Box<Auth>),
}

impl Packet {
    /// Its type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnectAck(_) => PacketType::ConnectAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PublishAck(_) => PacketType::PublishAck,
            Self::PublishReceived(_) => PacketType::PublishReceived,
            Self::PublishRelease(_) => PacketType::PublishRelease,
            Self::PublishComplete(_) => PacketType::PublishComplete,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubscribeAck(_) => PacketType::SubscribeAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubscribeAck(_) => PacketType::UnsubscribeAck,
            Self::PingRequest => PacketType::PingRequest,
            Self::PingResponse => PacketType::PingResponse,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}
