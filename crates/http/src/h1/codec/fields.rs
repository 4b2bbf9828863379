//! Turns the field lines of one head into a `HeaderMap` and, in the same pass,
//! gathers what frames the message. Called by the head parsers.

use bytes::Bytes;
use http::header::{
    self, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, UPGRADE,
};

use super::ParseError;
use super::authority::{self, Port};
use super::framing::{ConnectionOptions, Framing, LengthField};
use super::line::{FieldLine, FieldLines};

/// A map larger than this is given back to the allocator rather than reused,
/// so that one extreme message does not stay in memory.
const RECYCLED_CAPACITY_MAX: usize = 256;

/// Which side sent the head: responses may repeat an equal `Content-Length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// The `Host` field as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostField {
    Missing,
    Valid,
    Invalid,
}

/// What one pass over the fields found.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) framing: Framing,
    pub(super) host: HostField,
    pub(super) has_upgrade: bool,
    pub(super) expects_continue: bool,
}

/// Moves the lines into `map` (which must be empty) as slices of `head`.
pub(super) fn collect(
    head: &Bytes,
    mut lines: FieldLines<'_>,
    sender: Sender,
    map: &mut HeaderMap,
) -> Result<Fields, ParseError> {
    let mut fields = Fields {
        framing: Framing::new(),
        host: HostField::Missing,
        has_upgrade: false,
        expects_continue: false,
    };
    while let Some(line) = lines.next()? {
        let (name, value) = field(head, line)?;
        match special(&name, line.name.len()) {
            None => {}
            Some(Special::ContentLength) => match fields.framing.content_length(line.value)? {
                LengthField::First => {}
                LengthField::Duplicate if sender == Sender::Server => continue,
                LengthField::Duplicate => return Err(ParseError::RepeatedContentLength),
            },
            Some(Special::TransferEncoding) => fields.framing.transfer_encoding(line.value)?,
            Some(Special::Connection) => match fields.framing.connection(line.value) {
                // Settled here: handlers need not see it, nor proxies remove it.
                ConnectionOptions::Persistence => continue,
                ConnectionOptions::Others => {}
            },
            Some(Special::Host) => match fields.host {
                HostField::Missing if authority::is_valid(line.value, Port::Optional) => {
                    fields.host = HostField::Valid;
                }
                HostField::Missing => fields.host = HostField::Invalid,
                _ if sender == Sender::Client => return Err(ParseError::RepeatedHost),
                _ => {}
            },
            Some(Special::Expect) => {
                fields.expects_continue |= line.value.eq_ignore_ascii_case(b"100-continue");
            }
            Some(Special::Upgrade) => fields.has_upgrade |= !line.value.is_empty(),
        }
        map.append(name, value);
    }
    Ok(fields)
}

/// A field that says something about the message or the connection.
enum Special {
    ContentLength,
    TransferEncoding,
    Connection,
    Host,
    Expect,
    Upgrade,
}

/// Told by length first: most names are none of these, and that settles it.
fn special(name: &HeaderName, length: usize) -> Option<Special> {
    match length {
        4 if *name == HOST => Some(Special::Host),
        6 if *name == EXPECT => Some(Special::Expect),
        7 if *name == UPGRADE => Some(Special::Upgrade),
        10 if *name == CONNECTION => Some(Special::Connection),
        14 if *name == CONTENT_LENGTH => Some(Special::ContentLength),
        17 if *name == TRANSFER_ENCODING => Some(Special::TransferEncoding),
        _ => None,
    }
}

/// One line as a typed pair; the value shares the memory of `head`.
#[inline(always)]
pub(super) fn field(
    head: &Bytes,
    line: FieldLine<'_>,
) -> Result<(HeaderName, HeaderValue), ParseError> {
    let name = match usual_name(line.name) {
        Some(name) => name,
        None => HeaderName::from_bytes(line.name).map_err(|_| ParseError::HeaderName)?,
    };
    let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value))
        .map_err(|_| ParseError::HeaderValue)?;
    Ok((name, value))
}

/// The names most messages use, as most senders spell them: a comparison spares
/// putting each letter in lower case first.
fn usual_name(name: &[u8]) -> Option<HeaderName> {
    Some(match name {
        b"TE" | b"te" => header::TE,
        b"Age" | b"age" => header::AGE,
        b"Via" | b"via" => header::VIA,
        b"Date" | b"date" => header::DATE,
        b"ETag" | b"etag" => header::ETAG,
        b"Host" | b"host" => HOST,
        b"Vary" | b"vary" => header::VARY,
        b"Accept" | b"accept" => header::ACCEPT,
        b"Cookie" | b"cookie" => header::COOKIE,
        b"Origin" | b"origin" => header::ORIGIN,
        b"Server" | b"server" => header::SERVER,
        b"Expires" | b"expires" => header::EXPIRES,
        b"Referer" | b"referer" => header::REFERER,
        b"Location" | b"location" => header::LOCATION,
        b"Connection" | b"connection" => CONNECTION,
        b"Set-Cookie" | b"set-cookie" => header::SET_COOKIE,
        b"User-Agent" | b"user-agent" => header::USER_AGENT,
        b"Content-Type" | b"content-type" => header::CONTENT_TYPE,
        b"Accept-Ranges" | b"accept-ranges" => header::ACCEPT_RANGES,
        b"Authorization" | b"authorization" => header::AUTHORIZATION,
        b"Cache-Control" | b"cache-control" => header::CACHE_CONTROL,
        b"If-None-Match" | b"if-none-match" => header::IF_NONE_MATCH,
        b"Last-Modified" | b"last-modified" => header::LAST_MODIFIED,
        b"Content-Length" | b"content-length" => CONTENT_LENGTH,
        b"Accept-Encoding" | b"accept-encoding" => header::ACCEPT_ENCODING,
        b"Accept-Language" | b"accept-language" => header::ACCEPT_LANGUAGE,
        b"Content-Encoding" | b"content-encoding" => header::CONTENT_ENCODING,
        b"If-Modified-Since" | b"if-modified-since" => header::IF_MODIFIED_SINCE,
        b"Transfer-Encoding" | b"transfer-encoding" => TRANSFER_ENCODING,
        _ => return None,
    })
}

/// An emptied map for the next head, or nothing worth keeping.
pub(super) fn recycled(mut map: HeaderMap) -> HeaderMap {
    if map.capacity() > RECYCLED_CAPACITY_MAX {
        return HeaderMap::new();
    }
    if !map.is_empty() {
        map.clear();
    }
    map
}
