//! Why bytes from a peer were refused.

use http::StatusCode;

/// A message that must not be processed. The peer's framing can no longer be
/// relied on after any of them: answer (a server) with
/// [`status`](Self::status) or fail the exchange (a client), then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The first line is longer than `Limits::request_line_bytes`.
    #[error("the first line is too long")]
    RequestLineTooLong,
    /// The header fields are longer than `Limits::header_bytes`.
    #[error("the header fields are too long")]
    HeadTooLarge,
    /// More fields than `Limits::header_count`.
    #[error("too many header fields")]
    TooManyHeaders,
    /// More body than `Limits::body_bytes`.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The trailer section is longer than `Limits::trailer_bytes`.
    #[error("the trailer section is too long")]
    TrailersTooLarge,
    /// Chunk extensions beyond `Limits::chunk_extension_bytes` or
    /// `Limits::chunk_line_bytes`.
    #[error("the chunk extensions are too long")]
    ChunkExtensionTooLarge,
    /// LF that no CR precedes (RFC 9112 section 2.2 allows to refuse it).
    #[error("a line feed without carriage return")]
    BareLineFeed,
    /// CR that no LF follows (RFC 9112 section 2.2).
    #[error("a carriage return without line feed")]
    BareCarriageReturn,
    /// More than one empty line before a request line.
    #[error("empty lines before the request line")]
    EmptyRequestLine,
    /// Not `method SP target SP version` (RFC 9112 section 3).
    #[error("malformed request line")]
    RequestLine,
    /// Not `version SP three digits [SP reason]` (RFC 9112 section 4).
    #[error("malformed status line")]
    StatusLine,
    /// A well-formed version other than HTTP/1.0 and HTTP/1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// A target that is no URI, has a fragment, user information or bytes
    /// outside visible ASCII.
    #[error("malformed request target")]
    Target,
    /// A target form the method does not allow (RFC 9112 section 3.2).
    #[error("the form of the request target does not fit the method")]
    TargetForm,
    /// A field line without a valid name directly before its colon, a folded
    /// line among them (RFC 9112 section 5).
    #[error("malformed header name")]
    HeaderName,
    /// A control character in a field value (RFC 9110 section 5.5).
    #[error("malformed header value")]
    HeaderValue,
    /// HTTP/1.1 without `Host` (RFC 9112 section 3.2).
    #[error("missing Host")]
    MissingHost,
    /// More than one `Host`.
    #[error("repeated Host")]
    RepeatedHost,
    /// A `Host` that is no `host [":" port]` (RFC 9110 section 7.2).
    #[error("malformed Host")]
    InvalidHost,
    /// A `Content-Length` that is not a plain decimal number below 2^64.
    #[error("malformed Content-Length")]
    ContentLength,
    /// More than one `Content-Length`; in a response only differing ones.
    #[error("repeated Content-Length")]
    RepeatedContentLength,
    /// Both ways of framing at once (RFC 9112 section 6.1).
    #[error("Content-Length together with Transfer-Encoding")]
    ContentLengthWithTransferEncoding,
    /// `chunked` repeated, not last or with parameters, or an empty coding.
    #[error("malformed Transfer-Encoding")]
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("unknown transfer coding")]
    UnknownTransferCoding,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 section 6.1).
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferEncodingOnHttp10,
    /// A body announced on CONNECT (RFC 9110 section 9.3.6).
    #[error("CONNECT with a body")]
    ConnectWithBody,
    /// A chunk size that is not 1 to 16 hexadecimal digits up to the line end
    /// or a semicolon (RFC 9112 section 7.1).
    #[error("malformed chunk size")]
    ChunkSize,
    /// A control character in a chunk extension.
    #[error("malformed chunk extension")]
    ChunkExtension,
    /// Chunk data not followed by CRLF.
    #[error("chunk data longer than its size")]
    ChunkTerminator,
    /// A framing field in the trailer section (RFC 9110 section 6.5.1).
    #[error("forbidden trailer field")]
    ForbiddenTrailer,
    /// The connection ended inside a message.
    #[error("the connection ended inside a message")]
    Truncated,
}

impl ParseError {
    /// The status a server answers a request with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::TrailersTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnknownTransferCoding => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// A short name that never changes, for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RequestLineTooLong => "request_line_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::BodyTooLarge => "body_too_large",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::ChunkExtensionTooLarge => "chunk_extension_too_large",
            Self::BareLineFeed => "bare_line_feed",
            Self::BareCarriageReturn => "bare_carriage_return",
            Self::EmptyRequestLine => "empty_request_line",
            Self::RequestLine => "request_line",
            Self::StatusLine => "status_line",
            Self::Version => "version",
            Self::Target => "target",
            Self::TargetForm => "target_form",
            Self::HeaderName => "header_name",
            Self::HeaderValue => "header_value",
            Self::MissingHost => "missing_host",
            Self::RepeatedHost => "repeated_host",
            Self::InvalidHost => "invalid_host",
            Self::ContentLength => "content_length",
            Self::RepeatedContentLength => "repeated_content_length",
            Self::ContentLengthWithTransferEncoding => "content_length_with_transfer_encoding",
            Self::TransferEncoding => "transfer_encoding",
            Self::UnknownTransferCoding => "unknown_transfer_coding",
            Self::TransferEncodingOnHttp10 => "transfer_encoding_on_http_1_0",
            Self::ConnectWithBody => "connect_with_body",
            Self::ChunkSize => "chunk_size",
            Self::ChunkExtension => "chunk_extension",
            Self::ChunkTerminator => "chunk_terminator",
            Self::ForbiddenTrailer => "forbidden_trailer",
            Self::Truncated => "truncated",
        }
    }
}
