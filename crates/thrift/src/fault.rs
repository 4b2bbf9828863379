//! What can go wrong with a call, sorted by who is to blame.
//!
//! The kind decides the exception a client sees, whether another attempt may help, and
//! the name in logs and metrics: one `match` each, here.

use std::borrow::Cow;
use std::fmt;

use tidegate_runtime::limit::{self, Limit};

use crate::codec::{ApplicationException, DecodeError, ExceptionKind};

/// A call that could not be answered.
#[derive(Debug, thiserror::Error)]
pub struct Fault {
    kind: FaultKind,
    detail: Cow<'static, str>,
}

/// Who failed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The client's message breaks the protocol or a limit.
    Call(DecodeError),
    /// The client was too slow with its message.
    CallTimeout,
    /// The client sent something that is not a call.
    NotACall,
    /// The client went away, or stopped reading.
    ClientGone,
    /// Nobody here knows the method.
    UnknownMethod,
    /// No endpoint of the upstream can take a call now.
    NoEndpoint,
    /// No connection to the upstream could be made.
    UpstreamConnect,
    /// No connection to the upstream was made in time.
    UpstreamConnectTimeout,
    /// The upstream closed or reset the connection before its answer was whole.
    UpstreamReset,
    /// The upstream's answer breaks the protocol or a limit.
    UpstreamProtocol(DecodeError),
    /// The upstream answered another call than the one it was asked.
    UpstreamSequence,
    /// The upstream was too slow.
    UpstreamTimeout,
    /// A call without an answer where there has to be one.
    MissingResult,
    /// A defect of ours.
    Internal,
}

impl FaultKind {
    /// What the client is told.
    #[must_use]
    pub const fn exception_kind(self) -> ExceptionKind {
        match self {
            Self::Call(error) => error.exception_kind(),
            Self::NotACall => ExceptionKind::InvalidMessageType,
            Self::UnknownMethod => ExceptionKind::UnknownMethod,
            Self::MissingResult => ExceptionKind::MissingResult,
            Self::CallTimeout | Self::ClientGone => ExceptionKind::ProtocolError,
            Self::NoEndpoint
            | Self::UpstreamConnect
            | Self::UpstreamConnectTimeout
            | Self::UpstreamReset
            | Self::UpstreamProtocol(_)
            | Self::UpstreamSequence
            | Self::UpstreamTimeout
            | Self::Internal => ExceptionKind::InternalError,
        }
    }

    /// The limit of the client's that bit, for faults that stand for one alone.
    #[must_use]
    pub const fn limit(self) -> Option<Limit> {
        match self {
            Self::Call(DecodeError::MessageTooLarge { .. }) => Some(Limit::MessageBytes),
            Self::Call(DecodeError::HeaderTooLarge { .. }) => Some(Limit::HeaderBytes),
            Self::Call(DecodeError::MethodTooLong { .. }) => Some(Limit::MethodBytes),
            Self::Call(DecodeError::TooDeep { .. }) => Some(Limit::MessageDepth),
            _ => None,
        }
    }

    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call(_) => "bad_message",
            Self::CallTimeout => "message_timeout",
            Self::NotACall => "not_a_call",
            Self::ClientGone => "client_gone",
            Self::UnknownMethod => "unknown_method",
            Self::NoEndpoint => "no_endpoint",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamConnectTimeout => "upstream_connect_timeout",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamProtocol(_) => "upstream_protocol",
            Self::UpstreamSequence => "upstream_sequence",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::MissingResult => "missing_result",
            Self::Internal => "internal",
        }
    }
}

impl Fault {
    /// A fault of `kind`, with what is known about it for the log.
    pub fn new(kind: FaultKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// A fault of `kind` because `limit`, a time, was over; counts that it was.
    #[cold]
    pub fn late(kind: FaultKind, limit: Limit, detail: impl Into<Cow<'static, str>>) -> Self {
        limit::hit(limit);
        Self::new(kind, detail)
    }

    /// Who failed, and how.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What is known about it: for the log, never for a client.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What the client is sent. Its own mistakes are explained to it, the rest is named.
    #[must_use]
    pub fn exception(&self) -> ApplicationException {
        let message = match self.kind {
            FaultKind::Call(error) => error.to_string(),
            kind => kind.name().replace('_', " "),
        };
        ApplicationException::new(self.kind.exception_kind(), message)
    }
}

impl From<DecodeError> for Fault {
    /// The client's message could not be read.
    fn from(error: DecodeError) -> Self {
        Self::new(FaultKind::Call(error), "")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match (self.detail.is_empty(), self.kind) {
            (true, FaultKind::Call(error) | FaultKind::UpstreamProtocol(error)) => {
                write!(f, ": {error}")
            }
            (true, _) => Ok(()),
            (false, _) => write!(f, ": {}", self.detail),
        }
    }
}
