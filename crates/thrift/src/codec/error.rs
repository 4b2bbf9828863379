//! Why bytes from a peer were refused.

use super::exception::ExceptionKind;

/// A message that must not be processed. The connection ends with it: what follows in
/// the stream cannot be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first bytes are those of no transport and protocol that is spoken here.
    #[error("the first bytes are not those of a Thrift message")]
    NotThrift,
    /// A length or a count below zero.
    #[error("a negative length")]
    NegativeLength,
    /// The message is larger than [`Limits::message_bytes`](super::Limits::message_bytes).
    #[error("a message of more than {limit} bytes")]
    MessageTooLarge {
        /// The most that is taken.
        limit: usize,
    },
    /// The header is larger than [`Limits::header_bytes`](super::Limits::header_bytes).
    #[error("a header of {bytes} bytes")]
    HeaderTooLarge {
        /// How large it would have been.
        bytes: usize,
    },
    /// The name is longer than [`Limits::method_bytes`](super::Limits::method_bytes).
    #[error("a method name of more than {limit} bytes")]
    MethodTooLong {
        /// The longest that is taken.
        limit: usize,
    },
    /// The name is not UTF-8.
    #[error("a method name that is not UTF-8")]
    MethodText,
    /// Values lie in each other deeper than [`Limits::depth`](super::Limits::depth).
    #[error("values nested more than {limit} deep")]
    TooDeep {
        /// The deepest that is taken.
        limit: usize,
    },
    /// A field goes beyond the end of its frame.
    #[error("a field is longer than what contains it")]
    Truncated,
    /// An envelope that is neither strict nor old binary nor compact.
    #[error("an unknown protocol or version")]
    ProtocolVersion,
    /// A message type other than call, reply, exception and one-way.
    #[error("message type {0}")]
    MessageKind(u8),
    /// A type of value that does not exist.
    #[error("value type {0}")]
    ValueType(u8),
    /// A variable-length integer that is longer than its type.
    #[error("a malformed variable-length integer")]
    VariableLength,
    /// The number of a field does not fit (compact protocol).
    #[error("a field number that does not fit")]
    FieldNumber,
    /// A truth value that is neither (compact protocol).
    #[error("a boolean of value {0}")]
    Boolean(u8),
    /// Bytes after the end of a struct that should fill its frame.
    #[error("bytes after the end of the body")]
    TrailingBytes,
    /// A frame that has no TTHeader on a connection where others had.
    #[error("no header magic")]
    HeaderMagic,
    /// A TTHeader whose parts contradict each other.
    #[error("a malformed header")]
    Header,
    /// A TTHeader that names a payload protocol that is not spoken here.
    #[error("payload protocol {0}")]
    HeaderProtocol(u8),
    /// A TTHeader that asks for the payload to be transformed (compressed, say).
    #[error("a transformed payload")]
    Transform,
}

impl DecodeError {
    /// What the peer is told.
    #[must_use]
    pub const fn exception_kind(self) -> ExceptionKind {
        match self {
            Self::MessageKind(_) => ExceptionKind::InvalidMessageType,
            Self::ProtocolVersion | Self::HeaderProtocol(_) => ExceptionKind::InvalidProtocol,
            Self::Transform => ExceptionKind::InvalidTransform,
            _ => ExceptionKind::ProtocolError,
        }
    }
}
