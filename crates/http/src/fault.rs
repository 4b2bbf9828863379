//! What can go wrong with a request, sorted by who is to blame.
//!
//! The kind decides the status a client sees, whether another attempt may help,
//! and the name in logs and metrics: one `match` each, here.

mod count;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::StatusCode;
use tidegate_runtime::limit::{self, Limit};

pub(crate) use self::count::count;
pub use self::count::counts;
use crate::h1::codec::ParseError;

/// A request that could not be served, or a body that could not be finished.
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    detail: Cow<'static, str>,
}

/// Who failed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The client's message breaks the protocol or a limit.
    Request(ParseError),
    /// The client's request is well formed but cannot be served as it is.
    BadRequest,
    /// The client was too slow with its request.
    RequestTimeout,
    /// The client went away, or stopped reading.
    ClientGone,
    /// No endpoint of the upstream can take a request now.
    NoEndpoint,
    /// No connection to the upstream could be made.
    UpstreamConnect,
    /// No connection to the upstream was made in time.
    UpstreamConnectTimeout,
    /// The upstream closed or reset the connection before its response was whole.
    UpstreamReset,
    /// The upstream's response breaks the protocol or a limit.
    UpstreamProtocol,
    /// The upstream was too slow.
    UpstreamTimeout,
    /// A defect of ours.
    Internal,
}

impl FaultKind {
    /// The status a client is answered with, if it still can be answered.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Request(error) => error.status(),
            Self::BadRequest | Self::ClientGone => StatusCode::BAD_REQUEST,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NoEndpoint => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamConnect | Self::UpstreamReset | Self::UpstreamProtocol => {
                StatusCode::BAD_GATEWAY
            }
            Self::UpstreamConnectTimeout | Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The limit of the client's that bit, for faults that stand for one alone. That
    /// somebody was too slow is counted where the time was taken.
    pub const fn limit(self) -> Option<Limit> {
        let Self::Request(error) = self else {
            return None;
        };
        match error {
            ParseError::RequestLineTooLong => Some(Limit::RequestLineBytes),
            ParseError::HeadTooLarge | ParseError::TrailersTooLarge => Some(Limit::HeaderBytes),
            ParseError::TooManyHeaders => Some(Limit::HeaderCount),
            ParseError::BodyTooLarge => Some(Limit::BodyBytes),
            ParseError::ChunkExtensionTooLarge => Some(Limit::ChunkExtensionBytes),
            _ => None,
        }
    }

    /// A stable name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request(error) => error.reason(),
            Self::BadRequest => "bad_request",
            Self::RequestTimeout => "request_timeout",
            Self::ClientGone => "client_gone",
            Self::NoEndpoint => "no_endpoint",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamConnectTimeout => "upstream_connect_timeout",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::UpstreamTimeout => "upstream_timeout",
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
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What is known about it: for the log, never for a client.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<ParseError> for Fault {
    fn from(error: ParseError) -> Self {
        Self::new(FaultKind::Request(error), "")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match (self.detail.is_empty(), self.kind) {
            (true, FaultKind::Request(error)) => write!(f, ": {error}"),
            (true, _) => Ok(()),
            (false, _) => write!(f, ": {}", self.detail),
        }
    }
}

impl Error for Fault {}
