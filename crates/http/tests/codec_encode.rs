//! Written heads and bodies: one framing, whatever the header map holds, and
//! never a body other than the one announced.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tidegate_http::Headers;
use tidegate_http::h1::codec::{
    BodyEncoder, BodyLength, ConnectionField, EncodeError, EncodedBody, RequestTarget,
    encode_request_head, encode_response_head,
};

fn fields(lines: &[(&'static str, &'static str)]) -> Headers {
    lines
        .iter()
        .map(|&(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

fn request(
    method: Method,
    uri: &'static str,
    headers: &Headers,
    body: EncodedBody,
    connection: ConnectionField,
) -> Result<String, EncodeError> {
    let uri = Uri::from_static(uri);
    let target = RequestTarget::new(&method, &uri)?;
    let mut out = BytesMut::new();
    encode_request_head(&mut out, &method, target, headers, body, connection)?;
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

fn response(
    status: u16,
    headers: &Headers,
    body: EncodedBody,
    connection: ConnectionField,
) -> Result<String, EncodeError> {
    let mut out = BytesMut::new();
    let status = StatusCode::from_u16(status).unwrap();
    encode_response_head(&mut out, status, headers, body, connection)?;
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

const HOSTILE: &[(&str, &str)] = &[
    ("host", "a"),
    ("content-length", "5"),
    ("content-length", "6"),
    ("transfer-encoding", "chunked"),
    ("connection", "x"),
    ("keep-alive", "5"),
    ("proxy-connection", "keep-alive"),
    ("upgrade", "h2c"),
];

#[test]
fn a_request_head_is_written_in_one_piece() {
    let headers = fields(&[("host", "a"), ("x", "1"), ("x", "2")]);
    let written = request(
        Method::POST,
        "/p?q",
        &headers,
        EncodedBody::Fixed(12),
        ConnectionField::Implied,
    );
    assert_eq!(
        written.unwrap(),
        "POST /p?q HTTP/1.1\r\nhost: a\r\nx: 1\r\nx: 2\r\ncontent-length: 12\r\n\r\n"
    );
}

#[test]
fn framing_fields_of_the_map_are_never_written() {
    let headers = fields(HOSTILE);
    for (body, line) in [
        (EncodedBody::None, ""),
        (EncodedBody::Fixed(0), "content-length: 0\r\n"),
        (EncodedBody::Fixed(7), "content-length: 7\r\n"),
        (EncodedBody::Chunked, "transfer-encoding: chunked\r\n"),
    ] {
        assert_eq!(
            request(Method::PUT, "/", &headers, body, ConnectionField::Implied).unwrap(),
            format!("PUT / HTTP/1.1\r\nhost: a\r\n{line}\r\n")
        );
    }
}

#[test]
fn connection_field_is_the_one_asked_for() {
    let headers = fields(HOSTILE);
    for (connection, lines) in [
        (ConnectionField::Implied, ""),
        (ConnectionField::Close, "connection: close\r\n"),
        (ConnectionField::KeepAlive, "connection: keep-alive\r\n"),
        (
            ConnectionField::Upgrade,
            "upgrade: h2c\r\nconnection: upgrade\r\n",
        ),
    ] {
        assert_eq!(
            request(Method::GET, "/", &headers, EncodedBody::None, connection).unwrap(),
            format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n")
        );
    }
}

#[test]
fn targets_are_written_in_the_form_of_the_method() {
    let line = |method: Method, uri: &'static str| {
        request(
            method,
            uri,
            &Headers::new(),
            EncodedBody::None,
            ConnectionField::Implied,
        )
        .map(|head| head.lines().next().unwrap_or_default().to_owned())
    };
    assert_eq!(
        line(Method::GET, "http://a/b?c").unwrap(),
        "GET /b?c HTTP/1.1"
    );
    assert_eq!(line(Method::GET, "http://a").unwrap(), "GET / HTTP/1.1");
    assert_eq!(line(Method::GET, "http://a?b").unwrap(), "GET /?b HTTP/1.1");
    assert_eq!(line(Method::OPTIONS, "*").unwrap(), "OPTIONS * HTTP/1.1");
    assert_eq!(
        line(Method::CONNECT, "a:1").unwrap(),
        "CONNECT a:1 HTTP/1.1"
    );
    assert_eq!(line(Method::CONNECT, "/a"), Err(EncodeError::NoTarget));
    assert_eq!(line(Method::GET, "a:1"), Err(EncodeError::NoTarget));
}

#[test]
fn a_request_cannot_end_with_the_connection_nor_connect_have_a_body() {
    let write = |method: Method, uri: &'static str, body: EncodedBody| {
        request(method, uri, &Headers::new(), body, ConnectionField::Implied)
    };
    assert_eq!(
        write(Method::POST, "/", EncodedBody::UntilClose),
        Err(EncodeError::RequestUntilClose)
    );
    for body in [EncodedBody::Fixed(1), EncodedBody::Chunked] {
        assert_eq!(
            write(Method::CONNECT, "a:1", body),
            Err(EncodeError::BodyNotAllowed)
        );
    }
    assert_eq!(
        write(Method::CONNECT, "a:1", EncodedBody::Fixed(0)).unwrap(),
        "CONNECT a:1 HTTP/1.1\r\n\r\n"
    );
}

#[test]
fn a_response_head_always_says_how_its_body_ends() {
    let none = Headers::new();
    for (status, body, expected) in [
        (
            200,
            EncodedBody::Fixed(5),
            "200 OK\r\ncontent-length: 5\r\n",
        ),
        (200, EncodedBody::None, "200 OK\r\ncontent-length: 0\r\n"),
        (
            200,
            EncodedBody::Chunked,
            "200 OK\r\ntransfer-encoding: chunked\r\n",
        ),
        (
            200,
            EncodedBody::UntilClose,
            "200 OK\r\nconnection: close\r\n",
        ),
        (
            200,
            EncodedBody::Unsent(Some(9)),
            "200 OK\r\ncontent-length: 9\r\n",
        ),
        (200, EncodedBody::Unsent(None), "200 OK\r\n"),
        (200, EncodedBody::Tunnel, "200 OK\r\n"),
        (
            404,
            EncodedBody::Fixed(0),
            "404 Not Found\r\ncontent-length: 0\r\n",
        ),
        (299, EncodedBody::Fixed(0), "299 \r\ncontent-length: 0\r\n"),
        (100, EncodedBody::None, "100 Continue\r\n"),
        (204, EncodedBody::None, "204 No Content\r\n"),
        (204, EncodedBody::Fixed(0), "204 No Content\r\n"),
        (204, EncodedBody::Unsent(Some(3)), "204 No Content\r\n"),
        (304, EncodedBody::None, "304 Not Modified\r\n"),
        (
            304,
            EncodedBody::Unsent(Some(3)),
            "304 Not Modified\r\ncontent-length: 3\r\n",
        ),
    ] {
        assert_eq!(
            response(status, &none, body, ConnectionField::Implied).unwrap(),
            format!("HTTP/1.1 {expected}\r\n"),
            "{status} {body:?}"
        );
    }
    let switching = fields(&[("upgrade", "websocket")]);
    assert_eq!(
        response(
            101,
            &switching,
            EncodedBody::Tunnel,
            ConnectionField::Upgrade
        )
        .unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    );
}

#[test]
fn a_body_after_a_status_that_has_none_is_refused() {
    for status in [100, 103, 204, 304] {
        for body in [
            EncodedBody::Fixed(1),
            EncodedBody::Chunked,
            EncodedBody::UntilClose,
        ] {
            assert_eq!(
                response(status, &Headers::new(), body, ConnectionField::Implied),
                Err(EncodeError::BodyNotAllowed),
                "{status} {body:?}"
            );
        }
    }
}

#[test]
fn an_error_writes_nothing() {
    let mut out = BytesMut::from("before");
    let headers = fields(&[("x", "y")]);
    let uri = Uri::from_static("/");
    let target = RequestTarget::new(&Method::GET, &uri).unwrap();
    encode_request_head(
        &mut out,
        &Method::GET,
        target,
        &headers,
        EncodedBody::UntilClose,
        ConnectionField::Implied,
    )
    .unwrap_err();
    encode_response_head(
        &mut out,
        StatusCode::NO_CONTENT,
        &headers,
        EncodedBody::Chunked,
        ConnectionField::Implied,
    )
    .unwrap_err();
    BodyEncoder::new(EncodedBody::Fixed(1))
        .data(&mut out, 2)
        .unwrap_err();
    assert_eq!(out, "before");
}

#[test]
fn what_would_split_a_message_cannot_get_into_its_types() {
    for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\r\n\r\nGET /"] {
        assert!(HeaderValue::from_str(value).is_err(), "{value:?}");
        assert!(
            HeaderValue::from_bytes(value.as_bytes()).is_err(),
            "{value:?}"
        );
        assert!(
            HeaderName::from_bytes(value.as_bytes()).is_err(),
            "{value:?}"
        );
        assert!(Method::from_bytes(value.as_bytes()).is_err(), "{value:?}");
        assert!(Uri::try_from(format!("/{value}")).is_err(), "{value:?}");
        assert!(
            http::uri::PathAndQuery::try_from(format!("/{value}")).is_err(),
            "{value:?}"
        );
        assert!(http::uri::Authority::try_from(value).is_err(), "{value:?}");
    }
    assert!(HeaderName::from_bytes(b"a: b").is_err());
    assert!(HeaderName::from_bytes(b"a b").is_err());
    assert!(http::uri::PathAndQuery::try_from("/a b").is_err());
}

#[test]
fn reserves_little_more_than_a_head_needs() {
    let mut headers = Headers::new();
    for index in 0..40 {
        headers.insert(
            HeaderName::try_from(format!("x-{index}")).unwrap(),
            HeaderValue::from_str(&"v".repeat(100)).unwrap(),
        );
    }
    let mut out = BytesMut::new();
    let status = StatusCode::NETWORK_AUTHENTICATION_REQUIRED;
    let body = EncodedBody::Fixed(u64::MAX);
    encode_response_head(&mut out, status, &headers, body, ConnectionField::KeepAlive).unwrap();
    let needed = out.len();
    assert!(
        out.capacity() < 2 * needed + 256,
        "{} for {needed}",
        out.capacity()
    );
}

#[test]
fn chunks_are_framed_around_data_that_is_not_copied() {
    let mut out = BytesMut::from("head");
    let mut encoder = BodyEncoder::new(EncodedBody::Chunked);
    assert_eq!(encoder.data(&mut out, 5).unwrap(), b"\r\n");
    assert_eq!(out, "head5\r\n");
    out.clear();
    assert_eq!(encoder.data(&mut out, 0x1_0000).unwrap(), b"\r\n");
    assert_eq!(out, "10000\r\n");
    out.clear();
    assert_eq!(encoder.data(&mut out, 0).unwrap(), b"");
    assert!(
        out.is_empty(),
        "an empty piece must not look like the last chunk"
    );
    assert!(!encoder.is_complete());
    encoder.finish(&mut out, None).unwrap();
    assert_eq!(out, "0\r\n\r\n");
    assert!(encoder.is_complete());
    encoder.finish(&mut out, None).unwrap();
    assert_eq!(out, "0\r\n\r\n", "a second end writes nothing");
    assert_eq!(encoder.data(&mut out, 1), Err(EncodeError::AfterEnd));
}

#[test]
fn the_largest_chunk_size_is_written_whole() {
    let mut out = BytesMut::new();
    BodyEncoder::new(EncodedBody::Chunked)
        .data(&mut out, usize::MAX)
        .unwrap();
    assert_eq!(out, "ffffffffffffffff\r\n");
}

#[test]
fn the_last_data_and_the_end_leave_together() {
    let mut out = BytesMut::new();
    let mut encoder = BodyEncoder::new(EncodedBody::Chunked);
    assert_eq!(encoder.last_data(&mut out, 1).unwrap(), b"\r\n0\r\n\r\n");
    assert_eq!(out, "1\r\n");
    assert!(encoder.is_complete());
    out.clear();
    let mut encoder = BodyEncoder::new(EncodedBody::Chunked);
    assert_eq!(encoder.last_data(&mut out, 0).unwrap(), b"0\r\n\r\n");
    assert!(out.is_empty());
    let mut encoder = BodyEncoder::new(EncodedBody::Fixed(3));
    let short = EncodeError::BodyTooShort { missing_bytes: 1 };
    assert_eq!(encoder.last_data(&mut out, 2), Err(short));
    assert_eq!(encoder.last_data(&mut out, 1).unwrap(), b"");
    assert!(out.is_empty() && encoder.is_complete());
}

#[test]
fn a_fixed_body_of_another_length_is_an_error() {
    let mut out = BytesMut::new();
    let mut encoder = BodyEncoder::new(EncodedBody::Fixed(5));
    encoder.data(&mut out, 3).unwrap();
    assert_eq!(
        encoder.finish(&mut out, None),
        Err(EncodeError::BodyTooShort { missing_bytes: 2 })
    );
    assert_eq!(
        encoder.data(&mut out, 4),
        Err(EncodeError::BodyTooLong { excess_bytes: 2 })
    );
    encoder.data(&mut out, 2).unwrap();
    assert!(encoder.is_complete());
    assert_eq!(
        encoder.data(&mut out, 1),
        Err(EncodeError::BodyTooLong { excess_bytes: 1 })
    );
    encoder.finish(&mut out, None).unwrap();
    assert!(out.is_empty(), "nothing frames a body of known length");
}

#[test]
fn data_where_there_is_no_body_is_an_error() {
    for body in [EncodedBody::None, EncodedBody::Unsent(Some(5))] {
        let mut encoder = BodyEncoder::new(body);
        assert!(encoder.is_complete());
        assert_eq!(
            encoder.data(&mut BytesMut::new(), 1),
            Err(EncodeError::AfterEnd)
        );
        assert_eq!(encoder.data(&mut BytesMut::new(), 0).unwrap(), b"");
    }
    for body in [EncodedBody::UntilClose, EncodedBody::Tunnel] {
        let mut out = BytesMut::new();
        let mut encoder = BodyEncoder::new(body);
        assert_eq!(encoder.data(&mut out, 1 << 20).unwrap(), b"");
        encoder.finish(&mut out, None).unwrap();
        assert!(out.is_empty());
    }
}

#[test]
fn trailers_follow_a_chunked_body_without_the_forbidden_ones() {
    let trailers = HeaderMap::from(fields(&[
        ("x-checksum", "1"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("host", "a"),
        ("authorization", "b"),
        ("grpc-status", "0"),
    ]));
    let mut out = BytesMut::new();
    BodyEncoder::new(EncodedBody::Chunked)
        .finish(&mut out, Some(&trailers))
        .unwrap();
    assert_eq!(out, "0\r\nx-checksum: 1\r\ngrpc-status: 0\r\n\r\n");
    out.clear();
    BodyEncoder::new(EncodedBody::Fixed(0))
        .finish(&mut out, Some(&trailers))
        .unwrap();
    assert!(out.is_empty());
}

#[test]
fn every_parsed_length_can_be_written_again() {
    for (length, body) in [
        (BodyLength::None, EncodedBody::None),
        (BodyLength::Fixed(3), EncodedBody::Fixed(3)),
        (BodyLength::Chunked, EncodedBody::Chunked),
        (BodyLength::UntilClose, EncodedBody::UntilClose),
        (BodyLength::Tunnel, EncodedBody::Tunnel),
    ] {
        assert_eq!(EncodedBody::from(length), body);
    }
}
