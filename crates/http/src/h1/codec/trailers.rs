//! Trailer sections after a chunked body (RFC 9112 section 7.1.2). Called by
//! the body decoder and the body encoder.

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::line::FieldLines;
use super::scan::{BlockLimits, BlockScanner, LINE_END, LineEnds};
use super::{MAX_HEADER_COUNT, ParseError};

/// What may become of a field that came after the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrailerRule {
    /// Handed on.
    Keep,
    /// Has a meaning only before the body, so it is left out.
    Drop,
    /// Would frame the message a second time, so the message is refused.
    Reject,
}

/// RFC 9110 section 6.5.1: a trailer must not frame, route, authenticate or
/// modify the request, nor say how the content is to be read.
pub(super) fn rule(name: &HeaderName) -> TrailerRule {
    match *name {
        header::CONTENT_LENGTH | header::TRANSFER_ENCODING => TrailerRule::Reject,
        header::HOST
        | header::CONNECTION
        | header::TE
        | header::TRAILER
        | header::UPGRADE
        | header::FORWARDED
        | header::VIA
        | header::MAX_FORWARDS
        | header::EXPECT
        | header::RANGE
        | header::IF_MATCH
        | header::IF_NONE_MATCH
        | header::IF_MODIFIED_SINCE
        | header::IF_UNMODIFIED_SINCE
        | header::IF_RANGE
        | header::CACHE_CONTROL
        | header::PRAGMA
        | header::AUTHORIZATION
        | header::PROXY_AUTHORIZATION
        | header::PROXY_AUTHENTICATE
        | header::WWW_AUTHENTICATE
        | header::COOKIE
        | header::SET_COOKIE
        | header::AGE
        | header::EXPIRES
        | header::DATE
        | header::LOCATION
        | header::RETRY_AFTER
        | header::VARY
        | header::WARNING
        | header::CONTENT_ENCODING
        | header::CONTENT_TYPE
        | header::CONTENT_RANGE => TrailerRule::Drop,
        _ if matches!(name.as_str(), "keep-alive" | "proxy-connection")
            || name.as_str().starts_with("x-forwarded-") =>
        {
            TrailerRule::Drop
        }
        _ => TrailerRule::Keep,
    }
}

/// Reads one trailer section.
#[derive(Debug)]
pub(super) struct TrailerParser {
    scanner: BlockScanner,
    bytes_max: usize,
    count_max: usize,
}

impl TrailerParser {
    pub(super) const fn new(bytes_max: usize, count_max: usize) -> Self {
        Self {
            scanner: BlockScanner::trailers(),
            bytes_max,
            count_max,
        }
    }

    /// Takes the section off the front of `buffer` once it is whole.
    pub(super) fn parse(&mut self, buffer: &mut BytesMut) -> Result<Option<HeaderMap>, ParseError> {
        let limits = BlockLimits::trailers(self.bytes_max);
        let mut ends = LineEnds::new();
        let Some(length) = self.scanner.find_end(buffer, &limits, &mut ends)? else {
            return Ok(None);
        };
        let section = buffer.split_to(length).freeze();
        if length == LINE_END {
            return Ok(Some(HeaderMap::new()));
        }
        let mut lines = FieldLines::of(&section, &ends, self.count_max.min(MAX_HEADER_COUNT));
        let mut trailers = HeaderMap::new();
        while let Some(line) = lines.next()? {
            let name = HeaderName::from_bytes(line.name).map_err(|_| ParseError::HeaderName)?;
            let value = HeaderValue::from_maybe_shared(section.slice_ref(line.value))
                .map_err(|_| ParseError::HeaderValue)?;
            match rule(&name) {
                TrailerRule::Keep => {
                    trailers.append(name, value);
                }
                TrailerRule::Drop => {}
                TrailerRule::Reject => return Err(ParseError::ForbiddenTrailer),
            }
        }
        Ok(Some(trailers))
    }
}
