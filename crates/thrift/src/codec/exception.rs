//! The exception that stands for a result there is none of (Thrift RPC specification,
//! "TApplicationException").

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::cursor::{Stop, whole, zigzag};
use super::error::DecodeError;
use super::limits::Limits;
use super::message::Protocol;
use super::transcode::put_variable;
use super::walk::{Token, Walk};

/// What went wrong, by the numbers all implementations share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExceptionKind {
    /// Something else, or a number that is not known here.
    Unknown,
    /// There is no such method.
    UnknownMethod,
    /// The message is not a call.
    InvalidMessageType,
    /// The reply is to another method.
    WrongMethodName,
    /// The reply is to another call.
    BadSequenceId,
    /// The reply has no result.
    MissingResult,
    /// The server failed.
    InternalError,
    /// The message cannot be read.
    ProtocolError,
    /// The message is transformed in a way that is not known.
    InvalidTransform,
    /// The message is in a protocol that is not spoken.
    InvalidProtocol,
    /// The client is of a kind that is not served.
    UnsupportedClientType,
}

impl ExceptionKind {
    const ALL: [Self; 11] = [
        Self::Unknown,
        Self::UnknownMethod,
        Self::InvalidMessageType,
        Self::WrongMethodName,
        Self::BadSequenceId,
        Self::MissingResult,
        Self::InternalError,
        Self::ProtocolError,
        Self::InvalidTransform,
        Self::InvalidProtocol,
        Self::UnsupportedClientType,
    ];

    /// Its number.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The kind of a number; [`Self::Unknown`] if there is none.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        let known = usize::try_from(code).ok().and_then(|at| Self::ALL.get(at));
        known.copied().unwrap_or(Self::Unknown)
    }

    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UnknownMethod => "unknown_method",
            Self::InvalidMessageType => "invalid_message_type",
            Self::WrongMethodName => "wrong_method_name",
            Self::BadSequenceId => "bad_sequence_id",
            Self::MissingResult => "missing_result",
            Self::InternalError => "internal_error",
            Self::ProtocolError => "protocol_error",
            Self::InvalidTransform => "invalid_transform",
            Self::InvalidProtocol => "invalid_protocol",
            Self::UnsupportedClientType => "unsupported_client_type",
        }
    }
}

/// The body of a message of kind [`Exception`](super::MessageKind::Exception).
///
/// ```
/// use tidegate_thrift::codec::{ApplicationException, ExceptionKind, Limits, Protocol};
///
/// let exception = ApplicationException::new(ExceptionKind::InternalError, "no upstream");
/// let body = exception.encode(Protocol::Compact);
/// let read = ApplicationException::decode(&body, Protocol::Compact, &Limits::default())?;
/// assert_eq!(read, exception);
/// # Ok::<(), tidegate_thrift::codec::DecodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationException {
    /// What went wrong.
    pub kind: ExceptionKind,
    /// For people.
    pub message: ByteString,
}

impl ApplicationException {
    /// An exception.
    pub fn new(kind: ExceptionKind, message: impl Into<ByteString>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The struct's bytes.
    #[must_use]
    pub fn encode(&self, protocol: Protocol) -> Bytes {
        let message = self.message.as_bytes();
        let mut out = BytesMut::with_capacity(message.len() + 16);
        if protocol == Protocol::Compact {
            // Field 1, a text; field 2, an i32.
            out.put_u8(0x18);
            put_variable(&mut out, message.len() as u64);
            out.put_slice(message);
            out.put_u8(0x15);
            put_variable(&mut out, zigzag(self.kind.code().into()));
        } else {
            out.put_slice(&[11, 0, 1]);
            out.put_u32(message.len() as u32);
            out.put_slice(message);
            out.put_slice(&[8, 0, 2]);
            out.put_i32(self.kind.code());
        }
        out.put_u8(0);
        out.freeze()
    }

    /// Reads the struct. A text that is not UTF-8 is mended; what the struct does not have
    /// is [`ExceptionKind::Unknown`] and no text.
    ///
    /// # Errors
    ///
    /// When the body is not exactly one struct, or one nested too deep.
    pub fn decode(body: &[u8], protocol: Protocol, limits: &Limits) -> Result<Self, DecodeError> {
        let mut walk = Walk::of_body(protocol, body, limits.depth);
        let mut exception = Self::new(ExceptionKind::Unknown, "");
        let (mut depth, mut field) = (0_usize, 0);
        while let Some(token) = whole(walk.next(body))? {
            match token {
                Token::Struct => depth += 1,
                Token::Stop => depth = depth.saturating_sub(1),
                Token::Field { id, .. } if depth == 0 => field = id,
                Token::Text { start, length } if (depth, field) == (0, 1) => {
                    let text = body.get(start..start + length);
                    let text = text.ok_or(Stop::Short);
                    let text = String::from_utf8_lossy(whole(text)?);
                    exception.message = text.into_owned().into();
                }
                Token::Int32(code) if (depth, field) == (0, 2) => {
                    exception.kind = ExceptionKind::from_code(code);
                }
                _ => {}
            }
        }
        if walk.position() < body.len() {
            return Err(DecodeError::TrailingBytes);
        }
        Ok(exception)
    }
}

impl fmt::Display for ApplicationException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)
    }
}
