//! A message, and how it is spelt on the wire.

use bytes::Bytes;
use bytestring::ByteString;

use super::headers::Headers;

/// What a message is for (Thrift RPC specification, "Message").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// A call that is answered.
    Call,
    /// The answer.
    Reply,
    /// The answer that there is none: an [`ApplicationException`](super::ApplicationException).
    Exception,
    /// A call that is not answered.
    OneWay,
}

impl MessageKind {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Call => 1,
            Self::Reply => 2,
            Self::Exception => 3,
            Self::OneWay => 4,
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Call,
            2 => Self::Reply,
            3 => Self::Exception,
            4 => Self::OneWay,
            _ => return None,
        })
    }
}

/// How envelope and body are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Binary with a version in front of the envelope ("strict").
    Binary,
    /// Binary without: the envelope begins with the method's name.
    BinaryOld,
    /// Compact.
    Compact,
}

impl Protocol {
    /// Whether bodies are written alike, so that one can be relayed untouched.
    #[must_use]
    pub const fn shares_body_with(self, other: Self) -> bool {
        matches!(self, Self::Compact) == matches!(other, Self::Compact)
    }
}

/// How messages are told apart on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Not at all: one begins where the body of the other ends ("buffered").
    Unframed,
    /// By a length of four bytes in front.
    Framed,
    /// By a length and a header with keys and values (CloudWeGo TTHeader).
    TtHeader,
    /// The same, the payload once more with a length in front ("TTHeaderFramed").
    TtHeaderFramed,
}

impl Transport {
    /// Whether messages carry [`Headers`].
    #[must_use]
    pub const fn has_headers(self) -> bool {
        matches!(self, Self::TtHeader | Self::TtHeaderFramed)
    }
}

/// How a message is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// The transport.
    pub transport: Transport,
    /// The protocol.
    pub protocol: Protocol,
}

/// What a message says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What is called. Clients of a multiplexed server put `service:` in front.
    pub method: ByteString,
    /// What the message is for.
    pub kind: MessageKind,
    /// The number that a reply has in common with its call.
    pub sequence_id: i32,
}

impl Envelope {
    /// The service in front of the method's name, if there is one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.method.split_once(':').map(|(service, _)| service)
    }

    /// The method's name without the service's.
    #[must_use]
    pub fn method_name(&self) -> &str {
        self.method
            .split_once(':')
            .map_or(&self.method, |(_, method)| method)
    }

    /// The envelope of an answer of this kind to the call.
    #[must_use]
    pub fn answer(&self, kind: MessageKind) -> Self {
        Self {
            // A multiplexed service answers by the name it was given: the bare one.
            method: self.method.slice_ref(self.method_name()),
            kind,
            sequence_id: self.sequence_id,
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How it was, or is to be, spelt.
    pub wire: Wire,
    /// The envelope.
    pub envelope: Envelope,
    /// Keys and values beside it; only with a transport that has them.
    pub headers: Option<Headers>,
    /// The struct of arguments or of the result, in the protocol of `wire`.
    pub body: Bytes,
}
