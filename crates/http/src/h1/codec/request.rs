//! Request heads (RFC 9112 section 3). Called by a server connection.

use bytes::{Buf, Bytes, BytesMut};
use http::header::HOST;
use http::{Extensions, HeaderValue, Method};

use super::fields::{self, HostField, Sender};
use super::framing::Minor;
use super::line::RequestLine;
use super::scan::{BlockLimits, BlockScanner, LINE_END, LineEnds};
use super::{BodyLength, ConnectionIntent, Limits, MAX_HEADER_COUNT, ParseError, target};
use crate::headers::Headers;
use crate::message::RequestParts;

/// A request up to its body, with everything the connection must know.
#[derive(Debug)]
pub struct RequestHead {
    /// Method, target, version and fields. `Request::from_parts` takes them as
    /// they are. For a target in absolute-form the URI keeps its authority and
    /// `Host` holds that same authority, whatever the client had put there.
    pub parts: RequestParts,
    /// How the body ends; never `UntilClose` or `Tunnel` in a request.
    pub body: BodyLength,
    /// Whether the client wants the connection kept.
    pub intent: ConnectionIntent,
    /// The client waits for `100 Continue` before it sends the body. Only for
    /// HTTP/1.1 requests that have one.
    pub expects_continue: bool,
    /// `Connection: upgrade` with an `Upgrade` field in HTTP/1.1, or CONNECT:
    /// after a `101` or 2xx the connection may become a tunnel.
    pub upgrade: bool,
}

/// Parses request heads, one after another, from one connection's input.
///
/// ```
/// use bytes::BytesMut;
/// use tidegate_http::h1::codec::{BodyLength, Limits, ParseError, RequestParser};
///
/// let mut parser = RequestParser::new();
/// let mut buffer = BytesMut::from("POST /a HTTP/1.1\r\nHost: b\r\nContent-Len");
/// assert!(parser.parse(&mut buffer, &Limits::default())?.is_none());
/// buffer.extend_from_slice(b"gth: 2\r\n\r\nhi");
/// if let Some(head) = parser.parse(&mut buffer, &Limits::default())? {
///     assert_eq!(head.parts.uri, "/a");
///     assert_eq!(head.body, BodyLength::Fixed(2));
/// }
/// assert_eq!(buffer, "hi");
/// # Ok::<(), ParseError>(())
/// ```
#[derive(Debug)]
pub struct RequestParser {
    scanner: BlockScanner,
    leading: LeadingLine,
    refused: Option<ParseError>,
}

/// RFC 9112 section 2.2: one empty line before a request line is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeadingLine {
    Allowed,
    Skipped,
}

impl RequestParser {
    /// A parser at the start of a request. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scanner: BlockScanner::head(),
            leading: LeadingLine::Allowed,
            refused: None,
        }
    }

    /// Takes one head off the front of `buffer`, or `None` while its end has
    /// not arrived. Between two calls bytes may only be added to `buffer`.
    ///
    /// # Errors
    ///
    /// Any rule of RFC 9112 broken or limit exceeded, as soon as the bytes
    /// show it. Every further call gives the same error.
    pub fn parse(
        &mut self,
        buffer: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<RequestHead>, ParseError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let parsed = self.next_head(buffer, limits);
        self.refused = parsed.as_ref().err().copied();
        parsed
    }

    fn next_head(
        &mut self,
        buffer: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<RequestHead>, ParseError> {
        let mut ends = LineEnds::new();
        let length = loop {
            match self
                .scanner
                .find_end(buffer, &BlockLimits::head(limits), &mut ends)?
            {
                None => return Ok(None),
                Some(LINE_END) if self.leading == LeadingLine::Allowed => {
                    buffer.advance(LINE_END);
                    self.leading = LeadingLine::Skipped;
                    ends = LineEnds::new();
                    self.scanner = BlockScanner::head();
                }
                Some(LINE_END) => return Err(ParseError::EmptyRequestLine),
                Some(length) => break length,
            }
        };
        self.scanner = BlockScanner::head();
        self.leading = LeadingLine::Allowed;
        let head = buffer.split_to(length).freeze();
        parse_head(head, &ends, limits).map(Some)
    }
}

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

fn parse_head(head: Bytes, ends: &LineEnds, limits: &Limits) -> Result<RequestHead, ParseError> {
    let line = RequestLine::of(&head, ends, limits.header_count.min(MAX_HEADER_COUNT))?;
    let minor = line.minor;
    let method = Method::from_bytes(line.method).map_err(|_| ParseError::RequestLine)?;
    let uri = target::parse(&method, head.slice_ref(line.target))
        .map_err(|error| line.refused_target(error))?;
    let mut headers = Headers::received(head.clone());
    let fields = fields::collect(line.fields, Sender::Client, &mut headers)?;
    check_host(fields.host, minor)?;
    if let Some(authority) = uri.authority().filter(|_| uri.scheme().is_some()) {
        replace_host(authority.as_str(), &mut headers)?;
    }
    let body = fields
        .framing
        .request_body(&method, minor, limits.body_bytes)?;
    let has_body = !matches!(body, BodyLength::None | BodyLength::Fixed(0));
    let connect = method == Method::CONNECT;
    let upgrade = fields.framing.connection_upgrade && fields.has_upgrade;
    Ok(RequestHead {
        body,
        intent: fields.framing.intent(minor),
        expects_continue: fields.expects_continue && has_body && minor == Minor::Http11,
        upgrade: connect || upgrade && minor == Minor::Http11,
        parts: RequestParts {
            method,
            uri,
            version: minor.version(),
            headers,
            extensions: Extensions::new(),
        },
    })
}

/// RFC 9112 section 3.2: required in 1.1, at most one, and well-formed.
const fn check_host(host: HostField, minor: Minor) -> Result<(), ParseError> {
    match (host, minor) {
        (HostField::Valid, _) | (HostField::Missing, Minor::Http10) => Ok(()),
        (HostField::Missing, Minor::Http11) => Err(ParseError::MissingHost),
        (HostField::Invalid, _) => Err(ParseError::InvalidHost),
    }
}

/// RFC 9112 section 3.2.2: the authority of the target wins over `Host`.
fn replace_host(authority: &str, headers: &mut Headers) -> Result<(), ParseError> {
    let value = HeaderValue::from_str(authority).map_err(|_| ParseError::Target)?;
    headers.insert(HOST, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Feeds `input` in pieces of `step` bytes and returns how many bytes were
    /// looked at for the end of the head.
    fn examined(input: &[u8], step: usize) -> usize {
        let limits = Limits::default();
        let mut parser = RequestParser::new();
        let mut buffer = BytesMut::new();
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            assert!(parser.parse(&mut buffer, &limits).unwrap().is_none());
        }
        parser.scanner.examined()
    }

    #[test]
    fn a_dribbled_head_is_scanned_in_linear_time() {
        let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        while input.len() < 31 << 10 {
            input.extend_from_slice(b"X-Filler: some header value or other\r\n");
        }
        let size = input.len();
        assert!(examined(&input, size) <= 2 * size);
        assert!(examined(&input, 1) <= 3 * size);
        // One line without an end, which a scan by lines would start over.
        let mut input = b"GET / HTTP/1.1\r\nX: ".to_vec();
        input.resize(31 << 10, b'x');
        assert!(examined(&input, 1) <= 3 * size);
    }
}
