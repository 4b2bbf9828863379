//! Writes heads (RFC 9112 sections 3 and 4). Called by both connections.
//!
//! Framing and connection fields come from the arguments alone: the same
//! fields in the `Headers` are left out, so a head never carries both
//! `Content-Length` and `Transfer-Encoding`. Names and values cannot split a
//! message because `Headers` hold no CR, LF or NUL.

use bytes::BytesMut;
use http::uri::{Authority, PathAndQuery};
use http::{Method, StatusCode, Uri};

use super::framing::status_has_no_body;
use super::{BodyLength, EncodeError};
use crate::headers::{Headers, Role};

/// Room for the first line's fixed parts and the fields the encoder adds.
const FIXED_BYTES: usize = 128;

/// What a head announces about the body that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedBody {
    /// No body. A response that could have one says `Content-Length: 0`.
    None,
    /// `Content-Length`, and exactly that many bytes.
    Fixed(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// A response that ends with the connection; writes `Connection: close`.
    UntilClose,
    /// A response to HEAD or a `304`: the length the body would have, if it is
    /// known, and no body.
    Unsent(Option<u64>),
    /// A tunnel starts after this head (`101`, 2xx to CONNECT).
    Tunnel,
}

impl From<BodyLength> for EncodedBody {
    /// The same framing again.
    fn from(length: BodyLength) -> Self {
        match length {
            BodyLength::None => Self::None,
            BodyLength::Fixed(bytes) => Self::Fixed(bytes),
            BodyLength::Chunked => Self::Chunked,
            BodyLength::UntilClose => Self::UntilClose,
            BodyLength::Tunnel => Self::Tunnel,
        }
    }
}

/// The `Connection` field to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionField {
    /// None: HTTP/1.1 keeps connections by default.
    Implied,
    /// `close`.
    Close,
    /// `keep-alive`, for an HTTP/1.0 peer that asked for it.
    KeepAlive,
    /// `upgrade`; the `Upgrade` field of the map is written too, which is left
    /// out otherwise.
    Upgrade,
}

