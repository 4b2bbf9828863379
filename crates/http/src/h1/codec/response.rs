//! Response heads (RFC 9112 section 4). Called by a client connection.

use bytes::{Bytes, BytesMut};
use http::{Extensions, Method, StatusCode};

use super::fields::{self, Sender};
use super::line::StatusLine;
use super::scan::{BlockLimits, BlockScanner, LINE_END, LineEnds};
use super::{BodyLength, ConnectionIntent, Limits, MAX_HEADER_COUNT, ParseError};
use crate::headers::Headers;
use crate::message::ResponseParts;

/// A response up to its body, with everything the connection must know.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status, version and fields. `Response::from_parts` takes them as they
    /// are. An equal `Content-Length` sent twice is in there once.
    pub parts: ResponseParts,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the connection can carry another request after this response;
    /// never for `UntilClose` and `Tunnel`.
    pub intent: ConnectionIntent,
}

impl ResponseHead {
    /// A 1xx other than `101`: the final response is still to come.
    #[must_use]
    pub fn is_informational(&self) -> bool {
        self.parts.status.is_informational() && self.parts.status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Parses response heads, one after another, from one connection's input.
/// Informational responses are heads of their own.
///
/// ```
/// use bytes::BytesMut;
/// use http::Method;
/// use tidegate_http::h1::codec::{BodyLength, Limits, ParseError, ResponseParser};
///
/// let mut buffer = BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
/// let mut parser = ResponseParser::new();
/// let head = parser.parse(&mut buffer, &Method::GET, &Limits::default())?;
/// assert_eq!(head.map(|head| head.body), Some(BodyLength::Fixed(2)));
/// assert_eq!(buffer, "hi");
/// # Ok::<(), ParseError>(())
/// ```
#[derive(Debug)]
pub struct ResponseParser {
    scanner: BlockScanner,
    refused: Option<ParseError>,
}

impl ResponseParser {
    /// A parser at the start of a response. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scanner: BlockScanner::head(),
            refused: None,
        }
    }

    /// Takes one head off the front of `buffer`, or `None` while its end has
    /// not arrived. `request` is the method this answers: it decides whether
    /// there is a body. Between two calls bytes may only be added to `buffer`.
    ///
    /// # Errors
    ///
    /// Any rule of RFC 9112 broken or limit exceeded, as soon as the bytes
    /// show it. Every further call gives the same error.
    pub fn parse(
        &mut self,
        buffer: &mut BytesMut,
        request: &Method,
        limits: &Limits,
    ) -> Result<Option<ResponseHead>, ParseError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let parsed = self.next_head(buffer, request, limits);
        self.refused = parsed.as_ref().err().copied();
        parsed
    }

    fn next_head(
        &mut self,
        buffer: &mut BytesMut,
        request: &Method,
        limits: &Limits,
    ) -> Result<Option<ResponseHead>, ParseError> {
        let mut ends = LineEnds::new();
        let length = match self
            .scanner
            .find_end(buffer, &BlockLimits::head(limits), &mut ends)?
        {
            None => return Ok(None),
            Some(LINE_END) => return Err(ParseError::StatusLine),
            Some(length) => length,
        };
        self.scanner = BlockScanner::head();
        let head = buffer.split_to(length).freeze();
        parse_head(head, &ends, request, limits).map(Some)
    }
}

impl Default for ResponseParser {
    fn default() -> Self {
        Self::new()
    }
}

fn parse_head(
    head: Bytes,
    ends: &LineEnds,
    request: &Method,
    limits: &Limits,
) -> Result<ResponseHead, ParseError> {
    let line = StatusLine::of(&head, ends, limits.header_count.min(MAX_HEADER_COUNT))?;
    let minor = line.minor;
    let status = StatusCode::from_bytes(line.code).map_err(|_| ParseError::StatusLine)?;
    let mut headers = Headers::received(head.clone());
    let fields = fields::collect(line.fields, Sender::Server, &mut headers)?;
    let body = fields
        .framing
        .response_body(request, status, minor, limits.body_bytes)?;
    let intent = match body {
        BodyLength::UntilClose | BodyLength::Tunnel => ConnectionIntent::Close,
        _ => fields.framing.intent(minor),
    };

    Ok(ResponseHead {
        parts: ResponseParts {
            status,
            version: minor.version(),
            headers,
            extensions: Extensions::new(),
        },
        body,
        intent,
    })
}