/// What a request asks for, in the form it is written (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug)]
pub enum RequestTarget<'a> {
    /// Path and query.
    Origin(&'a PathAndQuery),
    /// Host and port, for CONNECT.
    Authority(&'a Authority),
    /// `*`, for OPTIONS about the server as a whole.
    Asterisk,
}

impl<'a> RequestTarget<'a> {
    /// The target an origin server is asked for with `method` and `uri`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoTarget`] for CONNECT without an authority and for any
    /// other method on a bare authority.
    pub fn new(method: &Method, uri: &'a Uri) -> Result<Self, EncodeError> {
        if method == Method::CONNECT {
            return uri
                .authority()
                .map(Self::Authority)
                .ok_or(EncodeError::NoTarget);
        }
        match uri.path_and_query() {
            Some(path) if path.as_str() == "*" => Ok(Self::Asterisk),
            Some(path) => Ok(Self::Origin(path)),
            None => Err(EncodeError::NoTarget),
        }
    }

    /// Writes the target; a missing path becomes `/` (RFC 9112 section 3.2.1).
    fn write(self, out: &mut BytesMut) {
        match self {
            Self::Origin(path) => {
                if !path.as_str().starts_with('/') {
                    out.extend_from_slice(b"/");
                }
                out.extend_from_slice(path.as_str().as_bytes());
            }
            Self::Authority(authority) => out.extend_from_slice(authority.as_str().as_bytes()),
            Self::Asterisk => out.extend_from_slice(b"*"),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Origin(path) => path.as_str().len() + 1,
            Self::Authority(authority) => authority.as_str().len(),
            Self::Asterisk => 1,
        }
    }
}

/// Appends a request head to `out`.
///
/// # Errors
///
/// [`EncodeError::RequestUntilClose`] for a body only a response can have, and
/// [`EncodeError::BodyNotAllowed`] for CONNECT with a body; nothing is written.
pub fn encode_request_head(
    out: &mut BytesMut,
    method: &Method,
    target: RequestTarget<'_>,
    headers: &Headers,
    body: EncodedBody,
    connection: ConnectionField,
) -> Result<(), EncodeError> {
    let framing = match body {
        EncodedBody::UntilClose => return Err(EncodeError::RequestUntilClose),
        EncodedBody::Fixed(1..) | EncodedBody::Chunked if method == Method::CONNECT => {
            return Err(EncodeError::BodyNotAllowed);
        }
        EncodedBody::None | EncodedBody::Unsent(_) | EncodedBody::Tunnel => FramingField::None,
        EncodedBody::Fixed(_) if method == Method::CONNECT => FramingField::None,
        EncodedBody::Fixed(length) => FramingField::ContentLength(length),
        EncodedBody::Chunked => FramingField::Chunked,
    };
    out.reserve(
        FIXED_BYTES + method.as_str().len() + target.length() + headers.written_length_max(),
    );
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    target.write(out);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(out, headers, framing, connection);
    Ok(())
}

/// Appends a response head to `out`, always as HTTP/1.1 (RFC 9110 section
/// 6.2). For an HTTP/1.0 client choose a body other than `Chunked`.
///
/// # Errors
///
/// [`EncodeError::BodyNotAllowed`] for a body after 1xx, 204 or 304; nothing is
/// written.
pub fn encode_response_head(
    out: &mut BytesMut,
    status: StatusCode,
    headers: &Headers,
    body: EncodedBody,
    connection: ConnectionField,
) -> Result<(), EncodeError> {
    let (framing, connection) = response_framing(status, body, connection)?;
    out.reserve(FIXED_BYTES + headers.written_length_max());
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    write_fields(out, headers, framing, connection);
    Ok(())
}

/// The one framing field a head gets.
#[derive(Clone, Copy, Debug)]
enum FramingField {
    None,
    ContentLength(u64),
    Chunked,
}

fn response_framing(
    status: StatusCode,
    body: EncodedBody,
    connection: ConnectionField,
) -> Result<(FramingField, ConnectionField), EncodeError> {
    let bodiless = status_has_no_body(status);
    let framing = match body {
        EncodedBody::Fixed(1..) | EncodedBody::Chunked | EncodedBody::UntilClose if bodiless => {
            return Err(EncodeError::BodyNotAllowed);
        }
        // RFC 9110 section 8.6: no length at all in 1xx and 204.
        EncodedBody::Unsent(Some(length)) if !bodiless || status == StatusCode::NOT_MODIFIED => {
            FramingField::ContentLength(length)
        }
        EncodedBody::Fixed(length) if !bodiless => FramingField::ContentLength(length),
        EncodedBody::None if !bodiless => FramingField::ContentLength(0),
        EncodedBody::Chunked => FramingField::Chunked,
        EncodedBody::UntilClose => return Ok((FramingField::None, ConnectionField::Close)),
        _ => FramingField::None,
    };
    Ok((framing, connection))
}

fn write_fields(
    out: &mut BytesMut,
    headers: &Headers,
    framing: FramingField,
    connection: ConnectionField,
) {
    headers.write(out, |role| is_written_anew(role, connection));
    match framing {
        FramingField::None => {}
        FramingField::ContentLength(length) => {
            let mut digits = itoa::Buffer::new();
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(digits.format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        FramingField::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(match connection {
        ConnectionField::Implied => b"\r\n".as_slice(),
        ConnectionField::Close => b"connection: close\r\n\r\n",
        ConnectionField::KeepAlive => b"connection: keep-alive\r\n\r\n",
        ConnectionField::Upgrade => b"connection: upgrade\r\n\r\n",
    });
}

/// Fields the encoder writes from its arguments, or that concern the previous
/// hop's connection only.
#[inline]
fn is_written_anew(role: Role, connection: ConnectionField) -> bool {
    match role {
        Role::ContentLength
        | Role::TransferEncoding
        | Role::Connection
        | Role::KeepAlive
        | Role::ProxyConnection => true,
        Role::Upgrade => connection != ConnectionField::Upgrade,
        _ => false,
    }
}
